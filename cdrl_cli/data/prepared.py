"""What was found in a clip, kept on disk beside it: landmarks, coefficients, crops, sound."""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from cdrl_cli.array_types import Float32, Float64, Int16, UInt8
from cdrl_cli.data.index import Clip
from cdrl_cli.errors import UnreadableInputError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

MOUTH_SIDE = 64
"""Side of the stored mouth crop, pixels."""


@dataclass(frozen=True, slots=True)
class PreparedClip:
    """One clip: what was seen on each frame with a face, and what was heard."""

    clip: Clip
    time_s: Float64[np.ndarray, " frames"]
    """Presentation times on the clock that the sound shares."""
    landmarks_xyz: Float32[np.ndarray, "frames 478 3"]
    """Square pixels, smoothed as an edit smooths them."""
    expression: Float32[np.ndarray, "frames 52"]
    face: UInt8[np.ndarray, "frames 112 112 3"]
    """Aligned crop, sRGB."""
    mouth: UInt8[np.ndarray, "frames 64 64"]
    """Luma of the part around the mouth; fixed to the head, so that the jaw moves in it."""
    sound: Int16[np.ndarray, " samples"]
    """Mono at 16 kHz; empty where the clip has none."""
    sound_start_s: float
    """Time of the first sample."""


def load_prepared(clip: Clip, path: Path) -> PreparedClip:
    """Read what :func:`save_fields` wrote."""
    return PreparedClip(**load_fields(clip, path))


@dataclass(frozen=True, slots=True)
class ClipCrops:
    """Face crops of one clip at full size, of some frames evenly spread over it."""

    clip: Clip
    time_s: Float64[np.ndarray, " frames"]
    """Presentation times."""
    image: UInt8[np.ndarray, "frames 256 256 3"]
    """Aligned crop, sRGB (:meth:`~cdrl_cli.face.alignment.FaceCrop.image`)."""
    landmarks_xyz: Float32[np.ndarray, "frames 478 3"]
    """Crop pixels."""
    crop_from_head: Float32[np.ndarray, "frames 3 4"]
    """Linear part and translation of the pose: head space to crop pixels."""
    expression: Float32[np.ndarray, "frames 52"]


def load_crops(clip: Clip, path: Path) -> ClipCrops:
    """Read what :func:`save_fields` wrote."""
    return ClipCrops(**load_fields(clip, path))


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
    """The fields that :func:`save_fields` wrote, and the clip; numbers as numbers.

    Raises:
        UnreadableInputError: If the file is damaged.
    """
    try:
        with path.open("rb") as file, np.load(file) as kept:
            arrays = {name: kept[name] for name in kept.files}
    except (OSError, EOFError, ValueError, BadZipFile, zlib.error) as error:
        raise UnreadableInputError(
            f"{path}: what was prepared of a clip is damaged",
            hint="delete the file: it is made anew",
        ) from error
    return {"clip": clip} | {k: a if a.ndim else a.item() for k, a in arrays.items()}
