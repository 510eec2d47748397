"""The evaluation of edits as Markdown."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from cdrl_cli.data.index import Clip
from cdrl_cli.emotion import Emotion
from cdrl_cli.evaluation.scores import Evaluation, Score
from cdrl_cli.evaluation.statistics import MEASURES, is_hit
from cdrl_cli.evaluation.table import (
    RowReport,
    compare,
    find_scores,
    summarise_ceiling,
    summarise_photos,
)
from cdrl_cli.metrics.bootstrap import Interval
from cdrl_cli.metrics.over_emotions import mean_over_emotions


def draw_report(evaluation: Evaluation, reports: Sequence[RowReport]) -> Iterator[str]:
    """The page in Markdown.

    Args:
        evaluation: What was measured.
        reports: Of :func:`summarise`, which takes a while.
    """
    for asking in dict.fromkeys(report.asking for report in reports):
        block = [report for report in reports if report.asking == asking]
        emotions = list(block[0].by_emotion)
        count = len(find_scores(evaluation, block[0].row, asking))
        yield f"## Asked by {asking}, {count} edits a row, intensity {evaluation.intensity:g}"
        yield ""
        yield from _table(
            ["measure", *(report.row for report in block), "goal"],
            [
                [m.name, *(_cell(report.values[m.name], count) for report in block), m.goal]
                for m in MEASURES
            ],
        )
        if against := [one for one in compare(evaluation) if one.asking == asking]:
            yield ""
            yield f"{against[0].row} less another row, clip by clip:"
            yield ""
            yield from _table(
                ["measure", *(one.other for one in against)],
                [
                    [m.name, *(_cell(one.values[m.name], count) for one in against)]
                    for m in MEASURES
                    if m.is_compared
                ],
            )
        yield ""
        yield "Clips judged right, by emotion:"
        yield ""
        yield from _table(
            ["row", *emotions, "seconds per edit", "seconds in all"],
            [
                [
                    report.row,
                    *(f"{report.by_emotion[emotion]:.2f}" for emotion in emotions),
                    f"{report.edit_s / count:.1f}",
                    f"{report.edit_s + report.measure_s:.0f}",
                ]
                for report in block
            ],
        )
        yield ""
        yield "Manner, by emotion (cosine with the reference's change):"
        yield ""
        yield from _table(
            ["row", *emotions],
            [[report.row, *map(_number, report.manner_by_emotion.values())] for report in block],
        )
        if asking == "reference":
            yield ""
            yield f"Each reference, and what became of it, {evaluation.rows[-1]}:"
            yield ""
            yield from _reference_table(find_scores(evaluation, evaluation.rows[-1], asking))
            yield ""
            yield "References as an edit reads them, and what becomes of them (clips judged right);"
            yield "and what the judge makes of the references, which no edit need exceed:"
            yield ""
            yield from _table(
                [
                    "row",
                    "references read as meant",
                    "edits by those",
                    "edits by the others",
                    "references judged right, mean of emotions",
                ],
                [
                    _readings(report.row, scores)
                    for report in block
                    if (
                        scores := [
                            s for s in find_scores(evaluation, report.row, asking) if s.read_as
                        ]
                    )
                ],
            )
        for report in block:
            yield ""
            yield f"Confusion, {report.row}: asked for (row), judged (column), clips."
            yield ""
            yield from _table(
                ["", *Emotion],
                [[str(e), *(str(n) for n in report.confusion[e.class_index])] for e in emotions],
            )
        yield ""
    if photos := summarise_photos(evaluation):
        emotions = list(photos[0].by_emotion)
        yield "## Photos of neutral faces, edited, beside the person's real photo with the emotion"
        yield ""
        yield "Perceptual distance inside the outline, times the unedited photo's; goal ≤ .80:"
        yield ""
        yield from _table(
            ["row", "asked by", "all", *emotions],
            [
                [one.row, one.asking, _cell(one.distance, one.distance.count)]
                + [_number(one.by_emotion[emotion]) for emotion in emotions]
                for one in photos
            ],
        )
        yield ""
    yield "## Ceiling: real acted clips of held-out people"
    yield ""
    yield from _table(
        [
            *("person", "clips", "accuracy, clips", "accuracy, frames", "inside", "change (L2)"),
            *("identity", "another picture", "generic features"),
        ],
        [
            [one.person, str(one.clips)]
            + [f"{v:.2f}" for v in (one.accuracy, one.frame_accuracy, one.inside, one.change)]
            + [_number(v) for v in (one.identity, one.other_picture, one.features)]
            for one in summarise_ceiling(evaluation.acted)
        ],
    )
    yield ""
    yield (
        "The last three hold an acted clip against a neutral one of its person, as an edit is held"
        " against its source: cosine of the two (SFace); cosine to another picture of the person,"
        " times the neutral clip's; Fréchet distance to real photos, times the neutral clip's."
    )
    yield ""
    yield (
        "Intervals are bootstrap 95 % over clips; clips of one source are not independent, so they"
        " are rather too narrow. In brackets: clips that a measure exists for, where not all."
    )


def _readings(row: str, scores: Sequence[Score]) -> list[str]:
    read = {score.task.reference.path: score.read_as is score.task.emotion for score in scores}
    cells = []
    for rightly in (True, False):
        hits = [is_hit(score) for score in scores if read[score.task.reference.path] is rightly]
        cells.append(f"{np.mean(hits):.2f} ({len(hits)})" if hits else "–")
    return [row, f"{sum(read.values())} of {len(read)}", *cells, _number(_ceiling(scores))]


def _ceiling(scores: Sequence[Score]) -> float:
    """Share of references that the judge itself takes for what they are, each emotion alike."""
    judged = [one for one in scores if one.reference_judged]
    if not judged:
        return float("nan")
    return mean_over_emotions(
        np.array([one.reference_judged is one.task.emotion for one in judged], float),
        np.array([one.task.emotion.class_index for one in judged]),
    )


def _reference_table(scores: Sequence[Score]) -> Iterator[str]:
    """A line for each reference of a row: what it was, how it was read, what came out."""
    lines = []
    for reference in dict.fromkeys(score.task.reference for score in scores):
        own = [score for score in scores if score.task.reference == reference]
        like = [score.likeness for score in own if score.likeness]
        judged = Counter(str(score.judged) for score in own)
        lines.append(
            [
                _reference_name(reference),
                reference.dataset,
                str(reference.emotion),
                _number(like[0].length_reference if like else float("nan")),
                str(own[0].reference_judged or "–"),
                str(own[0].read_as or "–"),
                ", ".join(f"{name} {count}" for name, count in judged.most_common()),
                _number(float(np.mean([one.manner for one in like])) if like else float("nan")),
                _number(float(np.mean([one.own_manner for one in like])) if like else float("nan")),
                _number(float(np.mean([one.length for one in like])) if like else float("nan")),
            ]
        )
    yield from _table(
        [
            "reference",
            "data set",
            "shows",
            "strength",
            "judged",
            "read as",
            "edits judged",
            "manner",
            "less others'",
            "strength of the edits",
        ],
        lines,
    )


def _reference_name(reference: Clip) -> str:
    """Person and file; the file alone where nobody knows who the person is."""
    is_named = not reference.path.as_posix().endswith(reference.identity)
    return f"{reference.identity} {reference.path.stem}" if is_named else reference.path.stem


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.2f}"


def _cell(value: Interval, clips: int) -> str:
    if not value.count:
        return "–"
    of = "" if value.count == clips else f" ({value.count})"
    return f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]{of}"


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|---|{'---:|' * (len(head) - 1)}"
    for line in lines:
        yield f"| {' | '.join(line)} |"
