"""What a file is: opens containers, chooses the video among the streams, and states its facts."""

import errno
import stat
import struct
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Final, cast

import av
from av.container import InputContainer
from av.sidedata.sidedata import SideData
from av.sidedata.sidedata import Type as SideDataType
from av.stream import AttachmentStream, Disposition, Stream
from av.video.stream import VideoStream

from cdrl_cli.errors import UnreadableInputError
from cdrl_cli.media import color
from cdrl_cli.media.frames import HdrMetadata, StreamInfo, VideoInfo
from cdrl_cli.media.orientation import Orientation

_NOT_A_FILM: Final = Disposition.attached_pic | Disposition.timed_thumbnails
_STILL_CONTAINERS: Final = ("image2", "_pipe")
"""Demuxers of one picture: ``image2``, ``png_pipe``, ``jpeg_pipe``, ``webp_pipe``, …"""
_PLAYLISTS: Final = frozenset({"concat", "concatf", "dash", "hls", "imf", "rtsp", "sdp"})
"""Formats that name other files, on this machine or elsewhere, whose pictures would be ours."""
_MAX_FRAME_RATE: Final = 1000
"""Frames per second; the averages of some raw streams are their clock's rate instead."""
_ONE: Final = 1 << 16
_TURNED: Final = tuple(
    (cos * _ONE, sin * _ONE, 0, -sin * _ONE, cos * _ONE, 0, 0, 0, 1 << 30)
    for cos, sin in ((1, 0), (0, 1), (-1, 0), (0, -1))
)
"""Display matrices of clockwise quarter turns."""


def probe_video(path: Path) -> VideoInfo:
    """State the facts of a video (or picture) file; decodes its first frame.

    Raises:
        UnreadableInputError: If the file is missing, is no video, or no frame of it decodes.
    """
    with open_container(path) as container:
        stream = main_video_stream(container, path)
        for frame in decoded_frames(container, stream):
            return describe_video(path, container, stream, frame)
    raise undecodable(path)


def open_container(path: Path) -> InputContainer:
    """Open a media file for reading; the caller closes it.

    Raises:
        UnreadableInputError: If the file is missing, not allowed, empty, or no media file.
    """
    check_input(path)
    try:
        container = av.open(
            # Absolute: FFmpeg reads "a:b.mp4" as protocol a. And a % in a picture's name is a %.
            str(path.absolute()),
            mode="r",
            # And what a file names is not fetched for it, from a network or from elsewhere.
            container_options={"pattern_type": "none", "protocol_whitelist": "file"},
            # Tags in another encoding go through as the bytes they are.
            metadata_errors="surrogateescape",
        )
    except av.error.FFmpegError as error:
        raise UnreadableInputError(
            f"{path}: not a video that can be read ({_reason(error)})",
            hint="Is it complete and really a video? A recording cut off before its end "
            "may have no index.",
        ) from error
    if container.format.name in _PLAYLISTS:
        container.close()
        raise UnreadableInputError(
            f"{path}: is a list of other files, not a video", hint="Name the videos themselves."
        )
    return container


def check_input(path: Path) -> None:
    """Refuse what cannot be a video, without opening it as one.

    Raises:
        UnreadableInputError: If the file is missing, not allowed, empty, or a folder.
    """
    try:
        if path.is_dir():
            raise UnreadableInputError(f"{path}: is a folder", hint="Name a video file in it.")
        status = path.stat()
        if stat.S_ISFIFO(status.st_mode):
            raise UnreadableInputError(
                f"{path}: is a pipe, not a file",
                hint="spfem edit and spfem probe read pipes, as SOURCE; else save it to a file.",
            )
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableInputError(f"{path}: is a device or a socket, not a file")
        if status.st_size == 0:
            raise UnreadableInputError(
                f"{path}: is empty (0 bytes)", hint="Copy or download it again."
            )
        with path.open("rb"):
            pass
    except FileNotFoundError as error:
        raise UnreadableInputError(f"{path}: no such file", hint="Check the path.") from error
    except PermissionError as error:
        raise UnreadableInputError(
            f"{path}: may not be read", hint="Check the file's permissions."
        ) from error
    except OSError as error:
        raise UnreadableInputError(f"{path}: {error.strerror or error}") from error


def _reason(error: av.error.FFmpegError) -> str:
    if error.errno == errno.EINVAL or not error.strerror:
        return "unknown format"
    return error.strerror[0].lower() + error.strerror[1:]


def undecodable(path: Path) -> UnreadableInputError:
    """The error of a video that holds no picture."""
    return UnreadableInputError(
        f"{path}: has a video stream, but no picture of it can be decoded",
        hint="The file is damaged or its codec is not supported.",
    )


def is_main_candidate(stream: Stream) -> bool:
    """A stream of moving pictures: no cover art, no thumbnails."""
    return isinstance(stream, VideoStream) and not stream.disposition & _NOT_A_FILM


def main_video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The stream that is edited: the first video stream that is no cover art.

    Raises:
        UnreadableInputError: If there is none, or no decoder for it.
    """
    for stream in container.streams.video:
        if is_main_candidate(stream):
            if stream.codec_context is None:
                raise undecodable(path)
            return stream
    raise UnreadableInputError(
        f"{path}: holds no video stream",
        hint="It may be an audio file, perhaps with cover art.",
    )


def decoded_frames(container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    """Frames of a stream, past packets that cannot be decoded."""
    for packet in container.demux(stream):
        try:
            yield from stream.decode(packet)
        except av.error.FFmpegError:
            continue


def describe_video(
    path: Path, container: InputContainer, stream: VideoStream, first: av.VideoFrame
) -> VideoInfo:
    """State the facts of an open file.

    Args:
        path: Where it lies.
        container: The file.
        stream: The stream that is edited.
        first: Its first decoded frame; knows the display matrix and the visible size.
    """
    codec = stream.codec_context
    side_data = _side_data(first)
    matrix = _display_matrix(side_data)
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
        duration=_duration(container, stream),
        frame_count=_frame_count(container, stream),
        codec=codec.codec.canonical_name,
        pixel_format=first.format.name,
        bit_depth=max(component.bits for component in first.format.components),
        color=color.color_tags(
            primaries=codec.color_primaries,
            transfer=codec.color_trc,
            matrix=codec.colorspace,
            value_range=_value_range(stream, first),
        ),
        streams=tuple(_stream_info(each) for each in container.streams),
        chapters=len(container.chapters()),
        display_matrix=matrix,
        hdr=_hdr(side_data),
        interlaced=first.interlaced_frame,
    )


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


def _duration(container: InputContainer, stream: VideoStream) -> Fraction | None:
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    if (end := tagged_end(stream)) is not None:
        return end
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
