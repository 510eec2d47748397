"""What is to be shown, by whom and when: rows, each for one stretch of a clip.

An edit with one emotion is a schedule of one row, so that there is one way to edit. Files that hold
one are read in :mod:`cdrl_cli.schedule_file`.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, Final

from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UsageError
from cdrl_cli.face.selection import FaceChoice
from cdrl_cli.face.tracking import RAMP_S
from cdrl_cli.generator.adjust import Adjustment
from cdrl_cli.limits import MAX_INTENSITY, MAX_PACE, WAYS

DEFAULT_FADE: Final = Fraction(str(RAMP_S))
"""Time over which a row comes in, and goes where no other follows, seconds."""

MAX_FADE: Final = 60
"""Longest such time that a row may ask for, seconds."""

Whose = FaceChoice | Path
"""The faces that a row means: by size or number, or by a photo of the person."""


@dataclass(frozen=True, slots=True)
class ScheduleRow:
    """What one choice of faces is to show over one stretch of a clip.

    Paths may be given as text, and ``adjust`` as the command line takes it.
    """

    emotion: str | None = None
    """A label of :class:`~cdrl_cli.emotion.Emotion`, or any words for an emotion. Beside
    ``reference`` it says what that shows."""
    reference: Path | None = None
    """Clip or image that shows the emotion."""
    way: int | None = None
    """In which of its usual ways the emotion is acted, from 1; None for all that has been learned
    of it."""
    follow_reference: bool = False
    """The emotion varies as over the reference, which plays alongside from the row's start."""
    reference_neutral: Path | None = None
    """Another clip or image of the reference's person, neutral; None estimates that face."""
    reference_face: int = 1
    """Which of the reference's faces, from 1, by size."""
    reference_start: Fraction | None = None
    """Seconds on the reference's clock from which on it is read."""
    reference_end: Fraction | None = None
    """Seconds on the reference's clock up to which it is read."""
    normalize: bool = False
    """Bring a reference to the typical strength of its emotion."""
    intensity: float = 1.0
    """0 leaves the expression as it is, 1 is as strong as in the reference, at most 2."""
    pace: float = 1.0
    """How far the strength varies over time, as over the reference or as actors' usually does: 0
    holds it, 1 as they do, at most 2."""
    adjust: Adjustment = Adjustment()  # noqa: RUF009 - it is frozen
    """Fine controls, added to the emotion at their own strength."""
    neutralise: bool = False
    """Take away first what the source's face shows itself."""
    face: FaceChoice = "largest"
    """Whose face, where ``who`` is not given."""
    who: Path | None = None
    """Photo of the person who is meant, wherever in the clip they are seen."""
    target_emotion: float | None = None
    """Likelihood, 0..1, that the emotion is to be read with from the edited face: the intensity is
    then found by measurement."""
    start: Fraction | None = None
    """Seconds on the clip's clock; None from the beginning."""
    end: Fraction | None = None
    """Seconds on the clip's clock; None to the end."""
    fade: Fraction | None = None
    """Seconds over which the row comes in: from nothing, or from the row that ends where it starts;
    and over which it goes, where none follows. None is :data:`DEFAULT_FADE`."""
    line: int | None = None
    """Line of the file that it was read from, from 1."""

    def __post_init__(self) -> None:
        take_text(self)
        if self.reference is None:
            self._refuse_reference_options()
        if self.emotion is not None:
            label = Emotion.parse(self.emotion)
            words = label.value if label else " ".join(self.emotion.split())
            if not words:
                raise UsageError(
                    "the emotion is empty", hint=f"one of {', '.join(Emotion)}, or words"
                )
            if Emotion.parse_list(words):
                raise UsageError(
                    f"{words!r} are several emotions, and one is shown at a time",
                    hint="a schedule shows one after the other; spfem preview, each in a column",
                )
            object.__setattr__(self, "emotion", words)
        if not 0 <= self.intensity <= MAX_INTENSITY:
            raise UsageError(f"intensity {self.intensity:g} is not within 0..{MAX_INTENSITY:g}")
        if not 0 <= self.pace <= MAX_PACE:
            raise UsageError(f"the pace, {self.pace:g}, is not within 0..{MAX_PACE:g}")
        if self.follow_reference and self.pace != 1:
            raise UsageError(
                f"the pace, {self.pace:g}, is asked for, and the reference is followed",
                hint="leave one of them out: what is followed varies as it does itself",
            )
        if self.pace != 1 and not self.names_emotion:
            raise UsageError(
                f"the pace, {self.pace:g}, is that of an emotion, and there is none",
                hint="leave the pace out, or give an emotion",
            )
        self._check_way()
        if self.reference_face < 1:
            raise UsageError(f"the reference's face {self.reference_face} is not 1 or more")
        if self.fade is not None and not 0 < self.fade <= MAX_FADE:
            raise UsageError(f"the fade, {float(self.fade):g} s, is not within 0..{MAX_FADE} s")
        if self.who is not None and self.face != "largest":
            raise UsageError("give either a number of a face or a photo of who it is, not both")
        self._check_target()
        _check_order("the start", self.start, "the end", self.end)
        _check_order("the reference's start", self.reference_start, "its end", self.reference_end)

    @property
    def names_emotion(self) -> bool:
        """Whether it asks for an emotion, and not only for adjustments."""
        return self.emotion is not None or self.reference is not None

    @property
    def files(self) -> tuple[Path, ...]:
        """What it reads from the disk."""
        named = (self.reference, self.reference_neutral, self.who)
        return tuple(one for one in named if one is not None)

    @property
    def whose(self) -> Whose:
        """The faces that are meant."""
        return self.face if self.who is None else self.who

    @property
    def fade_s(self) -> float:
        """Seconds over which it comes and goes."""
        return float(DEFAULT_FADE if self.fade is None else self.fade)

    def _check_way(self) -> None:
        if self.way is None:
            return
        if self.emotion is None or self.reference is not None:
            raise UsageError(
                "a way is one of those of an emotion that is named",
                hint="give --emotion, and no reference: that shows its own way",
            )
        if not 1 <= self.way <= WAYS:
            raise UsageError(f"the way {self.way} is not within 1..{WAYS}")
        if self.emotion == Emotion.NEUTRAL:
            raise UsageError(
                "neutral is not acted in ways", hint="leave the way out, or name another emotion"
            )

    def _check_target(self) -> None:
        target = self.target_emotion
        if target is None:
            return
        if not 0 < target < 1:
            raise UsageError(
                f"the target, {target:g}, is not between 0 and 1", hint=".7 stands for 70 %"
            )
        if not self.names_emotion:
            raise UsageError("there is a target for an emotion, and no emotion")

    def _refuse_reference_options(self) -> None:
        """Refuse what only makes sense with a reference."""
        if self.follow_reference:
            raise UsageError("there is no reference to follow: the emotion is given in words")
        given = {
            "neutral face": self.reference_neutral is not None,
            "face": self.reference_face != 1,
            "start": self.reference_start is not None,
            "end": self.reference_end is not None,
            "typical strength": self.normalize,
        }
        for what in (what for what, is_given in given.items() if is_given):
            raise UsageError(f"the reference's {what} is asked for, and there is no reference")
        if self.emotion is None and not self.adjust and not self.neutralise:
            raise UsageError(
                "give the emotion by a reference, by a label or words, or by both; or an adjustment"
            )


