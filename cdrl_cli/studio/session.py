"""The work of a page: the preview of a moment, an edit in the making."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from queue import SimpleQueue
from tempfile import mkdtemp
from threading import Event, Lock, Thread
from typing import Final, Literal

import numpy as np

from cdrl_cli.array_types import UInt8
from cdrl_cli.checkpoints.models import Models, load_models
from cdrl_cli.conditions import read_conditions
from cdrl_cli.edit_options import EditOptions
from cdrl_cli.editing import EditResult, Progress, edit_video
from cdrl_cli.errors import Interrupted, SpfemError
from cdrl_cli.face_editor import read_people
from cdrl_cli.inspection import FaceSpan, inspect_video
from cdrl_cli.media import probe_video
from cdrl_cli.preview import preview_edits
from cdrl_cli.report import write_report
from cdrl_cli.studio.wish import Wish
from cdrl_cli.target import Measured, meet_targets
from cdrl_cli.weight_set import WeightSet

PREVIEW_SIDE: Final = 960
"""Longer side of the picture of a preview, pixels."""

Picture = UInt8[np.ndarray, "height width 3"]


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
        self._running: dict[str, Event] = {}

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

    def find_intensity(self, source: Path, wish: Wish, target: float) -> Measured:
        """The intensity at which what is set is read with a likelihood, found by measurement.

        Args:
            source: The clip.
            wish: Its look counts, over all of the clip.
            target: Likelihood, 0..1.

        Raises:
            SpfemError: If it cannot be found.
        """
        options = EditOptions(**wish.look.fields | {"intensity": 1.0, "target_emotion": target})
        models = self.models()
        conditions, people = read_conditions(options, models), read_people(options, models)
        _, (found,) = meet_targets(source, options, models, conditions, people)
        assert found is not None  # there is a target
        return found

    def render(self, source: Path, wish: Wish, tab: str = "") -> Iterator[Step | Made]:
        """Make the edit and its report; ends early when it is cancelled.

        Args:
            source: The clip.
            wish: What to do.
            tab: Which of the pages that are open asked for it.

        Yields:
            How far it has come, and in the end what was made.

        Raises:
            SpfemError: If it cannot be made.
        """
        cancelled = self._running[tab] = Event()
        suffix = source.suffix.lower() if source.suffix.lower() in (".mp4", ".mov") else ".mp4"
        name = f"{source.stem}-edited"
        folder = Path(mkdtemp(dir=self._folder))
        output, page = folder / f"{name}{suffix}", folder / f"{name}.html"
        told: SimpleQueue[Step | Made | BaseException] = SimpleQueue()

        def tell(stage: Literal["editing", "reading"], progress: Progress) -> None:
            if cancelled.is_set():
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
                    done=result.schedule,
                    progress=lambda p: tell("reading", p),
                )
                told.put(Made(output, page, result))
            except BaseException as error:  # whatever it is, the page must hear of it
                told.put(error)

        Thread(target=work, name="render", daemon=True).start()
        try:
            while True:
                one = told.get()
                if isinstance(one, Interrupted):
                    return
                if isinstance(one, BaseException):
                    raise one
                yield one
                if isinstance(one, Made):
                    return
        finally:
            cancelled.set()  # whoever asked for it has gone

    def cancel(self, tab: str = "") -> None:
        """Stop the edit that a page has asked for; nothing of it is left.

        Args:
            tab: Which of the pages that are open.
        """
        if (running := self._running.get(tab)) is not None:
            running.set()


def describe_error(error: SpfemError) -> str:
    """An error and its hint in one line."""
    return f"{error}" + (f" ({error.hint})" if error.hint else "")
