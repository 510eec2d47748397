"""When the pictures of a video are shown and decoded, and where it may be entered.

Read from the packets alone, none of which is decoded: some 100,000 pictures, an hour of film, take
a second.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.container import InputContainer
from av.format import Flags
from av.video.stream import VideoStream

from cdrl_cli.array_types import Bool, Int64
from cdrl_cli.errors import UnreadableInputError, raise_if_memory
from cdrl_cli.media.clock import GAP_S, Clock
from cdrl_cli.media.input import open_container
from cdrl_cli.media.muxer import AnyPacket
from cdrl_cli.media.nal_units import H264Header, is_closed_entry, stated_length_bytes
from cdrl_cli.media.probe import main_video_stream
from cdrl_cli.media.timebase import seconds_from_ticks, ticks_from_seconds

_LOOSE: Final[int] = Flags.ts_discont.value  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class Entry:
    """A key frame at which decoding may begin: what is shown from it on is decoded exactly."""

    number: int
    """How many pictures are shown before it."""
    packet: int
    """How many packets come before it."""
    shown: int
    """When it is shown, ticks."""
    decoded: int
    """When it is decoded, ticks."""
    is_closed: bool
    """Nothing behind it refers to, or is shown before, anything in front of it: here a stream may
    be cut."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a video that is decoded without what lies before it."""

    entry: Entry
    begin: Fraction
    """Time of its first frame, seconds, at or behind the entry; what is decoded before is not
    handed out."""
    end: Fraction | None
    """Time at which it ends, exclusive; None for the end of the video."""
    first: int
    """When the video's first packet is decoded, ticks."""
    shift: int
    """What to add to the container's times, ticks."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """The times of a video whose packets are in order, on the clock of its reader."""

    time_base: Fraction
    """Seconds in a tick."""
    shown: Int64[np.ndarray, " pictures"]
    """When each picture is shown, ticks, in this order."""
    decoded: Int64[np.ndarray, " pictures"]
    """When each packet is decoded, ticks, in this order."""
    entries: tuple[Entry, ...]
    """The first one is the first packet."""
    size: int
    """Bytes of all packets."""
    header: bytes | None
    """The codec's global header ("extradata")."""
    has_other_sets: bool
    """Some key frame needs another header, or brings parameter sets that this one does not hold."""
    shift: int
    """What the reader's clock adds to the container's times, ticks."""

    def time(self, ticks: int) -> Fraction:
        """Seconds of some ticks."""
        return seconds_from_ticks(ticks, self.time_base)

    def number_at(self, time: Fraction) -> int:
        """How many pictures are shown before a time."""
        return bisect_left(self.shown, ceil(time / self.time_base))

    def count(self, part: Part) -> int:
        """How many pictures a part shows."""
        end = len(self.shown) if part.end is None else self.number_at(part.end)
        return end - self.number_at(part.begin)

    @property
    def whole(self) -> Part:
        """All frames."""
        return self.part(self.time(int(self.shown[0])), None)

    def part(self, begin: Fraction, end: Fraction | None) -> Part:
        """The frames of a stretch of time, to be decoded from the last key frame before them.

        Args:
            begin: Time at which it begins, seconds.
            end: Time at which it ends, exclusive; None for the end of the video.
        """
        wanted = [entry for entry in self.entries if self.time(entry.shown) <= begin]
        entry = wanted[-1] if wanted else self.entries[0]
        return Part(entry, begin, end, int(self.decoded[0]), self.shift)


def read_timeline(path: Path, *, stream: int | None = None) -> Timeline | None:
    """Read the times of a video, or None where they are not in order.

    They are not where a packet states none, where two pictures have one time, where a clock starts
    anew, or where an edit list hides pictures.

    Args:
        path: The file.
        stream: Index of the stream of pictures; None for the usual one.

    Raises:
        UnreadableInputError: If the file cannot be opened or has no video.
        UsageError: If there is no such stream.
    """
    with open_container(path) as container:
        video = main_video_stream(container, path, stream)
        clock = Clock(container, video)
        try:
            found = _read_packets(container.demux(video), video)
        except av.error.FFmpegError as error:
            raise_if_memory(error)
            return None
        time_base, header = video.time_base, video.codec_context.extradata
        if found is None or time_base is None:
            return None
        is_loose = bool(container.format.flags & _LOOSE)
        shift = ticks_from_seconds(-clock.origin, time_base) if clock.origin else 0
    shown, decoded = found.shown, found.decoded
    steps = np.diff(decoded)
    order = np.argsort(shown, kind="stable")
    ranks = np.empty_like(order)
    ranks[order] = np.arange(len(order))
    in_order = shown[order]
    if (steps <= 0).any() or (np.diff(in_order) <= 0).any() or (decoded > shown).any():
        return None
    if is_loose and steps.max(initial=0) * time_base > GAP_S:
        return None
    is_cut = _parts_what_is_shown(ranks)
    entries = tuple(
        Entry(
            int(ranks[place]),
            place,
            int(shown[place]) + shift,
            int(decoded[place]) + shift,
            bool(is_cut[place]) and is_closed,
        )
        for place, is_closed in found.keys
    )
    if not entries or entries[0].packet or entries[0].number:
        return None
    return Timeline(
        time_base,
        in_order + shift,
        decoded + shift,
        entries,
        found.size,
        header,
        found.has_other_sets,
        shift,
    )


