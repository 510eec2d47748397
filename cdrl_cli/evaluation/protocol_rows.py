"""What the paper's protocol measures of a clip, and the line of the table that comes of it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from cdrl_cli.array_types import Float32
from cdrl_cli.data.pairs import align
from cdrl_cli.emotion import Emotion
from cdrl_cli.evaluation import measures
from cdrl_cli.evaluation.footage import Footage, in_common
from cdrl_cli.evaluation.speech_activity import SpeechActivity
from cdrl_cli.face.blendshapes import RHYTHM
from cdrl_cli.face.head import HeadModel
from cdrl_cli.metrics import mouth, theval
from cdrl_cli.metrics.frechet import frechet_distance

FLOOR, ENCODED, CEILING = "no edit", "encoded again", "real clips"
"""Rows of every table: the sources as they are; the same, decoded and encoded and nothing else; and
the actor's other real takes of the emotion."""

LIP_SYNC = ("LSE-D", "LSE-C")

OWN = (
    "emotion",
    "frames",
    "rise",
    "manner",
    "lips",
    "closures",
    "identity",
    "stability",
    "change",
    "distance",
)
"""Our own measures (:mod:`cdrl_cli.evaluation.measures`)."""

THEVAL = ("lip dynamics", "brow dynamics", "silent lips", "lip sync")
"""THEval's measures that need landmarks and sound alone (:mod:`cdrl_cli.metrics.theval`)."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One clip of a row, and what it is compared with."""

    emotion: Emotion
    values: dict[str, float]
    """By measure of a single clip; NaN where there is nothing to measure."""
    features: dict[str, Float32[np.ndarray, "frames dim"]]
    """By measure of faces: of the clip."""
    real: dict[str, Float32[np.ndarray, "frames dim"]]
    """By measure of faces: of the actor's real take."""
    real_values: dict[str, float] = field(default_factory=dict)
    """By measure of :data:`THEVAL`: of the actor's real take."""


@dataclass(frozen=True, slots=True)
class ProtocolRow:
    """A line of the table."""

    name: str
    clips: int
    values: dict[str, float]
    """By measure; the mean over emotions."""
    by_clip: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """By measure of a single clip: of each, in the order of the protocol."""


def compare_clips(
    source: Footage, output: Footage, real: Footage, emotion: Emotion, head: HeadModel
) -> dict[str, float]:
    """Our own measures of an edit beside its source and the actor's real take.

    Args:
        source: Before the edit.
        output: After it.
        real: The same words with the emotion; aligned in time by how the mouth moves.
        emotion: That was asked for.
        head: Takes the head's pose out of landmarks.
    """
    before, after = in_common(source, output)
    apertures = [mouth.lip_aperture(one.landmarks_xyz) for one in (before, after)]
    closed_below = mouth.closed_threshold(apertures[0])
    moment = align(before.expression[:, RHYTHM], real.expression[:, RHYTHM])
    acted = measures.head_space(real.landmarks_xyz, head)[moment]
    away = [
        measures.landmark_error(measures.head_space(one.landmarks_xyz, head), acted)
        for one in (before, after)
    ]
    return {
        "rise": measures.probability_rise(before.probabilities, after.probabilities, emotion),
        "lips": mouth.correlation(*apertures),
        "closures": mouth.closure_f1(*(one < closed_below for one in apertures)),
        "identity": float(measures.cosines(before.identity, after.identity).mean()),
        "stability": measures.jerkiness(after.landmarks_xyz)
        / measures.jerkiness(before.landmarks_xyz),
        "change": measures.expression_change(before.expression, after.expression),
        "distance": away[1] / away[0],
    }


def measure_theval(footage: Footage, heard: SpeechActivity | None) -> dict[str, float]:
    """THEval's measures of one clip, before they are scored; NaN where there is nothing to measure.

    Args:
        footage: The clip.
        heard: Its sound; None where it has none.
    """
    landmarks = footage.landmarks_xyz
    quiet = synced = float("nan")
    if heard is not None:
        quiet = theval.silent_lip_stability(landmarks, heard.silent(footage.time_s))
        spoken, loudness = heard.spoken(footage.time_s), heard.loudness(footage.time_s)
        synced = theval.lip_sync(landmarks, spoken, loudness)
    found = (theval.lip_dynamics(landmarks), theval.brow_dynamics(landmarks), quiet, synced)
    return dict(zip(THEVAL, found, strict=True))


def summarise_row(
    name: str, shown: Sequence[Shown], names: Sequence[str], lip_sync: Sequence[str] = ()
) -> ProtocolRow:
    """A line of the table: the mean over emotions, however many clips each has.

    Args:
        name: Of the row.
        shown: Its clips.
        names: Of the measures of faces: that of the Fréchet distance, and that of the cosine.
        lip_sync: Of the measures of SyncNet, where there is one.
    """
    single = (*lip_sync, *OWN)
    if not shown:
        return ProtocolRow(name, 0, dict.fromkeys((*names, *single, *THEVAL), float("nan")))
    by_emotion: dict[Emotion, list[Shown]] = defaultdict(list)
    for one in shown:
        by_emotion[one.emotion].append(one)
    fad, csim = names
    values = {
        fad: _mean(_frechet(ones, fad) for ones in by_emotion.values()),
        csim: _mean(_mean(_alike(one, csim) for one in ones) for ones in by_emotion.values()),
    }
    for measure in single:
        values[measure] = _mean(
            _mean(one.values[measure] for one in ones) for ones in by_emotion.values()
        )
    for measure in THEVAL:
        found = _mean(_mean(one.values[measure] for one in ones) for ones in by_emotion.values())
        real = _mean(
            _mean(one.real_values[measure] for one in ones) for ones in by_emotion.values()
        )
        values[measure] = theval.closeness(found, real)
    by_clip = {measure: tuple(one.values[measure] for one in shown) for measure in single}
    return ProtocolRow(name, len(shown), values, by_clip)


def _frechet(shown: Sequence[Shown], name: str) -> float:
    """Between all frames of the clips and all frames of their real takes."""
    one = np.concatenate([each.features[name] for each in shown]).astype(float)
    other = np.concatenate([each.real[name] for each in shown]).astype(float)
    return frechet_distance(one, other)


def _alike(shown: Shown, name: str) -> float:
    """Cosine of the mean features of clip and real take."""
    one, other = (x[name].mean(axis=0) for x in (shown.features, shown.real))
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))


def _mean(values: Iterable[float]) -> float:
    """Of what there is to measure; NaN where there is nothing."""
    known = [float(one) for one in values if not np.isnan(one)]
    return float(np.mean(known)) if known else float("nan")
