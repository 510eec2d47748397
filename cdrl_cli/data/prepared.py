"""A training clip as networks take it: landmarks, coefficients, crops, sound; found once, kept."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64, Int16, UInt8

from cdrl_cli.data.clips import Clip

FACE_SIDE = 112
"""Side of the stored face crop, pixels: the aligned crop of 256, shrunk."""

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


def save_prepared(prepared: PreparedClip, path: Path) -> None:
    """Write a prepared clip; it appears under its name when whole."""
    part = path.with_suffix(".part.npz")
    np.savez(
        part,
        time_s=prepared.time_s,
        landmarks_xyz=prepared.landmarks_xyz,
        expression=prepared.expression,
        face=prepared.face,
        mouth=prepared.mouth,
        sound=prepared.sound,
        sound_start_s=prepared.sound_start_s,
    )
    part.replace(path)


def load_prepared(clip: Clip, path: Path) -> PreparedClip:
    """Read what :func:`save_prepared` wrote."""
    with np.load(path) as kept:
        return PreparedClip(
            clip=clip,
            time_s=kept["time_s"],
            landmarks_xyz=kept["landmarks_xyz"],
            expression=kept["expression"],
            face=kept["face"],
            mouth=kept["mouth"],
            sound=kept["sound"],
            sound_start_s=float(kept["sound_start_s"]),
        )
