"""Everything in a file but the edited video, carried over packet by packet."""

import io
from collections.abc import Callable, Generator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import AttachmentStream, DataStream, Discard, Disposition, Stream
from av.video.stream import VideoStream

from cdrl_cli.media.encoder import Container
from cdrl_cli.media.probe import main_video_stream, open_container, stream_name
from cdrl_cli.media.tags import lasting_tags, quicktime_language, stream_tags

if TYPE_CHECKING:
    AnyPacket = Packet[Any]
else:
    AnyPacket = Packet  # generic for type checkers alone

_COVER_SUFFIXES: Final = {"mjpeg": "jpg", "png": "png", "bmp": "bmp", "gif": "gif"}
_NO_TEXT: Final = b"\0\0"
"""A sample of MP4 subtitles: the length of the text, which is 0."""


class StreamCopier:
    """The streams, chapters and tags of a source that an output shares with it.

    The muxer's own refusal decides what a container can hold: each stream is first offered to a
    muxer that writes into memory. What is refused is named in :attr:`warnings` and left out.

    Args:
        source: File to copy from.
        container: Kind of the output.
        output: The output, without streams yet.
        add_video: Adds the stream of the edited video; called in its turn, so that streams keep
            their order.
    """

    def __init__(
        self,
        source: Path,
        container: Container,
        output: OutputContainer,
        add_video: Callable[[], VideoStream],
    ) -> None:
        self.warnings: Final[list[str]] = []
        self._container = container
        self._output = output
        self._targets: dict[int, Stream] = {}
        self._last_dts: dict[int, int] = {}
        self._input = open_container(source)
        try:
            self.video = self._add_streams(source, add_video)
            output.set_chapters(self._input.chapters())
            self._packets = self._read_packets()
            self._next = next(self._packets, None)
        except BaseException:
            self._input.close()
            raise

    @property
    def metadata(self) -> dict[str, str]:
        """Tags of the source file."""
        return dict(self._input.metadata)

    @property
    def start_times(self) -> list[Fraction]:
        """When each stream of the source begins, seconds."""
        return start_times(self._input)

    def copy_until(self, time: Fraction) -> None:
        """Write what is decoded before the video's next packet.

        Args:
            time: Decoding time of that packet, seconds.
        """
        while self._next is not None and _decoding_time(self._next) <= time:
            self._write(self._next)
            self._next = next(self._packets, None)

    def copy_rest(self) -> None:
        """Write what is left after the video's last packet."""
        while self._next is not None:
            self._write(self._next)
            self._next = next(self._packets, None)

    def close(self) -> None:
        """Let go of the source."""
        self._packets.close()
        self._input.close()

    def _add_streams(self, source: Path, add_video: Callable[[], VideoStream]) -> VideoStream:
        main = main_video_stream(self._input, source)
        video = None
        for stream in self._input.streams:
            if stream.index == main.index:
                video = add_video()
                video.metadata.update(lasting_tags(self._tags(main)))
                video.disposition = main.disposition
            elif _is_rebuilt(stream):
                continue
            elif _is_cover(stream) and self._container.muxer == "matroska":
                self._attach_cover(source, stream)
            elif (refusal := _refusal(stream, self._container)) is not None:
                self.warnings.append(f"{_title(stream)} is left out: {refusal}")
            else:
                self._targets[stream.index] = self._add_copy(stream)
        assert video is not None
        return video

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

    def _read_packets(self) -> Generator[AnyPacket, None, None]:
        streams = [self._input.streams[index] for index in self._targets]
        if not streams:
            return
        for stream in self._input.streams:
            if stream.index not in self._targets:
                stream.discard = Discard.all
        packets = self._input.demux(streams)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.error.FFmpegError:
                self.warnings.append("the file is damaged: streams were copied up to the damage")
                return
            if not _is_filler(packet):
                yield packet

    def _write(self, packet: AnyPacket) -> None:
        index = packet.stream_index
        dts = packet.dts
        if dts is None:  # cover art; some subtitles
            dts = packet.pts = packet.pts or 0
        # Muxers refuse a decoding time that goes back (ISO: or stands), as damaged sources have.
        earliest = self._last_dts.get(index, dts - 1) + (1 if self._container.is_iso else 0)
        packet.dts = self._last_dts[index] = max(dts, earliest)
        if packet.pts is not None:
            packet.pts = max(packet.pts, packet.dts)
        packet.stream = self._targets[index]
        self._output.mux(packet)


def start_times(container: InputContainer) -> list[Fraction]:
    """When each stream begins, seconds."""
    return [
        stream.start_time * stream.time_base
        for stream in container.streams
        if stream.start_time is not None and stream.time_base
    ]


def _decoding_time(packet: AnyPacket) -> Fraction:
    ticks = packet.dts if packet.dts is not None else packet.pts
    return Fraction(-1) if ticks is None else ticks * packet.time_base


def _is_filler(packet: AnyPacket) -> bool:
    """Tell packets without content: MP4's muxer fills gaps between subtitles by itself."""
    if packet.stream.type == "subtitle" and packet.size == len(_NO_TEXT):
        return bytes(packet) == _NO_TEXT
    # The last packet of each stream is an empty one that flushes decoders.
    return not packet.size and packet.dts is None


def _is_cover(stream: Stream) -> bool:
    return bool(stream.disposition & Disposition.attached_pic)


def _is_rebuilt(stream: Stream) -> bool:
    """Tracks of an MP4 that arise anew from its chapters and from its timecode tag."""
    if not isinstance(stream, DataStream):
        return False
    is_chapter_track = stream.discard == Discard.all
    return is_chapter_track or "timecode" in stream.metadata


def _refusal(stream: Stream, container: Container) -> str | None:
    """Say why the container cannot hold a stream, or None if it can."""
    kind = f"{container.suffix} files cannot hold it"
    if isinstance(stream, AttachmentStream):
        return None if container.muxer == "matroska" else kind
    if _is_cover(stream) and container.muxer == "mov":
        return kind  # its muxer takes the picture and forgets it
    if stream.codec_context is None and not isinstance(stream, DataStream):
        return "its codec is unknown"
    try:
        with av.open(io.BytesIO(), "w", format=container.muxer) as trial:
            trial.add_stream_from_template(stream, opaque=True)
            trial.start_encoding()
    except (av.error.FFmpegError, ValueError):
        return kind
    return None


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
