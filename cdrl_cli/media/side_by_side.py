"""Before and after in one picture: beside each other, or parted by a line that wanders."""

from dataclasses import replace
from fractions import Fraction
from math import cos, pi
from typing import Final, Literal

import av
import cv2
import numpy as np

from cdrl_cli.array_types import UInt8
from cdrl_cli.media import color
from cdrl_cli.media.declared import Declared
from cdrl_cli.media.development import Development
from cdrl_cli.media.frames import ColorTags, VideoFrame, VideoInfo
from cdrl_cli.media.orientation import Orientation
from cdrl_cli.media.picture import DecodedFrame
from cdrl_cli.media.planes import planar_format

Layout = Literal["side", "wipe"]
"""Beside each other; or in one picture, with a line between before and after that wanders."""

MOST_SIDE_PX: Final = 1920
"""Longer side of one of the two pictures, at most: twice that is what players play."""

PERIOD_S: Final = 4.0
"""Time in which the line wanders from left to right and back, seconds."""

_TAGS: Final = ColorTags("bt709", "bt709", "bt709", full_range=False)
_LINE_PX: Final = 2


class PairPainter:
    """Makes frames that a writer takes of the pairs of two videos.

    They are upright, 8 bit, BT.709, with square pixels, whatever the videos are: a pair of pictures
    is for looking, not for working on.

    Args:
        like: Facts of the videos.
        layout: How a pair is laid out.
    """

    def __init__(self, like: VideoInfo, layout: Layout) -> None:
        self._layout = layout
        wide = like.width * min(like.sample_aspect, Fraction(1))
        high = like.height * min(1 / like.sample_aspect, Fraction(1))
        scale = min(Fraction(1), MOST_SIDE_PX / max(wide, high))
        self._size = _even(wide * scale), _even(high * scale)
        width = self._size[0] * (2 if layout == "side" else 1)
        self.info: Final = replace(
            like,
            width=width,
            height=self._size[1],
            rotation_deg=0,
            mirrored=False,
            display_matrix=None,
            sample_aspect=Fraction(1),
            pixel_format="yuv420p",
            bit_depth=8,
            color=_TAGS,
            hdr=None,
            interlaced=False,
            declared=Declared(),
            chroma_location=None,
        )
        """Facts of the frames that are made."""
        self._development: Development | None = None

    def paint(self, before: VideoFrame, after: VideoFrame) -> DecodedFrame:
        """The frame of a pair, at the time of the first.

        Args:
            before: The source's frame.
            after: The frame of its edit.
        """
        pictures = [self._picture(one) for one in (before, after)]
        rgb = (
            np.concatenate(pictures, axis=1)
            if self._layout == "side"
            else _wipe(pictures[0], pictures[1], float(before.time))
        )
        planes = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), "rgb24").reformat(
            format="yuv420p", dst_colorspace=color.SWS_MATRICES[1], dst_color_range=1, threads=1
        )
        if self._development is None:
            self._development = Development(
                planes,
                layout=planar_format("yuv420p"),
                tags=_TAGS,
                orientation=Orientation(0, mirrored=False),
                sample_aspect=Fraction(1),
            )
        return DecodedFrame(
            planes,
            self._development,
            index=before.index,
            time=before.time,
            duration=getattr(before, "duration", Fraction(0)),
        )

    def _picture(self, frame: VideoFrame) -> UInt8[np.ndarray, "height width 3"]:
        picture = frame.picture(max(self._size) + 1)
        if picture.shape[1::-1] == self._size:
            return picture
        return np.asarray(cv2.resize(picture, self._size, interpolation=cv2.INTER_AREA), np.uint8)


def _wipe(
    before: UInt8[np.ndarray, "height width 3"],
    after: UInt8[np.ndarray, "height width 3"],
    time_s: float,
) -> UInt8[np.ndarray, "height width 3"]:
    """Before on the left of the line, after on its right; the line starts on the left."""
    width = before.shape[1]
    line = round(width * (0.5 - 0.5 * cos(2 * pi * time_s / PERIOD_S)))
    mixed = after.copy()
    mixed[:, :line] = before[:, :line]
    mixed[:, max(line - _LINE_PX, 0) : line] = 255
    return mixed


def _even(length: Fraction) -> int:
    return max(2, round(length) // 2 * 2)
