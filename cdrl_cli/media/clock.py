"""One clock for all packets of a file, which goes on where the file's own clock starts anew.

Recordings are joined by putting one behind the other (``cat a.ts b.ts``), receivers lose their
signal, and the 33 bits of a transport stream wrap after 26.5 hours. Each time the packets' times
jump. Here the part behind a jump is put behind what came before it.

The clock is a function of the packets in their order, so that whoever reads a file twice, once for
its pictures and once for its sound, gets the same times.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from math import floor
from typing import TYPE_CHECKING, Any, Final

from av.container import InputContainer
from av.format import Flags
from av.packet import Packet
from av.stream import Disposition, Stream

from cdrl_cli.media.timebase import ticks_from_seconds

if TYPE_CHECKING:
    AnyPacket = Packet[Any]
else:
    AnyPacket = Packet  # generic for type checkers alone

LATE_S: Final = 10
"""A file whose clock begins later than this, in seconds, is given one that begins at 0."""
BACK_S: Final = Fraction(1, 10)
"""Decoding times that fall back by more than this, in seconds, start anew; by less they jitter."""
GAP_S: Final = 10
"""Longest silence in a stream of a kind of file whose clock may jump, seconds."""
NEAR_S: Final = 10
"""Streams that jump to within so many seconds of each other jump together."""
_TS_DISCONT: Final[int] = Flags.ts_discont.value  # type: ignore[assignment]
_SECOND: Final = Fraction(1)
_HELD: Final = 4096
"""Packets that are held back, at most, until a jump has proved to be one."""
_PICTURE: Final = Disposition.attached_pic | Disposition.timed_thumbnails


@dataclass(slots=True)
class _Track:
    """Where one stream of sound or pictures stands, in ticks of the file's own clock."""

    tick: Fraction
    """Seconds."""
    lag: Fraction
    """How much later it starts than the first stream, seconds."""
    part: int = 0
    """Index of the part of the file that its packets belong to."""
    dts: int | None = None
    """Decoding time of its last packet."""
    before: int | None = None
    """Decoding time of the packet before that."""
    end: int = 0
    """When its last packet's decoding would be followed by the next one's."""
    latest: int | None = None
    """When what it has had of that part is over."""
    gap: int = field(init=False)
    """:data:`GAP_S` in whole ticks."""
    back: int = field(init=False)
    """:data:`BACK_S` in whole ticks."""

    def __post_init__(self) -> None:
        # A film has many packets: whole numbers are compared, not fractions.
        self.gap, self.back = floor(GAP_S / self.tick), floor(BACK_S / self.tick)


