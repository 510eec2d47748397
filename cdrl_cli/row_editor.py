"""What one row of a schedule asks of each face that it is shown on."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from cdrl_cli.array_types import Float
from cdrl_cli.checkpoints.models import Models
from cdrl_cli.edited_row import EditedRow, average_reading, mean_strength
from cdrl_cli.emotion import Emotion
from cdrl_cli.face.alignment import FaceCrop
from cdrl_cli.face.blendshapes import CEILINGS
from cdrl_cli.face.stream import FaceStream
from cdrl_cli.face.tracking import TrackedFace
from cdrl_cli.generator.condition import ConditionTrack
from cdrl_cli.generator.motion import MAX_SHIFT, Window, bound_change, spare_blinks
from cdrl_cli.known_face import KnownFace, meet_face
from cdrl_cli.media.frames import VideoFrame
from cdrl_cli.schedule import ScheduleRow


class RowEditor:
    """What one row asks of each face that it is shown on."""

    def __init__(
        self,
        row: ScheduleRow,
        *,
        conditions: ConditionTrack | None,
        models: Models,
        stream: FaceStream,
    ) -> None:
        self.row = row
        self._conditions = conditions
        self._strongest = (
            max(conditions.conditions, key=lambda one: one.strength) if conditions else None
        )
        self._models = models
        self._stream = stream
        self._known: dict[int, KnownFace] = {}
        self.edited_frames = 0

    @property
    def asks(self) -> bool:
        """Whether it asks for any change."""
        row = self.row
        return (
            (self._conditions is not None and row.intensity > 0)
            or bool(row.adjust)
            or (row.neutralise)
        )

    def state(self) -> dict[str, Any]:
        """What it knows of the faces that it has met, in what JSON can hold."""
        known = {str(number): face.state() for number, face in self._known.items()}
        return {"known": known, "edited_frames": self.edited_frames}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Know what another one knew."""
        self.edited_frames = state["edited_frames"]
        self._known = {
            int(number): KnownFace.restored(face) for number, face in state["known"].items()
        }

    def summary(self) -> EditedRow:
        """What it has done so far."""
        row, track = self.row, self._conditions
        return EditedRow(
            start=row.start,
            end=row.end,
            face=row.face if row.who is None else None,
            emotion=row.emotion,
            intensity=row.intensity,
            reading=average_reading((track,)) if track else None,
            strength=mean_strength((track,)),
            edited_frames=self.edited_frames,
            who=row.who,
            adjust=str(row.adjust),
            neutralise=row.neutralise,
            way=row.way,
            pace=row.pace,
        )

    def ask(
        self,
        tracked: TrackedFace,
        crop: FaceCrop,
        window: Window,
        eyes: Float[np.ndarray, " 2"],
        *,
        weight: float,
        since_s: float,
        frame: VideoFrame,
    ) -> tuple[Float[np.ndarray, " 52"], Float[np.ndarray, " 7"]]:
        """The coefficients that a face should have, and how much of each emotion is asked for.

        Args:
            tracked: The face.
            crop: It, aligned.
            window: What it showed around now.
            eyes: How open they are.
            weight: Factor of all that the row asks for, 0..1.
            since_s: Time of the clip's first frame, seconds.
            frame: The frame.
        """
        row, seen = self.row, tracked.face.expression
        known = self._know(tracked, crop)
        window = replace(window, rest=known.rest if self._shows_observed else None)
        base = seen
        if row.neutralise:
            own = weight * known.own(window)
            base = np.clip(seen - own, 0.0, CEILINGS)
            window = replace(window, expressions=window.expressions - own)
        expression, likelihood = base, np.zeros(len(Emotion))
        intensity = weight * row.intensity
        if self._conditions is not None and intensity > 0:
            shown_s = float(frame.time) - (since_s if row.start is None else float(row.start))
            condition, factor = self._conditions.asked(shown_s, row.pace)
            intensity *= factor
            expression = self._models.motion(base, window, condition, intensity=intensity)
            if known.fitted is not None:
                fitted = spare_blinks(known.fitted.at(condition), eyes)
                expression = expression + intensity * fitted
            likelihood = intensity * condition.likelihood
        if row.adjust or row.neutralise:
            # Together they are bounded as an emotion is.
            change = expression - seen + weight * spare_blinks(row.adjust.change, eyes)
            bounded = bound_change(change, MAX_SHIFT * max(1.0, row.intensity))
            expression = np.clip(seen + bounded, 0.0, CEILINGS)
        return expression, likelihood

    @property
    def meets_faces(self) -> bool:
        """Whether something is found out about a face when it is first edited."""
        return self._shows_observed or self.row.neutralise

    def know(self, earlier: "RowEditor", numbers: Mapping[int, int]) -> None:
        """Take over what the same row of another editor knows of faces, by their numbers there."""
        for number, other in numbers.items():
            if other in earlier._known:
                self._known[number] = earlier._known[other]

    @property
    def _shows_observed(self) -> bool:
        return self._strongest is not None and self._strongest.observed > 0

    def _know(self, tracked: TrackedFace, crop: FaceCrop) -> KnownFace:
        """What is found out about a face when it is first edited."""
        if tracked.number not in self._known:
            self._known[tracked.number] = (
                meet_face(tracked, crop, self._strongest, self._models, self._stream)
                if self.meets_faces
                else KnownFace()
            )
        return self._known[tracked.number]