def packets_of(part: Part, container: InputContainer, stream: VideoStream) -> Iterator[AnyPacket]:
    """The packets of a part and those behind it, from its entry on, on the reader's clock.

    Args:
        part: By the file's timeline.
        container: The file; its decoders are emptied.
        stream: Its stream of pictures.

    Raises:
        UnreadableInputError: If the entry is not there: the file has changed.
    """
    entry = part.entry
    # A seek may end behind what is sought, in files whose index is coarse or wrong.
    for place in (entry.decoded, part.first):
        with suppress(av.error.FFmpegError, OSError):
            container.seek(place - part.shift, stream=stream)
        is_found = False
        for packet in container.demux(stream):
            if packet.dts is not None:
                packet.dts += part.shift
            if packet.pts is not None:
                packet.pts += part.shift
            # Not by its decoding time, which Matroska does not state.
            is_found = is_found or (packet.is_keyframe and packet.pts == entry.shown)
            if is_found:
                yield packet
            elif packet.is_keyframe and (packet.pts is None or packet.pts > entry.shown):
                break
        if is_found:
            return
    raise UnreadableInputError(f"{container.name}: has changed while it was read")


def _parts_what_is_shown(ranks: Int64[np.ndarray, " pictures"]) -> Bool[np.ndarray, " pictures"]:
    """For each packet, whether all before it are shown before it, and all behind it behind it."""
    places = np.arange(len(ranks))
    before = np.maximum.accumulate(ranks) == places
    before[1:] = before[:-1].copy()
    before[:1] = True
    return before & (ranks == places)


@dataclass(frozen=True, slots=True)
class _Packets:
    shown: Int64[np.ndarray, " packets"]
    decoded: Int64[np.ndarray, " packets"]
    keys: list[tuple[int, bool]]
    """Places of the key frames, and whether nothing behind refers to anything before."""
    size: int
    has_other_sets: bool


def _read_packets(packets: Iterable[AnyPacket], video: VideoStream) -> _Packets | None:
    codec = video.codec_context.codec.canonical_name
    header = video.codec_context.extradata
    length_bytes = stated_length_bytes(codec, header)
    shown, decoded = array("q"), array("q")
    keys: list[tuple[int, bool]] = []
    size = 0
    known = H264Header.read(header) if codec == "h264" else None
    has_other_sets = False
    for packet in packets:
        if not packet.size:
            continue
        is_known = packet.dts is not None or not decoded
        if packet.pts is None or not is_known or packet.is_discard:
            return None
        if packet.is_keyframe:
            data = bytes(packet)
            is_closed = is_closed_entry(codec, data, length_bytes)
            has_other_sets |= known is not None and known.lacks_sets_of(data)
            # An MP4 may describe its samples by turns.
            has_other_sets |= packet.has_sidedata("new_extradata")
            # A picture of H.264 from which on others only become right is called a key frame too.
            if is_closed or codec != "h264":
                keys.append((len(shown), is_closed))
        shown.append(packet.pts)
        if packet.dts is not None:
            decoded.append(packet.dts)
        size += packet.size
    if not decoded:
        return None
    times = np.array(decoded, np.int64)
    # Matroska states no decoding times: FFmpeg knows them when it has seen some packets.
    step = int(np.median(np.diff(times))) if len(times) > 1 else 1
    early = times[0] - step * np.arange(len(shown) - len(times), 0, -1)
    decoded_times = np.concatenate([early, times])
    return _Packets(np.array(shown, np.int64), decoded_times, keys, size, has_other_sets)
