"""The lines of the table of edits: each a statistic of what was measured of some edits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cdrl_cli.evaluation.measures import rank_correlation
from cdrl_cli.evaluation.scores import ActedLook, Belief, Likeness, Score
from cdrl_cli.metrics.frechet import frechet_distance
from cdrl_cli.metrics.over_emotions import mean_over_emotions

Statistic = Callable[[list[Score]], float]


@dataclass(frozen=True, slots=True)
class Measure:
    """A line of the table."""

    name: str
    goal: str
    """What DESIGN asks for; empty where it asks for nothing."""
    statistic: Statistic
    counts: Callable[[Score], bool] = lambda _: True
    """Whether the measure exists for a clip."""
    is_compared: bool = True
    """Whether two rows are held against each other by it, clip by clip."""


def _mean(of: Callable[[Score], float]) -> Statistic:
    return lambda scores: float(np.mean([of(score) for score in scores]))


def _ratio(output: Callable[[Score], float], source: Callable[[Score], float]) -> Statistic:
    """Of sums: a clip whose source is near 0 does not rule the table."""
    return lambda scores: float(
        sum(output(score) for score in scores) / sum(source(score) for score in scores)
    )


def _over_emotions(of: Callable[[Score], float]) -> Statistic:
    return lambda scores: mean_over_emotions(
        np.array([of(score) for score in scores], float),
        np.array([score.task.emotion.class_index for score in scores]),
    )


def _outside(scores: list[Score]) -> float:
    counts = [score.changed_outside or (0, 0) for score in scores]
    return sum(changed for changed, _ in counts) / max(sum(all_ for _, all_ in counts), 1)


def _frechet(scores: list[Score]) -> float:
    real = np.concatenate([score.target.identity for score in scores if score.target])
    edited, unedited = (
        frechet_distance(np.concatenate(faces).astype(float), real.astype(float))
        for faces in ([s.faces for s in scores], [s.faces_source for s in scores])
    )
    return edited / unedited


def _has_target(score: Score) -> bool:
    return score.target is not None


def _likeness(of: Callable[[Likeness], float]) -> Callable[[Score], float]:
    """A number of a score's likeness; NaN where it has none."""
    return lambda score: float("nan") if score.likeness is None else of(score.likeness)


def _strength(scores: list[Score]) -> float:
    """Mean over the emotions of the rank correlation of lengths within an emotion."""
    found = []
    for emotion in dict.fromkeys(score.task.emotion for score in scores):
        pairs = [s.likeness for s in scores if s.task.emotion is emotion and s.likeness]
        shown, wanted = (
            np.array([getattr(one, name) for one in pairs])
            for name in ("length", "length_reference")
        )
        found.append(rank_correlation(shown, wanted))
    return float(np.nanmean(found)) if np.isfinite(found).any() else float("nan")


def _has_likeness(score: Score) -> bool:
    return score.likeness is not None


def distance_to_photos(looks: Sequence[Belief | ActedLook]) -> float:
    """Fréchet distance of generic features to real photos of emotions, times the source's.

    NaN where there are no such photos, or nothing was looked at.
    """
    if not looks or not _has_cloud(looks[0]):
        return float("nan")
    real = looks[0].features_real.astype(float)
    shown, unedited = (
        frechet_distance(np.concatenate(features).astype(float), real)
        for features in (
            [one.features for one in looks],
            [one.features_source for one in looks],
        )
    )
    return shown / unedited if unedited > 0 else float("nan")


def _distance_to_photos(scores: list[Score]) -> float:
    return distance_to_photos([score.belief for score in scores])


def _has_photos(score: Score) -> bool:
    return _has_cloud(score.belief)


def _has_cloud(look: Belief | ActedLook) -> bool:
    return len(look.features_real) > 1


def _has_other_picture(score: Score) -> bool:
    return score.belief.is_found_first is not None


def is_hit(score: Score) -> float:
    """1 where the judge says the emotion that was asked for, else 0."""
    return float(score.judged is score.task.emotion)


