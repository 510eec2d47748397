"""What is measured of one edit, of one real clip, and of a whole evaluation."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cdrl_cli.array_types import Float32
from cdrl_cli.data.index import Clip
from cdrl_cli.emotion import Emotion
from cdrl_cli.evaluation.plan import Asking, Task


@dataclass(frozen=True, slots=True)
class TargetScore:
    """How far from the real take, in the output and in the unedited source."""

    landmarks: float
    """Mean distance in head space, eye distances, of moments at which the same is said."""
    landmarks_source: float
    identity: Float32[np.ndarray, "judged dim"]
    """SFace features of the real take."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """How an edit changes the face, beside how the reference's face changes."""

    manner: float
    """Cosine of the two changes: :func:`~cdrl_cli.evaluation.measures.manner`."""
    own_manner: float
    """The same less its mean with other people's references of the emotion; NaN without any."""
    length: float
    """Of the output's change from the source (L2 over the emotion's coefficients)."""
    length_reference: float
    """Of the reference's change from its person's neutral."""


@dataclass(frozen=True, slots=True)
class Belief:
    """Whether somebody would believe the picture of an edit."""

    separation: float
    """How well patches of the output are told from real, acted ones of the same person by a
    classifier that learned from other people: area under the ROC curve; NaN if there are none."""
    rim_step: float
    """Step of colour across the rim of the face (CIELAB), mean over the frames."""
    features: Float32[np.ndarray, "frames axes"]
    """Generic features of the output,"""
    features_source: Float32[np.ndarray, "frames axes"]
    """of the source,"""
    features_real: Float32[np.ndarray, "photos axes"]
    """and of real photos of the emotions; without rows where there are no photos."""
    is_found_first: bool | None
    """Whether the output is nearer to another picture of its person than to anybody else's; None
    where there is no other picture."""
    other_picture: float
    """Cosine (SFace) of the output and that picture; NaN where there is none."""
    other_picture_source: float
    """The same of the source."""


@dataclass(frozen=True, slots=True)
class PhotoScore:
    """One edited photo of a neutral face, beside the person's real photo with the emotion."""

    row: str
    asking: Asking
    person: str
    emotion: Emotion
    distance: float
    """From the edited photo to the real one (perceptual, inside the face's outline)."""
    distance_source: float
    """From the unedited photo to the real one."""


@dataclass(frozen=True, slots=True)
class Score:
    """One edit of one row."""

    row: str
    task: Task
    path: Path
    """The edited file; the source where the row edits nothing."""
    read_as: Emotion | None
    """What CERL took the reference or the label for; None where nothing was edited."""
    judged: Emotion
    frame_hits: float
    """Share of frames judged to show the emotion that was asked for."""
    probability_rise: float
    """Of that emotion, against the source."""
    lip_correlation: float
    """NaN where the lips do not move."""
    closure_f1: float
    """NaN where the lips never close."""
    identity: float
    identity_low: float
    """5th percentile of the frames."""
    jerkiness: float
    jerkiness_source: float
    change: float
    inside: float
    """Share of frames whose expression real people show."""
    likeness: Likeness | None
    """None where the reference's person has no known neutral face."""
    belief: Belief
    target: TargetScore | None
    """None where there is no real take."""
    sync: float | None
    """Margin of own over other speech, cosines; None where the clip has no sound."""
    sync_source: float | None
    faces: Float32[np.ndarray, "judged dim"]
    """SFace features of the output,"""
    faces_source: Float32[np.ndarray, "judged dim"]
    """and of the source."""
    changed_outside: tuple[int, int] | None
    """Colour values changed where the mask is 0, and all that lie there; None if not counted."""
    edit_s: float
    """0 where nothing was edited."""
    measure_s: float
    reference_judged: Emotion | None = None
    """What the judge makes of the reference itself; None by label."""


@dataclass(frozen=True, slots=True)
class ActedLook:
    """A real acted clip against a neutral clip of its person, as edits are held against sources."""

    identity: float
    """Cosine (SFace) of the two, each the mean of its frames."""
    other_picture: float
    """The same of the acted clip and another picture of the person; NaN where there is none."""
    other_picture_source: float
    """The same of the neutral clip."""
    features: Float32[np.ndarray, "acted axes"]
    """Generic features of the acted clip,"""
    features_source: Float32[np.ndarray, "neutral axes"]
    """of the neutral one,"""
    features_real: Float32[np.ndarray, "photos axes"]
    """and of real photos of the emotions; without rows where there are no photos."""


@dataclass(frozen=True, slots=True)
class Acted:
    """A real emotional clip of a held-out person: what a perfect edit would score."""

    clip: Clip
    judged: Emotion
    frame_hits: float
    inside: float
    change: float
    """From the person's own neutral, mean over frames and clips."""
    look: ActedLook | None = None
    """None where no clip of the person is edited."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All that was measured."""

    rows: tuple[str, ...]
    scores: tuple[Score, ...]
    acted: tuple[Acted, ...]
    intensity: float
    photos: tuple[PhotoScore, ...] = ()
