"""What an edit of a part of a video leaves untouched: whether its packets may be copied.

Asked of the files themselves: a short video over both joins is written as the output will be, and
decoded. Every picture must come out, those of the source bit for bit, at their times; and those
that were encoded as they come out where they stand alone.
"""

import hashlib
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal, get_args

import av

from cdrl_cli.errors import SpfemError, raise_if_memory
from cdrl_cli.media.encoder import choose_encoder, container_for, encoder_format
from cdrl_cli.media.encoding import Encoding
from cdrl_cli.media.frames import VideoInfo
from cdrl_cli.media.input import open_container
from cdrl_cli.media.nal_units import H264Header
from cdrl_cli.media.planes import TRANSPARENT, editable_format, plane_arrays
from cdrl_cli.media.probe import main_video_stream
from cdrl_cli.media.reader import open_video
from cdrl_cli.media.splicing import LENGTH_BYTES, Splice
from cdrl_cli.media.timeline import Entry, Timeline, packets_of, read_timeline
from cdrl_cli.media.writer import VideoWriter

CopyUntouched = Literal["auto", "never"]
"""Whether the packets of what lies outside of an edit are copied where that is proven to be safe,
or everything is encoded anew."""

COPY_UNTOUCHED: Final[tuple[CopyUntouched, ...]] = get_args(CopyUntouched)

_ENCODED: Final = 12
"""Pictures between the joins of a trial."""

_MILLISECOND: Final = Fraction(1, 1000)
"""What Matroska rounds times to, seconds."""


def find_splice(
    like: VideoInfo, encoding: Encoding, *, start: Fraction | None, end: Fraction | None
) -> Splice | str | None:
    """What of a video can be copied when a stretch of it is edited.

    Args:
        like: Facts of the source.
        encoding: How the output is written.
        start: Where the stretch begins, seconds; None for the first frame.
        end: Where it ends, exclusive; None behind the last frame.

    Returns:
        What to copy; None if all lies within the groups of pictures that are edited; or why it
        cannot be, in words.
    """
    if (why := _reason_at_once(like, encoding)) is not None:
        return why
    timeline = read_timeline(like.path, stream=like.video_stream)
    if timeline is None:
        return "its pictures' times are not in order"
    splice = _widest(like, timeline, start, end)
    if splice is None or splice.copied == 0:
        return None
    if like.codec == "h264":
        splice = replace(splice, x264_params=splice.x264_options() or "")
    return _reason_by_header(splice) or _prove(splice, like, encoding)


def _reason_by_header(splice: Splice) -> str | None:
    if splice.timeline.has_other_sets:
        return "its parameters change on the way"
    if splice.codec != "h264":
        return None
    header = H264Header.read(splice.timeline.header)
    if header is None or header.length_bytes != LENGTH_BYTES:
        return "its parameter sets are not all in its header"
    return None if splice.x264_params else "its decoding times leave no room"


def _reason_at_once(like: VideoInfo, encoding: Encoding) -> str | None:
    encoder = choose_encoder(container_for(encoding.output), encoding.codec, like)
    editable = editable_format(like.pixel_format)
    if encoder.codec != like.codec:
        return f"it is {like.codec}, and the output {encoder.codec}"
    if any(like.declared.crop):
        return "the file hides its borders"
    if like.interlaced:
        return "it is interlaced"
    if editable.loss == TRANSPARENT or like.declared.has_alpha:
        return "it is transparent"
    if encoder_format(encoder, like) != replace(
        editable.format, name=encoder_format(encoder, like).name
    ):
        return "its pixel format changes"
    return None