MEASURES = (
    Measure("emotion accuracy, clips, mean of emotions", "≥ .60", _over_emotions(is_hit)),
    Measure("emotion accuracy, frames", "", _over_emotions(lambda s: s.frame_hits)),
    Measure("rise of the emotion's probability", "", _over_emotions(lambda s: s.probability_rise)),
    Measure(
        "lips: correlation of aperture",
        "≥ .97",
        _mean(lambda s: s.lip_correlation),
        lambda s: not np.isnan(s.lip_correlation),
    ),
    Measure(
        "lips: F1 of closures",
        "≥ .97",
        _mean(lambda s: s.closure_f1),
        lambda s: not np.isnan(s.closure_f1),
    ),
    Measure("identity (SFace), mean", "≥ .80", _mean(lambda s: s.identity)),
    Measure("identity (SFace), 5th percentile", "", _mean(lambda s: s.identity_low)),
    Measure(
        "identity: found first among 100 people",
        "1.00",
        _mean(lambda s: float(s.belief.is_found_first or 0)),
        _has_other_picture,
    ),
    Measure(
        "identity: cosine to another picture, times the source's",
        "≥ .92",
        _ratio(lambda s: s.belief.other_picture, lambda s: s.belief.other_picture_source),
        _has_other_picture,
    ),
    Measure(
        "belief: patches told from real acted ones (AUC)",
        "≤ .70",
        _mean(lambda s: s.belief.separation),
        lambda s: not np.isnan(s.belief.separation),
    ),
    Measure(
        "belief: generic features (Fréchet) to real photos, times the source's",
        "≤ .75",
        _distance_to_photos,
        _has_photos,
        is_compared=False,  # of clouds, not of clips
    ),
    Measure(
        "belief: step of colour across the rim (CIELAB)",
        "",
        _mean(lambda s: s.belief.rim_step),
        lambda s: not np.isnan(s.belief.rim_step),
    ),
    Measure(
        "stability, times the source's tremble",
        "≤ 1.05",
        _ratio(lambda s: s.jerkiness, lambda s: s.jerkiness_source),
    ),
    Measure("change of coefficients (L2)", "≤ 1.3", _mean(lambda s: s.change)),
    Measure("frames inside the 99 % region", "≥ .95", _mean(lambda s: s.inside)),
    Measure(
        "manner: cosine with the reference's change",
        "≥ .75",
        _over_emotions(_likeness(lambda one: one.manner)),
        _has_likeness,
    ),
    Measure(
        "manner, less that with other people's references",
        "≥ .10",
        _over_emotions(_likeness(lambda one: one.own_manner)),
        lambda s: s.likeness is not None and not np.isnan(s.likeness.own_manner),
    ),
    Measure(
        "strength: length of the change, of the reference's",
        ".8 to 1.2",
        _ratio(_likeness(lambda one: one.length), _likeness(lambda one: one.length_reference)),
        _has_likeness,
    ),
    Measure(
        "strength: rank correlation of lengths within an emotion",
        "≥ .70",
        _strength,
        _has_likeness,
        is_compared=False,  # of references, not of clips
    ),
    Measure(
        "distance to the real take: landmarks, times the source's",
        "≤ .75",
        _ratio(
            lambda s: s.target.landmarks if s.target else 0.0,
            lambda s: s.target.landmarks_source if s.target else 0.0,
        ),
        _has_target,
    ),
    Measure(
        "distance to the real takes: FAD-SFace, times the source's",
        "≤ .75",
        _frechet,
        _has_target,
        is_compared=False,  # of clouds, not of clips
    ),
    Measure(
        "audio-visual sync, times the source's margin",
        "≥ .98",
        _ratio(lambda s: s.sync or 0.0, lambda s: s.sync_source or 0.0),
        lambda s: s.sync is not None and s.sync_source is not None,
    ),
    Measure(
        "colour values changed outside the mask, share",
        "0",
        _outside,
        lambda s: s.changed_outside is not None,
        is_compared=False,
    ),
)
