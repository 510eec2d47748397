"""A video of which a part is encoded, and the rest is the source's packets.

What is encoded begins and ends where nothing refers across: at key frames that close off what lies
before. The packets around it stay as they are, with their times. What is encoded gets the decoding
times of the packets whose place it takes: it shows as many pictures, at the same moments.

A decoder must know the parameter sets of both. For H.264 the output's header holds the source's and
the encoder's, which have other numbers; the other codecs that are spliced need none, or one that
is the same.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np
from av.container import InputContainer

from cdrl_cli.media.input import open_container
from cdrl_cli.media.muxer import AnyPacket
from cdrl_cli.media.nal_units import H264Header, with_lengths
from cdrl_cli.media.probe import main_video_stream
from cdrl_cli.media.timeline import Entry, Part, Timeline, packets_of

LENGTH_BYTES: Final = 4
"""Bytes of the length before each NAL unit in sources of H.264 that are spliced."""

_MOST_NUMBERS: Final = 32
"""H.264 numbers its sequence parameter sets from 0 to 31."""

_DEPTH_OPTIONS: Final[Mapping[int, str]] = {0: "bframes=0", 1: "b-pyramid=none", 2: ""}
"""How x264 is kept from coding a picture so many pictures before its turn and more."""


@dataclass(frozen=True, slots=True)
class Splice:
    """Which packets of a source go into an output, around what is encoded."""

    source: Path
    video_stream: int | None
    """Index of the stream of pictures; None for the usual one."""
    timeline: Timeline
    first: Entry
    """Where the packets before begin."""
    begin: Entry
    """Where they end, and what is encoded begins."""
    end: Entry | None
    """Where what is encoded ends, and the packets behind begin; None for the end of the video."""
    last: int
    """How many packets of the source come before the end of those behind."""
    codec: str
    """Of both, by FFmpeg's name."""
    x264_params: str = ""
    """What the encoder is told beside what it is always told."""

    @property
    def copied(self) -> int:
        """Pictures that are not encoded."""
        behind = 0 if self.end is None else self.last - self.end.packet
        return self.begin.packet - self.first.packet + behind

    @property
    def begin_time(self) -> Fraction:
        """Time of the first encoded frame, seconds."""
        return self.timeline.time(self.begin.shown)

    @property
    def end_time(self) -> Fraction | None:
        """Time of the first frame behind what is encoded; None if there is none."""
        return None if self.end is None else self.timeline.time(self.end.shown)

    @property
    def part(self) -> Part:
        """The frames that are encoded."""
        return self.timeline.part(self.begin_time, self.end_time)

    def holds(self, time: Fraction) -> bool:
        """Whether the frame of a time is encoded."""
        end = self.end_time
        return time >= self.begin_time and (end is None or time < end)

    def trial(self, encoded: int) -> "Splice":
        """A short one over the same two joins.

        Args:
            encoded: Pictures that are encoded in it.
        """
        closed = [entry for entry in self.timeline.entries if entry.is_closed]
        before = [entry for entry in closed if entry.packet < self.begin.packet]
        last = self.begin.packet + encoded if self.end is None else self.end.packet + _TRIED
        first = before[-1] if before else self.begin
        return replace(self, first=first, last=min(last, self.last))

    def header(self, of_encoder: bytes | None) -> bytes | None:
        """The global header of the output.

        Args:
            of_encoder: What the encoder gives.

        Raises:
            ValueError: If the source's packets and the encoder's do not fit under one.
        """
        source = self.timeline.header
        own = H264Header.read(source)
        other = H264Header.of_encoder(of_encoder) if own and of_encoder else None
        header = own.joined(other) if own and other else None
        if header is None and not self.needs_no_header and of_encoder != source:
            raise ValueError("the encoder's parameters are not those of the source")
        return header or of_encoder

    @property
    def needs_no_header(self) -> bool:
        """Every key frame of the codec says all that a decoder must know."""
        return self.codec == "vp9"

    def x264_options(self) -> str | None:
        """Options by which x264 gives its parameter sets a number that the source does not use.

        None if the source uses all, or if its decoding times leave no room.
        """
        header = H264Header.read(self.timeline.header)
        if header is None:
            return None
        used = header.numbers | header.picture_numbers
        free = [number for number in range(_MOST_NUMBERS) if number not in used]
        depth = self._depth()
        if not free or depth is None:
            return None
        return ":".join(filter(None, (f"sps-id={free[-1]}", _DEPTH_OPTIONS[depth])))

    def _depth(self) -> int | None:
        """How many pictures before its turn the source's decoding times let one be coded.

        A picture is decoded before it is shown; the nth packet takes the decoding time of the
        source's, and at the earliest shows what comes so many pictures before the nth.
        """
        start = self.begin.packet
        end = self.last if self.end is None else self.end.packet
        shown, decoded = self.timeline.shown[start:end], self.timeline.decoded[start:end]
        for depth in sorted(_DEPTH_OPTIONS, reverse=True):
            earliest = shown[np.maximum(np.arange(len(shown)) - depth, 0)]
            if (decoded <= earliest).all():
                return depth
        return None


_TRIED: Final = 48
"""Packets behind the second join that a trial decodes."""


class Splicer:
    """The packets of a splice, one after the other, ready for the muxer.

    Args:
        splice: Which.
    """

    def __init__(self, splice: Splice) -> None:
        self.splice: Final = splice
        self._is_h264 = H264Header.read(splice.timeline.header) is not None
        self._place = splice.begin.packet
        self._container: InputContainer | None = None

    def close(self) -> None:
        """Let go of the source."""
        if self._container is not None:
            self._container.close()

    def before(self) -> Iterator[AnyPacket]:
        """The source's packets before what is encoded."""
        return self._copies(self.splice.first, self.splice.begin.packet)

    def fitted(self, packets: Iterable[AnyPacket]) -> Iterator[AnyPacket]:
        """What the encoder gives, in the form and with the decoding times of the source's."""
        for packet in packets:
            fitted = packet
            if self._is_h264:
                fitted = AnyPacket(with_lengths(bytes(packet), LENGTH_BYTES))
                fitted.pts, fitted.duration = packet.pts, packet.duration
                fitted.time_base, fitted.is_keyframe = packet.time_base, packet.is_keyframe
            fitted.dts = int(self.splice.timeline.decoded[self._place])
            self._place += 1
            yield fitted

    def behind(self) -> Iterator[AnyPacket]:
        """The source's packets behind what is encoded."""
        if self.splice.end is None:
            return iter(())
        return self._copies(self.splice.end, self.splice.last)

    def _copies(self, entry: Entry, end: int) -> Iterator[AnyPacket]:
        if entry.packet >= end:
            return
        splice, timeline = self.splice, self.splice.timeline
        if self._container is None:
            self._container = open_container(splice.source)
        stream = main_video_stream(self._container, splice.source, splice.video_stream)
        part = timeline.part(timeline.time(entry.shown), None)
        place = entry.packet
        for packet in packets_of(part, self._container, stream):
            if not packet.size:
                continue
            if place == end:
                return
            packet.dts = int(timeline.decoded[place])
            place += 1
            yield packet
