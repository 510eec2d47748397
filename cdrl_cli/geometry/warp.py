"""Backward warps: for each pixel of the output, where in the source it comes from.

Convention: a flow holds, for each output pixel, the source position minus its own, pixels; x and y
are an array each.
"""

from collections.abc import Sequence
from math import floor, log2

import cv2
import numpy as np

from cdrl_cli.array_types import Float, Float32, Shaped


def turn_flow(
    x: Float32[np.ndarray, "rows columns"],
    y: Float32[np.ndarray, "rows columns"],
    crop_from_frame: Float[np.ndarray, "2 3"],
) -> tuple[Float32[np.ndarray, "rows columns"], Float32[np.ndarray, "rows columns"]]:
    r"""A flow in pixels of an aligned crop, in those of the frame: x, and y.

    With :math:`q = A p + t` the crop position of frame position :math:`p`, the source of
    :math:`q` is :math:`q + F(q)`, whose frame position is :math:`p + A^{-1} F(A p + t)`.

    Args:
        x: :math:`F` to the crop's right, wherever it was read.
        y: Down the crop.
        crop_from_frame: :math:`[A | t]`.
    """
    across, down = np.linalg.inv(crop_from_frame[:, :2]).tolist()
    return (
        cv2.addWeighted(x, across[0], y, across[1], 0),
        cv2.addWeighted(x, down[0], y, down[1], 0),
    )


def resample(
    values: Float32[np.ndarray, "size size *channels"],
    crop_from_frame: Float[np.ndarray, "2 3"],
    box_xyxy: tuple[int, int, int, int],
    *,
    outside: float = 0.0,
) -> Float32[np.ndarray, "height width *channels"]:
    """Values on an aligned crop, read at each pixel of a box of the frame, or of another picture.

    Args:
        values: On the crop.
        crop_from_frame: Carries places in the frame to the crop.
        box_xyxy: Of the frame, exclusive at right and bottom.
        outside: What is read outside of the crop.
    """
    left, top, right, bottom = box_xyxy
    crop_from_box = crop_from_frame.astype(float).copy()
    crop_from_box[:, 2] += crop_from_frame[:, :2] @ (left, top)
    return cv2.warpAffine(
        values,
        crop_from_box,
        (right - left, bottom - top),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(outside,) * 4,
    )


def fetch(
    image: Shaped[np.ndarray, "height width *channels"],
    x: Float32[np.ndarray, "rows columns"],
    y: Float32[np.ndarray, "rows columns"],
    *,
    smooth: bool = False,
    relative: bool = False,
) -> Shaped[np.ndarray, "rows columns *channels"]:
    """The image at places, between its pixels too (edges repeated).

    At whole numbers a pixel is the image's own, bit for bit.

    Args:
        image: uint8, uint16 or float32; one channel, or three.
        x: Of each place, pixels.
        y: The same.
        smooth: The image has no edges that bilinear reading would soften, which takes a third of
            the time; else it is read bicubically.
        relative: Places count from where each lies itself, as a flow's do.
    """
    how = cv2.INTER_LINEAR if smooth else cv2.INTER_CUBIC
    how |= cv2.WARP_RELATIVE_MAP if relative else 0
    if image.shape[2:]:  # colours
        four = cv2.remap(_with_fourth(image), x, y, how, borderMode=cv2.BORDER_REPLICATE)
        return cv2.cvtColor(four, cv2.COLOR_RGBA2RGB)
    return cv2.remap(image, x, y, how, borderMode=cv2.BORDER_REPLICATE)


def carry(
    image: Shaped[np.ndarray, "height width 3"],
    image_from_crop: Float[np.ndarray, "2 3"],
    side: int,
    *,
    into: Shaped[np.ndarray, "side side 3"] | None = None,
    black_outside: bool = False,
) -> Shaped[np.ndarray, "side side 3"]:
    """A square crop of colours, read linearly between the image's pixels.

    Args:
        image: uint8 or uint16.
        image_from_crop: Carries places in the crop to places in the image.
        side: Of the crop, pixels.
        into: Where it is drawn; None makes an array.
        black_outside: Show black beyond the image's edge; otherwise the edge goes on.
    """
    four = cv2.warpAffine(
        _with_fourth(image),
        image_from_crop,
        (side, side),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT if black_outside else cv2.BORDER_REPLICATE,
    )
    return cv2.cvtColor(four, cv2.COLOR_RGBA2RGB, dst=into)


def _with_fourth(
    image: Shaped[np.ndarray, "height width 3"],
) -> Shaped[np.ndarray, "height width 4"]:
    """The image with a fourth channel: OpenCV warps four, to the same bits, in half the time."""
    return cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)


def layers_of(
    values: Float32[np.ndarray, "rows columns layers"],
) -> list[Float32[np.ndarray, "rows columns"]]:
    """Each layer of values by itself."""
    # What OpenCV makes itself, a list of arrays, it copies once more: twice the time.
    layers = np.empty((values.shape[2], *values.shape[:2]), np.float32)
    return list(cv2.split(values, list(layers)))


def chain(
    outer: Float[np.ndarray, "2 3"], inner: Float[np.ndarray, "2 3"]
) -> Float[np.ndarray, "2 3"]:
    """The matrix that carries points first by the inner, then by the outer.

    >>> chain(np.array([(1.0, 0, 3), (0, 1, 0)]), np.array([(2.0, 0, 0), (0, 2, 0)]))
    array([[2., 0., 3.],
           [0., 2., 0.]])
    """
    chained = outer[:, :2] @ inner
    chained[:, 2] += outer[:, 2]
    return chained


def invert(matrix: Float[np.ndarray, "2 3"]) -> Float[np.ndarray, "2 3"]:
    """The matrix that carries points back."""
    return np.asarray(cv2.invertAffineTransform(matrix), float)


def resized(factor: float) -> Float[np.ndarray, "2 3"]:
    """The matrix that carries pixels of a picture to those of the same one of another size.

    Args:
        factor: How many times as many pixels it then has along each side.

    >>> resized(0.5)
    array([[ 0.5 ,  0.  , -0.25],
           [ 0.  ,  0.5 , -0.25]])
    """
    # Middles of pixels, not their corners, lie at whole numbers.
    shift = (factor - 1) / 2
    return np.array([(factor, 0, shift), (0, factor, shift)])


def scale_of(matrix: Float[np.ndarray, "2 3"]) -> float:
    """How many times as long a matrix makes things: the root of what it does to areas.

    >>> scale_of(np.array([(0.0, -2.0, 5.0), (2.0, 0.0, 1.0)]))
    2.0
    """
    return float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))


def whole_shrink(pixels_per_sample: float) -> int:
    """How many samples one pixel is made of in each direction, or less: a power of two.

    >>> whole_shrink(0.2), whole_shrink(3.0)
    (4, 1)
    """
    return 1 << max(floor(-log2(pixels_per_sample)), 0)


def box_around(
    corners: Sequence[tuple[int, int]], matrix: Float[np.ndarray, "2 3"]
) -> tuple[int, int, int, int]:
    """A box around where a matrix carries corners to, exclusive at right and bottom."""
    places = np.array(corners, float) @ matrix[:, :2].T + matrix[:, 2]
    low, high = np.floor(places.min(axis=0)), np.ceil(places.max(axis=0)) + 1
    x0, y0, x1, y1 = np.concatenate([low, high]).astype(int).tolist()
    return x0, y0, x1, y1
