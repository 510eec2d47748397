"""The evaluation of edits as a table: measures with intervals, rows held against each other."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cdrl_cli.array_types import Int
from cdrl_cli.emotion import Emotion
from cdrl_cli.evaluation.measures import confusion
from cdrl_cli.evaluation.plan import Asking
from cdrl_cli.evaluation.scores import Acted, Evaluation, PhotoScore, Score
from cdrl_cli.evaluation.statistics import MEASURES, Measure, distance_to_photos, is_hit
from cdrl_cli.metrics.bootstrap import Interval, bootstrap
from cdrl_cli.metrics.over_emotions import mean_over_emotions


@dataclass(frozen=True, slots=True)
class RowReport:
    """One row, asked in one way."""

    row: str
    asking: Asking
    values: dict[str, Interval]
    """By the name of a measure, with 95 % intervals over clips."""
    by_emotion: dict[Emotion, float]
    """Share of clips judged right."""
    manner_by_emotion: dict[Emotion, float]
    """Mean over clips; NaN where no reference of an emotion has a known neutral."""
    confusion: Int[np.ndarray, "7 7"]
    """Asked for (row) and judged (column), clips."""
    edit_s: float
    """Of all its edits."""
    measure_s: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """The last row less another one, on the same clips."""

    row: str
    other: str
    asking: Asking
    values: dict[str, Interval]
    """By the name of a measure. Pairing takes out what makes one clip harder than the next."""


@dataclass(frozen=True, slots=True)
class CeilingReport:
    """What real acted clips of a held-out person score."""

    person: str
    clips: int
    accuracy: float
    """Clips, mean of emotions."""
    frame_accuracy: float
    inside: float
    change: float
    identity: float
    """Cosine (SFace) to a neutral clip of the person. This and the next two are NaN where none is
    edited."""
    other_picture: float
    """Cosine to another picture of the person, times the neutral clip's."""
    features: float
    """Fréchet distance of generic features to real photos, times the neutral clip's."""


@dataclass(frozen=True, slots=True)
class PhotoReport:
    """Photos of neutral faces, edited by one row, asked in one way."""

    row: str
    asking: Asking
    distance: Interval
    """To the person's real photo with the emotion, times the unedited photo's; interval over
    photos."""
    by_emotion: dict[Emotion, float]
    """The same."""


def summarise(evaluation: Evaluation) -> list[RowReport]:
    """Rows in order, first all that were asked by reference, then by label."""
    askings = dict.fromkeys(score.task.asking for score in evaluation.scores)
    return [
        _summarise_row(row, asking, find_scores(evaluation, row, asking))
        for asking in askings
        for row in evaluation.rows
    ]


def compare(evaluation: Evaluation) -> list[Comparison]:
    """The last row against every other one that edits, in the order of :func:`summarise`."""
    *others, last = evaluation.rows
    askings = dict.fromkeys(score.task.asking for score in evaluation.scores)
    found = []
    for asking in askings:
        rows = {row: find_scores(evaluation, row, asking) for row in evaluation.rows}
        for other in others:
            if any(score.path != score.task.source.path for score in rows[other]):
                pairs = list(zip(rows[last], rows[other], strict=True))
                values = {m.name: _difference(m, pairs) for m in MEASURES if m.is_compared}
                found.append(Comparison(last, other, asking, values))
    return found


def summarise_photos(evaluation: Evaluation) -> list[PhotoReport]:
    """Rows in order, first all that were asked by reference, then by label."""
    found: dict[tuple[str, Asking], list[PhotoScore]] = {}
    for score in evaluation.photos:
        found.setdefault((score.row, score.asking), []).append(score)
    askings = dict.fromkeys(score.asking for score in evaluation.photos)
    return [
        _summarise_photos(row, asking, found[row, asking])
        for asking in askings
        for row in evaluation.rows
        if (row, asking) in found
    ]


