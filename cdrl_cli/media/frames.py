"""What flows: the facts of a video file and its frames, each with its exact time.

Convention: pictures are what a person sees. Row 0 is at the top after the display matrix has
been applied; coordinates are pixels of that upright picture, (x, y), origin at the top left
corner of the top left pixel. The stored (coded) orientation never leaves this package.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from cdrl_cli.array_types import Float, Float32, Shaped, UInt8, UInt16
from cdrl_cli.media.declared import Declared


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """One stream of a container."""

    index: int
    kind: str
    """video, audio, subtitle, data or attachment."""
    codec: str
    language: str | None
    title: str | None


@dataclass(frozen=True, slots=True)
class ColorTags:
    """Colour description as the stream carries it (names of ITU-T H.273); None where unstated."""

    primaries: str | None
    transfer: str | None
    matrix: str | None
    full_range: bool | None


@dataclass(frozen=True, slots=True)
class HdrMetadata:
    """Static HDR metadata: what the picture was mastered on, and how bright it gets."""

    primaries_xy: tuple[tuple[Fraction, Fraction], ...] | None
    """CIE 1931 chromaticities of red, green, blue and white (SMPTE ST 2086)."""
    luminance_range: tuple[Fraction, Fraction] | None
    """Darkest and brightest level of the mastering display, cd/m2."""
    max_content_light: int | None
    """Brightest pixel of the whole clip, cd/m2 (MaxCLL)."""
    max_frame_average_light: int | None
    """Highest average of a frame, cd/m2 (MaxFALL)."""


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """The facts of a video file that an output must share."""

    path: Path
    container: str
    """Name of the demuxer: ``mov,mp4,m4a,3gp,3g2,mj2``, ``matroska,webm``, …"""
    width: int
    """Pixels of the upright picture, before sample aspect."""
    height: int
    rotation_deg: int
    """Clockwise turn that the display matrix asks for: 0, 90, 180 or 270."""
    mirrored: bool
    """The display matrix also flips the picture left to right."""
    sample_aspect: Fraction
    """Width of an upright pixel by its height; 1 for square."""
    frame_rate: Fraction | None
    """Average frames per second; individual times may differ (variable rate)."""
    time_base: Fraction
    """Seconds per tick of the video stream."""
    duration: Fraction | None
    """Seconds of the video stream, if the container says so."""
    frame_count: int | None
    """Frames of the video stream, if the container says so or they were counted."""
    codec: str
    pixel_format: str
    bit_depth: int
    color: ColorTags
    streams: tuple[StreamInfo, ...]
    chapters: int
    display_matrix: tuple[int, ...] | None = None
    """Nine integers as the container stores them; what ``rotation_deg`` and ``mirrored`` read."""
    hdr: HdrMetadata | None = None
    interlaced: bool = False
    origin: Fraction = Fraction(0)
    """Time of the container's clock that is time 0 of the frames, seconds: 0, or the file's first
    moment where its clock begins anywhere, late, or below 0."""
    video_stream: int | None = None
    """Index of the stream among those of the file."""
    declared: Declared = Declared()  # noqa: RUF009 - it is frozen
    """What the container declares of the stream."""
    chroma_location: str | None = None
    """Where chroma samples lie, by FFmpeg's names (``left``, ``topleft``, …); None if unstated."""


@dataclass(frozen=True, slots=True)
class Cutout:
    """A part of a frame in colour, perhaps smaller than it is in the frame."""

    rgb: UInt8[np.ndarray, "height width 3"] | UInt16[np.ndarray, "height width 3"]
    """uint8 0..255 for 8-bit video, uint16 0..65535 for deeper video."""
    from_frame: Float[np.ndarray, "2 3"]
    """Carries places in the frame (middles of pixels, upright) to places in ``rgb``."""


@dataclass(frozen=True, slots=True)
class Plane:
    """Samples of one kind of a frame, as they are stored: luma, or one of the chromas."""

    samples: Shaped[np.ndarray, "rows columns"]
    """All of them, uint8 or uint16, in the stored orientation; never written to."""
    part_xyxy: tuple[int, int, int, int]
    """Those that serve the box that was asked for, exclusive at right and bottom."""
    step_xy: tuple[int, int]
    """How many luma samples each serves, in x and in y."""
    from_frame: Float[np.ndarray, "2 3"]
    """Carries places in the frame (middles of pixels, upright) to places among the samples."""
    weights: tuple[float, float, float]
    """By how much a sample grows where red, green or blue grows from black to full."""
    black: float
    """The sample where red, green and blue are 0."""
    largest: int
    """Largest value that a sample may have."""


@runtime_checkable
class VideoFrame(Protocol):
    """One displayed picture and the moment it appears; made by the reader, taken by the writer.

    The decoded planes stay as they are until somebody asks for colours, and a patch changes only
    the planes under its mask: what is not edited reaches the encoder bit for bit.
    """

    @property
    def index(self) -> int:
        """Position in the stream, from 0."""
        ...

    @property
    def time(self) -> Fraction:
        """Presentation time in seconds on the container's clock (the one audio shares)."""
        ...

    @property
    def width(self) -> int:
        """Pixels, upright."""
        ...

    @property
    def height(self) -> int:
        """Pixels, upright."""
        ...

    def picture(self, max_side: int) -> UInt8[np.ndarray, "height width 3"]:
        """The whole picture as sRGB 8 bit with square pixels, no side longer than ``max_side``.

        Never enlarged. Its scale against the frame is ``picture.shape[1] / frame.width`` in x and
        ``picture.shape[0] / frame.height`` in y; the two differ where pixels are not square.
        """
        ...

    def rgb(
        self, box_xyxy: tuple[int, int, int, int] | None = None
    ) -> UInt8[np.ndarray, "height width 3"] | UInt16[np.ndarray, "height width 3"]:
        """Pixels of a box (exclusive at right and bottom; None: everything) at native resolution.

        uint8 0..255 for 8-bit video, uint16 0..65535 for deeper video.
        """
        ...

    def with_patch(
        self,
        box_xyxy: tuple[int, int, int, int],
        rgb: UInt8[np.ndarray, "height width 3"] | UInt16[np.ndarray, "height width 3"],
        mask: Float32[np.ndarray, "height width"],
    ) -> "VideoFrame":
        """A new frame with the box's pixels blended to ``rgb`` by ``mask`` (0..1).

        Planes where ``mask`` is exactly 0 keep their bits (a chroma sample keeps its bits when
        the mask is 0 under every pixel it serves).
        """
        ...

    def cutout(self, box_xyxy: tuple[int, int, int, int], *, shrink: int = 1) -> Cutout:
        """A part of the frame that holds the box, averaged over squares of ``shrink`` pixels.

        Less than such a square may be missing at the frame's edge. ``shrink`` is a power of two.
        """
        ...

    def planes(self, box_xyxy: tuple[int, int, int, int]) -> tuple[Plane, ...]:
        """The stored samples and which of them serve a box; luma first."""
        ...

    def with_planes(
        self,
        patches: Iterable[tuple[tuple[int, int, int, int], Sequence[Shaped[np.ndarray, "_ _"]]]],
    ) -> "VideoFrame":
        """A new frame with new samples.

        Args:
            patches: Boxes, each with new samples for the part of each plane that serves it
                (:meth:`planes`).
        """
        ...
