"""The evaluation of edits on a page: Markdown, JSON, and HTML with the clips side by side."""

import html
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
from jaxtyping import Int

from cdrl_cli.data.index import Clip
from cdrl_cli.emotion import Emotion
from cdrl_cli.evaluation.edits import Acted, Evaluation, Likeness, Score, slug
from cdrl_cli.evaluation.measures import confusion, mean_over_emotions, rank_correlation
from cdrl_cli.evaluation.protocol import EDITED_EMOTIONS, Asking
from cdrl_cli.metrics.bootstrap import Interval, bootstrap
from cdrl_cli.metrics.frechet import frechet_distance

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


def _hit(score: Score) -> float:
    return float(score.judged is score.task.emotion)


MEASURES = (
    Measure("emotion accuracy, clips, mean of emotions", "≥ .60", _over_emotions(_hit)),
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
    Measure("identity (SFace), mean", "≥ .88", _mean(lambda s: s.identity)),
    Measure("identity (SFace), 5th percentile", "≥ .78", _mean(lambda s: s.identity_low)),
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


@dataclass(frozen=True, slots=True)
class RowReport:
    """One row, asked in one way."""

    row: str
    asking: Asking
    values: dict[str, Interval]
    """By the name of a measure, with 95 % intervals over clips."""
    by_emotion: dict[str, float]
    """Share of clips judged right."""
    manner_by_emotion: dict[str, float]
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


def summarise(evaluation: Evaluation) -> list[RowReport]:
    """Rows in order, first all that were asked by reference, then by label."""
    askings = dict.fromkeys(score.task.asking for score in evaluation.scores)
    return [
        _summarise_row(row, asking, _scores(evaluation, row, asking))
        for asking in askings
        for row in evaluation.rows
    ]


def compare(evaluation: Evaluation) -> list[Comparison]:
    """The last row against every other one that edits, in the order of :func:`summarise`."""
    *others, last = evaluation.rows
    askings = dict.fromkeys(score.task.asking for score in evaluation.scores)
    found = []
    for asking in askings:
        rows = {row: _scores(evaluation, row, asking) for row in evaluation.rows}
        for other in others:
            if any(score.path != score.task.source.path for score in rows[other]):
                pairs = list(zip(rows[last], rows[other], strict=True))
                values = {m.name: _difference(m, pairs) for m in MEASURES if m.is_compared}
                found.append(Comparison(last, other, asking, values))
    return found


def summarise_ceiling(acted: Sequence[Acted]) -> list[CeilingReport]:
    """A line for each person, and one for all."""
    people = list(dict.fromkeys(one.clip.identity for one in acted))
    groups = [(person, [one for one in acted if one.clip.identity == person]) for person in people]
    return [_summarise_acted(name, of) for name, of in [*groups, ("all", list(acted))]]


def draw_report(evaluation: Evaluation, reports: Sequence[RowReport]) -> Iterator[str]:
    """The page in Markdown.

    Args:
        evaluation: What was measured.
        reports: Of :func:`summarise`, which takes a while.
    """
    for asking in dict.fromkeys(report.asking for report in reports):
        block = [report for report in reports if report.asking == asking]
        count = len(_scores(evaluation, block[0].row, asking))
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
            ["row", *EDITED_EMOTIONS, "seconds per edit", "seconds in all"],
            [
                [
                    report.row,
                    *(f"{report.by_emotion[emotion]:.2f}" for emotion in EDITED_EMOTIONS),
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
            ["row", *EDITED_EMOTIONS],
            [[report.row, *map(_number, report.manner_by_emotion.values())] for report in block],
        )
        if asking == "reference":
            yield ""
            yield f"Each reference, and what became of it, {evaluation.rows[-1]}:"
            yield ""
            yield from _reference_table(_scores(evaluation, evaluation.rows[-1], asking))
            yield ""
            yield "References as CERL reads them, and what becomes of them (clips judged right):"
            yield ""
            yield from _table(
                ["row", "references read as meant", "edits by those", "edits by the others"],
                [
                    _readings(report.row, scores)
                    for report in block
                    if (scores := [s for s in _scores(evaluation, report.row, asking) if s.read_as])
                ],
            )
        for report in block:
            yield ""
            yield f"Confusion, {report.row}: asked for (row), judged (column), clips."
            yield ""
            yield from _table(
                ["", *Emotion],
                [
                    [str(e), *(str(n) for n in report.confusion[e.class_index])]
                    for e in EDITED_EMOTIONS
                ],
            )
        yield ""
    yield "## Ceiling: real acted clips of held-out people"
    yield ""
    yield from _table(
        ["person", "clips", "accuracy, clips", "accuracy, frames", "inside", "change (L2)"],
        [
            [one.person, str(one.clips)]
            + [f"{v:.2f}" for v in (one.accuracy, one.frame_accuracy, one.inside, one.change)]
            for one in summarise_ceiling(evaluation.acted)
        ],
    )
    yield ""
    yield (
        "Intervals are bootstrap 95 % over clips; clips of one source are not independent, so they"
        " are rather too narrow. In brackets: clips that a measure exists for, where not all."
    )


def report_facts(evaluation: Evaluation, reports: Sequence[RowReport]) -> dict[str, object]:
    """The page for programs: rows, the ceiling, and every single edit."""
    return {
        "intensity": evaluation.intensity,
        "rows": [
            {
                "row": report.row,
                "asking": report.asking,
                "values": _known_intervals(report.values),
                "by_emotion": report.by_emotion,
                "manner_by_emotion": {
                    emotion: _known(value) for emotion, value in report.manner_by_emotion.items()
                },
                "confusion": report.confusion.tolist(),
                "edit_s": report.edit_s,
                "measure_s": report.measure_s,
            }
            for report in reports
        ],
        "comparisons": [
            {
                "row": one.row,
                "less": one.other,
                "asking": one.asking,
                "values": _known_intervals(one.values),
            }
            for one in compare(evaluation)
        ],
        "ceiling": summarise_ceiling(evaluation.acted),
        "edits": [_edit_facts(score) for score in evaluation.scores],
    }


def write_gallery(evaluation: Evaluation, folder: Path) -> Path:
    """An HTML page in the folder of the clips: source, reference and every row side by side.

    The page is one file without scripts; it names the clips beside it, and copies sources and
    references there, so that the folder can be moved as a whole.
    """
    originals = folder / "originals"
    originals.mkdir(parents=True, exist_ok=True)
    page = [_HEAD]
    tasks = dict.fromkeys(score.task.name for score in evaluation.scores)
    for name in tasks:
        scores = [score for score in evaluation.scores if score.task.name == name]
        task = scores[0].task
        page.append(
            f"<h2>{html.escape(task.emotion)}, by {task.asking}: {task.source.identity}</h2>"
        )
        page.append("<div>")
        shown = [("source", _copy(task.source.path, originals))]
        shown.append(
            (f"reference ({task.reference.identity})", _copy(task.reference.path, originals))
        )
        if task.target is not None:
            shown.append(("real take", _copy(task.target.path, originals)))
        shown += [
            (f"{score.row}: {score.judged}", score.path)
            for score in scores
            if score.path != task.source.path
        ]
        for caption, path in shown:
            link = quote(path.relative_to(folder).as_posix())
            shows = (
                f'<img src="{link}">'
                if path.suffix.lower() in (".jpg", ".jpeg", ".png")
                else f'<video src="{link}" controls loop muted preload="metadata"></video>'
            )
            page.append(f"<figure>{shows}<figcaption>{html.escape(caption)}</figcaption></figure>")
        page.append("</div>")
    output = folder / "index.html"
    output.write_text("\n".join([*page, "</body></html>", ""]), "utf-8")
    return output


_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Edits</title><style>
body { font-family: sans-serif } div { display: flex; flex-wrap: wrap } figure { margin: .4em }
video, img { height: 220px }
</style></head><body><h1>Edits</h1>"""


def _summarise_row(row: str, asking: Asking, scores: list[Score]) -> RowReport:
    labels = np.array([score.task.emotion.class_index for score in scores])
    hits = np.array([_hit(score) for score in scores])
    return RowReport(
        row=row,
        asking=asking,
        values={measure.name: _interval(measure, scores) for measure in MEASURES},
        by_emotion={e: float(hits[labels == e.class_index].mean()) for e in EDITED_EMOTIONS},
        manner_by_emotion={e: _mean_manner(scores, e) for e in EDITED_EMOTIONS},
        confusion=confusion(np.array([s.judged.class_index for s in scores]), labels),
        edit_s=sum(score.edit_s for score in scores),
        measure_s=sum(score.measure_s for score in scores),
    )


def _scores(evaluation: Evaluation, row: str, asking: Asking) -> list[Score]:
    """Of a row, asked in one way."""
    return [s for s in evaluation.scores if (s.row, s.task.asking) == (row, asking)]


def _readings(row: str, scores: Sequence[Score]) -> list[str]:
    read = {score.task.reference.path: score.read_as is score.task.emotion for score in scores}
    cells = []
    for rightly in (True, False):
        hits = [_hit(score) for score in scores if read[score.task.reference.path] is rightly]
        cells.append(f"{np.mean(hits):.2f} ({len(hits)})" if hits else "–")
    return [row, f"{sum(read.values())} of {len(read)}", *cells]


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
    return CeilingReport(
        person=name,
        clips=len(acted),
        accuracy=mean_over_emotions(hits, labels),
        frame_accuracy=mean_over_emotions(np.array([one.frame_hits for one in acted]), labels),
        inside=float(np.mean([one.inside for one in acted])),
        change=float(np.mean([one.change for one in acted])),
    )


def _edit_facts(score: Score) -> dict[str, object]:
    task = score.task
    return {
        "row": score.row,
        "source": task.source.path.name,
        "person": task.source.identity,
        "emotion": task.emotion,
        "asking": task.asking,
        "reference": task.reference.path.name,
        "reference_person": task.reference.identity,
        "reference_dataset": task.reference.dataset,
        "target": None if task.target is None else task.target.path.name,
        "read_as": score.read_as,
        "judged": score.judged,
        "frame_hits": score.frame_hits,
        "probability_rise": score.probability_rise,
        "lip_correlation": _known(score.lip_correlation),
        "closure_f1": _known(score.closure_f1),
        "identity": score.identity,
        "identity_low": score.identity_low,
        "stability": score.jerkiness / score.jerkiness_source,
        "change": score.change,
        "inside": score.inside,
        "manner": score.likeness and score.likeness.manner,
        "own_manner": score.likeness and _known(score.likeness.own_manner),
        "length": score.likeness and score.likeness.length,
        "length_reference": score.likeness and score.likeness.length_reference,
        "target_landmarks": score.target and score.target.landmarks,
        "target_landmarks_source": score.target and score.target.landmarks_source,
        "sync": score.sync,
        "sync_source": score.sync_source,
        "edit_s": score.edit_s,
        "measure_s": score.measure_s,
    }


def _mean_manner(scores: Sequence[Score], emotion: Emotion) -> float:
    found = [s.likeness.manner for s in scores if s.task.emotion is emotion and s.likeness]
    return float(np.mean(found)) if found else float("nan")


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


def _known_intervals(values: Mapping[str, Interval]) -> dict[str, Interval | None]:
    return {name: value if value.count else None for name, value in values.items()}


def _known(value: float) -> float | None:
    """JSON has no NaN."""
    return None if np.isnan(value) else value


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


def _copy(path: Path, folder: Path) -> Path:
    """Its place in the folder; clips of one name may come from two folders."""
    kept = folder / f"{slug(path.parent.name)}-{path.name}"
    if not kept.exists():
        shutil.copyfile(path, kept)
    return kept
