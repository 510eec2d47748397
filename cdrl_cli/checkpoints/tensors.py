"""Tensors and facts in one safetensors file: read by name, written whole or not at all."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from cdrl_cli.errors import WeightsError


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Whatever goes wrong while a file is turned into networks: it is none of that kind.

    Raises:
        WeightsError: Says which file, and what it should have been.
    """
    try:
        yield
    except Exception as error:  # safetensors and torch raise a dozen kinds
        raise WeightsError(f"{path}: no {kind} ({error})") from error


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """What :func:`write_tensors` wrote: tensors, and facts."""
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118 - not a dict


def write_tensors(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, str]) -> None:
    """Write a file, and its folder if need be; it appears under its name when whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    save_file({k: tensor.contiguous() for k, tensor in tensors.items()}, part, dict(facts))
    part.replace(path)


def join_parts(parts: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """States of several networks in one, as ``part.name``."""
    return {f"{part}.{name}": t for part, state in parts.items() for name, t in state.items()}


def part_of(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """One network's state, out of what :func:`join_parts` joined."""
    start = f"{part}."
    return {k.removeprefix(start): t for k, t in tensors.items() if k.startswith(start)}
