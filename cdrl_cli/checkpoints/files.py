"""Arrays and facts in one file: read by name, written whole or not at all.

Without torch, for what an edit reads; :mod:`cdrl_cli.checkpoints.trained` has what training reads
and writes.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import Shaped
from safetensors.numpy import load_file, save_file

from cdrl_cli.errors import WeightsError
from cdrl_cli.representation.appearance import AppearanceReader

Array = TypeVar("Array")


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


def write_arrays(
    path: Path, arrays: Mapping[str, Shaped[np.ndarray, "..."]], facts: Mapping[str, str]
) -> None:
    """Write a file, and its folder if need be; it appears under its name when whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    save_file({name: np.ascontiguousarray(one) for name, one in arrays.items()}, part, dict(facts))
    part.replace(path)


def join_parts(parts: Mapping[str, Mapping[str, Array]]) -> dict[str, Array]:
    """States of several networks in one, as ``part.name``."""
    return {f"{part}.{name}": one for part, state in parts.items() for name, one in state.items()}


def part_of(arrays: Mapping[str, Array], part: str) -> dict[str, Array]:
    """One network's state, out of what :func:`join_parts` joined."""
    start = f"{part}."
    return {k.removeprefix(start): one for k, one in arrays.items() if k.startswith(start)}


def read_appearance(path: Path) -> AppearanceReader:
    """A reader from a file that :func:`write_appearance` wrote.

    Raises:
        WeightsError: If it is no such file.
    """
    with reading(path, "reader of appearance"):
        weights = load_file(path)
        usual = weights.pop("usual")
        return AppearanceReader(weights, usual)


def write_appearance(path: Path, reader: AppearanceReader, *, facts: Mapping[str, str]) -> None:
    """Write the reader, its net in half precision.

    Args:
        path: ``appearance.safetensors``.
        reader: The net, and what it usually says.
        facts: Sources, licence, data digest and the like.
    """
    net = {name: value.astype(np.float16) for name, value in reader.weights.items()}
    write_arrays(path, {**net, "usual": reader.usual}, facts)
