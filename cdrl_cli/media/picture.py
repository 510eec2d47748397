"""The decoded frame: planes that stay untouched until somebody asks for colours."""

from collections.abc import Iterable, Sequence
from fractions import Fraction

import av
import numpy as np

from cdrl_cli.array_types import Float32, Shaped, UInt8, UInt16
from cdrl_cli.media.development import Development
from cdrl_cli.media.frames import Cutout, Plane
from cdrl_cli.media.orientation import Box


class DecodedFrame:
    """A :class:`~cdrl_cli.media.frames.VideoFrame` over a decoder's planes.

    The planes belong to the decoder, which may still predict from them: they are never written.

    Args:
        planes: Decoded picture in the stream's editable format.
        development: Shared by the frames of the stream.
        index: Position in the stream, from 0.
        time: Presentation time, seconds.
        duration: Seconds until the next picture; 0 if the stream does not say.
    """

    __slots__ = ("_development", "_duration", "_index", "_planes", "_time")

    def __init__(
        self,
        planes: av.VideoFrame,
        development: Development,
        *,
        index: int,
        time: Fraction,
        duration: Fraction,
    ) -> None:
        self._planes = planes
        self._development = development
        self._index = index
        self._time = time
        self._duration = duration

    @property
    def index(self) -> int:
        """Position in the stream, from 0."""
        return self._index

    @property
    def time(self) -> Fraction:
        """Presentation time in seconds on the container's clock (the one audio shares)."""
        return self._time

    @property
    def duration(self) -> Fraction:
        """Seconds the picture is shown, by its packet; 0 if the stream does not say."""
        return self._duration

    @property
    def width(self) -> int:
        """Pixels, upright."""
        return self._development.width

    @property
    def height(self) -> int:
        """Pixels, upright."""
        return self._development.height

    def picture(self, max_side: int) -> UInt8[np.ndarray, "height width 3"]:
        """The whole picture as sRGB 8 bit with square pixels, no side longer than ``max_side``.

        Scaled from the planes in one step, so it costs about the same at 4K as the small size
        does. HDR is brought to the brightness of an ordinary recording.

        Raises:
            ValueError: If ``max_side`` is not positive.
        """
        if max_side < 1:
            raise ValueError(f"a picture has at least one pixel, got {max_side = }")
        return self._development.small(self._planes, max_side)

    def rgb(
        self, box_xyxy: Box | None = None
    ) -> UInt8[np.ndarray, "height width 3"] | UInt16[np.ndarray, "height width 3"]:
        """Pixels of a box (exclusive at right and bottom; None: everything) at native resolution.

        uint8 0..255 for 8-bit video, uint16 0..65535 for deeper video, in the stream's own
        transfer and primaries.

        Raises:
            ValueError: If the box is empty or not inside the frame.
        """
        box = box_xyxy if box_xyxy is not None else (0, 0, self.width, self.height)
        self._check_box(box)
        return self._development.rgb(self._planes, box)

    def with_patch(
        self,
        box_xyxy: Box,
        rgb: UInt8[np.ndarray, "height width 3"] | UInt16[np.ndarray, "height width 3"],
        mask: Float32[np.ndarray, "height width"],
    ) -> "DecodedFrame":
        """A new frame with the box's pixels blended to ``rgb`` by ``mask`` (0..1).

        Blended in YUV. Samples where ``mask`` is exactly 0 keep their bits (a chroma sample keeps
        its bits when the mask is 0 under every pixel it serves).

        Raises:
            ValueError: If the box is empty or not inside the frame, or an array does not fit it.
        """
        self._check_box(box_xyxy)
        x0, y0, x1, y1 = box_xyxy
        dtype = np.uint16 if self._development.layout.is_deep else np.uint8
        if rgb.shape != (y1 - y0, x1 - x0, 3) or rgb.dtype != dtype:
            raise ValueError(
                f"box {box_xyxy} takes {dtype.__name__}, got {rgb.shape = }, {rgb.dtype = }"
            )
        if mask.shape != (y1 - y0, x1 - x0):
            raise ValueError(f"box {box_xyxy} takes a mask of its size, got {mask.shape = }")
        if not (mask.min() >= 0 and mask.max() <= 1):
            raise ValueError(f"weights lie in 0..1, got {mask.min()}..{mask.max()}")
        return self._edited(self._development.patched(self._planes, box_xyxy, rgb, mask))

    def cutout(self, box_xyxy: Box, *, shrink: int = 1) -> Cutout:
        """A part of the frame that holds the box, averaged over squares of ``shrink`` pixels.

        Args:
            box_xyxy: Exclusive at right and bottom.
            shrink: A power of two. Less than a square may be missing at the picture's edge.

        Raises:
            ValueError: If the box is empty or not inside the frame.
        """
        self._check_box(box_xyxy)
        return self._development.cutout(self._planes, box_xyxy, shrink)

    def planes(self, box_xyxy: Box) -> tuple[Plane, ...]:
        """The stored samples and which of them serve a box; luma first.

        Raises:
            ValueError: If the box is empty or not inside the frame.
        """
        self._check_box(box_xyxy)
        return self._development.planes(self._planes, box_xyxy)

    def with_planes(
        self, patches: Iterable[tuple[Box, Sequence[Shaped[np.ndarray, "_ _"]]]]
    ) -> "DecodedFrame":
        """A new frame with new samples.

        Args:
            patches: Boxes, each with new samples for the part of each plane that serves it
                (:meth:`planes`).

        Raises:
            ValueError: If a part does not fit its box.
        """
        return self._edited(self._development.with_planes(self._planes, patches))

    def numbered(self, index: int) -> "DecodedFrame":
        """The same frame at another position."""
        return DecodedFrame(
            self._planes, self._development, index=index, time=self._time, duration=self._duration
        )

    def for_encoder(self) -> av.VideoFrame:
        """The planes in a frame that the writer may stamp; they share the decoder's memory."""
        return self._development.copied(self._planes)

    def _edited(self, planes: av.VideoFrame) -> "DecodedFrame":
        return DecodedFrame(
            planes,
            self._development,
            index=self._index,
            time=self._time,
            duration=self._duration,
        )

    def _check_box(self, box_xyxy: Box) -> None:
        x0, y0, x1, y1 = box_xyxy
        if not (0 <= x0 < x1 <= self.width and 0 <= y0 < y1 <= self.height):
            raise ValueError(f"{box_xyxy = } is empty or leaves {self.width} x {self.height}")
