"""What a file is: chooses the video among the streams, and states its facts."""

import io
import struct
from collections.abc import Iterable, Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Final, cast

import av
from av.container import InputContainer
from av.sidedata.sidedata import SideData
from av.sidedata.sidedata import Type as SideDataType
from av.stream import AttachmentStream, Disposition, Stream
from av.video.stream import VideoStream

from cdrl_cli.errors import UnreadableInputError, UsageError
from cdrl_cli.media import color
from cdrl_cli.media.declared import Declarations, Declared, declarations_in, read_declarations
from cdrl_cli.media.frames import HdrMetadata, StreamInfo, VideoInfo
from cdrl_cli.media.input import encrypted, undecodable
from cdrl_cli.media.orientation import Orientation
from cdrl_cli.media.planes import is_floating

_NOT_A_FILM: Final = Disposition.attached_pic | Disposition.timed_thumbnails
_STILL_CONTAINERS: Final = ("image2", "_pipe")
"""Demuxers of one picture: ``image2``, ``png_pipe``, ``jpeg_pipe``, ``webp_pipe``, …"""
_MAX_FRAME_RATE: Final = 1000
"""Frames per second; the averages of some raw streams are their clock's rate instead."""
_ONE: Final = 1 << 16
_TURNED: Final = tuple(
    (cos * _ONE, sin * _ONE, 0, -sin * _ONE, cos * _ONE, 0, 0, 0, 1 << 30)
    for cos, sin in ((1, 0), (0, 1), (-1, 0), (0, -1))
)
"""Display matrices of clockwise quarter turns."""


def is_main_candidate(stream: Stream) -> bool:
    """A stream of moving pictures: no cover art, no thumbnails."""
    return isinstance(stream, VideoStream) and not stream.disposition & _NOT_A_FILM


def is_tile(stream: Stream) -> bool:
    """A part of a picture, as photos of phones are stored; or a layer that needs another one."""
    return stream.type == "video" and bool(stream.disposition & Disposition.dependent)


def main_video_stream(
    container: InputContainer, path: Path, index: int | None = None
) -> VideoStream:
    """The stream that is edited: the first one of pictures that is no cover art and no tile.

    Of a photo it is the picture that the file calls its main one; if that is stored in tiles, the
    first tile.

    Args:
        container: The file.
        path: Where it lies.
        index: Of the stream that is wanted instead, as ``spfem probe`` numbers them.

    Raises:
        UnreadableInputError: If there is none, no decoder for it, or no key.
        UsageError: If the stream that is wanted is none of pictures.
    """
    candidates = [each for each in container.streams.video if is_main_candidate(each)]
    if index is not None:
        stream = next((each for each in candidates if each.index == index), None)
        if stream is None:
            numbers = ", ".join(str(each.index) for each in candidates) or "none"
            raise UsageError(
                f"{path}: stream {index} is no video", hint=f"Its videos are: {numbers}."
            )
    elif candidates:
        stream = _usual(candidates, read_declarations(path))
    else:
        raise UnreadableInputError(
            f"{path}: holds no video stream",
            hint="It may be an audio file, perhaps with cover art.",
        )
    if declared_of(path, container, stream).is_encrypted:
        raise encrypted(path)
    if stream.codec_context is None:
        raise undecodable(path)
    return stream


def _usual(candidates: list[VideoStream], found: Declarations) -> VideoStream:
    wanted = found.grid.tiles[0] if found.grid else found.primary
    for stream in candidates:
        if wanted is not None and stream.id == wanted:
            return stream
    return next((each for each in candidates if not is_tile(each)), candidates[0])


def declared_of(path: Path, container: InputContainer, stream: VideoStream) -> Declared:
    """What the container declares of a stream of pictures."""
    videos = [each.index for each in container.streams.video if is_main_candidate(each)]
    declared = read_declarations(path).videos
    place = videos.index(stream.index) if stream.index in videos else len(declared)
    return declared[place] if place < len(declared) else Declared()


def describe_video(
    path: Path,
    container: InputContainer,
    stream: VideoStream,
    first: av.VideoFrame,
    *,
    origin: Fraction = Fraction(0),
    turned: Orientation | None = None,
) -> VideoInfo:
    """State the facts of an open file.

    Args:
        path: Where it lies.
        container: The file.
        stream: The stream that is edited.
        first: Its first decoded frame; knows the display matrix and the visible size.
        origin: Time of the container's clock that is time 0 of ours, seconds.
        turned: How a photo of tiles lies; None where the frame says so.
    """
    codec = stream.codec_context
    side_data = _side_data(first)
    matrix = _display_matrix(side_data)
    if turned is not None:
        matrix = _matrix_of(turned)
    orientation = Orientation.from_display_matrix(matrix)
    width, height = orientation.swapped(first.width, first.height)
    aspect = Fraction(stream.sample_aspect_ratio or 1)
    return VideoInfo(
        path=path,
        container=container.format.name,
        width=width,
        height=height,
        rotation_deg=orientation.rotation_deg,
        mirrored=orientation.mirrored,
        sample_aspect=1 / aspect if orientation.swaps_axes else aspect,
        frame_rate=_frame_rate(stream),
        time_base=stream.time_base or Fraction(1, 90_000),
        duration=_duration(container, stream, origin),
        origin=origin,
        video_stream=stream.index,
        declared=declared_of(path, container, stream),
        chroma_location=_chroma_location(stream),
        frame_count=_frame_count(container, stream),
        codec=codec.codec.canonical_name,
        pixel_format=first.format.name,
        bit_depth=max(component.bits for component in first.format.components),
        color=color.color_tags(
            primaries=codec.color_primaries,
            transfer=_transfer(codec.color_trc, first),
            matrix=codec.colorspace,
            value_range=_value_range(stream, first),
        ),
        streams=tuple(_stream_info(each) for each in container.streams),
        chapters=len(container.chapters()),
        display_matrix=matrix,
        hdr=_hdr(side_data),
        interlaced=first.interlaced_frame,
    )


