"""Frames of a file in the order they are seen, one at a time, each with its exact time."""

from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Final

import av
from av.sidedata.sidedata import Type as SideDataType

from cdrl_cli.errors import raise_if_memory
from cdrl_cli.media.clock import LATE_S, AnyPacket, Clock
from cdrl_cli.media.cropping import Cropper, join_tiles
from cdrl_cli.media.declared import Grid, read_declarations
from cdrl_cli.media.development import Development
from cdrl_cli.media.frames import VideoInfo
from cdrl_cli.media.input import check_colours, open_container, undecodable
from cdrl_cli.media.normalising import Normaliser
from cdrl_cli.media.orientation import Orientation
from cdrl_cli.media.picture import DecodedFrame
from cdrl_cli.media.planes import TRANSPARENT, editable_format
from cdrl_cli.media.probe import declared_of, describe_video, main_video_stream, tagged_end
from cdrl_cli.media.sidedata import side_data_kinds
from cdrl_cli.media.timebase import next_ticks, seconds_from_ticks, ticks_from_seconds
from cdrl_cli.media.timeline import Part, packets_of
from cdrl_cli.processors import usable_cores

MOST_DECODERS: Final = 16
"""Most threads that decode, each with a picture of its own: as many as FFmpeg takes by itself."""

SEEK_MARGINS_S: Final = (0, 1, 10)
"""How much before a time a key frame is sought for it, seconds, one after the other."""


def probe_video(path: Path | str, *, stream: int | None = None) -> VideoInfo:
    """State the facts of a video (or picture) file; decodes its first frame.

    Args:
        path: The file.
        stream: Index of the stream of pictures; None for the usual one.

    Raises:
        UnreadableInputError: If the file is missing, is no video, or no frame of it decodes.
        UsageError: If there is no such stream of pictures.
    """
    with VideoReader(Path(path), stream=stream) as reader:
        return reader.info


def open_video(
    path: Path, *, threads: int | None = None, stream: int | None = None
) -> "VideoReader":
    """Open a video, or a still image as a video of one frame; close it, or use ``with``.

    Args:
        path: The file.
        threads: Of the decoder; None for as many as there are cores.
        stream: Index of the stream of pictures, as ``spfem probe`` numbers them; None for the
            first one that is no cover, no thumbnail and no tile.

    Raises:
        UnreadableInputError: If the file is missing, is no video, or no frame of it decodes.
        UsageError: If there is no such stream of pictures.
        MemoryExhausted: If there is not enough memory.
    """
    return VideoReader(path, threads=threads, stream=stream)


