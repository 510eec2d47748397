"""Motion editors in files, of either backbone: what training writes, and reads again."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn

from cdrl_cli.checkpoints.export import export_network, load_exported, read_exported
from cdrl_cli.checkpoints.files import pack_array, part_of, reading, unpack_array
from cdrl_cli.checkpoints.load import find_weights
from cdrl_cli.face.blendshapes import COEFFICIENTS
from cdrl_cli.generator.motion import CONTEXT_AFTER, OWN_FRAMES
from cdrl_cli.generator.motion_network import FrameEditor, MotionConfig, MotionEditor
from cdrl_cli.generator.ned_network import NedConfig, NedEditor, NedFrameEditor
from cdrl_cli.weight_set import WeightSet

NED = "ned"
"""What a file's metadata calls the second backbone."""

_ONLY_LEARNING = ("encoder.", "scale")
"""Weights of the second backbone that no edit needs, and no file has."""


def load_motion(weight_set: WeightSet | str = WeightSet.PERMISSIVE) -> MotionEditor:
    """The embedded editor.

    Raises:
        UsageError: If there is no such set.
        WeightsError: If the file is missing or damaged.
    """
    editor = read_motion(find_weights(WeightSet.parse(weight_set).entry("motion")))
    assert isinstance(editor, MotionEditor)
    return editor


def read_motion(path: Path) -> MotionEditor | NedEditor:
    """An editor of either backbone from a file that :func:`write_motion` wrote, in evaluation mode.

    Raises:
        WeightsError: If it is no such file.
    """
    with reading(path, "motion editor"):
        tensors, facts = read_exported(path)
        editor: MotionEditor | NedEditor
        unused = ["neutral_high"]
        if facts.get("backbone") == NED:
            editor = NedEditor(NedConfig(**json.loads(facts["config"])))
            unused += [name for name in editor.state_dict() if name.startswith(_ONLY_LEARNING)]
        else:
            editor = MotionEditor(MotionConfig(**json.loads(facts["config"])))
        load_exported(editor, part_of(tensors, "editor"), but=unused)
        editor.neutral_high.copy_(torch.from_numpy(unpack_array(facts["neutral_high"])))
        return editor.eval()


def write_motion(path: Path, editor: MotionEditor | NedEditor, *, facts: Mapping[str, str]) -> None:
    """Write an editor.

    Args:
        path: ``motion-….onnx``.
        editor: What was learned.
        facts: Recipe, licence class, commit, data digest and the like.
    """
    if isinstance(editor, NedEditor):
        frame_editor: nn.Module = NedFrameEditor(editor)
        facts = {**facts, "backbone": NED}
    else:
        frame_editor = FrameEditor(editor)
    export_network(
        path,
        frame_editor,
        (
            torch.zeros(1, COEFFICIENTS),
            torch.zeros(OWN_FRAMES + CONTEXT_AFTER, COEFFICIENTS),
            torch.tensor(OWN_FRAMES - 1),
            torch.ones(1, editor.config.embedding),
            torch.zeros(1, COEFFICIENTS),
            torch.zeros(1, 1),
            torch.zeros(1, COEFFICIENTS),
            torch.tensor(1.0),
            torch.tensor(1.0),
        ),
        inputs=[
            "expression",
            "window",
            "now",
            "embedding",
            "difference",
            "share",
            "rest",
            "amount",
            "intensity",
        ],
        outputs=["shown"],
        dynamic={"window": {0: "frames"}},
        facts={
            **facts,
            "config": json.dumps(asdict(editor.config)),
            "neutral_high": pack_array(editor.neutral_high.numpy(force=True)),
        },
    )