def summarise_ceiling(acted: Sequence[Acted]) -> list[CeilingReport]:
    """A line for each person, and one for all."""
    people = list(dict.fromkeys(one.clip.identity for one in acted))
    groups = [(person, [one for one in acted if one.clip.identity == person]) for person in people]
    return [_summarise_acted(name, of) for name, of in [*groups, ("all", list(acted))]]


def _summarise_row(row: str, asking: Asking, scores: list[Score]) -> RowReport:
    labels = np.array([score.task.emotion.class_index for score in scores])
    emotions = [e for e in Emotion if e.class_index in labels]
    hits = np.array([is_hit(score) for score in scores])
    return RowReport(
        row=row,
        asking=asking,
        values={measure.name: _interval(measure, scores) for measure in MEASURES},
        by_emotion={e: float(hits[labels == e.class_index].mean()) for e in emotions},
        manner_by_emotion={e: _mean_manner(scores, e) for e in emotions},
        confusion=confusion(np.array([s.judged.class_index for s in scores]), labels),
        edit_s=sum(score.edit_s for score in scores),
        measure_s=sum(score.measure_s for score in scores),
    )


def _summarise_photos(row: str, asking: Asking, scores: list[PhotoScore]) -> PhotoReport:
    shown, unedited = (
        np.array([getattr(score, name) for score in scores])
        for name in ("distance", "distance_source")
    )
    emotions = [e for e in Emotion if any(score.emotion is e for score in scores)]
    chosen = {e: [i for i, score in enumerate(scores) if score.emotion is e] for e in emotions}

    def relative(drawn: Int[np.ndarray, " count"]) -> float:
        return float(shown[drawn].sum() / unedited[drawn].sum())

    return PhotoReport(
        row=row,
        asking=asking,
        distance=bootstrap(len(scores), relative, generator=np.random.default_rng(0)),
        by_emotion={e: relative(np.array(places)) for e, places in chosen.items()},
    )


def find_scores(evaluation: Evaluation, row: str, asking: Asking) -> list[Score]:
    """Of a row, asked in one way."""
    return [s for s in evaluation.scores if (s.row, s.task.asking) == (row, asking)]


def _interval(measure: Measure, scores: list[Score]) -> Interval:
    asked = [score for score in scores if measure.counts(score)]
    return bootstrap(
        len(asked),
        lambda drawn: measure.statistic([asked[i] for i in drawn]),
        generator=np.random.default_rng(0),
    )


def _difference(measure: Measure, pairs: list[tuple[Score, Score]]) -> Interval:
    both = [pair for pair in pairs if all(map(measure.counts, pair))]

    def less(drawn: Int[np.ndarray, " count"]) -> float:
        one, other = zip(*(both[i] for i in drawn), strict=True)
        return measure.statistic(list(one)) - measure.statistic(list(other))

    return bootstrap(len(both), less, generator=np.random.default_rng(0))


def _summarise_acted(name: str, acted: list[Acted]) -> CeilingReport:
    labels = np.array([one.clip.emotion.class_index for one in acted if one.clip.emotion])
    hits = np.array([one.judged is one.clip.emotion for one in acted], float)
    looks = [one.look for one in acted if one.look]
    known = [look for look in looks if not np.isnan(look.other_picture)]
    to_other = sum(look.other_picture for look in known)
    to_other_source = sum(look.other_picture_source for look in known)
    return CeilingReport(
        person=name,
        clips=len(acted),
        accuracy=mean_over_emotions(hits, labels),
        frame_accuracy=mean_over_emotions(np.array([one.frame_hits for one in acted]), labels),
        inside=float(np.mean([one.inside for one in acted])),
        change=float(np.mean([one.change for one in acted])),
        identity=float(np.mean([look.identity for look in looks])) if looks else float("nan"),
        other_picture=to_other / to_other_source if to_other_source else float("nan"),
        features=distance_to_photos(looks),
    )


def _mean_manner(scores: Sequence[Score], emotion: Emotion) -> float:
    found = [s.likeness.manner for s in scores if s.task.emotion is emotion and s.likeness]
    return float(np.mean(found)) if found else float("nan")
