"""The evaluation of edits for programs: rows, comparisons, the ceiling, and every single edit."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np

from cdrl_cli.evaluation.scores import Evaluation, Score
from cdrl_cli.evaluation.table import RowReport, compare, summarise_ceiling, summarise_photos
from cdrl_cli.metrics.bootstrap import Interval


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
        "photos": [
            {
                "row": one.row,
                "asking": one.asking,
                "distance": one.distance,
                "by_emotion": one.by_emotion,
            }
            for one in summarise_photos(evaluation)
        ],
        "photo_edits": evaluation.photos,
        "ceiling": [
            {name: _known(v) if isinstance(v, float) else v for name, v in asdict(one).items()}
            for one in summarise_ceiling(evaluation.acted)
        ],
        "edits": [_edit_facts(score) for score in evaluation.scores],
    }


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
        "reference_judged": score.reference_judged,
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
        "separation": _known(score.belief.separation),
        "rim_step": _known(score.belief.rim_step),
        "is_found_first": score.belief.is_found_first,
        "other_picture": _known(score.belief.other_picture),
        "other_picture_source": _known(score.belief.other_picture_source),
        "target_landmarks": score.target and score.target.landmarks,
        "target_landmarks_source": score.target and score.target.landmarks_source,
        "sync": score.sync,
        "sync_source": score.sync_source,
        "edit_s": score.edit_s,
        "measure_s": score.measure_s,
    }


def _known_intervals(values: Mapping[str, Interval]) -> dict[str, Interval | None]:
    return {name: value if value.count else None for name, value in values.items()}


def _known(value: float) -> float | None:
    """JSON has no NaN."""
    return None if np.isnan(value) else value
