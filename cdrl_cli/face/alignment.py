"""Frame to crop: the face upright on a square of fixed size.

:mod:`cdrl_cli.face.compositing` is the way back.

Convention: *frame* coordinates are pixels of the upright picture as stored; *square* coordinates
are the same with x multiplied by the sample aspect, so that a circle is round; *crop* coordinates
are pixels of the crop. Head space is that of :class:`~cdrl_cli.face.head.HeadModel`.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import atan2, ceil, cos, floor, sin

import cv2
import numpy as np

from cdrl_cli.array_types import Float, UInt8
from cdrl_cli.face.landmarks import Face
from cdrl_cli.geometry.similarity import Similarity
from cdrl_cli.geometry.warp import carry, chain, invert, scale_of, whole_shrink
from cdrl_cli.media.frames import Cutout, VideoFrame

CROP_SIZE = 256
"""Side of the aligned face crop, pixels."""

EYE_DISTANCE_PX = 76.0
"""Crop pixels between the outer eye corners: the face fills five eighths of the crop's height,
and the ring in which motion fades out still lies inside."""


@dataclass(frozen=True)
class FaceCrop:
    """A face taken out of a frame, with all that is needed to put it back."""

    box_xyxy: tuple[int, int, int, int]
    """The part of the frame that the crop covers, exclusive at right and bottom."""
    cutout: Cutout
    """That part in colour, no larger than the crop needs."""
    crop_from_frame: Float[np.ndarray, "2 3"]
    crop_from_head: Similarity
    """Head space to crop pixels, three-dimensional (z in crop pixels too)."""
    landmarks_xyz: Float[np.ndarray, "478 3"]
    """Crop pixels."""
    expression: Float[np.ndarray, " 52"]
    """The source's coefficients."""

    def image(self) -> UInt8[np.ndarray, "256 256 3"]:
        """The face upright on the crop, sRGB: what a network sees. Not to be written to."""
        return self._image

    @cached_property
    def _image(self) -> UInt8[np.ndarray, "256 256 3"]:
        crop_from_cutout = chain(self.crop_from_frame, invert(self.cutout.from_frame))
        # A face larger than the crop would alias under bilinear reading.
        shrink = scale_of(crop_from_cutout)
        sharp = self.cutout.rgb
        pixels = cv2.GaussianBlur(sharp, (0, 0), sigmaX=0.4 / shrink) if shrink < 1 else sharp
        crop = carry(pixels, invert(crop_from_cutout), CROP_SIZE)
        return crop if crop.dtype == np.uint8 else (crop // 256).astype(np.uint8)

    def thumbnail(self, side: int) -> UInt8[np.ndarray, "side side 3"]:
        """The same, shrunk to so many pixels."""
        return cv2.resize(self.image(), (side, side), interpolation=cv2.INTER_AREA)

    def close_up(self, side: int) -> UInt8[np.ndarray, "side side 3"]:
        """The square around the landmarks of the upright face, at so many pixels, sRGB.

        Published expression nets learned from such pictures: brows to chin and hardly any hair.
        """
        points = self.landmarks_xyz[:, :2]
        low, high = points.min(axis=0), points.max(axis=0)
        scale = side / max(float((high - low).max()), 1.0)
        shift = (side - 1) / 2 - scale * (low + high) / 2
        matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
        image = self.image()
        if scale < 1:  # else shrinking would alias
            image = cv2.GaussianBlur(image, (0, 0), sigmaX=0.4 / scale)
        return cv2.warpAffine(image, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)


def crop_face(
    frame: VideoFrame, face: Face, head: Similarity, *, sample_aspect: Fraction = Fraction(1)
) -> FaceCrop:
    """Take a face out of a frame, upright (roll removed), at a fixed size.

    Args:
        frame: The frame.
        face: A face of that frame, in square pixels.
        head: Its pose (see :class:`~cdrl_cli.face.head.HeadModel`).
        sample_aspect: Of the video.
    """
    zoom = EYE_DISTANCE_PX / head.scale
    roll = atan2(head.rotation[1, 0], head.rotation[0, 0])
    turn = np.array([[cos(roll), sin(roll)], [-sin(roll), cos(roll)]])
    middle = np.full(2, (CROP_SIZE - 1) / 2)
    shift = middle - zoom * turn @ head.translation[:2]

    turn_xyz = np.eye(3)
    turn_xyz[:2, :2] = turn
    crop_from_square = Similarity(zoom, turn_xyz, np.array([*shift, -zoom * head.translation[2]]))
    crop_from_head = Similarity(
        scale=EYE_DISTANCE_PX,
        rotation=turn_xyz @ head.rotation,
        translation=crop_from_square.apply(head.translation[None])[0],
    )
    linear = zoom * turn @ np.diag([float(sample_aspect), 1.0])
    crop_from_frame = np.concatenate([linear, shift[:, None]], axis=1)

    box = _covered_box(crop_from_frame, frame.width, frame.height)
    return FaceCrop(
        box_xyxy=box,
        cutout=frame.cutout(box, shrink=whole_shrink(scale_of(crop_from_frame))),
        crop_from_frame=crop_from_frame,
        crop_from_head=crop_from_head,
        landmarks_xyz=crop_from_square.apply(face.landmarks_xyz.astype(float)),
        expression=face.expression.astype(float),
    )


def _covered_box(
    crop_from_frame: Float[np.ndarray, "2 3"], width: int, height: int
) -> tuple[int, int, int, int]:
    """The frame's pixels that some pixel of the crop lies on, cut at the frame's edges.

    Never empty: one pixel of the edge where a face has left the frame altogether.
    """
    frame_from_crop = cv2.invertAffineTransform(crop_from_frame)
    side = CROP_SIZE - 1
    corners = np.array([(0, 0, 1), (side, 0, 1), (0, side, 1), (side, side, 1)], float)
    low = (corners @ frame_from_crop.T).min(axis=0)
    high = (corners @ frame_from_crop.T).max(axis=0)
    left, right = _cut(floor(low[0]), ceil(high[0]) + 1, width)
    top, bottom = _cut(floor(low[1]), ceil(high[1]) + 1, height)
    return left, top, right, bottom


def _cut(start: int, stop: int, length: int) -> tuple[int, int]:
    """The part of a span that lies in ``[0, length)``; its nearest pixel if there is none."""
    start = min(max(start, 0), length - 1)
    return start, max(min(stop, length), start + 1)
