"""Face crops of training clips at full size, with their geometry: what the renderer learns from."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from cdrl_cli.data.index import Clip
from cdrl_cli.data.stored import load_fields


@dataclass(frozen=True, slots=True)
class ClipCrops:
    """Some frames of one clip, evenly spread over it."""

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
    """Read what :func:`~cdrl_cli.data.stored.save_fields` wrote."""
    return ClipCrops(**load_fields(clip, path))
