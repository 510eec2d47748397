"""What was found in a clip, on disk: the arrays of a value, beside the clip that they are of."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cdrl_cli.data.index import Clip

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def save_fields(value: "DataclassInstance", path: Path) -> None:
    """Write every field but the clip; they appear under their name when whole."""
    names = [field.name for field in fields(value) if field.name != "clip"]
    save_arrays({name: getattr(value, name) for name in names}, path, save=np.savez)


def save_arrays(
    arrays: Mapping[str, Any], path: Path, *, save: Callable[..., None] = np.savez_compressed
) -> None:
    """Write arrays by name; they appear under the file's name when whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npz")
    save(part, **arrays)
    part.replace(path)


def load_fields(clip: Clip, path: Path) -> dict[str, Any]:
    """The fields that :func:`save_fields` wrote, and the clip; numbers as numbers."""
    with np.load(path) as kept:
        arrays = {name: kept[name] for name in kept.files}
    return {"clip": clip} | {k: a if a.ndim else a.item() for k, a in arrays.items()}
