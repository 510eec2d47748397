"""The white of an eye, where a lid or lashes hid it: as it is beside, and no darker."""

import cv2
import numpy as np

from cdrl_cli.array_types import Float, Float32
from cdrl_cli.geometry.warp import scale_of

NEAR_PX, FAR_PX, FAR = (1.0, 0.8), (3.5, 1.5), 0.03
"""The white of the eye is spread as far as the first, crop pixels across and down, and where
nothing is so near, as far as the second, which counts less by the third."""

DUSK, DAY = 0.8, 1.0
"""What is up to so bright, as shares of the mean of the white, is none; what is as bright as the
second surely is."""


def brightness(
    luma: Float32[np.ndarray, "rows columns 1"], mean: Float32[np.ndarray, "rows columns 1"]
) -> Float32[np.ndarray, "rows columns 1"]:
    """How surely samples where the white of an eye is are of it, 0..1, by how bright they are.

    Args:
        luma: Samples, above black.
        mean: Of what lies where the white of the same eye is.
    """
    share = luma / np.maximum(mean, np.float32(1))
    return np.clip((share - np.float32(DUSK)) / np.float32(DAY - DUSK), 0, 1)


def spread_near(
    sums: Float32[np.ndarray, "rows columns planes"],
    weight: Float32[np.ndarray, "rows columns 1"],
    crop_from_plane: Float[np.ndarray, "2 3"],
) -> Float32[np.ndarray, "rows columns planes"]:
    """Values spread to where they have no weight, from near by if they can be.

    Args:
        sums: Values in their places, times their weight.
        weight: Of each, above 0.
        crop_from_plane: Carries places among them to crop pixels.
    """
    rows, columns, planes = sums.shape
    crop_px = scale_of(crop_from_plane)
    shrink = min(crop_px, 1.0)  # a large eye is blurred small
    size = max(round(columns * shrink), 1), max(round(rows * shrink), 1)
    all_of_it = np.concatenate([sums, weight], axis=2)
    small = cv2.resize(all_of_it, size, interpolation=cv2.INTER_AREA)
    px = size[0] / (columns * crop_px)
    far = cv2.GaussianBlur(small, (0, 0), sigmaX=FAR_PX[0] * px, sigmaY=FAR_PX[1] * px)
    near = cv2.GaussianBlur(small, (0, 0), sigmaX=NEAR_PX[0] * px, sigmaY=NEAR_PX[1] * px)
    near = cv2.scaleAdd(far, FAR, near)
    found = (near[..., :planes] / near[..., planes:]).astype(np.float32)
    whole = cv2.resize(found, (columns, rows), interpolation=cv2.INTER_LINEAR)
    return whole.reshape(sums.shape)
