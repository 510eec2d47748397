"""The learned motion editor in a file."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from cdrl_cli.checkpoints.arrays import reading
from cdrl_cli.checkpoints.load import WEIGHT_SETS, find_weights, name_in_set
from cdrl_cli.checkpoints.tensors import read_tensors, write_tensors
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
    with reading(path, "motion editor"):
        tensors, facts = read_tensors(path)
        editor = MotionEditor(MotionConfig(**json.loads(facts["config"])))
        editor.load_state_dict(tensors)
        return editor.eval()


def write_motion(path: Path, editor: MotionEditor, *, facts: Mapping[str, str]) -> None:
    """Write an editor.

    Args:
        path: ``motion-….safetensors``.
        editor: What was learned.
        facts: Recipe, licence class, commit, data digest and the like.
    """
    config = json.dumps(asdict(editor.config))
    write_tensors(path, editor.state_dict(), {**facts, "config": config})