def take_text(asked: Any) -> None:
    """Let paths be given as text, and fine controls as the command line takes them.

    Args:
        asked: A row, or the options of an edit, as it is made.

    Raises:
        UsageError: If the controls cannot be read.
    """
    for name in ("reference", "reference_neutral", "who"):
        if isinstance(path := getattr(asked, name), str):
            object.__setattr__(asked, name, Path(path))
    if isinstance(adjust := asked.adjust, str):
        object.__setattr__(asked, "adjust", Adjustment.parse(adjust))


@dataclass(frozen=True, slots=True)
class ActiveRow:
    """How far a row counts at a moment."""

    index: int
    """Place of the row in its schedule."""
    share: float
    """Of the change that is shown, 0..1; the shares of one moment add up to 1."""
    weight: float
    """Factor of its intensity, 0..1."""


@dataclass(frozen=True)
class Schedule:
    """Rows that do not contradict each other."""

    rows: tuple[ScheduleRow, ...]
    """In any order."""
    name: str | None = field(default=None, compare=False, repr=False)
    """The file that they were read from; None where they come from none."""

    def __post_init__(self) -> None:
        if not self.rows:
            raise UsageError("the schedule holds no rows")
        for same in self.choices.values():
            for before, after in pairwise(same):
                self._refuse_overlap(before, after)

    @cached_property
    def choices(self) -> dict[Whose, tuple[int, ...]]:
        """Places of the rows of each choice of faces, by their time.

        In the order in which they count where two mean one face: a number or a photo before
        ``largest``, and that before ``all``.
        """

        def rank(place: int) -> tuple[int, str, float]:
            row = self.rows[place]
            order = {"largest": 1, "all": 2}.get(str(row.whose), 0)
            return order, str(row.whose), _start_s(row)

        ordered = sorted(range(len(self.rows)), key=rank)
        return {face: tuple(of) for face, of in groupby(ordered, lambda i: self.rows[i].whose)}

    def at(self, choice: Whose, time_s: float) -> tuple[ActiveRow, ...]:
        """The rows of a choice of faces that count at a moment: none, one, or two that cross-fade.

        Args:
            choice: Whose faces.
            time_s: Seconds on the clip's clock.
        """
        places = self.choices[choice]
        for order, place in enumerate(places):
            row = self.rows[place]
            if not _start_s(row) <= time_s <= _end_s(row):
                continue
            after = self._touching(places, order)
            if after is not None and time_s == _end_s(row):
                continue
            leaving = 1.0 if after is not None else _share(_end_s(row) - time_s, self._fade(place))
            if self._touching(places, order - 1) is None:
                weight = min(self._arriving(places, order, time_s), leaving)
                return (ActiveRow(place, 1.0, weight),) if weight > 0 else ()
            share = _share(time_s - _start_s(row), self._fade(place))
            active = []
            if share < 1:
                weight = leaving * self._arriving(places, order - 1, time_s)
                active.append(ActiveRow(places[order - 1], 1 - share, weight))
            if share > 0:
                active.append(ActiveRow(place, share, leaving))
            return tuple(active)
        return ()

    def _arriving(self, places: tuple[int, ...], order: int, time_s: float) -> float:
        """0..1: how far a row has come in from nothing; 1 where it follows another."""
        if self._touching(places, order - 1) is not None:
            return 1.0
        row = self.rows[places[order]]
        return _share(time_s - _start_s(row), row.fade_s)

    @property
    def span(self) -> tuple[Fraction | None, Fraction | None]:
        """Where it begins and ends, seconds; None where it does at the clip's own ends."""
        starts = [row.start for row in self.rows if row.start is not None]
        ends = [row.end for row in self.rows if row.end is not None]
        whole = len(self.rows)
        return (
            min(starts) if len(starts) == whole else None,
            max(ends) if len(ends) == whole else None,
        )

    @property
    def names_numbers(self) -> bool:
        """Whether a row means a face by its number, which counts from the clip's beginning."""
        return any(isinstance(row.face, int) for row in self.rows)

    def describe(self, place: int) -> str:
        """How messages name a row."""
        line = self.rows[place].line
        return f"row {place + 1}" + (f" (line {line})" if line is not None else "")

    def locate(self, place: int) -> str:
        """Where a row stands, as errors begin: its file and line, or its place among the rows."""
        line = self.rows[place].line
        known = self.name is not None and line is not None
        return f"{self.name}, line {line}" if known else self.describe(place)

    @property
    def files(self) -> tuple[Path, ...]:
        """What its rows read from the disk."""
        return tuple(path for row in self.rows for path in row.files)

    def _fade(self, place: int) -> float:
        """Seconds of a row's fades: no longer than itself where it follows another at once."""
        row = self.rows[place]
        return min(row.fade_s, _end_s(row) - _start_s(row))

    def _touching(self, places: tuple[int, ...], order: int) -> int | None:
        """The row that begins where the one at a place in the order ends; None if none does."""
        if not 0 <= order < len(places) - 1:
            return None
        before, after = (self.rows[place] for place in places[order : order + 2])
        return places[order + 1] if before.end is not None and before.end == after.start else None

    def _refuse_overlap(self, before: int, after: int) -> None:
        one, other = self.rows[before], self.rows[after]
        if other.start is not None and one.end is not None and other.start >= one.end:
            return
        ends = "never ends" if one.end is None else f"ends at {float(one.end):g} s"
        begins = "at the beginning" if other.start is None else f"at {float(other.start):g} s"
        raise UsageError(
            f"{self.describe(after)} begins {begins}, and {self.describe(before)} for the same "
            f"face ({one.whose}) {ends}"
        )


def _start_s(row: ScheduleRow) -> float:
    # From 0 on is from the beginning on: there is nothing that it could come in from.
    from_first = row.start is None or (row.start == 0 and row.fade is None)
    return float("-inf") if from_first else float(row.start or 0)


def _end_s(row: ScheduleRow) -> float:
    return float("inf") if row.end is None else float(row.end)


def _share(passed_s: float, whole_s: float) -> float:
    return min(max(passed_s / whole_s, 0.0), 1.0)


def _check_order(one: str, start: Fraction | None, other: str, end: Fraction | None) -> None:
    """Refuse a part of a clip that ends before it begins."""
    if start is not None and end is not None and start >= end:
        raise UsageError(f"{one}, {float(start):g} s, is not before {other}, {float(end):g} s")