class VideoReader:
    """Decodes the video of a file once, from its first frame to its last.

    Memory does not grow with the length. What cannot be decoded is skipped and counted: the times
    of the other frames stay what they are. :attr:`lost_frames` and :attr:`warnings` are complete
    when the iteration has ended.
    """

    def __init__(
        self, path: Path, *, threads: int | None = None, stream: int | None = None
    ) -> None:
        self._container = open_container(path)
        self._chosen_stream = stream
        try:
            self._stream = main_video_stream(self._container, path, stream)
            declared = declared_of(path, self._container, self._stream)
            check_colours(declared, path)
            self._grid = read_declarations(path).grid if stream is None else None
            self._cropper = Cropper(declared.crop) if any(declared.crop) else None
            self._stream.thread_type = "AUTO"
            # FFmpeg itself takes one more, which holds a picture more and decodes no faster.
            usual = min(usable_cores(), MOST_DECODERS)
            self._stream.codec_context.thread_count = threads or usual
            self._clock = Clock(self._container, self._stream)
            self._is_read = False
            self._lost_frames = 0
            self._undecodable_packets = 0
            self._resized = 0
            self._warnings: list[str] = []
            self._side_data: frozenset[SideDataType] = frozenset()
            self._pictures = self._decode()
            self._first = self._first_picture(path)
            self._info = describe_video(
                path,
                self._container,
                self._stream,
                self._first,
                origin=self._clock.origin,
                turned=self._grid.orientation if self._grid else None,
            )
        except BaseException:
            self._container.close()
            raise

    @property
    def info(self) -> VideoInfo:
        """The facts of the file."""
        return self._info

    @property
    def first_time(self) -> Fraction:
        """Presentation time of the first frame, seconds."""
        return seconds_from_ticks(next_ticks(self._first.pts, None, 1), self._info.time_base)

    @property
    def lost_frames(self) -> int:
        """Frames that the file announces and that could not be decoded."""
        return self._lost_frames

    @property
    def side_data(self) -> frozenset[SideDataType]:
        """Kinds of side data that frames carry; a few of those read so far were looked at."""
        return self._side_data

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

    def frames_from(self, time: Fraction) -> Iterator[DecodedFrame]:
        """Frames shown at or after a time; may be asked for again and again, with any time.

        Decodes from the last key frame before it. The frames and their times are those of a
        reading from the beginning; their indices count from the first frame given. A file is read
        from its beginning where that alone says what time it is (transport streams, whose clock may
        start anew) and where nothing in it can be sought. Losses are not counted.

        Args:
            time: Seconds on the container's clock.
        """
        if self.seek(time) is None:
            with VideoReader(self._info.path, stream=self._chosen_stream) as again:
                yield from _numbered(frame for frame in again if frame.time >= time)
            return
        self._pictures = self._decode(needed_from=ticks_from_seconds(time, self._info.time_base))
        frames = self._developed(self._pictures)
        yield from _numbered(frame for frame in frames if frame.time >= time)

    def frames_of(self, part: Part) -> Iterator[DecodedFrame]:
        """Frames of a part of the video, bit for bit those of a reading from the beginning.

        Their indices are that reading's, too, where no packet is damaged. Losses are the part's.
        The part is one of :func:`~cdrl_cli.media.timeline.read_timeline`.
        """
        self._is_read = True
        self._note_format()
        self._pictures.close()
        packets = packets_of(part, self._container, self._stream)
        self._pictures = self._look_at(chain.from_iterable(map(self._decode_packet, packets)))
        shown = (each for each in self._pictures if (each.pts or 0) >= part.entry.shown)
        for frame in self._developed(shown):
            if part.end is not None and frame.time >= part.end:
                break
            if frame.time >= part.begin:
                yield frame.numbered(part.entry.number + frame.index)
        self._lost_frames = self._undecodable_packets

    def seek(self, time: Fraction) -> Fraction | None:
        """Go to the key frame that :meth:`frames_from` would decode from.

        Args:
            time: Seconds on the container's clock.

        Returns:
            When it is shown, at or before that; None where there is no way to one.
        """
        self._is_read = True
        if self._grid is not None or self._clock.may_restart:
            return None
        target = ticks_from_seconds(time, self._info.time_base)
        # Containers find key frames by when they are decoded, which may be before the time asked
        # for although they are shown after it.
        for margin_s in SEEK_MARGINS_S:
            if self._go_to(time - margin_s):
                shown = next((p.pts for p in self._packets() if p.pts is not None), None)
                if shown is not None and shown <= target and self._go_to(time - margin_s):
                    return seconds_from_ticks(shown, self._info.time_base)
        return None

    def _go_to(self, time: Fraction) -> bool:
        self._pictures.close()
        ticks = ticks_from_seconds(time + self._clock.origin, self._info.time_base)
        try:
            self._container.seek(ticks, stream=self._stream, backward=True)
        except (av.error.FFmpegError, OSError) as error:
            raise_if_memory(error)
            return False
        self._clock = Clock(self._container, self._stream)
        return True

    def _first_picture(self, path: Path) -> av.VideoFrame:
        first = next(self._pictures, None)
        if first is None:
            raise undecodable(path)
        return first

    def _frames(self) -> Iterator[DecodedFrame]:
        self._note_format()
        index, end = 0, Fraction(0)
        for frame in self._developed(chain((self._first,), self._pictures)):
            index, end = frame.index, frame.time + (frame.duration or self._period)
            yield frame
        self._note_losses(index + 1, end)
        self._note_clock()
        if self._resized:
            self._warnings.append(f"{self._resized} frames change size and were scaled")

    def _note_format(self) -> None:
        """Say what of the pictures cannot be kept."""
        editable = editable_format(self._info.pixel_format)
        has_alpha = self._info.declared.has_alpha or self._stream.metadata.get("alpha_mode") == "1"
        loss = editable.loss or (TRANSPARENT if has_alpha else None)
        if loss:
            self._warnings.append(f"the video {loss} ({self._info.pixel_format})")
        if self._cropper is not None and self._cropper.cuts:
            self._warnings.append("the borders that the file hides are cut off")

    def _developed(self, pictures: Iterable[av.VideoFrame]) -> Iterator[DecodedFrame]:
        """Decoded pictures as frames, each with its time."""
        editable = editable_format(self._info.pixel_format)
        normalise = Normaliser(editable.format.name, self._first, self._info.color)
        orientation = Orientation(self._info.rotation_deg, self._info.mirrored)
        aspect = self._info.sample_aspect
        development = Development(
            normalise(self._first),
            layout=editable.format,
            tags=self._info.color,
            orientation=orientation,
            sample_aspect=1 / aspect if orientation.swaps_axes else aspect,
        )
        time_base = self._info.time_base
        period = ticks_from_seconds(self._period, time_base)
        ticks = None
        for index, picture in enumerate(pictures):
            ticks = next_ticks(picture.pts, ticks, period)
            time = seconds_from_ticks(ticks, time_base)
            duration = seconds_from_ticks(picture.duration, time_base)
            yield DecodedFrame(
                normalise(picture), development, index=index, time=time, duration=duration
            )
            self._resized = normalise.resized

    @property
    def _period(self) -> Fraction:
        """Usual distance of two pictures, seconds."""
        rate, time_base = self._info.frame_rate, self._info.time_base
        ticks = ticks_from_seconds(1 / rate, time_base) if rate else 1
        return seconds_from_ticks(ticks, time_base)

    def _decode(self, *, needed_from: int | None = None) -> Generator[av.VideoFrame, None, None]:
        grid = self._grid
        yield from self._look_at(
            self._decode_tiles(grid) if grid else self._decode_stream(needed_from)
        )

    def _look_at(self, pictures: Iterable[av.VideoFrame]) -> Generator[av.VideoFrame, None, None]:
        """Note what side data pictures have, and cut off the borders that the file hides."""
        for index, picture in enumerate(pictures):
            # Seldom, and ever more so: PyAV's view of them ties a frame into a cycle of references,
            # which keeps its memory for long.
            if not index & (index - 1):
                self._side_data |= side_data_kinds(picture)
            yield picture if self._cropper is None else self._cropper.crop(picture)

    def _decode_tiles(self, grid: Grid) -> Iterator[av.VideoFrame]:
        """The one picture of a photo that is stored in tiles."""
        tiles: dict[int, av.VideoFrame] = {}
        wanted = set(grid.tiles)
        for packet in self._container.demux(self._container.streams.video):
            if packet.stream.id in wanted and packet.stream.id not in tiles:
                with suppress(av.error.FFmpegError):
                    pictures = [*packet.decode()]
                    tiles.update((packet.stream.id, picture) for picture in pictures[:1])
        if wanted <= tiles.keys():
            yield join_tiles([tiles[each] for each in grid.tiles], grid)

    def _packets(self) -> Iterator[AnyPacket]:
        """The stream's packets, their times on our clock."""
        # All streams: the clock looks at each.
        packets = self._clock.follow(self._container.demux())
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.error.FFmpegError as error:
                raise_if_memory(error)
                self._warnings.append("the file is damaged: reading stopped before its end")
                return
            if packet.stream.index == self._stream.index:  # an empty one has no other index
                yield packet

    def _decode_stream(self, needed_from: int | None) -> Generator[av.VideoFrame, None, None]:
        """Pictures of the stream.

        Args:
            needed_from: Time in ticks of the first one that somebody wants: what is shown before
                is decoded only where others are predicted from it.
        """
        for packet in self._packets():
            if needed_from is not None and packet.pts is not None:
                is_early = packet.pts < needed_from
                self._stream.codec_context.skip_frame = "NONREF" if is_early else "DEFAULT"
            yield from self._decode_packet(packet)

    def _decode_packet(self, packet: AnyPacket) -> list[av.VideoFrame]:
        try:
            return self._stream.decode(packet)
        except av.error.FFmpegError as error:
            raise_if_memory(error)
            self._undecodable_packets += 1
            return []

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
            announced_end = tagged_end(self._stream)
            missing = (announced_end - self._clock.origin - end) if announced_end else Fraction(0)
            if self._info.frame_rate and missing * self._info.frame_rate > 1:
                self._lost_frames += round(missing * self._info.frame_rate)
        if self._lost_frames:
            total = frames + self._lost_frames
            self._warnings.append(
                f"{self._lost_frames} of {total} frames could not be decoded: "
                "the file is damaged or cut off"
            )

    def _note_clock(self) -> None:
        """Say where our clock is not the file's own."""
        if self._clock.origin > LATE_S:
            self._warnings.append(
                f"the file's clock begins at {float(self._clock.origin):g} s: "
                "times count from there"
            )
        if times := self._clock.restarts:
            self._warnings.append(
                f"the file's clock jumps {times} time{'s' if times > 1 else ''}: "
                "what follows was put behind what came before"
            )


def _numbered(frames: Iterable[DecodedFrame]) -> Iterator[DecodedFrame]:
    """The same frames, counted from 0."""
    return (frame.numbered(index) for index, frame in enumerate(frames))
