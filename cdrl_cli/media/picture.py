"""The decoded frame: planes that stay untouched until somebody asks for colours."""

import threading
from fractions import Fraction
from typing import Any, Final

import av
import numpy as np
from av.filter import Graph
from av.video.reformatter import Interpolation, VideoReformatter
from jaxtyping import Float32, UInt8, UInt16
from numpy.typing import NDArray

from cdrl_cli.media import color
from cdrl_cli.media.frames import ColorTags
from cdrl_cli.media.orientation import Box, Orientation
from cdrl_cli.media.planes import (
    PlanarFormat,
    align_box,
    blend_planes,
    crop_planes,
    plane_arrays,
)

_EXACT: Final = (
    Interpolation.BILINEAR
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)
"""Without these flags swscale takes the nearest chroma sample and rounds down."""
_DEEP_RGB: Final = "gbrp16le"
"""Not rgb48le: with full chroma interpolation from 4:2:0, swscale 9.5 mixes up its channels."""
_MARGIN_SAMPLES: Final = 2
"""Chroma samples around a box that interpolation may look at."""


class Development:
    """How the planes of one stream become an upright picture, and how pixels go back.

    One object serves all frames of a stream; frames of one stream may be used from several threads.

    Args:
        template: A decoded frame in ``layout``; fixes size and memory layout.
        layout: Pixel format of the stream's frames.
        tags: Colour as the stream states it.
        orientation: From coded to upright.
        sample_aspect: Width of a coded pixel by its height.
    """

    def __init__(
        self,
        template: av.VideoFrame,
        *,
        layout: PlanarFormat,
        tags: ColorTags,
        orientation: Orientation,
        sample_aspect: Fraction,
    ) -> None:
        self.layout: Final = layout
        self.orientation: Final = orientation
        self.coded_width: Final = template.width
        self.coded_height: Final = template.height
        self.width, self.height = orientation.swapped(template.width, template.height)
        self._tags = tags
        self._sample_aspect = sample_aspect
        self._matrix = color.working_matrix(tags, template.width, template.height)
        self._range = color.working_range(tags)
        self._local = threading.local()

    def small(self, frame: av.VideoFrame, max_side: int) -> UInt8[np.ndarray, "height width 3"]:
        """The whole picture, upright, square pixels, sRGB."""
        width, height = self._small_size(max_side)
        is_hdr = color.is_hdr(self._tags)
        small = self._scaler("small").reformat(
            frame,
            width,
            height,
            _DEEP_RGB if is_hdr else "rgb24",
            # Averages what it leaves out, and is faster than swscale's bilinear at that.
            interpolation=Interpolation.AREA,
            src_colorspace=color.SWS_MATRICES[self._matrix],
            src_color_range=self._range,
            threads=1,
        )
        rgb = small.to_ndarray()
        if is_hdr:
            rgb = color.srgb_from_hdr(_full_scale(rgb), self._tags.transfer or "")
        return np.ascontiguousarray(self.orientation.upright(rgb))

    def _small_size(self, max_side: int) -> tuple[int, int]:
        """Coded size of the small picture: square pixels by shrinking, never by enlarging."""
        aspect = self._sample_aspect
        width = self.coded_width * min(aspect, Fraction(1))
        height = self.coded_height * min(1 / aspect, Fraction(1))
        scale = min(Fraction(1), max_side / max(width, height))
        return max(round(width * scale), 1), max(round(height * scale), 1)

    def rgb(self, frame: av.VideoFrame, box_xyxy: Box) -> NDArray[Any]:
        """Colours of an upright box, in the stream's own transfer and primaries."""
        x0, y0, x1, y1 = self.orientation.coded_box(box_xyxy, self.width, self.height)
        outer = align_box(
            (x0, y0, x1, y1), self.coded_width, self.coded_height, self.layout, _MARGIN_SAMPLES
        )
        crop = av.VideoFrame(outer[2] - outer[0], outer[3] - outer[1], self.layout.name)
        sources = crop_planes(plane_arrays(frame, self.layout), outer, self.layout)
        for target, source in zip(plane_arrays(crop, self.layout), sources, strict=True):
            target[...] = source
        crop.colorspace, crop.color_range = self._matrix, self._range
        converted = self._scaler("rgb").reformat(
            crop, format=self._rgb_format, interpolation=_EXACT, threads=1
        )
        inner = converted.to_ndarray()[y0 - outer[1] : y1 - outer[1], x0 - outer[0] : x1 - outer[0]]
        if self.layout.is_deep:
            inner = _full_scale(inner)
        return np.ascontiguousarray(self.orientation.upright(inner))

    def patched(
        self,
        frame: av.VideoFrame,
        box_xyxy: Box,
        rgb: NDArray[Any],
        mask: Float32[np.ndarray, "height width"],
    ) -> av.VideoFrame:
        """A copy of the frame with an upright box blended to ``rgb`` by ``mask``."""
        x0, y0, x1, y1 = self.orientation.coded_box(box_xyxy, self.width, self.height)
        outer = align_box((x0, y0, x1, y1), self.coded_width, self.coded_height, self.layout, 0)
        grown = ((y0 - outer[1], outer[3] - y1), (x0 - outer[0], outer[2] - x1))
        coded_rgb = np.pad(self.orientation.coded(rgb), (*grown, (0, 0)), mode="edge")
        coded_mask = np.pad(self.orientation.coded(mask), grown)
        copy = self.copied(frame)
        copy.make_writable()
        targets = crop_planes(plane_arrays(copy, self.layout), outer, self.layout)
        blend_planes(targets, self._planes_from_rgb(coded_rgb), coded_mask, self.layout)
        return copy

    def _planes_from_rgb(self, rgb: NDArray[Any]) -> list[NDArray[Any]]:
        if self.layout.is_deep:
            rgb = rgb - (rgb >> 8)
        source = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), self._rgb_format)
        converted = self._scaler("yuv").reformat(
            source,
            format=self.layout.name,
            dst_colorspace=color.SWS_MATRICES[self._matrix],
            dst_color_range=self._range,
            interpolation=_EXACT,
            threads=1,
        )
        return plane_arrays(converted, self.layout)

    def copied(self, frame: av.VideoFrame) -> av.VideoFrame:
        """A second frame over the same memory, with its own timestamps and the same side data.

        Closed captions and dynamic HDR travel as side data, which ``av.VideoFrame`` offers no
        other way to copy: a frame that went through an empty filter graph is a new reference.
        """
        graph: Graph | None = getattr(self._local, "graph", None)
        if graph is None:
            graph = self._local.graph = Graph()
            source = graph.add_buffer(
                width=self.coded_width,
                height=self.coded_height,
                format=av.VideoFormat(self.layout.name),
                time_base=Fraction(1, 1000),
            )
            source.link_to(graph.add("buffersink"))
            graph.configure()
        graph.push(frame)
        copy = graph.pull()
        assert isinstance(copy, av.VideoFrame)
        return copy

    @property
    def _rgb_format(self) -> str:
        return _DEEP_RGB if self.layout.is_deep else "rgb24"

    def _scaler(self, purpose: str) -> VideoReformatter:
        """A converter that keeps its tables between frames; one per purpose and thread."""
        scaler: VideoReformatter | None = getattr(self._local, purpose, None)
        if scaler is None:
            scaler = VideoReformatter()
            setattr(self._local, purpose, scaler)
        return scaler


def _full_scale(
    rgb: UInt16[np.ndarray, "height width 3"],
) -> UInt16[np.ndarray, "height width 3"]:
    """Stretch swscale's 16 bits, where white is 255 * 256, to 0..65535."""
    codes = np.minimum(rgb, 255 << 8)
    return codes + (codes >> 8)


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
        planes = self._development.patched(self._planes, box_xyxy, rgb, mask)
        return DecodedFrame(
            planes,
            self._development,
            index=self._index,
            time=self._time,
            duration=self._duration,
        )

    def numbered(self, index: int) -> "DecodedFrame":
        """The same frame at another position."""
        return DecodedFrame(
            self._planes, self._development, index=index, time=self._time, duration=self._duration
        )

    def for_encoder(self) -> av.VideoFrame:
        """The planes in a frame that the writer may stamp; they share the decoder's memory."""
        return self._development.copied(self._planes)

    def _check_box(self, box_xyxy: Box) -> None:
        x0, y0, x1, y1 = box_xyxy
        if not (0 <= x0 < x1 <= self.width and 0 <= y0 < y1 <= self.height):
            raise ValueError(f"{box_xyxy = } is empty or leaves {self.width} x {self.height}")
