"""What the page is set to: what is to be shown, by whom and when, and the command that does it."""

import csv
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from io import StringIO
from pathlib import Path
from typing import Any, Final, NamedTuple

from cdrl_cli.edit_options import EditOptions
from cdrl_cli.errors import UsageError
from cdrl_cli.face.selection import FaceChoice
from cdrl_cli.generator.adjust import CONTROLS, Adjustment
from cdrl_cli.notation import CORNERS, Corner, clock
from cdrl_cli.schedule import DEFAULT_FADE, Schedule, ScheduleRow

AS_REFERENCE: Final = "as the reference"
"""Choice of the page that leaves the emotion to the reference."""

NO_EMOTION: Final = "none"
"""Choice of the page that shows none: fine controls alone."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one choice of faces is to show."""

    emotion: str | None = "happy"
    """A label or words; None where a reference alone shows it, or only controls are moved."""
    reference: Path | None = None
    """Clip or image that shows the emotion."""
    intensity: float = 1.0
    """0..2."""
    adjust: Adjustment = Adjustment()  # noqa: RUF009 - it is frozen
    """Fine controls."""
    neutralise: bool = False
    """Take away first what the face shows itself."""
    face: FaceChoice = "largest"
    """Whose face, where ``who`` is not given."""
    who: Path | None = None
    """Photo of the person who is meant."""

    @property
    def fields(self) -> dict[str, Any]:
        """It, as fields of an edit's options, and of a row of a schedule."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


@dataclass(frozen=True, slots=True)
class Change:
    """What is shown from a moment on, until the next one for the same faces."""

    start: Fraction
    """Seconds on the clip's clock."""
    look: Look


