"""Edits the chosen faces of successive frames: what is rendered, and pasted, frame by frame."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from cdrl_cli.checkpoints.models import Models
from cdrl_cli.edit_options import EditOptions
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import NoFaceError
from cdrl_cli.face.alignment import FaceCrop
from cdrl_cli.face.compositing import paste_face
from cdrl_cli.face.selection import FaceSelector, editability
from cdrl_cli.face.stream import FaceStream, Sighting
from cdrl_cli.face.tracking import RAMP_S, TrackedFace, TrackedFrame
from cdrl_cli.generator.condition import Condition, ConditionTrack
from cdrl_cli.generator.fitting import FittedChange
from cdrl_cli.generator.motion import Window, spare_blinks
from cdrl_cli.media.frames import VideoFrame
from cdrl_cli.representation.evidence import Evidence

__all__ = ["FaceEditor", "average_reading", "range_weight"]


class FaceEditor:
    """Edits the chosen faces of successive frames, and counts."""

    def __init__(
        self, models: Models, options: EditOptions, conditions: ConditionTrack, stream: FaceStream
    ) -> None:
        self._models = models
        self._options = options
        self._conditions = conditions
        self._stream = stream
        self._selector = FaceSelector(options.face)
        self._strongest = max(conditions.conditions, key=lambda one: one.strength)
        self._known: dict[int, _KnownFace] = {}
        self.reading = average_reading(conditions)
        self._began_s = None if options.start is None else float(options.start)
        self._last_s = 0.0
        self.frames = 0
        self.edited_frames = 0
        self.numbers_seen: set[int] = set()
        self.numbers_edited: set[int] = set()

    def edit(self, tracked: TrackedFrame) -> VideoFrame:
        """The frame with its chosen faces edited; the frame itself where there is none."""
        self.frames += 1
        self.numbers_seen.update(face.number for face in tracked.faces)
        frame = tracked.frame
        time_s = self._last_s = float(frame.time)
        if self._began_s is None:
            self._began_s = time_s
        condition = self._conditions.at(time_s - self._began_s)
        in_range = range_weight(time_s, self._options)
        for face in self._selector.choose(tracked) if in_range else ():
            frame = self._edit_face(frame, face, condition, face.presence * in_range)
        self.edited_frames += frame is not tracked.frame
        return frame

    def _edit_face(
        self, frame: VideoFrame, tracked: TrackedFace, condition: Condition, weight: float
    ) -> VideoFrame:
        face, models = tracked.face, self._models
        intensity = self._options.intensity * weight * editability(self._stream.locate(face))
        if intensity == 0:
            return frame
        crop = self._stream.crop(Sighting(frame, face))
        known = self._know(tracked, crop)
        window = Window(tracked.offsets_s, tracked.expressions, known.rest)
        expression = models.motion(face.expression, window, condition, intensity=intensity)
        self.numbers_edited.add(tracked.number)
        eyes = window.eyes(face.expression)
        if known.fitted is not None:
            expression = expression + intensity * spare_blinks(known.fitted.at(condition), eyes)
        rendering = models.renderer(crop, expression, intensity * condition.likelihood, eyes)
        return paste_face(frame, crop, rendering)

    def _know(self, tracked: TrackedFace, crop: FaceCrop) -> "_KnownFace":
        """What is found out about a face when it is first edited."""
        if tracked.number not in self._known:
            self._known[tracked.number] = (
                _meet(tracked, crop, self._strongest, self._models, self._stream)
                if self._strongest.observed
                else _KnownFace()
            )
        return self._known[tracked.number]

    def check_found(self, source: Path) -> None:
        """Refuse an edit that changed nothing although it was asked to.

        Raises:
            NoFaceError: If no face was edited at an intensity above 0.
        """
        if self.numbers_edited or (self._options.intensity == 0 and self.numbers_seen):
            return
        start = self._options.start
        if start is not None and self._last_s <= start:
            raise NoFaceError(
                f"{source}: its last frame is at {self._last_s:g} s, and the edit was to start at "
                f"{float(start):g} s"
            )
        limited = self._options.start is not None or self._options.end is not None
        if not self.numbers_seen:
            looked_at = "the time asked for" if limited else f"any of its {self.frames} frames"
            raise NoFaceError(
                f"{source}: no face in {looked_at}",
                hint="the face must be at least an eighth of the picture and turned to the camera",
            )
        seen = ", ".join(map(str, sorted(self.numbers_seen)))
        if isinstance(self._options.face, int) and self._options.face not in self.numbers_seen:
            raise NoFaceError(
                f"{source}: no face has the number {self._options.face}; there are {seen}",
                hint=f"spfem probe {source} shows which is which",
            )
        where = " in the time asked for" if limited else ""
        raise NoFaceError(
            f"{source}: faces were seen, but none large and frontal enough to be edited{where}",
            hint=f"spfem probe {source} shows when they are",
        )


@dataclass(frozen=True, slots=True)
class _KnownFace:
    """What is found out about a face, to show a reference's change on it."""

    rest: Float[np.ndarray, " 52"] | None = None
    """Coefficients above which its own emotion begins; None leaves what is usual."""
    fitted: FittedChange | None = None
    """How this face is made to show the change; None where a name asks."""


def _meet(
    tracked: TrackedFace,
    crop: FaceCrop,
    condition: Condition,
    models: Models,
    stream: FaceStream,
) -> _KnownFace:
    """Find out how a face rests and how it answers the change that is asked for."""
    shape = stream.locate(tracked.face).inverse().apply(tracked.face.landmarks_xyz.astype(float))
    usual = tracked.expressions.mean(axis=0, dtype=float)
    neutral = models.evidence.estimate_neutral(Evidence(usual, shape, None))
    rest = neutral + models.neutral.high - models.neutral.mean
    own = np.maximum(tracked.face.expression - rest, 0.0)
    return _KnownFace(rest, models.fitter.fit(crop, condition.difference, own=own))


def average_reading(conditions: ConditionTrack) -> dict[Emotion, float]:
    """How likely each emotion is over a track."""
    shares = np.mean([one.reading for one in conditions.conditions], axis=0)
    return dict(zip(Emotion, shares.tolist(), strict=True))


def range_weight(time_s: float, options: EditOptions) -> float:
    """0..1: ramps in after the start asked for and out before the end."""
    since = RAMP_S if options.start is None else time_s - float(options.start)
    until = RAMP_S if options.end is None else float(options.end) - time_s
    return min(max(min(since, until) / RAMP_S, 0.0), 1.0)
