"""Frames of a file in the order they are seen, one at a time, each with its exact time."""

from collections.abc import Generator, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from types import TracebackType

import av

from cdrl_cli.media import color
from cdrl_cli.media.frames import ColorTags, VideoInfo
from cdrl_cli.media.orientation import Orientation
from cdrl_cli.media.picture import DecodedFrame, Development
from cdrl_cli.media.planes import editable_format
from cdrl_cli.media.probe import (
    describe_video,
    main_video_stream,
    open_container,
    tagged_end,
    undecodable,
)
from cdrl_cli.media.timebase import next_ticks, seconds_from_ticks, ticks_from_seconds


def open_video(path: Path, *, threads: int | None = None) -> "VideoReader":
    """Open a video, or a still image as a video of one frame; close it, or use ``with``.

    Args:
        path: The file.
        threads: Of the decoder; None for as many as there are cores.

    Raises:
        UnreadableInputError: If the file is missing, is no video, or no frame of it decodes.
    """
    return VideoReader(path, threads=threads)


class VideoReader:
    """Decodes the video of a file once, from its first frame to its last.

    Memory does not grow with the length. What cannot be decoded is skipped and counted: the times
    of the other frames stay what they are. :attr:`lost_frames` and :attr:`warnings` are complete
    when the iteration has ended.
    """

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        self._container = open_container(path)
        try:
            self._stream = main_video_stream(self._container, path)
            self._stream.thread_type = "AUTO"
            self._stream.codec_context.thread_count = threads or 0
            self._is_read = False
            self._lost_frames = 0
            self._undecodable_packets = 0
            self._warnings: list[str] = []
            self._pictures = self._decode()
            self._first = self._first_picture(path)
            self._info = describe_video(path, self._container, self._stream, self._first)
        except BaseException:
            self._container.close()
            raise

    @property
    def info(self) -> VideoInfo:
        """The facts of the file."""
        return self._info

    @property
    def lost_frames(self) -> int:
        """Frames that the file announces and that could not be decoded."""
        return self._lost_frames

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user should know about this file, a line each."""
        return tuple(self._warnings)

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; frames already handed out stay valid."""
        self._pictures.close()
        self._container.close()

    def __iter__(self) -> Iterator[DecodedFrame]:
        """Frames in presentation order.

        Raises:
            ValueError: When asked a second time; open the file again instead.
        """
        if self._is_read:
            raise ValueError(f"{self._info.path} was read already; open it again")
        self._is_read = True
        return self._frames()

    def _first_picture(self, path: Path) -> av.VideoFrame:
        first = next(self._pictures, None)
        if first is None:
            raise undecodable(path)
        return first

    def _frames(self) -> Iterator[DecodedFrame]:
        time_base = self._info.time_base
        period = (
            ticks_from_seconds(1 / self._info.frame_rate, time_base) if self._info.frame_rate else 1
        )
        editable = editable_format(self._info.pixel_format)
        if editable.loss:
            self._warnings.append(f"the video {editable.loss} ({self._info.pixel_format})")
        normalise = _Normaliser(editable.format.name, self._first, self._info.color)
        orientation = Orientation(self._info.rotation_deg, self._info.mirrored)
        aspect = self._info.sample_aspect
        development = Development(
            normalise(self._first),
            layout=editable.format,
            tags=self._info.color,
            orientation=orientation,
            sample_aspect=1 / aspect if orientation.swaps_axes else aspect,
        )
        index, ticks = 0, None
        end = Fraction(0)
        for index, picture in enumerate(chain((self._first,), self._pictures)):
            ticks = next_ticks(picture.pts, ticks, period)
            time = seconds_from_ticks(ticks, time_base)
            duration = seconds_from_ticks(picture.duration, time_base)
            end = time + (duration or seconds_from_ticks(period, time_base))
            yield DecodedFrame(
                normalise(picture), development, index=index, time=time, duration=duration
            )
        self._note_losses(index + 1, end)
        if normalise.resized:
            self._warnings.append(f"{normalise.resized} frames change size and were scaled")

    def _decode(self) -> Generator[av.VideoFrame, None, None]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.error.FFmpegError:
                self._warnings.append("the file is damaged: reading stopped before its end")
                return
            try:
                pictures = self._stream.decode(packet)
            except av.error.FFmpegError:
                self._undecodable_packets += 1
                continue
            yield from pictures

    def _note_losses(self, frames: int, end: Fraction) -> None:
        """Compare what was decoded with what the container announced.

        Matroska counts no frames; there a missing end shows in the announced duration, and a
        damaged middle in the packets that the decoder refused.
        """
        announced = self._info.frame_count
        if announced is not None:
            self._lost_frames = max(announced - frames, 0)
        else:
            self._lost_frames = self._undecodable_packets
            missing = (tagged_end(self._stream) or end) - end
            if self._info.frame_rate and missing * self._info.frame_rate > 1:
                self._lost_frames += round(missing * self._info.frame_rate)
        if self._lost_frames:
            total = frames + self._lost_frames
            self._warnings.append(
                f"{self._lost_frames} of {total} frames could not be decoded: "
                "the file is damaged or cut off"
            )


class _Normaliser:
    """Brings frames to one pixel format and size; returns them as they are when they have it."""

    def __init__(self, pixel_format: str, first: av.VideoFrame, tags: ColorTags) -> None:
        self._target = (pixel_format, first.width, first.height)
        self._matrix = color.SWS_MATRICES[color.working_matrix(tags, first.width, first.height)]
        self._range = color.working_range(tags)
        self.resized = 0

    def __call__(self, picture: av.VideoFrame) -> av.VideoFrame:
        pixel_format, width, height = self._target
        if (picture.format.name, picture.width, picture.height) == self._target:
            return picture
        if (picture.width, picture.height) != (width, height):
            self.resized += 1
        if picture.format.is_rgb or picture.format.has_palette:
            return picture.reformat(
                width,
                height,
                pixel_format,
                dst_colorspace=self._matrix,
                dst_color_range=self._range,
                threads=1,
            )
        return picture.reformat(width, height, pixel_format, threads=1)
