"""Everything in a file but the edited video, carried over packet by packet."""

from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.stream import DataStream, Discard, Stream
from av.video.stream import VideoStream

from cdrl_cli.errors import raise_if_memory
from cdrl_cli.media.clock import Clock
from cdrl_cli.media.declared import read_declarations
from cdrl_cli.media.encoder import Container
from cdrl_cli.media.input import open_container
from cdrl_cli.media.muxer import AnyPacket
from cdrl_cli.media.probe import is_tile, main_video_stream, stream_name
from cdrl_cli.media.tags import lasting_tags, quicktime_language, stream_tags
from cdrl_cli.media.timebase import ticks_from_seconds
from cdrl_cli.media.trial import Way, first_packets, is_cover, is_filler, try_stream

_COVER_SUFFIXES: Final = {"mjpeg": "jpg", "png": "png", "bmp": "bmp", "gif": "gif"}

_PRIMING_S: Final = Fraction(1, 5)
"""Sound before the first moment that is heard which codecs need to get going, at most, seconds:
1024 to 5186 samples of AAC, 80 ms of Opus."""


class StreamCopier:
    """The streams, chapters and tags of a source that an output shares with it.

    The muxer itself is asked what a container can hold: each stream's first packet is written to a
    trial file, which is read back. What is refused is named in :attr:`warnings` and left out.

    Args:
        source: File to copy from.
        container: Kind of the output.
        video_stream: Index of the stream that is edited; None for the usual one.
    """

    def __init__(
        self, source: Path, container: Container, *, video_stream: int | None = None
    ) -> None:
        self.warnings: Final[list[str]] = []
        self._source = source
        self._container = container
        self._targets: dict[int, Stream] = {}
        self._last_ticks: dict[int, int] = {}
        self._hidden: dict[int, list[AnyPacket]] = {}
        self._left_out: Counter[int] = Counter()
        self._next: AnyPacket | None = None
        self._packets: Iterator[AnyPacket] = iter(())
        self._input = open_container(source)
        try:
            self._main = main_video_stream(self._input, source, video_stream)
            self._clock = Clock(self._input, self._main)
            self._ways = self._try_streams()
        except BaseException:
            self._input.close()
            raise

    @property
    def is_indirect(self) -> bool:
        """Some stream can only be written through FFmpeg's ``tee``.

        See :func:`~cdrl_cli.media.muxer.open_muxer`.
        """
        return "tee" in self._ways.values()

    @property
    def metadata(self) -> dict[str, str]:
        """Tags of the source file."""
        return dict(self._input.metadata)

    @property
    def start_times(self) -> list[Fraction]:
        """When each stream of the source begins, seconds."""
        return [time - self._clock.origin for time in start_times(self._input)]

    def add_streams(
        self, output: OutputContainer, add_video: Callable[[], VideoStream]
    ) -> VideoStream:
        """Add the streams to an output that has none yet, and its chapters.

        Args:
            output: Opened by :func:`~cdrl_cli.media.muxer.open_muxer`.
            add_video: Adds the stream of the edited video; called in its turn, so that streams keep
                their order.

        Returns:
            The stream of the edited video.
        """
        self._output = output
        video = None
        for stream in self._input.streams:
            if stream.index == self._main.index:
                video = add_video()
                video.metadata.update(lasting_tags(self._tags(self._main)))
                video.disposition = self._main.disposition
            elif self._ways[stream.index] == "attach":
                self._attach_cover(self._source, stream)
            elif self._ways[stream.index] != "leave":
                self._targets[stream.index] = self._add_copy(stream)
        assert video is not None
        self._add_chapters(output)
        self._packets = self._read_packets()
        self._take_next()
        return video

    def copy_until(self, time: Fraction) -> None:
        """Write what is decoded before the video's next packet.

        Args:
            time: Decoding time of that packet, seconds.
        """
        while self._next is not None and self._next_time <= time:
            self._write(self._next)
            self._take_next()

    def copy_rest(self) -> None:
        """Write what is left after the video's last packet."""
        while self._next is not None:
            self._write(self._next)
            self._take_next()
        self._note_hidden()

    def close(self) -> None:
        """Let go of the source."""
        self._input.close()

    def _take_next(self) -> None:
        self._next = next(self._packets, None)
        self._next_time = Fraction(0) if self._next is None else _decoding_time(self._next)

    def _try_streams(self) -> dict[int, Way]:
        """How each stream but the edited one gets into the output."""
        ways: dict[int, Way] = {}
        has_tiles = read_declarations(self._source).grid is not None
        candidates: list[Stream] = []
        for stream in self._input.streams:
            is_part = has_tiles and is_tile(stream)
            if stream.index == self._main.index or _is_rebuilt(stream) or is_part:
                ways[stream.index] = "leave"
            elif is_cover(stream) and self._container.muxer == "matroska":
                ways[stream.index] = "attach"
            else:
                candidates.append(stream)
        if candidates:
            firsts = first_packets(self._source, {stream.index for stream in candidates})
            for stream in candidates:
                ways[stream.index], refusal = try_stream(
                    stream, firsts.get(stream.index), self._container
                )
                if refusal is not None:
                    self.warnings.append(f"{_title(stream)} is left out: {refusal}")
        return ways

    def _add_chapters(self, output: OutputContainer) -> None:
        chapters = self._input.chapters()
        origin = self._clock.origin
        for chapter in chapters if origin else ():
            shift = ticks_from_seconds(origin, chapter["time_base"] or Fraction(1, 1000))
            chapter["start"] = max(chapter["start"] - shift, 0)
            chapter["end"] = max(chapter["end"] - shift, chapter["start"])
        if chapters and self.is_indirect:
            self.warnings.append(
                f"{len(chapters)} chapters are left out: beside such sound they cannot be written"
            )
        else:
            output.set_chapters(chapters)

    def _add_copy(self, stream: Stream) -> Stream:
        target = self._output.add_stream_from_template(stream, opaque=True)
        target.metadata.update(self._tags(stream))
        target.disposition = stream.disposition
        return target

    def _tags(self, stream: Stream) -> dict[str, str]:
        tags = stream_tags(stream.metadata)
        language = tags.get("language")
        if self._container.muxer == "mov" and language is not None and language != "und":
            name = quicktime_language(language)
            if name is None:
                self.warnings.append(f"{_title(stream)}: .mov files cannot tell its language")
            else:
                tags["language"] = name
        return tags

    def _attach_cover(self, source: Path, stream: Stream) -> None:
        """Matroska keeps cover art as an attachment, which only its demuxer shows as a stream."""
        data = _first_packet(source, stream.index)
        codec = stream.codec_context.codec.canonical_name
        suffix = _COVER_SUFFIXES.get(codec, codec)
        name = stream.metadata.get("filename", f"cover.{suffix}")
        mimetype = stream.metadata.get("mimetype", f"image/{'jpeg' if suffix == 'jpg' else suffix}")
        self._output.add_attachment(name, mimetype, data)

    def _read_packets(self) -> Iterator[AnyPacket]:
        if not self._targets:
            return
        # All streams, and none discarded: the clock must see what the reader's sees.
        packets = self._clock.follow(self._input.demux())
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.error.FFmpegError as error:
                raise_if_memory(error)
                self.warnings.append("the file is damaged: streams were copied up to the damage")
                return
            if packet.stream_index in self._targets and not is_filler(packet):
                yield from self._unhidden(packet)

    def _unhidden(self, packet: AnyPacket) -> Iterator[AnyPacket]:
        """The packet, unless an edit list hides it and the output has none to hide it with.

        An edit list makes players skip what lies before its first moment or behind its last one.
        What comes just before the first is decoded, to get codecs going, and is kept.
        """
        index = packet.stream_index
        if not packet.is_discard:
            for before in self._hidden.pop(index, ()):
                if _decoding_time(before) >= _decoding_time(packet) - _PRIMING_S:
                    yield before
                else:
                    self._left_out[index] += 1
            yield packet
        elif self._container.is_iso and _decoding_time(packet) < 0:
            yield packet  # times below 0 become an edit list again
        else:
            self._hidden.setdefault(index, []).append(packet)

    def _note_hidden(self) -> None:
        for index, packets in self._hidden.items():
            self._left_out[index] += len(packets)
        self._hidden.clear()
        for index, number in sorted(self._left_out.items()):
            stream = self._input.streams[index]
            self.warnings.append(
                f"{_title(stream)}: {number} packets that the source hides are left out"
            )

    def _write(self, packet: AnyPacket) -> None:
        """Write a packet at its time, in the ticks that the muxer counts.

        Muxers refuse a decoding time that goes back (ISO: or stands), as damaged sources have. Two
        times that differ in the source's ticks may be one in the muxer's.
        """
        index = packet.stream_index
        target = self._targets[index]
        tick = self._muxer_tick(target)
        ticks = _rescaled(packet.dts if packet.dts is not None else packet.pts, packet, tick)
        earliest = self._last_ticks.get(index, ticks - 1) + (1 if self._container.is_iso else 0)
        shown = packet.pts if packet.pts is not None else packet.dts
        shown_ticks = _rescaled(shown, packet, tick)
        duration = _rescaled(packet.duration, packet, tick)
        packet.time_base = tick
        packet.dts = self._last_ticks[index] = max(ticks, earliest)
        packet.pts = max(shown_ticks, packet.dts)
        packet.duration = duration
        packet.stream = target
        self._output.mux(packet)

    def _muxer_tick(self, target: Stream) -> Fraction:
        """Seconds per tick of a stream of the output, once its header is written."""
        if not self.is_indirect:
            return target.time_base or Fraction(1, 1000)
        # The outer muxer passes times on as they are; these are the inner one's ticks.
        if self._container.is_iso and isinstance(target, AudioStream) and target.rate:
            return Fraction(1, target.rate)
        return Fraction(1, 1000)