class Clock:
    """Gives the packets of a file times on one clock that never starts anew.

    Time 0 is where the container's clock has it. It is the file's first moment in three cases: in
    kinds of files whose clocks begin anywhere (transport and program streams, Ogg), where the
    clock begins later than :data:`LATE_S`, and where it begins below 0.

    Args:
        container: Its streams' start times are known from opening it.
        main: The stream of pictures whose start must not lie below 0; None for the first one.
    """

    def __init__(self, container: InputContainer, main: Stream | None = None) -> None:
        self.restarts = 0
        """How often the file's own clock jumped, so far."""
        self._is_loose = bool(container.format.flags & _TS_DISCONT)
        starts = {
            stream.index: start
            for stream in container.streams
            if _keeps_time(stream) and (start := _start(stream)) is not None
        }
        first = min(starts.values(), default=Fraction(0))
        self.origin: Final = _origin(first, starts, main, is_loose=self._is_loose)
        """Time of the container's clock that is our time 0, seconds."""
        self._tracks = {
            stream.index: _Track(
                stream.time_base or _SECOND, starts.get(stream.index, first) - first
            )
            for stream in container.streams
            if _keeps_time(stream)
        }
        self._begins = [first]  # of each part, by the container's clock
        self._shifts = [-self.origin]  # what to add to that clock in each part
        self._end = first - self.origin  # by our clock, but for what tracks have had since
        self._moves: dict[tuple[int, int], int] = {}

    @property
    def may_restart(self) -> bool:
        """Whether this is a kind of file whose own clock may begin anywhere, and start anew."""
        return self._is_loose

    def follow(self, packets: Iterable[AnyPacket]) -> Iterator[AnyPacket]:
        """The same packets in the same order, their times on our clock.

        Args:
            packets: All packets of the container.
        """
        held: deque[AnyPacket] = deque()
        for packet in packets:
            held.append(packet)
            yield from self._release(held, is_end=len(held) >= _HELD)
        yield from self._release(held, is_end=True)

    def _release(self, held: "deque[AnyPacket]", *, is_end: bool) -> Iterator[AnyPacket]:
        """Hand out packets, up to one whose time jumps: the stream's next one tells if it did."""
        while held:
            packet, is_wild = held[0], False
            if self._jumps(packet):
                later = islice(held, 1, None)
                following = next((each for each in later if _is_after(each, packet)), None)
                if following is None and not is_end:
                    return
                is_wild = following is None or not self._goes_on(packet, following)
                if not is_wild:
                    self._jump(packet)
            yield self._stamped(held.popleft(), is_wild=is_wild)

    def _jumps(self, packet: AnyPacket) -> bool:
        track = self._tracks.get(packet.stream_index)
        dts = packet.dts
        if track is None or dts is None or track.dts is None:
            return False
        if dts - track.end > track.gap:
            return True
        # After a single wild time a stream falls back into step, which is no new start.
        is_in_step = track.before is not None and dts >= track.before
        return track.dts - dts > track.back and not is_in_step

    def _goes_on(self, doubtful: AnyPacket, following: AnyPacket) -> bool:
        """Whether a stream's next packet comes soon after one whose time jumps.

        And not where the stream would be without that one.
        """
        here, after = doubtful.dts, following.dts
        assert here is not None
        assert after is not None
        track = self._tracks[doubtful.stream_index]
        is_nearer = abs(after - here) <= abs(after - track.end)
        return is_nearer and -BACK_S <= (after - here) * track.tick < GAP_S

    def _jump(self, packet: AnyPacket) -> None:
        """Put a stream into the part of the file that it has jumped to, and begin that if new."""
        track = self._tracks[packet.stream_index]
        time = _time(packet)
        assert time is not None
        assert packet.dts is not None
        if packet.dts > track.end and not self._is_loose:
            return  # such a file means its gaps
        self._end = max(self._end, *self._ends())
        begin = time - track.lag
        is_known = track.part + 1 < len(self._begins) and abs(begin - self._begins[-1]) < NEAR_S
        if not is_known:
            self.restarts += 1
            self._begins.append(begin)
            self._shifts.append(self._end - begin)
        track.part = len(self._begins) - 1
        track.dts = track.before = track.latest = None

    def _ends(self) -> Iterator[Fraction]:
        """When what each track has had of its part is over, by our clock."""
        for track in self._tracks.values():
            if track.latest is not None:
                yield track.latest * track.tick + self._shifts[track.part]

    def _stamped(self, packet: AnyPacket, *, is_wild: bool) -> AnyPacket:
        track = self._tracks.get(packet.stream_index)
        dts, shown = packet.dts, packet.pts if packet.pts is not None else packet.dts
        if shown is None:
            return packet
        if track is None:  # subtitles and data come seldom; they follow the newest part if they can
            time = shown * packet.time_base
            near = [i for i, begin in enumerate(self._begins) if begin - BACK_S <= time]
            part = len(self._begins) - 1 if len(self._begins) - 1 in near else (near or [0])[-1]
        else:
            part = track.part
            if dts is not None and not is_wild:
                step = packet.duration or (dts - track.dts if track.dts is not None else 0)
                step = max(step, 0)
                track.before, track.dts, track.end = track.dts, dts, dts + step
                over = shown + step
                track.latest = over if track.latest is None else max(track.latest, over)
        if move := self._move(part, packet):
            if packet.pts is not None:
                packet.pts += move
            if packet.dts is not None:
                packet.dts += move
        return packet

    def _move(self, part: int, packet: AnyPacket) -> int:
        """What to add to times of a stream's packets of a part, ticks."""
        key = (part, packet.stream_index)
        if key not in self._moves:
            self._moves[key] = ticks_from_seconds(self._shifts[part], packet.time_base)
        return self._moves[key]


def _origin(
    first: Fraction, starts: dict[int, Fraction], main: Stream | None, *, is_loose: bool
) -> Fraction:
    if is_loose or first > LATE_S:
        return first
    # Sound encoded ahead of time 0 is priming, which players skip; pictures have none.
    begins = starts.get(main.index) if main is not None else None
    return begins if begins is not None and begins < 0 else Fraction(0)


def _keeps_time(stream: Stream) -> bool:
    """Sound and pictures come without pause; what else there is may."""
    return stream.type in ("audio", "video") and not stream.disposition & _PICTURE


def _start(stream: Stream) -> Fraction | None:
    if stream.start_time is None or stream.time_base is None:
        return None
    return stream.start_time * stream.time_base


def _time(packet: AnyPacket) -> Fraction | None:
    ticks = packet.pts if packet.pts is not None else packet.dts
    return None if ticks is None else ticks * packet.time_base


def _is_after(packet: AnyPacket, doubtful: AnyPacket) -> bool:
    return packet.stream_index == doubtful.stream_index and packet.dts is not None
