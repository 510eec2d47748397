"""Faces of frames, to be rendered; the networks are asked about every second frame.

What they answer is smooth over time, as its input is: the mean of what they say of the frames
before and behind differs from what they would say of the frame between by less than a fifth of a
level on the mean. Where coefficients change too suddenly for that, they are asked about it, too.
"""

from collections.abc import Iterable, Iterator, Mapping
from threading import Lock
from typing import Any

import numpy as np

from cdrl_cli.array_types import Float
from cdrl_cli.face.alignment import FaceCrop
from cdrl_cli.face.compositing import Rendering, paste_face
from cdrl_cli.face.label import Label
from cdrl_cli.generator.answer import Answer
from cdrl_cli.generator.renderer import LearnedRenderer, Look, Renderer, tell
from cdrl_cli.media.frames import VideoFrame

MOST_APART_S = 0.1
"""Longest time between the two frames whose answers serve the one between, seconds."""

SUDDEN = 0.05
"""The networks are asked about a frame itself where a coefficient or an emotion that they are told
is off the mean of its neighbours' by more than this."""


class _Question:
    """What the networks are asked about one face of one frame; answered once, on any thread."""

    def __init__(
        self,
        renderer: LearnedRenderer,
        crop: FaceCrop,
        expression: Float[np.ndarray, " 52"],
        emotion: Float[np.ndarray, " 7"],
    ) -> None:
        self.renderer = renderer
        self.condition = tell(crop, expression, emotion)
        self._asked: tuple[Any, ...] = (crop, expression, emotion)
        self._lock = Lock()
        self._look: Look | None = None
        self._answer: Answer | None = None

    @property
    def look(self) -> Look:
        with self._lock:
            return self._looked()

    @property
    def answer(self) -> Answer:
        with self._lock:
            if self._answer is None:
                self._answer = self.renderer.ask(self._looked())
            return self._answer

    def forget_look(self) -> None:
        """Let go of all but the answer, which other frames may need for longer."""
        with self._lock:
            self._look, self._asked = None, ()

    def _looked(self) -> Look:
        if self._look is None:
            self._look = self.renderer.look(*self._asked)
        return self._look


class FaceTask:
    """Renders one face of a frame; on any thread, once.

    Args:
        crop: The face in the frame.
        expression: The coefficients that it should show.
        emotion: How much of each emotion is asked for.
        eyes: How open they are, left and right.
        renderer: What renders.
    """

    def __init__(
        self,
        crop: FaceCrop,
        expression: Float[np.ndarray, " 52"],
        emotion: Float[np.ndarray, " 7"],
        eyes: Float[np.ndarray, " 2"],
        *,
        renderer: Renderer,
    ) -> None:
        self._asked = (crop, expression, emotion)
        self._eyes = eyes
        self._renderer = renderer
        self._question: _Question | None = None
        if isinstance(renderer, LearnedRenderer):
            self._question = _Question(renderer, crop, expression, emotion)
        self._neighbours: tuple[_Question, _Question] | None = None

    def lean_on(self, before: "FaceTask", after: "FaceTask") -> None:
        """Render by what the networks say of the same face in two other frames, if that will do."""
        mine, first, last = self._question, before._question, after._question
        if mine is None or first is None or last is None:
            return
        off = mine.condition - (first.condition + last.condition) / 2
        if np.abs(off).max() <= SUDDEN:
            self._neighbours = first, last

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        """The frame with the face as it is asked for."""
        return paste_face(frame, self._asked[0], self._render())

    def _render(self) -> Rendering:
        question = self._question
        if question is None:
            return self._renderer(*self._asked, self._eyes)
        look = question.look
        if self._neighbours is None:
            answer = question.answer
        else:
            before, after = self._neighbours
            behind = after.answer  # first, for another thread is likely to be at the one before
            answer = Answer.between(before.answer, behind, look.mask)
        question.forget_look()
        return question.renderer.render(look, answer, self._eyes)


class FrameTask:
    """Renders the faces of a frame that are edited; on any thread, once, beside others.

    Args:
        frame: The frame.
        faces: What renders each face, by its number; the first ones are painted over by the others.
        label: What is shown on the frame, edited or not; None for nothing.
    """

    def __init__(
        self, frame: VideoFrame, faces: Mapping[int, FaceTask], label: Label | None
    ) -> None:
        self.frame = frame
        self._faces = faces
        self._label = label

    def lean_on(self, before: "FrameTask", after: "FrameTask") -> None:
        """Let faces lean on the frames before and behind, where those are near enough."""
        place = self.frame.index
        is_between = (before.frame.index, after.frame.index) == (place - 1, place + 1)
        if not is_between or after.frame.time - before.frame.time > MOST_APART_S:
            return
        for number in self._faces.keys() & before._faces.keys() & after._faces.keys():
            self._faces[number].lean_on(before._faces[number], after._faces[number])

    def __call__(self) -> VideoFrame:
        """The frame with its faces as they are asked for, and the label."""
        frame = self.frame
        for one in self._faces.values():
            frame = one(frame)
        return frame if self._label is None else self._label.on(frame)


def lean(tasks: Iterable[tuple[FrameTask, bool]]) -> Iterator[FrameTask]:
    """Let every second frame, by its place in the clip, lean on its neighbours.

    Args:
        tasks: Of successive frames, each with whether a new shot begins with it.

    Yields:
        The same tasks in order; one that may lean is held back until the next one is known.
    """
    before: FrameTask | None = None
    held: FrameTask | None = None
    for task, starts_shot in tasks:
        if starts_shot:
            before = None
        if held is not None:
            if before is not None:
                held.lean_on(before, task)
            yield held
            held = None
        if task.frame.index % 2 and before is not None:
            held = task
        else:
            yield task
            before = task
    if held is not None:
        yield held
