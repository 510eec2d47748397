"""The learned renderer in a file: an ONNX network, so that an edit needs no torch."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from cdrl_cli.face.alignment import CROP_SIZE
from cdrl_cli.generator.unet import CHANNELS, CONDITION, RendererNet


def write_renderer(path: Path, network: RendererNet, *, facts: Mapping[str, str]) -> None:
    """Write a renderer; it appears under its name when whole.

    Args:
        path: ``renderer-….onnx``.
        network: What was learned.
        facts: Recipe, licence class, commit, data digest and the like.
    """
    example: tuple[Any, ...] = (
        torch.zeros(1, CHANNELS, CROP_SIZE, CROP_SIZE),
        torch.ones(1, CONDITION),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own: it uses what torch has deprecated
        program = torch.onnx.export(
            network.float().eval(),
            example,
            input_names=["picture", "condition"],
            output_names=["flow", "colour"],
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    for key, value in facts.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(model.SerializeToString())
    part.replace(path)
