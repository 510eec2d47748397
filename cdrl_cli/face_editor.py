"""Edits the chosen faces of successive frames: what is rendered, and pasted, frame by frame."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from cdrl_cli.checkpoints.models import Models
from cdrl_cli.edit_options import EditOptions
from cdrl_cli.edited_row import Conditions, EditedRow, average_reading
from cdrl_cli.errors import NoFaceError
from cdrl_cli.face.label import Label
from cdrl_cli.face.person import SAME_PERSON, Person, PersonSelector, read_person
from cdrl_cli.face.selection import FaceSelector, editability, why_not_editable
from cdrl_cli.face.stream import FaceStream, Sighting
from cdrl_cli.face.tracking import TrackedFace, TrackedFrame
from cdrl_cli.generator.face_task import FaceTask, FrameTask, lean
from cdrl_cli.generator.motion import Window
from cdrl_cli.media.frames import VideoFrame
from cdrl_cli.notation import quote
from cdrl_cli.row_editor import RowEditor
from cdrl_cli.schedule import ActiveRow, Schedule, Whose

NOTHING_ASKED = "nothing is asked for"
"""Why a frame stays as it is where every intensity is 0."""


class FaceEditor:
    """Edits the chosen faces of successive frames, and counts.

    Args:
        models: What renders.
        options: What to do.
        conditions: What each row of its plan asks for.
        stream: The open clip.
        began: Time of the clip's first frame, seconds; None where it is the first one edited.
        people: Who is in the photos of the plan; None reads them.
    """

    def __init__(
        self,
        models: Models,
        options: EditOptions,
        conditions: Conditions,
        stream: FaceStream,
        *,
        began: Fraction | None = None,
        people: Mapping[Path, Person] | None = None,
    ) -> None:
        self._models = models
        self._plan = options.plan
        self._rows = [
            RowEditor(row, conditions=track, models=models, stream=stream)
            for row, track in zip(self._plan.rows, conditions, strict=True)
        ]
        self._stream = stream
        people = read_people(options, models) if people is None else people
        self._selectors = make_selectors(self._plan, people, models, stream)
        self._disclose = options.disclose
        self._label: Label | None = None
        self.reading = average_reading(conditions)
        self._began_s: float | None = None if began is None else float(began)
        self._last_s = 0.0
        self._was_active = False
        """Whether a row of the plan counted at any frame."""
        self.frames = 0
        self.edited_frames = 0
        self.numbers_seen: set[int] = set()
        self.numbers_edited: set[int] = set()
        self.last_edited: list[TrackedFace] = []
        """Faces that were changed in the last frame."""

    @property
    def rows(self) -> tuple[EditedRow, ...]:
        """What each row has done so far."""
        return tuple(row.summary() for row in self._rows)

    @property
    def warnings(self) -> Iterator[str]:
        """Rows of a longer schedule that met no face, a line each."""
        for place, row in enumerate(self._rows):
            if not row.edited_frames and row.asks and len(self._rows) > 1:
                whose = _say_whose(row.row.whose)
                yield (
                    f"{self._plan.describe(place)}: {whose} was not there to be edited, or another "
                    "row's"
                )

    @property
    def meets_faces(self) -> bool:
        """Whether something is found out about a face when it is first edited."""
        return any(row.meets_faces for row in self._rows)

    def look(self, tracked: TrackedFrame) -> tuple[TrackedFace, ...]:
        """Choose a frame's faces as :meth:`edit` does, but edit none; frames come in order."""
        return tuple(face for _, face in self.cast(tracked))

    def cast(self, tracked: TrackedFrame) -> tuple[tuple[Whose, TrackedFace], ...]:
        """The faces that :meth:`look` chooses, each with the choice of the plan that it is of."""
        chosen: dict[int, tuple[Whose, TrackedFace]] = {}
        for choice, selector in self._selectors.items():
            if self._plan.at(choice, float(tracked.frame.time)):
                for face in selector.choose(tracked):
                    chosen.setdefault(face.number, (choice, face))
        return tuple(chosen.values())

    def know(self, earlier: "FaceEditor", numbers: Mapping[int, int]) -> None:
        """Take over what another editor with the same options has found out about faces.

        Args:
            earlier: Of the same clip.
            numbers: By the number of a face here, its number there.
        """
        for own, other in zip(self._rows, earlier._rows, strict=True):
            own.know(other, numbers)

    def why_untouched(self, tracked: TrackedFrame) -> str | None:
        """Why :meth:`edit` leaves a frame as it is, in words; None where it changes something.

        Args:
            tracked: The frame, as it was looked at last.
        """
        time_s = float(tracked.frame.time)
        if not any(self._plan.at(choice, time_s) for choice in self._selectors):
            return "outside of the part that is edited"
        if not tracked.faces:
            return "no face"
        chosen = self.look(tracked)
        if not chosen:
            return "the face that is asked for is not there"
        reasons = [why_not_editable(self._stream.locate(one.face)) for one in chosen]
        if all(reasons):
            return reasons[0]
        if all(one.presence == 0 for one in chosen):
            return "the face is just coming or going"
        return None if any(row.asks for row in self._rows) else NOTHING_ASKED

    def state(self) -> dict[str, Any]:
        """What it knows of the frames before, in what JSON can hold."""
        return {
            "counts": (self._began_s, self._last_s, self.frames, self.edited_frames),
            "active": self._was_active,
            "numbers": (sorted(self.numbers_seen), sorted(self.numbers_edited)),
            "current": [selector.state() for selector in self._selectors.values()],
            "rows": [row.state() for row in self._rows],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where another editor of the same edit was, by what its :meth:`state` said."""
        self._began_s, self._last_s, self.frames, self.edited_frames = state["counts"]
        self._was_active = state["active"]
        self.numbers_seen, self.numbers_edited = map(set, state["numbers"])
        for selector, current in zip(self._selectors.values(), state["current"], strict=True):
            selector.restore(current)
        for row, known in zip(self._rows, state["rows"], strict=True):
            row.restore(known)

    def edit(self, tracked: TrackedFrame) -> VideoFrame:
        """The frame with its chosen faces edited; the frame itself where there is none."""
        return self.begin(tracked)()

    def begin_all(self, frames: Iterable[TrackedFrame]) -> Iterator[FrameTask]:
        """What :meth:`begin` answers for a clip's frames, in order.

        The networks are asked about every second one (:func:`~cdrl_cli.generator.face_task.lean`).
        """
        return lean((self.begin(one), one.starts_shot) for one in frames)

    def begin(self, tracked: TrackedFrame) -> FrameTask:
        """Decide what a frame's chosen faces should show; frames come in order.

        Returns:
            What renders, and answers as :meth:`edit` does: on any thread, once, beside others.
        """
        self.frames += 1
        self.numbers_seen.update(face.number for face in tracked.faces)
        time_s = self._last_s = float(tracked.frame.time)
        if self._began_s is None:
            self._began_s = time_s
        self.last_edited = []
        tasks: dict[int, FaceTask] = {}
        taken: set[int] = set()
        touched: set[int] = set()
        for choice, selector in self._selectors.items():
            active = self._plan.at(choice, time_s)
            self._was_active |= bool(active)
            for face in selector.choose(tracked) if active else ():
                if face.number in taken:
                    continue
                taken.add(face.number)
                task = self._begin_face(tracked.frame, face, active, touched)
                if task is not None:
                    tasks[face.number] = task
        self.edited_frames += bool(tasks)
        for place in touched:
            self._rows[place].edited_frames += 1
        return FrameTask(tracked.frame, tasks, self._find_label(tracked.frame))

    def _find_label(self, frame: VideoFrame) -> Label | None:
        """The label that was asked for on every frame, edited or not; drawn once."""
        if self._disclose is None:
            return None
        if self._label is None:
            aspect = self._stream.video.info.sample_aspect
            self._label = Label.draw(
                frame.width, frame.height, self._disclose, sample_aspect=aspect
            )
        return self._label

    def _begin_face(
        self,
        frame: VideoFrame,
        tracked: TrackedFace,
        active: Sequence[ActiveRow],
        touched: set[int],
    ) -> FaceTask | None:
        """Decide what a face shows, by the rows that count for it; notes those that change it.

        Returns:
            What renders it on the frame; None where nothing is asked for.
        """
        face = tracked.face
        able = editability(self._stream.locate(face))
        weights = [one.weight * tracked.presence * able for one in active]
        counted = [
            (one, weight)
            for one, weight in zip(active, weights, strict=True)
            if weight > 0 and self._rows[one.index].asks
        ]
        if not counted:
            return None
        self.numbers_edited.add(tracked.number)
        self.last_edited.append(tracked)
        crop = self._stream.crop(Sighting(frame, face))
        window = Window(tracked.offsets_s, tracked.expressions)
        eyes = window.eyes(face.expression)
        assert self._began_s is not None  # a frame has been seen
        asked = [
            self._rows[one.index].ask(
                tracked, crop, window, eyes, weight=weight, since_s=self._began_s, frame=frame
            )
            for one, weight in counted
        ]
        touched.update(one.index for one, _ in counted)
        if len(asked) == 1 and counted[0][0].share == 1:
            expression, likelihood = asked[0]
        else:
            # Each row's change by its share: one that asks for nothing leaves the rest as it is.
            shares = [one.share for one, _ in counted]
            pairs = list(zip(shares, asked, strict=True))
            shift = sum((share * (one[0] - face.expression) for share, one in pairs), np.zeros(1))
            expression = face.expression + shift
            likelihood = sum((share * one[1] for share, one in pairs), np.zeros(1))
        return FaceTask(crop, expression, likelihood, eyes, renderer=self._models.renderer)

    def check_found(self, source: Path) -> None:
        """Refuse an edit that changed nothing although it was asked to.

        Raises:
            NoFaceError: If no face was edited by any row that asks for a change.
        """
        if self.numbers_edited or (self.numbers_seen and not any(row.asks for row in self._rows)):
            return
        rows = self._plan.rows
        starts = [row.start for row in rows if row.start is not None]
        if len(starts) == len(rows) and self._last_s <= min(starts):
            raise NoFaceError(
                f"{source}: its last frame is at {self._last_s:g} s, and the edit was to start at "
                f"{float(min(starts)):g} s"
            )
        limited = any(row.start is not None or row.end is not None for row in rows)
        if not self.numbers_seen:
            looked_at = "the time asked for" if limited else f"any of its {self.frames} frames"
            raise NoFaceError(
                f"{source}: no face in {looked_at}",
                hint="the face must be at least an eighth of the picture and turned to the camera",
            )
        self._check_people(source)
        seen = ", ".join(map(str, sorted(self.numbers_seen)))
        numbers = [row.face for row in rows if isinstance(row.face, int)]
        if len(numbers) == len(rows) and not self.numbers_seen.intersection(numbers):
            which = " or ".join(map(str, dict.fromkeys(numbers)))
            raise NoFaceError(
                f"{source}: no face has the number {which}; there are {seen}",
                hint=f"spfem probe {quote(source)} shows which is which",
            )
        if not self._was_active:
            raise NoFaceError(
                f"{source}: the part to be edited is too short: the edit comes in from its first "
                "picture on, and is gone by its last",
                hint="an earlier --start or a later --end makes room for it",
            )
        where = " in the time asked for" if limited else ""
        raise NoFaceError(
            f"{source}: faces were seen, but none large and frontal enough to be edited{where}",
            hint=f"spfem probe {quote(source)} shows when they are",
        )

    def _check_people(self, source: Path) -> None:
        """Say whom the nearest face looked like, where all rows mean somebody who was not found."""
        people = [one for one in self._selectors.values() if isinstance(one, PersonSelector)]
        if len(people) < len(self._selectors):
            return
        found = [(one.nearest, one.photo) for one in people if one.nearest is not None]
        if not found:
            return
        (number, similarity), photo = max(found, key=lambda one: one[0][1])
        if similarity >= SAME_PERSON:
            return
        raise NoFaceError(
            f"{source}: nobody looks like {photo}: the nearest, face {number}, has a similarity of "
            f"{similarity:.2f}, and {SAME_PERSON:.2f} is needed",
            hint=f"--face {number} edits that one; or give another photo",
        )


def make_selectors(
    plan: Schedule, people: Mapping[Path, Person], models: Models, stream: FaceStream
) -> dict[Whose, FaceSelector | PersonSelector]:
    """What chooses the faces of each choice of a plan, in the order in which choices count.

    Args:
        plan: Whose faces are meant.
        people: Who is in its photos.
        models: Tell people apart, where there are photos.
        stream: The open clip.
    """
    return {
        choice: PersonSelector(people[choice], models.identity, stream)
        if isinstance(choice, Path)
        else FaceSelector(choice)
        for choice in plan.choices
    }


def _say_whose(whose: Whose) -> str:
    """Whose face a row means, in words."""
    if isinstance(whose, Path):
        return f"the person of {whose.name}"
    return f"face {whose}" if isinstance(whose, int) else "nobody"


def read_people(options: EditOptions, models: Models) -> dict[Path, Person]:
    """Who is in the photos that a plan names people by.

    Raises:
        NoFaceError: If one shows no face.
        UnreadableInputError: If one cannot be decoded.
        WeightsError: If the network that tells people apart has not been downloaded.
    """
    photos = [choice for choice in options.plan.choices if isinstance(choice, Path)]
    return {photo: read_person(photo, models, models.identity) for photo in photos}
