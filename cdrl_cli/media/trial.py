"""What a container can hold of a source, found out by writing it to a trial file."""

import io
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import AttachmentStream, DataStream, Disposition, Stream

from cdrl_cli.errors import raise_if_memory
from cdrl_cli.media.declared import declarations_in, read_declarations
from cdrl_cli.media.encoder import Container
from cdrl_cli.media.input import open_container
from cdrl_cli.media.muxer import AnyPacket, muxer_options, open_muxer

Way = Literal["copy", "tee", "attach", "leave"]
"""How a stream of the source gets into the output: written by the muxer, written through ``tee``,
as an attachment, or not."""

_LOOKED_AT_BYTES: Final = 64 << 20
"""So much of a source is looked through for the first packets of its streams."""

_NO_TEXT: Final = b"\0\0"
"""A sample of MP4 subtitles: the length of the text, which is 0."""


def is_filler(packet: AnyPacket) -> bool:
    """Tell packets without content: MP4's muxer fills gaps between subtitles by itself."""
    if packet.stream.type == "subtitle" and packet.size == len(_NO_TEXT):
        return bytes(packet) == _NO_TEXT
    # The last packet of each stream is an empty one that flushes decoders.
    return not packet.size and packet.dts is None


def is_cover(stream: Stream) -> bool:
    """Tell cover art: a stream of one picture that belongs to the file, not to its time."""
    return bool(stream.disposition & Disposition.attached_pic)


def try_stream(
    stream: Stream, first: AnyPacket | None, container: Container
) -> tuple[Way, str | None]:
    """How a container holds a stream; and if it does not, why."""
    kind = f"{container.suffix} files cannot hold it"
    if isinstance(stream, AttachmentStream):
        return ("copy", None) if container.muxer == "matroska" else ("leave", kind)
    if is_cover(stream) and container.muxer == "mov":
        return "leave", kind  # its muxer takes the picture and forgets it
    if stream.codec_context is None and not isinstance(stream, DataStream):
        return "leave", "its codec is unknown"
    if _holds(io.BytesIO(), stream, first, container):
        return "copy", None
    if isinstance(stream, AudioStream) and first is not None:
        with TemporaryDirectory(prefix="spfem-") as folder:
            if _holds(Path(folder) / f"trial{container.suffix}", stream, first, container):
                return "tee", None
    return "leave", kind


def _holds(
    trial: io.BytesIO | Path, stream: Stream, first: AnyPacket | None, container: Container
) -> bool:
    """Write a stream's first packet, and tell whether it can be read again as what it was.

    Args:
        trial: Where to; a path is written through ``tee``, which knows no other place.
        stream: Of the source.
        first: Its first packet, if it begins early.
        container: What is written.
    """
    options = muxer_options(container)
    try:
        with open_muxer(trial, container, options, is_indirect=isinstance(trial, Path)) as muxer:
            target = muxer.add_stream_from_template(stream, opaque=True)
            target.disposition = stream.disposition
            if first is None:
                muxer.start_encoding()
                return True
            packet = AnyPacket(bytes(first))
            packet.pts = packet.dts = 0
            packet.time_base, packet.duration = first.time_base, first.duration
            packet.is_keyframe, packet.stream = True, target
            muxer.mux(packet)
        if isinstance(stream, DataStream) and not _is_described(trial, stream):
            return False
        with _reopened(trial) as written:
            return any(_is_like(each, stream) for each in written.streams)
    except (av.error.FFmpegError, ValueError) as error:
        raise_if_memory(error)
        return False


def _reopened(trial: io.BytesIO | Path) -> InputContainer:
    file = str(trial) if isinstance(trial, Path) else io.BytesIO(trial.getvalue())
    return av.open(file, mode="r", metadata_errors="surrogateescape")


def _is_like(written: Stream, stream: Stream) -> bool:
    if written.type != stream.type:
        return False
    return isinstance(stream, DataStream) or written.codec_context is not None


def _is_described(trial: io.BytesIO | Path, stream: Stream) -> bool:
    """Whether an ISO file says what kind of data a track holds, as its source does.

    The muxer writes tracks of data that it does not know, with a description that nothing reads.
    """
    described = dict(read_declarations(Path(stream.container.name)).entries).get(stream.id)
    assert isinstance(trial, io.BytesIO)
    written = [kind for _, kind in declarations_in(io.BytesIO(trial.getvalue())).entries]
    return written == [described] if described is not None else b"" not in written


def first_packets(source: Path, wanted: set[int]) -> dict[int, AnyPacket]:
    """The first packet with content of each of some streams, as far as they begin early."""
    found: dict[int, AnyPacket] = {}
    size = 0
    with open_container(source) as container, suppress(av.error.FFmpegError):
        for packet in container.demux():
            size += packet.size
            if packet.size and packet.stream_index not in found and not is_filler(packet):
                found[packet.stream_index] = packet
            if wanted <= found.keys() or size > _LOOKED_AT_BYTES:
                break
    return found
