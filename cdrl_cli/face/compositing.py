"""Crop to frame: what a renderer made goes back into the picture, and nowhere else.

:mod:`cdrl_cli.face.alignment` is the way there.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Float32, Shaped

from cdrl_cli.face.alignment import FaceCrop
from cdrl_cli.geometry.warp import resample, resample_flow, warp
from cdrl_cli.media.frames import VideoFrame

_MARGIN_PX = 8
"""Wider than any chroma sample and the filter that makes it."""

_DEPTHS = {"uint8": cv2.CV_8U, "uint16": cv2.CV_16U}


@dataclass(frozen=True, slots=True)
class Rendering:
    """What a renderer answers: how the pixels move, and where that may show."""

    flow: Float32[np.ndarray, "256 256 2"]
    """For each pixel of the crop, its source's position minus its own, crop pixels."""
    mask: Float32[np.ndarray, "256 256"]
    """0 where the source must stay, 1 where the rendering counts."""
    colour: Float32[np.ndarray, "256 256 3"] | None = None
    """Added to the moved pixels, -1..1 of the range, sRGB; None adds nothing."""
    shade: "Shade | None" = None
    """By which the moved pixels become lighter; None leaves them as they are."""


@dataclass(frozen=True, slots=True)
class Shade:
    """How much lighter pixels become: they are multiplied, so that their own texture stays."""

    logarithm: Float32[np.ndarray, "side side"]
    """Natural logarithm of the ratio of brightness; 0 changes nothing."""
    from_crop: Float[np.ndarray, "2 3"]
    """Carries crop pixels to those of ``logarithm``."""
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Share of the logarithm that red, green and blue take."""


def paste_face(frame: VideoFrame, crop: FaceCrop, rendering: Rendering) -> VideoFrame:
    """The frame with the rendering in it.

    The source's own pixels are warped at native resolution; nothing is enlarged from the crop
    but the flow, the mask and the changes of colour and light, which are smooth. Outside the mask
    the frame keeps its bits.
    """
    box, matrix = crop.box_xyxy, crop.crop_from_frame
    flow = resample_flow(rendering.flow, matrix, box)
    mask = resample(rendering.mask, matrix, box)
    # The face fills half of the crop; read whole and cut, the values stay the same to the last bit.
    left, top, right, bottom = _masked_part(mask)
    flow, mask = flow[top:bottom, left:right], mask[top:bottom, left:right]
    pixels = warp(crop.pixels, flow, at_xy=(left, top))
    if rendering.shade is not None:
        pixels = _shade(pixels, rendering.shade, matrix, (left, top, right, bottom), box)
    if rendering.colour is not None:
        white = np.float32(np.iinfo(pixels.dtype).max)
        change = resample(white * rendering.colour, matrix, box)[top:bottom, left:right]
        # OpenCV rounds and saturates on the way: ten times as fast as numpy.
        pixels = cv2.add(pixels, change, dtype=_DEPTHS[pixels.dtype.name])
    x, y = box[:2]
    return frame.with_patch((x + left, y + top, x + right, y + bottom), pixels, mask)


def _shade(
    pixels: Shaped[np.ndarray, "rows columns 3"],
    shade: Shade,
    crop_from_frame: Float[np.ndarray, "2 3"],
    part: tuple[int, int, int, int],
    box: tuple[int, int, int, int],
) -> Shaped[np.ndarray, "rows columns 3"]:
    """Multiply the pixels of a part of the box."""
    shade_from_frame = shade.from_crop[:, :2] @ crop_from_frame
    shade_from_frame[:, 2] += shade.from_crop[:, 2]
    left, top, right, bottom = part
    x, y = box[:2]
    found = resample(shade.logarithm, shade_from_frame, (x + left, y + top, x + right, y + bottom))
    gains = [cv2.exp(share * found) for share in shade.tint]
    return cv2.multiply(pixels, cv2.merge(gains), dtype=_DEPTHS[pixels.dtype.name])


def _masked_part(mask: Float32[np.ndarray, "height width"]) -> tuple[int, int, int, int]:
    """A box around what is masked, exclusive at right and bottom.

    With a margin, so that no chroma sample that is touched serves a pixel outside; not empty.
    """
    height, width = mask.shape
    left, top, columns, rows = cv2.boundingRect((mask > 0).astype(np.uint8))
    return (
        max(left - _MARGIN_PX, 0),
        max(top - _MARGIN_PX, 0),
        min(left + columns + _MARGIN_PX, width),
        min(top + rows + _MARGIN_PX, height),
    )
