"""What the rows of a schedule ask for, and what each of them did."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from cdrl_cli.emotion import Emotion
from cdrl_cli.face.selection import FaceChoice
from cdrl_cli.generator.condition import ConditionTrack

Conditions = tuple[ConditionTrack | None, ...]
"""What each row of a schedule asks for; None where it only adjusts."""


@dataclass(frozen=True, slots=True)
class EditedRow:
    """What a row of the schedule did; an edit without a schedule has one row."""

    start: Fraction | None
    """Seconds on the clip's clock; None from the beginning."""
    end: Fraction | None
    """Seconds on the clip's clock; None to the end."""
    face: FaceChoice | None
    """Whose face; None where a photo says who."""
    emotion: str | None
    """Label or words; None where a reference alone was given, or nothing but adjustments."""
    intensity: float
    """As asked for, or as it was found for a target."""
    reading: Mapping[Emotion, float] | None
    """How likely what was asked for reads as each emotion; None where it only adjusts."""
    strength: float
    """Length (L2) of the change of the coefficients that is asked for at intensity 1."""
    edited_frames: int
    """Frames in which it changed at least one face."""
    who: Path | None = None
    """Photo of the person who was meant; None where ``face`` says whose."""
    adjust: str = ""
    """Fine controls, as the command line takes them; empty for none."""
    neutralise: bool = False
    """Whether what the face shows itself was taken away first."""
    way: int | None = None
    """In which of its usual ways the emotion was acted; None for all that is learned of it."""
    pace: float = 1.0
    """How far the strength varied over time; 0 held it."""
    target_emotion: float | None = None
    """Likelihood that was asked for, 0..1; None where an intensity was."""
    measured: float | None = None
    """Likelihood with which the emotion is read at the intensity found: on some frames of it,
    by our own reader."""
    intensity_range: tuple[float, float] | None = None
    """What would have been found for the target by either half of these frames alone, lower
    first."""


def average_reading(conditions: Conditions) -> dict[Emotion, float]:
    """How likely each emotion is over what all rows ask for; neutral where they only adjust."""
    asked = [one.reading for track in conditions if track for one in track.conditions]
    shares = np.mean(asked, axis=0) if asked else np.eye(len(Emotion))[Emotion.NEUTRAL.class_index]
    return dict(zip(Emotion, shares.tolist(), strict=True))


def mean_strength(conditions: Conditions) -> float:
    """Length of the change asked for at intensity 1, over the moments of all rows in the mean."""
    strengths = [one.strength for track in conditions if track for one in track.conditions]
    return float(np.mean(strengths)) if strengths else 0.0
