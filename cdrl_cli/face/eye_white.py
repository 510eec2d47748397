"""The white of an eye, where a lid or lashes hid it: as it is beside, and no darker."""

from collections.abc import Sequence

import cv2
import numpy as np

from cdrl_cli.array_types import Float, Float32
from cdrl_cli.geometry.warp import layers_of, scale_of

NEAR_PX, FAR_PX, FAR = (1.0, 0.8), (3.5, 1.5), 0.03
"""The white of the eye is spread as far as the first, crop pixels across and down, and where
nothing is so near, as far as the second, which counts less by the third."""

DUSK, DAY = 0.8, 1.0
"""What is up to so bright, as shares of the mean of the white, is none; what is as bright as the
second surely is."""

LITTLE = 1e-4
"""A weight that is as good as none, and can be divided by."""


def mean_by_eye(
    values: Float32[np.ndarray, "eyes rows columns"],
    share: Float32[np.ndarray, "eyes rows columns"],
) -> Float32[np.ndarray, "eyes 1 1"]:
    """The mean of each eye's samples by their share; of all, where it has none.

    Args:
        values: Samples.
        share: Of each, 0..1.
    """
    counts = share.reshape(len(share), -1) + np.float32(LITTLE)
    sums = (values.reshape(counts.shape) * counts).sum(axis=1)
    return np.asarray(sums / counts.sum(axis=1))[:, None, None]


def brightness(
    luma: Float32[np.ndarray, "eyes rows columns"], mean: Float32[np.ndarray, "eyes 1 1"]
) -> Float32[np.ndarray, "eyes rows columns"]:
    """How surely samples where the white of an eye is are of it, 0..1, by how bright they are.

    Args:
        luma: Samples, above black.
        mean: Of what lies where the white of the same eye is.
    """
    share = luma / np.maximum(mean, np.float32(1))
    share -= np.float32(DUSK)
    share *= np.float32(1 / (DAY - DUSK))
    return np.clip(share, np.float32(0), np.float32(1), out=share)


def spread_near(
    sums: Sequence[Float32[np.ndarray, "eyes rows columns"]],
    weight: Float32[np.ndarray, "eyes rows columns"],
    crop_from_plane: Float[np.ndarray, "2 3"],
) -> list[Float32[np.ndarray, "eyes rows columns"]]:
    """Values spread to where they have no weight, from near by if they can be.

    Args:
        sums: Values of each plane in their places, times their weight.
        weight: Of each, above 0.
        crop_from_plane: Carries places among them to crop pixels.
    """
    *_, columns = weight.shape
    all_of_it = cv2.merge([one.reshape(-1, columns) for one in (*sums, weight)])
    rows = len(all_of_it)
    crop_px = scale_of(crop_from_plane)
    shrink = min(crop_px, 1.0)  # a large eye is blurred small
    size = max(round(columns * shrink), 1), max(round(rows * shrink), 1)
    small = cv2.resize(all_of_it, size, interpolation=cv2.INTER_AREA)
    px = size[0] / (columns * crop_px)
    far = cv2.GaussianBlur(small, (0, 0), sigmaX=FAR_PX[0] * px, sigmaY=FAR_PX[1] * px)
    near = cv2.GaussianBlur(small, (0, 0), sigmaX=NEAR_PX[0] * px, sigmaY=NEAR_PX[1] * px)
    *found, weights = layers_of(cv2.scaleAdd(far, FAR, near))
    whole = (cv2.resize(cv2.divide(one, weights), (columns, rows)) for one in found)
    return [one.reshape(weight.shape) for one in whole]
