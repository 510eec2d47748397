"""What the page holds: a clip, what it is to show, a preview of a moment, an edit in the making."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Lock, Thread
from typing import Final, Literal, NamedTuple

import numpy as np
from jaxtyping import UInt8

from cdrl_cli.checkpoints.models import Models, load_models
from cdrl_cli.edit_options import EditOptions
from cdrl_cli.editing import EditResult, Progress, edit_video
from cdrl_cli.errors import Interrupted, SpfemError, UsageError
from cdrl_cli.face.selection import FaceChoice
from cdrl_cli.inspection import FaceSpan, inspect_video
from cdrl_cli.media import probe_video
from cdrl_cli.notation import clock
from cdrl_cli.preview import preview_edits
from cdrl_cli.report import write_report
from cdrl_cli.schedule import Schedule, ScheduleRow
from cdrl_cli.weight_set import WeightSet

PREVIEW_SIDE: Final = 960
"""Longer side of the picture of a preview, pixels."""

Picture = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What the page is set to: one emotion throughout, or several, each from its moment on."""

    emotion: str | None = "happy"
    """A label or words; None where a reference alone shows it."""
    reference: Path | None = None
    """Clip or image that shows the emotion."""
    intensity: float = 1.0
    face: FaceChoice = "largest"
    changes: tuple["Change", ...] = ()
    """What the clip is to show from some moments on; without any, the emotion throughout."""

    def options(self) -> EditOptions:
        """The same as options of an edit.

        Raises:
            UsageError: If they do not go together.
        """
        if not self.changes:
            return EditOptions(
                emotion=self.emotion,
                reference=self.reference,
                intensity=self.intensity,
                face=self.face,
            )
        ordered = sorted(self.changes, key=lambda one: one.start)
        ends = [*(one.start for one in ordered[1:]), None]
        rows = [
            ScheduleRow(
                emotion=one.emotion,
                reference=one.reference,
                intensity=one.intensity,
                face=self.face,
                start=one.start,
                end=end,
            )
            for one, end in zip(ordered, ends, strict=True)
        ]
        return EditOptions(schedule=Schedule(tuple(rows)))

    def command(self, source: Path) -> str:
        """The command line that makes the same edit; a schedule is written out below it."""
        words = ["spfem", "edit", source.name]
        table = ""
        if self.changes:
            words += ["--schedule", "schedule.csv"]
            table = "\n\n# schedule.csv\n" + "\n".join(self._table())
        else:
            if self.reference is not None:
                words += ["--ref", self.reference.name]
            if self.emotion is not None:
                words += ["--emotion", self.emotion]
            words += ["--intensity", f"{self.intensity:g}"]
            if self.face != "largest":
                words += ["--face", str(self.face)]
        return shlex.join([*words, "-o", f"{source.stem}-edited.mp4"]) + table

    def _table(self) -> Iterator[str]:
        yield "start,end,face,emotion,ref,intensity"
        for row in self.options().plan.rows:
            cells = (
                "" if row.start is None else clock(row.start),
                "" if row.end is None else clock(row.end),
                str(row.face),
                row.emotion or "",
                "" if row.reference is None else row.reference.name,
                f"{row.intensity:g}",
            )
            yield ",".join(f'"{cell}"' if "," in cell else cell for cell in cells)


@dataclass(frozen=True, slots=True)
class Change:
    """What the clip shows from a moment on, until the next one."""

    start: Fraction
    """Seconds on the clip's clock."""
    emotion: str | None
    reference: Path | None
    intensity: float


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

    emotion: str | None
    """The chosen label, or :data:`AS_REFERENCE`."""
    words: str
    """An emotion in other words; counts before the label."""
    reference: str | None
    """File that was dropped."""
    intensity: float
    """0..2."""
    face: str
    """``largest``, ``all`` or a number."""
    changes: Sequence[Change]
    """What was set from some moments on."""


def read_wish(set_to: Settings) -> Wish:
    """What the page's controls ask for.

    Raises:
        UsageError: If nothing says what to show.
    """
    label = None if set_to.emotion == AS_REFERENCE else set_to.emotion
    named = set_to.words.strip() or label
    if named is None and set_to.reference is None:
        raise UsageError("choose an emotion, or drop a reference that shows it")
    face: FaceChoice = "all" if set_to.face == "all" else "largest"
    return Wish(
        emotion=named,
        reference=None if set_to.reference is None else Path(set_to.reference),
        intensity=set_to.intensity,
        face=int(set_to.face) if set_to.face.isdigit() else face,
        changes=tuple(set_to.changes),
    )


def add_change(wish: Wish, time: float) -> Wish:
    """Let what a page is set to hold from a moment on; before the first one nothing changes."""
    start = Fraction(time).limit_denominator(1000)
    change = Change(start, wish.emotion, wish.reference, wish.intensity)
    kept = [one for one in wish.changes if one.start != start]
    return replace(wish, changes=tuple(sorted([*kept, change], key=lambda one: one.start)))


def describe_error(error: SpfemError) -> str:
    """An error and its hint in one line."""
    return f"{error}" + (f" ({error.hint})" if error.hint else "")


AS_REFERENCE: Final = "as the reference"
"""Choice of the page that leaves the emotion to the reference."""
