"""The learned motion editor in a file."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file

from cdrl_cli.checkpoints.load import WEIGHT_SETS, find_weights, name_in_set
from cdrl_cli.errors import WeightsError
from cdrl_cli.generator.motion_network import MotionConfig, MotionEditor


def load_motion(weight_set: str = WEIGHT_SETS[0]) -> MotionEditor:
    """The embedded editor.

    Raises:
        UsageError: If there is no such set.
        WeightsError: If the file is missing or damaged.
    """
    return read_motion(find_weights(name_in_set("motion", weight_set)))


def read_motion(path: Path) -> MotionEditor:
    """An editor from a file that :func:`write_motion` wrote, in evaluation mode.

    Raises:
        WeightsError: If it is no such file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            facts = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        editor = MotionEditor(MotionConfig(**json.loads(facts["config"])))
        editor.load_state_dict(tensors)
    except Exception as error:  # safetensors and torch raise a dozen kinds
        raise WeightsError(f"{path}: no motion editor ({error})") from error
    return editor.eval()


def write_motion(path: Path, editor: MotionEditor, *, facts: Mapping[str, str]) -> None:
    """Write an editor.

    Args:
        path: ``motion-….safetensors``.
        editor: What was learned.
        facts: Recipe, licence class, commit, data digest and the like.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.contiguous() for name, tensor in editor.state_dict().items()}
    save_file(tensors, path, metadata={**facts, "config": json.dumps(asdict(editor.config))})
