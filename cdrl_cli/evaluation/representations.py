"""Both representations on one page: what they are for, and what they are not to know."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cdrl_cli.checkpoints.models import load_models
from cdrl_cli.checkpoints.trained import load_content, open_prior, read_content
from cdrl_cli.data.augment import draw_noises
from cdrl_cli.data.datasets.london import read_london
from cdrl_cli.data.index import Role, read_index
from cdrl_cli.data.performances import find_neutrals, read_performances
from cdrl_cli.errors import UsageError
from cdrl_cli.evaluation.ccrl import (
    CANDIDATES,
    AudioLeak,
    measure_following,
    measure_leak,
    measure_readability,
    measure_retrieval,
    measure_window_readability,
    unknown_people,
)
from cdrl_cli.evaluation.cerl import (
    measure_accuracy,
    measure_free_text,
    measure_leaks,
    unknown_performances,
)
from cdrl_cli.metrics.bootstrap import Interval
from cdrl_cli.preparation import prepare_clips, read_takes
from cdrl_cli.representation.emotion_reader import LOOKS

NOISE_DB = 10.0
"""Of speech over noise, white or pink, that retrieval is measured under."""


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
    models = load_models(weight_set, core=True)
    reader = models.emotion_reader
    clips = [*read_index(data), *read_london(data / "london")]
    prepared = prepare_clips(clips, models, cache, progress=progress)
    performances = read_performances(prepared, looks=LOOKS)
    neutrals = find_neutrals(performances, models.cerl.space.neutral)
    asked = unknown_performances(reader, performances)
    scores = [
        *measure_accuracy(reader, asked, neutrals),
        measure_free_text(models),
        *measure_leaks(reader, asked, neutrals),
    ]
    return [Row(f"CERL: {one.name}", one.accuracy, one.chance) for one in scores]


def evaluate_content(
    data: Path,
    cache: Path,
    *,
    weight_set: str,
    weights: Path | None = None,
    left_out: Collection[str] = (),
    sound_late_s: Mapping[str, float] | None = None,
    people: Collection[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> list[Row]:
    """CCRL on people never learned from.

    Args:
        data: Folder with ``index.csv``.
        cache: Of prepared clips.
        weight_set: ``permissive`` or ``research``.
        weights: A file of encoders, instead of the set's.
        left_out: Clips that are not asked about, by the stem of the file's name: no speech of the
            person seen is heard in them.
        sound_late_s: How much later than the picture the sound of some clips is, by stem; it is
            moved back.
        people: Only these are asked about, if any are named.
        progress: Called with (clips done, clips in all).

    Raises:
        UsageError: If somebody of ``people`` is not in the data, or was learned from.
        WeightsError: If weights are missing, also the optional part ``speech``.
    """
    models = load_content(weight_set) if weights is None else read_content(weights)
    clips = [
        clip
        for clip in read_index(data)
        if Role.REFRAMED not in clip.roles and clip.path.stem not in left_out
    ]
    prepared = prepare_clips(clips, load_models(weight_set, core=True), cache, progress=progress)
    takes = unknown_people(
        models,
        list(
            read_takes(
                prepared,
                open_prior(models.prior),
                cache / "speech",
                sound_late_s=sound_late_s or {},
                noises=partial(
                    draw_noises, count=1, gain_db=(0.0, 0.0), snr_db=(NOISE_DB, NOISE_DB)
                ),
            )
        ),
    )
    asked = [take for take in takes if not people or take.clip.identity in people]
    names = frozenset(take.clip.identity for take in asked)
    if missing := sorted(set(people) - names):
        raise UsageError(f"{missing[0]}: no clips, or the encoders learned from this person")
    noisy = [version for take in asked for version in take.versions[1:]]
    following = measure_following(models, asked)
    chance = 1 / CANDIDATES
    return [
        *(
            Row(f"CCRL: speech of a mouth by {found.view}", found.speech_of_mouth, chance)
            for found in measure_retrieval(models, asked)
        ),
        *(
            Row(
                f"CCRL: the same under noise, {NOISE_DB:.0f} dB, by {found.view}",
                found.speech_of_mouth,
                chance,
            )
            for found in measure_retrieval(models, noisy)
        ),
        *(row for leak in measure_leak(models, asked) for row in _leak_rows(leak)),
        *(
            Row(f"CCRL: emotion read from {read.features}", read.accuracy, read.chance)
            for read in (
                *measure_readability(models, takes, asked=names),
                *measure_window_readability(models, takes, asked=names),
            )
        ),
        Row("CCRL: cosine of a mouth and its own speech", following.own, None),
        Row("CCRL: cosine of another mouth and that speech", following.other_image, None),
    ]


def _leak_rows(leak: AudioLeak) -> Iterator[Row]:
    chance = 1 / CANDIDATES
    view = f"by {leak.view}"
    yield Row(f"CCRL: speech of a mouth {view}, told the right one", leak.told, chance)
    yield Row(f"CCRL: speech of a mouth {view}, told each in turn", leak.each, chance)
    yield Row(f"CCRL: speech of a still mouth {view}, told the right one", leak.still, chance)
    yield Row(f"CCRL: cosine of a mouth under its own and other speech, {view}", leak.kept, None)
    yield Row(f"CCRL: other speech draws the code of a mouth to its own, {view}", leak.drawn, None)


def draw_table(rows: Sequence[Row]) -> Iterator[str]:
    """The rows in Markdown."""
    yield "| measure | value | 95 % interval | chance | clips |"
    yield "|---|---:|---:|---:|---:|"
    for row in rows:
        chance = "" if row.chance is None else f"{row.chance:.2f}"
        value = row.value
        interval = f"{value.low:.2f} to {value.high:.2f}"
        yield f"| {row.measure} | {value.value:.2f} | {interval} | {chance} | {value.count} |"