@dataclass(frozen=True, slots=True)
class Wish:
    """What the page is set to: one look throughout, or several, each from its moment on."""

    look: Look = Look()
    changes: tuple[Change, ...] = ()
    """What the clip is to show from some moments on; without any, the look throughout."""
    disclose: Corner | None = None
    """Corner where every frame says that it is AI-edited."""

    def options(self) -> EditOptions:
        """The same as options of an edit.

        Raises:
            UsageError: If they do not go together.
        """
        if not self.changes:
            return EditOptions(**self.look.fields, disclose=self.disclose)
        schedule = Schedule(tuple(self._rows()))
        return EditOptions(schedule=schedule, disclose=self.disclose)

    def _rows(self) -> Iterator[ScheduleRow]:
        for place, one in enumerate(self.changes):
            later = (
                other.start
                for other in self.changes[place + 1 :]
                if _whose(other.look) == _whose(one.look)
            )
            yield ScheduleRow(**one.look.fields, start=one.start, end=next(later, None))

    def command(self, source: Path) -> str:
        """The command line that makes the same edit; a schedule is written out below it."""
        words = ["spfem", "edit", source.name]
        table = ""
        if self.changes:
            words += ["--schedule", "schedule.csv"]
            table = f"\n\n# schedule.csv\n{self._table()}"
        else:
            words += _options_of(self.look)
        if self.disclose is not None:
            words.append("--disclose")
            if self.disclose != CORNERS[0]:
                words += ["--disclose-at", self.disclose]
        return shlex.join([*words, "-o", f"{source.stem}-edited.mp4"]) + table

    def _table(self) -> str:
        rows = [
            {
                "start": "" if row.start is None else clock(row.start),
                "end": "" if row.end is None else clock(row.end),
                "face": str(row.face) if row.who is None else "",
                "who": "" if row.who is None else row.who.name,
                "emotion": row.emotion or "",
                "ref": "" if row.reference is None else row.reference.name,
                "intensity": f"{row.intensity:g}" if row.names_emotion else "",
                "adjust": str(row.adjust),
                "neutralise": "yes" if row.neutralise else "",
            }
            for row in self._rows()
        ]
        used = [name for name in rows[0] if any(row[name] for row in rows)]
        text = StringIO()
        writer = csv.DictWriter(text, used, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue().rstrip("\n")


def _options_of(look: Look) -> Iterator[str]:
    """The words of the command line that ask for a look."""
    if look.reference is not None:
        yield from ("--ref", look.reference.name)
    if look.emotion is not None:
        yield from ("--emotion", look.emotion)
    if look.emotion is not None or look.reference is not None:
        yield from ("--intensity", f"{look.intensity:g}")
    if look.adjust:
        yield from ("--adjust", str(look.adjust))
    if look.neutralise:
        yield "--neutralise"
    if look.who is not None:
        yield from ("--who", look.who.name)
    elif look.face != "largest":
        yield from ("--face", str(look.face))


def _whose(look: Look) -> FaceChoice | Path:
    return look.face if look.who is None else look.who


class Settings(NamedTuple):
    """What the page's controls are set to, in their own words."""

    emotion: str | None = "happy"
    """The chosen label, :data:`AS_REFERENCE` or :data:`NO_EMOTION`."""
    words: str = ""
    """An emotion in other words; counts before the label."""
    reference: str | None = None
    """File that was dropped."""
    intensity: float = 1.0
    """0..2."""
    face: str = "largest"
    """``largest``, ``all`` or a number."""
    photo: str | None = None
    """Of the person who is meant, instead of ``face``."""
    neutralise: bool = False
    sided: str = ""
    """Fine controls as the command line takes them, such as those of one side of the face."""
    disclose: str = ""
    """A corner, or nothing."""
    changes: Sequence[Change] = ()
    """What was set from some moments on."""
    amounts: Sequence[float] = ()
    """How far each of the fine controls is moved, in their order."""


def read_settings(values: Sequence[Any]) -> Settings:
    """The values of the page's controls: those of fine controls come last."""
    named = len(Settings._fields) - 1
    # A field for text that was never touched holds nothing.
    given = [
        "" if value is None and usual == "" else value
        for value, usual in zip(values[:named], Settings(), strict=False)
    ]
    return Settings._make([*given, tuple(values[named:])])


def read_wish(set_to: Settings) -> Wish:
    """What the page's controls ask for.

    Raises:
        UsageError: If nothing says what to show, or a fine control cannot be read.
    """
    label = None if set_to.emotion in (AS_REFERENCE, NO_EMOTION) else set_to.emotion
    named = set_to.words.strip() or label
    adjust = join_controls(set_to.amounts, set_to.sided)
    reference = None if set_to.emotion == NO_EMOTION and not named else set_to.reference
    if named is None and reference is None and not adjust and not set_to.neutralise:
        raise UsageError("choose an emotion, drop a reference that shows it, or move a control")
    face: FaceChoice = "all" if set_to.face == "all" else "largest"
    face = int(set_to.face) if set_to.face.isdigit() else face
    look = Look(
        emotion=named,
        reference=None if reference is None else Path(reference),
        intensity=set_to.intensity,
        adjust=adjust,
        neutralise=set_to.neutralise,
        face=face if set_to.photo is None else "largest",
        who=None if set_to.photo is None else Path(set_to.photo),
    )
    corner = next((one for one in CORNERS if one == set_to.disclose), None)
    return Wish(look, tuple(set_to.changes), corner)


def join_controls(amounts: Sequence[float], sided: str) -> Adjustment:
    """The fine controls of a page as one adjustment.

    Args:
        amounts: Of the controls, in their order; -1..1.
        sided: Others, as the command line takes them.

    Raises:
        UsageError: If these cannot be read, or one is set twice.
    """
    words = [
        f"{name}={amount:+g}"
        for name, amount in zip(CONTROLS, amounts, strict=False)
        if round(amount, 3)
    ]
    if sided.strip():
        words.append(sided)
    return Adjustment.parse(",".join(words)) if words else Adjustment()


def split_controls(adjust: Adjustment) -> tuple[list[float], str]:
    """An adjustment as a page shows it: the amount of each control, and the rest in words."""
    of = dict(adjust.amounts)
    rest = tuple((name, amount) for name, amount in adjust.amounts if name not in CONTROLS)
    return [of.get(name, 0.0) for name in CONTROLS], str(Adjustment(rest))


def add_change(wish: Wish, time: float) -> Wish:
    """Let what a page is set to hold from a moment on, at which it has come in already."""
    start = max(Fraction(time).limit_denominator(1000) - DEFAULT_FADE, Fraction(0))
    change = Change(start, wish.look)
    now = (start, _whose(wish.look))
    kept = [one for one in wish.changes if (one.start, _whose(one.look)) != now]
    return replace(wish, changes=tuple(sorted([*kept, change], key=lambda one: one.start)))
