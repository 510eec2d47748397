"""How the planes of a stream become an upright picture in colour, and how pixels go back."""

import threading
from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import cached_property
from typing import Any, Final

import av
import numpy as np
from av.filter import Graph
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from cdrl_cli.array_types import Float, Float32, Shaped, UInt8, UInt16
from cdrl_cli.media import color
from cdrl_cli.media.frames import ColorTags, Cutout, Plane
from cdrl_cli.media.orientation import Box, Orientation
from cdrl_cli.media.planes import (
    PlanarFormat,
    align_box,
    blend_planes,
    crop_planes,
    plane_arrays,
    resize_plane,
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
        self._rgb_from_samples: dict[tuple[float, ...], Float[np.ndarray, "3 4"]] = {}

    def small(self, frame: av.VideoFrame, max_side: int) -> UInt8[np.ndarray, "height width 3"]:
        """The whole picture, upright, square pixels, sRGB."""
        width, height = self._small_size(max_side)
        is_hdr = color.is_hdr(self._tags)
        if is_hdr or (width, height) != (self.coded_width, self.coded_height):
            rgb = self._colours(plane_arrays(frame, self.layout), width, height)
            if is_hdr:
                rgb = color.srgb_from_hdr(rgb, self._tags.transfer or "")
            elif self.layout.is_deep:
                rgb = (rgb >> 8).astype(np.uint8)
        else:  # without a change of size swscale is quicker
            rgb = (
                self._scaler("small")
                .reformat(
                    frame,
                    format="rgb24",
                    src_colorspace=color.SWS_MATRICES[self._matrix],
                    src_color_range=self._range,
                    threads=1,
                )
                .to_ndarray()
            )
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
        outer = self._outer_box(box_xyxy, _MARGIN_SAMPLES)
        converted = self._scaler("rgb").reformat(
            self._cut(frame, outer), format=self._rgb_format, interpolation=_EXACT, threads=1
        )
        inner = converted.to_ndarray()[y0 - outer[1] : y1 - outer[1], x0 - outer[0] : x1 - outer[0]]
        if self.layout.is_deep:
            inner = _full_scale(inner)
        return np.ascontiguousarray(self.orientation.upright(inner))

    def cutout(self, frame: av.VideoFrame, box_xyxy: Box, shrink: int) -> Cutout:
        """Colours of a part that holds an upright box, shrunk; in the stream's own transfer."""
        outer = self._outer_box(box_xyxy, _MARGIN_SAMPLES, whole=shrink)
        size = outer[2] - outer[0], outer[3] - outer[1]
        width, height = (max(round(side / shrink), 1) for side in size)
        parts = crop_planes(plane_arrays(frame, self.layout), outer, self.layout)
        rgb = self._colours(parts, width, height)
        # Middles of pixels, not their corners, lie at whole numbers.
        across, down = width / size[0], height / size[1]
        shrunk = np.array(
            [
                (across, 0, across * (0.5 - outer[0]) - 0.5),
                (0, down, down * (0.5 - outer[1]) - 0.5),
            ]
        )
        upright = self.orientation.upright_from_coded(*self.orientation.swapped(width, height))
        from_frame = _chain(_chain(upright, shrunk), self._coded_from_frame())
        return Cutout(np.ascontiguousarray(self.orientation.upright(rgb)), from_frame)

    def planes(self, frame: av.VideoFrame, box_xyxy: Box) -> tuple[Plane, ...]:
        """The samples, and which of them serve an upright box."""
        x0, y0, x1, y1 = self._outer_box(box_xyxy, 0)
        return tuple(
            Plane(
                samples=samples,
                part_xyxy=(x0 >> dx, y0 >> dy, -(-x1 >> dx), -(-y1 >> dy)),
                step_xy=(1 << dx, 1 << dy),
                from_frame=from_frame,
                weights=weights,
                black=black,
                largest=(1 << self.layout.bit_depth) - 1,
            )
            for samples, (dx, dy), from_frame, (weights, black) in zip(
                plane_arrays(frame, self.layout),
                self.layout.shifts,
                self._planes_from_frame,
                self._plane_weights,
                strict=True,
            )
        )

    @cached_property
    def _plane_weights(self) -> Sequence[tuple[tuple[float, float, float], float]]:
        """By how much samples of each plane grow with red, green and blue, and their black."""
        return color.plane_weights(self._matrix, self._range, self.layout.bit_depth)

    @cached_property
    def _planes_from_frame(self) -> Sequence[Float[np.ndarray, "2 3"]]:
        """What carries places in an upright frame to places among each plane's samples."""
        coded = self._coded_from_frame()
        # Where nothing else is stated, chroma lies at the left of what it serves, and midway from
        # top to bottom.
        return [
            _chain(np.array([(0.5**dx, 0, 0), (0, 0.5**dy, (0.5**dy - 1) / 2)]), coded)
            for dx, dy in self.layout.shifts
        ]

    def with_planes(
        self, frame: av.VideoFrame, patches: Iterable[tuple[Box, Sequence[NDArray[Any]]]]
    ) -> av.VideoFrame:
        """A copy of the frame with new samples for some upright boxes."""
        copy = self.copied(frame)
        copy.make_writable()
        arrays = plane_arrays(copy, self.layout)
        for box_xyxy, parts in patches:
            targets = crop_planes(arrays, self._outer_box(box_xyxy, 0), self.layout)
            for target, part in zip(targets, parts, strict=True):
                target[...] = part
        return copy

    def _cut(self, frame: av.VideoFrame, outer: Box) -> av.VideoFrame:
        """A coded, aligned box as a frame of its own."""
        cut = av.VideoFrame(outer[2] - outer[0], outer[3] - outer[1], self.layout.name)
        sources = crop_planes(plane_arrays(frame, self.layout), outer, self.layout)
        for target, source in zip(plane_arrays(cut, self.layout), sources, strict=True):
            target[...] = source
        cut.colorspace, cut.color_range = self._matrix, self._range
        return cut

    def _outer_box(self, box_xyxy: Box, margin: int, *, whole: int = 1) -> Box:
        """The coded box of whole chroma samples around an upright one.

        Args:
            box_xyxy: The box.
            margin: Chroma samples more to each side, inside the picture.
            whole: Both sides and the corner are multiples of so many pixels, where there are as
                many; at the picture's edge, less than that is left out.
        """
        coded = self.orientation.coded_box(box_xyxy, self.width, self.height)
        outer = align_box(coded, self.coded_width, self.coded_height, self.layout, margin)
        if whole == 1:
            return outer
        x0, x1 = _whole_span(outer[0], outer[2], self.coded_width, whole)
        y0, y1 = _whole_span(outer[1], outer[3], self.coded_height, whole)
        return x0, y0, x1, y1

    def _colours(
        self, parts: Sequence[Shaped[np.ndarray, "_ _"]], width: int, height: int
    ) -> UInt8[np.ndarray, "height width 3"] | UInt16[np.ndarray, "height width 3"]:
        """Colours of a part of each plane at another size, coded, in the stream's own transfer."""
        import cv2  # which mere reading and writing does without

        sized, biases = zip(*(resize_plane(one, width, height) for one in parts), strict=True)
        if biases not in self._rgb_from_samples:
            self._rgb_from_samples[biases] = self._invert_weights(biases)
        rgb: NDArray[Any] = cv2.transform(cv2.merge(sized), self._rgb_from_samples[biases])
        return rgb

    def _invert_weights(self, biases: Sequence[float]) -> Float[np.ndarray, "3 4"]:
        """What carries the samples of a place to its colours, 0..255 or 0..65535.

        Args:
            biases: By how much samples of each plane are too large.
        """
        white = 65535 if self.layout.is_deep else 255
        weights, blacks = zip(*self._plane_weights, strict=True)
        rgb_from_samples = white * np.linalg.inv(weights)
        black = rgb_from_samples @ np.add(blacks, biases)
        return np.column_stack([rgb_from_samples, -black])

    def _coded_from_frame(self) -> Float[np.ndarray, "2 3"]:
        matrix = self.orientation.upright_from_coded(self.width, self.height)
        turned = matrix[:, :2].T  # of a rotation or reflection, its inverse
        return np.concatenate([turned, -turned @ matrix[:, 2:]], axis=1)

    def patched(
        self,
        frame: av.VideoFrame,
        box_xyxy: Box,
        rgb: NDArray[Any],
        mask: Float32[np.ndarray, "height width"],
    ) -> av.VideoFrame:
        """A copy of the frame with an upright box blended to ``rgb`` by ``mask``."""
        x0, y0, x1, y1 = self.orientation.coded_box(box_xyxy, self.width, self.height)
        outer = self._outer_box(box_xyxy, 0)
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


def _whole_span(start: int, stop: int, length: int, step: int) -> tuple[int, int]:
    """A span grown to multiples of a step; where there are no more, the last ones are left out."""
    start = start // step * step
    most = length // step * step
    return start, min(-(-stop // step) * step, most) if start < most else length


def _chain(
    outer: Float[np.ndarray, "2 3"], inner: Float[np.ndarray, "2 3"]
) -> Float[np.ndarray, "2 3"]:
    """First the inner matrix, then the outer."""
    chained = outer[:, :2] @ inner
    chained[:, 2] += outer[:, 2]
    return chained


def _full_scale(
    rgb: UInt16[np.ndarray, "height width 3"],
) -> UInt16[np.ndarray, "height width 3"]:
    """Stretch swscale's 16 bits, where white is 255 * 256, to 0..65535."""
    codes = np.minimum(rgb, 255 << 8)
    return codes + (codes >> 8)
