"""Backward warps: for each pixel of the output, where in the source it comes from.

Convention: a flow holds, for each output pixel, the source position minus its own, (x, y), pixels.
"""

import cv2
import numpy as np
from jaxtyping import Float, Float32, Shaped


def resample_flow(
    flow: Float32[np.ndarray, "size size 2"],
    crop_from_frame: Float[np.ndarray, "2 3"],
    box_xyxy: tuple[int, int, int, int],
) -> Float32[np.ndarray, "height width 2"]:
    r"""A flow on an aligned crop, as a flow on a box of the frame at the frame's resolution.

    With :math:`q = A p + t` the crop position of frame position :math:`p`, the source of
    :math:`q` is :math:`q + F(q)`, whose frame position is :math:`p + A^{-1} F(A p + t)`.

    Args:
        flow: In crop pixels; taken as 0 outside the crop.
        crop_from_frame: :math:`[A | t]`.
        box_xyxy: Box of the frame, exclusive at right and bottom.
    """
    spread = resample(flow, crop_from_frame, box_xyxy)
    frame_from_crop = np.linalg.inv(crop_from_frame[:, :2]).astype(np.float32)
    return spread @ frame_from_crop.T


def resample(
    values: Float32[np.ndarray, "size size *channels"],
    crop_from_frame: Float[np.ndarray, "2 3"],
    box_xyxy: tuple[int, int, int, int],
) -> Float32[np.ndarray, "height width *channels"]:
    """Values on an aligned crop, read at each pixel of a box of the frame; 0 outside the crop."""
    left, top, right, bottom = box_xyxy
    crop_from_box = crop_from_frame.astype(float).copy()
    crop_from_box[:, 2] += crop_from_frame[:, :2] @ (left, top)
    return cv2.warpAffine(
        values,
        crop_from_box,
        (right - left, bottom - top),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
    )


def warp(
    image: Shaped[np.ndarray, "height width 3"],
    flow: Float32[np.ndarray, "rows columns 2"],
    *,
    at_xy: tuple[int, int] = (0, 0),
) -> Shaped[np.ndarray, "rows columns 3"]:
    """The image, each pixel fetched from where the flow points (bicubic, edges repeated).

    Where the flow is 0 the pixel is the source's own, bit for bit.

    Args:
        image: uint8, uint16 or float32.
        flow: Pixels; of the whole image, or of a part of it.
        at_xy: Where in the image that part begins.
    """
    rows, columns = flow.shape[:2]
    x = flow[..., 0] + np.arange(at_xy[0], at_xy[0] + columns, dtype=np.float32)
    y = flow[..., 1] + np.arange(at_xy[1], at_xy[1] + rows, dtype=np.float32)[:, None]
    return cv2.remap(image, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
