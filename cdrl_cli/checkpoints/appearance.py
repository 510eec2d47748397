"""What reads appearance, in a file: face-api's net, and what it says of everybody."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from cdrl_cli.checkpoints.arrays import reading, write_arrays
from cdrl_cli.representation.appearance import AppearanceReader


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
