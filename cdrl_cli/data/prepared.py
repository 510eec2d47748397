"""A training clip as networks take it: landmarks, coefficients, crops, sound; found once, kept."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64, Int16, UInt8

from cdrl_cli.data.index import Clip
from cdrl_cli.data.stored import load_fields

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
    """Read what :func:`~cdrl_cli.data.stored.save_fields` wrote."""
    return PreparedClip(**load_fields(clip, path))
