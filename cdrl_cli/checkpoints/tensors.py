"""Tensors and facts in one safetensors file, for networks that torch runs."""

from collections.abc import Mapping
from pathlib import Path

from safetensors import safe_open
from torch import Tensor

from cdrl_cli.checkpoints.arrays import write_arrays


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """What :func:`write_tensors` wrote: tensors, and facts."""
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118 - not a dict


def write_tensors(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, str]) -> None:
    """Write a file, and its folder if need be; it appears under its name when whole."""
    write_arrays(path, {name: one.numpy(force=True) for name, one in tensors.items()}, facts)