_LOCATIONS: Final = {(1, 2): "left", (2, 2): "center", (1, 1): "topleft", (2, 1): "top"}
"""FFmpeg's names of the places of chroma samples, by Matroska's."""


def _chroma_location(stream: VideoStream) -> str | None:
    """Where a stream's header says that chroma samples lie; None where it does not.

    PyAV shows no such field, and FFmpeg's log must not be read while threads decode: PyAV may then
    wait for itself. So the header of a Matroska file is written to memory, which says it. H.264 and
    H.265 mean "left" where they say nothing, so "left" is not told from nothing there; Matroska has
    no words for "bottom" and "bottomleft".
    """
    codec = stream.codec_context.codec.canonical_name
    if codec not in ("h264", "hevc", "av1"):
        return None
    header = io.BytesIO()
    with suppress(av.FFmpegError, ValueError), av.open(header, "w", format="matroska") as matroska:
        matroska.add_stream_from_template(stream, opaque=True)
        matroska.start_encoding()
    header.seek(0)
    videos = declarations_in(header).videos
    location = _LOCATIONS.get(videos[0].chroma_siting) if videos else None
    return None if location == "left" and codec != "av1" else location


def _transfer(code: int, first: av.VideoFrame) -> int:
    """The transfer of the frames as they are edited: linear light is coded for a screen first."""
    is_light = code == color.LINEAR and is_floating(first.format.name)
    return color.SRGB if is_light else code


def tagged_end(stream: VideoStream) -> Fraction | None:
    """Time at which a Matroska stream's last frame ends, by its DURATION tag; seconds."""
    for key, value in stream.metadata.items():
        if key.upper().partition("-")[0] == "DURATION":
            try:
                hours, minutes, seconds = value.split(":")
                return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds.strip("\x00 "))
            except ValueError:
                return None
    return None


def _matrix_of(orientation: Orientation) -> tuple[int, ...]:
    cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[orientation.rotation_deg // 90]
    flip = -1 if orientation.mirrored else 1
    return (
        flip * cos * _ONE, sin * _ONE, 0, -flip * sin * _ONE, cos * _ONE, 0, 0, 0, 1 << 30,
    )  # fmt: skip


def _duration(container: InputContainer, stream: VideoStream, origin: Fraction) -> Fraction | None:
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    if (end := tagged_end(stream)) is not None:
        return end - origin
    return Fraction(container.duration, 1_000_000) if container.duration else None


def _frame_rate(stream: VideoStream) -> Fraction | None:
    average = stream.average_rate
    if average and average <= _MAX_FRAME_RATE:
        return average
    return stream.guessed_rate or None


def _value_range(stream: VideoStream, first: av.VideoFrame) -> int:
    is_full = first.format.name.startswith("yuvj")
    return color.FULL_RANGE if is_full else stream.codec_context.color_range


def _frame_count(container: InputContainer, stream: VideoStream) -> int | None:
    if container.format.name.endswith(_STILL_CONTAINERS):
        return 1
    if not stream.frames:
        return None
    # An edit list hides frames: the header counts them, the index marks them.
    visible = sum(not entry.is_discard for entry in stream.index_entries)
    return visible or stream.frames


def _stream_info(stream: Stream) -> StreamInfo:
    if isinstance(stream, AttachmentStream):
        codec = stream.mimetype or "unknown"
    elif stream.codec_context is None:
        codec = stream_name(stream)
    else:
        codec = stream.codec_context.codec.canonical_name
    return StreamInfo(
        index=stream.index,
        kind=stream.type,
        codec=codec,
        language=stream.language if stream.language != "und" else None,
        title=stream.metadata.get("title"),
    )


def stream_name(stream: Stream) -> str:
    """What the container calls a stream; one of a damaged file may have no name at all."""
    return getattr(stream, "name", None) or "unknown"


def _side_data(frame: av.VideoFrame) -> Mapping[SideDataType, bytes]:
    try:
        # The type stubs know one kind alone; the mapping takes them all.
        found = cast(Iterable[SideData], frame.side_data)
        return {each.type: bytes(each) for each in found}
    except ValueError:
        # PyAV gives up at a kind it has no name for, such as a photo's EXIF block.
        turn = -frame.rotation % 360 // 90
        return {SideDataType.DISPLAYMATRIX: struct.pack("=9i", *_TURNED[turn])} if turn else {}


def _display_matrix(side_data: Mapping[SideDataType, bytes]) -> tuple[int, ...] | None:
    matrix = side_data.get(SideDataType.DISPLAYMATRIX)
    return struct.unpack("=9i", matrix) if matrix is not None else None


def _hdr(side_data: Mapping[SideDataType, bytes]) -> HdrMetadata | None:
    return color.hdr_metadata(
        side_data.get(SideDataType.MASTERING_DISPLAY_METADATA),
        side_data.get(SideDataType.CONTENT_LIGHT_LEVEL),
    )