def start_times(container: InputContainer) -> list[Fraction]:
    """When each stream begins, seconds."""
    return [
        stream.start_time * stream.time_base
        for stream in container.streams
        if stream.start_time is not None and stream.time_base
    ]


def _rescaled(ticks: int | None, packet: AnyPacket, tick: Fraction) -> int:
    """Ticks of a packet in those that the muxer counts; 0 for None."""
    # Mostly they are the same, and a film has many packets.
    same = packet.time_base == tick
    return (ticks or 0) if same else ticks_from_seconds((ticks or 0) * packet.time_base, tick)


def _decoding_time(packet: AnyPacket, default: Fraction = Fraction(-1)) -> Fraction:
    """Seconds; of cover art and some subtitles, which state none, ``default``."""
    ticks = packet.dts if packet.dts is not None else packet.pts
    return default if ticks is None else ticks * packet.time_base


def _is_rebuilt(stream: Stream) -> bool:
    """Tracks of an MP4 that arise anew from its chapters and from its timecode tag."""
    if not isinstance(stream, DataStream):
        return False
    is_chapter_track = stream.discard == Discard.all
    return is_chapter_track or "timecode" in stream.metadata


def _title(stream: Stream) -> str:
    name = stream_name(stream)
    if stream.codec_context is not None:
        name = stream.codec_context.codec.canonical_name
    language = f", {stream.language}" if stream.language not in (None, "und") else ""
    return f"stream {stream.index} ({stream.type}, {name}{language})"


def _first_packet(source: Path, index: int) -> bytes:
    with open_container(source) as container:
        for packet in container.demux(container.streams[index]):
            return bytes(packet)
    return b""
