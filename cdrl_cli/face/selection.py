"""Which of the faces in a frame is meant, and how strongly it may be edited."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from cdrl_cli.face.head import pitch_deg, yaw_deg
from cdrl_cli.face.tracking import TrackedFace, TrackedFrame
from cdrl_cli.geometry.similarity import Similarity

FaceChoice = Literal["largest", "all"] | int
"""The largest face of each shot, all of them, or one by its number."""

CLEARLY_LARGER = 1.5
"""Ratio of widths from which another face than the one being edited counts as the largest."""

YAW_LIMITS_DEG = (40.0, 60.0)
"""Turn of the head to the side, degrees, up to which an edit has its full strength, and from which
on it has none: half of a face seen in profile is not there to be edited, and its landmarks are
guesses."""

PITCH_LIMITS_DEG = (35.0, 50.0)
"""Tilt of the head up or down, degrees, up to which an edit has its full strength, and from which
on it has none."""

EYE_DISTANCE_LIMITS_PX = (10.0, 14.0)
"""Pixels between the outer eye corners up to which a face is too small to be edited, and from which
on an edit has its full strength."""


class FaceSelector:
    """Chooses faces frame by frame; keeps to a face once chosen."""

    def __init__(self, choice: FaceChoice) -> None:
        self._choice = choice
        self._current: int | None = None

    def state(self) -> int | None:
        """Number of the face that is kept to; None for none yet."""
        return self._current

    def restore(self, state: int | None) -> None:
        """Keep to the face that another one kept to."""
        self._current = state

    def choose(self, tracked: TrackedFrame) -> Sequence[TrackedFace]:
        """The faces of a frame that are to be edited."""
        match self._choice:
            case "all":
                return tracked.faces
            case "largest":
                return self._largest(tracked)
            case number:
                return [face for face in tracked.faces if face.number == number]

    def _largest(self, tracked: TrackedFrame) -> Sequence[TrackedFace]:
        if not tracked.faces:
            return ()
        largest = tracked.faces[0]
        kept = [face for face in tracked.faces if face.number == self._current]
        if (
            not kept
            or tracked.starts_shot
            or largest.face.width_px > CLEARLY_LARGER * kept[0].face.width_px
        ):
            kept = [largest]
        self._current = kept[0].number
        return kept


def editability(head: Similarity) -> float:
    """0..1: how much of an edit a head in this pose can take (see the limits above)."""
    return (
        _fade_out(abs(yaw_deg(head)), YAW_LIMITS_DEG)
        * _fade_out(abs(pitch_deg(head)), PITCH_LIMITS_DEG)
        * (1 - _fade_out(head.scale, EYE_DISTANCE_LIMITS_PX))
    )


def why_not_editable(head: Similarity) -> str | None:
    """Why :func:`editability` is 0, in words; None where it is not."""
    if abs(yaw_deg(head)) >= YAW_LIMITS_DEG[1]:
        return "the face is turned to the side"
    if abs(pitch_deg(head)) >= PITCH_LIMITS_DEG[1]:
        return "the face is turned up or down"
    if head.scale <= EYE_DISTANCE_LIMITS_PX[0]:
        return "the face is too small"
    return None


def _fade_out(value: float, limits: tuple[float, float]) -> float:
    full, none = limits
    return float(np.clip((none - value) / (none - full), 0.0, 1.0))
