"""Both representations on one page: what they are for, and what they are not to know."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cdrl_cli.checkpoints.content import load_content, open_prior
from cdrl_cli.checkpoints.emotion import LOOKS, load_emotion, open_sentence_encoder
from cdrl_cli.checkpoints.models import load_models
from cdrl_cli.data.clips import read_index, read_london
from cdrl_cli.data.performances import find_neutrals, read_performances
from cdrl_cli.data.takes import read_takes
from cdrl_cli.evaluation.content import (
    CANDIDATES,
    measure_following,
    measure_readability,
    measure_retrieval,
    measure_window_readability,
    unknown_people,
)
from cdrl_cli.evaluation.emotion import (
    measure_accuracy,
    measure_free_text,
    measure_leaks,
    unknown_performances,
)
from cdrl_cli.metrics.bootstrap import Interval
from cdrl_cli.training.config import DataConfig
from cdrl_cli.training.prepare import prepare_clips


@dataclass(frozen=True, slots=True)
class Row:
    """One measure."""

    measure: str
    value: Interval
    chance: float | None
    """What guessing gives; None where there is nothing to guess."""


def evaluate_emotion(
    data: Path,
    cache: Path,
    *,
    weight_set: str,
    progress: Callable[[int, int], None] | None = None,
) -> list[Row]:
    """CERL on people never learned from.

    Args:
        data: Folder with ``index.csv``.
        cache: Of prepared clips.
        weight_set: ``permissive`` or ``research``.
        progress: Called with (clips done, clips in all).

    Raises:
        WeightsError: If weights are missing, also the optional part ``text``.
    """
    models, sentences = load_emotion(weight_set), open_sentence_encoder()
    clips = [*read_index(data), *read_london(data / "london")]
    prepared = prepare_clips(clips, load_models(weight_set, core=True), cache, progress=progress)
    performances = read_performances(prepared, looks=LOOKS)
    neutrals = find_neutrals(performances, models.neutral)
    asked = unknown_performances(models, performances)
    scores = [
        *measure_accuracy(models, asked, neutrals),
        measure_free_text(models, sentences),
        *measure_leaks(models, asked, neutrals),
    ]
    return [Row(f"CERL: {one.name}", one.accuracy, one.chance) for one in scores]


def evaluate_content(
    data: Path,
    cache: Path,
    *,
    weight_set: str,
    recipe: DataConfig | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Row]:
    """CCRL on people never learned from; as :func:`evaluate_emotion`, with the part ``speech``.

    A ``recipe`` knows which clips came with late sound or somebody else's: the first are moved
    back, the others are not asked about.
    """
    models, recipe = load_content(weight_set), recipe or DataConfig()
    clips = [
        clip
        for clip in read_index(data)
        if "full frame" not in clip.dataset and clip.path.stem not in recipe.left_out
    ]
    prepared = prepare_clips(clips, load_models(weight_set, core=True), cache, progress=progress)
    takes = unknown_people(
        models,
        list(
            read_takes(
                prepared,
                open_prior(models.prior),
                cache / "speech",
                sound_late_s=recipe.sound_late_s,
            )
        ),
    )
    following = measure_following(models, takes)
    return [
        *(
            Row(f"CCRL: speech of a mouth by {found.view}", found.speech_of_mouth, 1 / CANDIDATES)
            for found in measure_retrieval(models, takes)
        ),
        *(
            Row(f"CCRL: emotion read from {read.features}", read.accuracy, read.chance)
            for read in (
                *measure_readability(models, takes),
                *measure_window_readability(models, takes),
            )
        ),
        Row("CCRL: cosine of a mouth and its own speech", following.own, None),
        Row("CCRL: cosine of another mouth and that speech", following.other_image, None),
    ]


def draw_table(rows: Sequence[Row]) -> Iterator[str]:
    """The rows in Markdown."""
    yield "| measure | value | 95 % interval | chance | clips |"
    yield "|---|---:|---:|---:|---:|"
    for row in rows:
        chance = "" if row.chance is None else f"{row.chance:.2f}"
        value = row.value
        interval = f"{value.low:.2f} to {value.high:.2f}"
        yield f"| {row.measure} | {value.value:.2f} | {interval} | {chance} | {value.count} |"
