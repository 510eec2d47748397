"""What the page holds: a clip, what it is to show, a preview of a moment, an edit in the making."""

import csv
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from io import StringIO
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Lock, Thread
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from jaxtyping import UInt8

from cdrl_cli.checkpoints.models import Models, load_models
from cdrl_cli.edit_options import EditOptions
from cdrl_cli.editing import EditResult, Progress, edit_video
from cdrl_cli.errors import Interrupted, SpfemError, UsageError
from cdrl_cli.face.selection import FaceChoice
from cdrl_cli.generator.adjust import CONTROLS, Adjustment
from cdrl_cli.inspection import FaceSpan, inspect_video
from cdrl_cli.media import probe_video
from cdrl_cli.notation import CORNERS, Corner, clock
from cdrl_cli.preview import preview_edits
from cdrl_cli.report import write_report
from cdrl_cli.schedule import DEFAULT_FADE, Schedule, ScheduleRow
from cdrl_cli.weight_set import WeightSet

PREVIEW_SIDE: Final = 960
"""Longer side of the picture of a preview, pixels."""

Picture = UInt8[np.ndarray, "height width 3"]


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
                "intensity": f"{row.intensity:g}",
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


@dataclass(frozen=True, slots=True)
class Made:
    """What an edit in the page has made."""

    output: Path
    report: Path
    result: EditResult


@dataclass(frozen=True, slots=True)
class Step:
    """How far an edit in the page has come."""

    stage: Literal["editing", "reading"]
    done: float
    """0..1."""


class Session:
    """The work of one page.

    Args:
        folder: Where outputs go until they are downloaded.
        weight_set: Which weights.
        device: What the networks run on.
    """

    def __init__(
        self, folder: Path, weight_set: WeightSet = WeightSet.PERMISSIVE, device: str = "auto"
    ) -> None:
        self._folder = folder
        self._weight_set = weight_set
        self._device = device
        self._models: Models | None = None
        self._loading = Lock()
        self._cancelled = Event()
        self._made = 0

    def models(self) -> Models:
        """The models, loaded once, by whoever first asks."""
        with self._loading:
            if self._models is None:
                self._models = load_models(self._weight_set, device=self._device)
            return self._models

    def duration(self, source: Path) -> float:
        """Length of a clip, seconds; 0 where it is not known.

        Raises:
            UnreadableInputError: If it cannot be read.
        """
        return float(probe_video(source).duration or 0)

    def faces(self, source: Path) -> tuple[FaceSpan, ...]:
        """The faces of a clip, in a reading of all of it."""
        return inspect_video(source, models=self.models()).faces

    def preview(self, source: Path, wish: Wish, time: float) -> tuple[Picture, Picture, str]:
        """A moment before and after, and what there is to say of it.

        Raises:
            SpfemError: If it cannot be shown.
        """
        options = wish.options()
        moment = Fraction(time).limit_denominator(1000)
        (shown,) = preview_edits(source, [options], self.models(), times=[moment])
        (reason,) = shown.untouched
        said = f"unchanged: {reason}" if reason else ""
        before, after = (one.picture(PREVIEW_SIDE) for one in (shown.source, shown.edited[0]))
        return before, after, said

    def render(self, source: Path, wish: Wish) -> Iterator[Step | Made]:
        """Make the edit and its report; ends early when it is cancelled.

        Yields:
            How far it has come, and in the end what was made.

        Raises:
            SpfemError: If it cannot be made.
        """
        self._cancelled.clear()
        self._made += 1
        suffix = source.suffix.lower() if source.suffix.lower() in (".mp4", ".mov") else ".mp4"
        name = f"{source.stem}-edited"
        folder = self._folder / str(self._made)
        folder.mkdir()
        output, page = folder / f"{name}{suffix}", folder / f"{name}.html"
        told: SimpleQueue[Step | Made | BaseException] = SimpleQueue()

        def tell(stage: Literal["editing", "reading"], progress: Progress) -> None:
            if self._cancelled.is_set():
                raise Interrupted("cancelled")
            told.put(Step(stage, progress.frames_done / max(progress.frames_total or 0, 1)))

        def work() -> None:
            try:
                options, models = wish.options(), self.models()
                result = edit_video(
                    source, output, options, models=models, progress=lambda p: tell("editing", p)
                )
                write_report(
                    source,
                    output,
                    page,
                    models,
                    options=options,
                    progress=lambda p: tell("reading", p),
                )
                told.put(Made(output, page, result))
            except BaseException as error:  # whatever it is, the page must hear of it
                told.put(error)

        Thread(target=work, name="render", daemon=True).start()
        while True:
            one = told.get()
            if isinstance(one, Interrupted):
                return
            if isinstance(one, BaseException):
                raise one
            yield one
            if isinstance(one, Made):
                return

    def cancel(self) -> None:
        """Stop the edit that is being made; nothing of it is left."""
        self._cancelled.set()


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


def describe_error(error: SpfemError) -> str:
    """An error and its hint in one line."""
    return f"{error}" + (f" ({error.hint})" if error.hint else "")


AS_REFERENCE: Final = "as the reference"
"""Choice of the page that leaves the emotion to the reference."""

NO_EMOTION: Final = "none"
"""Choice of the page that shows none: fine controls alone."""
