"""Crop to frame: what a renderer made goes back into the picture, and nowhere else.

:mod:`cdrl_cli.face.alignment` is the way there.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32

from cdrl_cli.face.alignment import FaceCrop
from cdrl_cli.geometry.warp import resample, resample_flow, warp
from cdrl_cli.media.frames import VideoFrame

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


def paste_face(frame: VideoFrame, crop: FaceCrop, rendering: Rendering) -> VideoFrame:
    """The frame with the rendering in it.

    The source's own pixels are warped at native resolution; nothing is enlarged from the crop
    but the flow, the mask and the change of colour, which are smooth. Outside the mask the frame
    keeps its bits.
    """
    box, matrix = crop.box_xyxy, crop.crop_from_frame
    flow = resample_flow(rendering.flow, matrix, box)
    mask = resample(rendering.mask, matrix, box)
    pixels = warp(crop.pixels, flow)
    if rendering.colour is not None:
        white = np.float32(np.iinfo(pixels.dtype).max)
        change = resample(white * rendering.colour, matrix, box)
        # OpenCV rounds and saturates on the way: ten times as fast as numpy.
        pixels = cv2.add(pixels, change, dtype=_DEPTHS[pixels.dtype.name])
    return frame.with_patch(box, pixels, mask)