def _widest(
    like: VideoInfo, timeline: Timeline, start: Fraction | None, end: Fraction | None
) -> Splice | None:
    """What lies between the last cut before a stretch and the first one behind it."""
    first = timeline.entries[0]
    closed = [entry for entry in timeline.entries if entry.is_closed or entry is first]
    ahead = [each for each in closed if start is not None and timeline.time(each.shown) <= start]
    behind = [each for each in closed if end is not None and timeline.time(each.shown) >= end]
    begin: Entry = ahead[-1] if ahead else first
    if timeline.number_at(start or Fraction(0)) >= len(timeline.shown):
        return None  # the stretch lies behind the end
    return Splice(
        source=like.path,
        video_stream=like.video_stream,
        timeline=timeline,
        first=first,
        begin=begin,
        end=behind[0] if behind else None,
        last=len(timeline.shown),
        codec=like.codec,
    )


def _prove(splice: Splice, like: VideoInfo, encoding: Encoding) -> Splice | str:
    trial = splice.trial(_ENCODED)
    try:
        with TemporaryDirectory(prefix="spfem-") as folder:
            path = Path(folder) / f"trial{container_for(encoding.output).suffix}"
            encoded = _write(path, like, encoding, trial)
            copied = trial.begin.packet - trial.first.packet
            wanted = [
                *_source_pictures(trial, trial.first, trial.begin.packet),
                *_pictures(path, copied, copied + encoded),
                *(() if trial.end is None else _source_pictures(trial, trial.end, trial.last)),
            ]
            found = list(_pictures(path))
    except (SpfemError, av.error.FFmpegError, OSError, ValueError, OverflowError) as error:
        raise_if_memory(error)
        return f"a trial of the joins failed ({error})"
    return splice if _are_alike(found, wanted) else "a trial of the joins decoded to other pictures"


def _write(output: Path, like: VideoInfo, encoding: Encoding, trial: Splice) -> int:
    """Write a trial: the first frames that are to be encoded, and the packets around them.

    Returns:
        How many frames are encoded.
    """
    part = trial.timeline.part(trial.begin_time, trial.end_time)
    with (
        open_video(like.path, stream=like.video_stream) as video,
        VideoWriter(
            output,
            like=like,
            codec=encoding.codec,
            crf=encoding.crf,
            preset=encoding.preset,
            splice=trial,
        ) as writer,
    ):
        for frame in islice(video.frames_of(part), _ENCODED):
            writer.write(frame)
        return writer.frames_written


@dataclass(frozen=True, slots=True)
class _Picture:
    time: Fraction
    digest: bytes


def _pictures(path: Path, begin: int = 0, end: int | None = None) -> list[_Picture]:
    """What some packets of a trial show, decoded without the others."""
    found: list[_Picture] = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        time_base = stream.time_base or _MILLISECOND
        packets = (packet for packet in container.demux(stream) if packet.size)
        for packet in islice(packets, begin, end):
            found += (_described(frame, time_base) for frame in stream.decode(packet))
        found += (_described(frame, time_base) for frame in stream.decode(None))
    return found


def _source_pictures(splice: Splice, entry: Entry, end: int) -> list[_Picture]:
    """What some packets of the source show."""
    found: list[_Picture] = []
    time_base = splice.timeline.time_base
    part = splice.timeline.part(splice.timeline.time(entry.shown), None)
    with open_container(splice.source) as container:
        stream = main_video_stream(container, splice.source, splice.video_stream)
        stream.thread_type = "AUTO"
        packets = (packet for packet in packets_of(part, container, stream) if packet.size)
        for packet in islice(packets, end - entry.packet):
            found += (_described(frame, time_base) for frame in stream.decode(packet))
        found += (_described(frame, time_base) for frame in stream.decode(None))
    return found


def _described(frame: av.VideoFrame, time_base: Fraction) -> _Picture:
    digest = hashlib.sha256(f"{frame.format.name} {frame.width} {frame.height}".encode())
    for plane in plane_arrays(frame, editable_format(frame.format.name).format):
        digest.update(plane.tobytes())
    return _Picture((frame.pts or 0) * time_base, digest.digest())


def _are_alike(found: list[_Picture], wanted: list[_Picture]) -> bool:
    return len(found) == len(wanted) and all(
        one.digest == other.digest and abs(one.time - other.time) <= _MILLISECOND
        for one, other in zip(found, wanted, strict=True)
    )
