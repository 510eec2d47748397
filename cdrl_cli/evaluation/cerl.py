"""Does the emotion embedding say what is felt, and keep person and words to itself?"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cdrl_cli.array_types import Float, Float32, Int
from cdrl_cli.checkpoints.models import Models
from cdrl_cli.data.performances import Neutrals, Performance
from cdrl_cli.emotion import Emotion
from cdrl_cli.metrics.bootstrap import Interval, bootstrap, bootstrap_mean
from cdrl_cli.metrics.linear_probe import balanced_accuracy, nearest_centroid, probe_across_people
from cdrl_cli.representation.emotion_reader import EmotionReader

FREE_PROMPTS = {
    "quietly furious": Emotion.ANGRY,
    "about to explode with rage": Emotion.ANGRY,
    "fed up and grumpy": Emotion.ANGRY,
    "smelling rotten fish": Emotion.DISGUSTED,
    "this makes me want to vomit": Emotion.DISGUSTED,
    "afraid of the dark": Emotion.FEAR,
    "running from a monster": Emotion.FEAR,
    "just won the lottery": Emotion.HAPPY,
    "tickled pink": Emotion.HAPPY,
    "in love and glowing": Emotion.HAPPY,
    "reading the news without any feeling": Emotion.NEUTRAL,
    "mourning a lost friend": Emotion.SAD,
    "down in the dumps": Emotion.SAD,
    "weeping softly": Emotion.SAD,
    "did not see that coming": Emotion.SURPRISED,
    "jaw dropped in amazement": Emotion.SURPRISED,
}
"""Sentences that nobody learned from."""

FEWEST_CLIPS = 4
"""A person with fewer clips is not asked to be recognised."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a clip is read."""

    name: str
    own_neutral: bool
    pixels: bool


WAYS = (
    Way("own neutral", own_neutral=True, pixels=False),
    Way("neutral prior", own_neutral=False, pixels=False),
    Way("neutral prior and pixels", own_neutral=False, pixels=True),
)


@dataclass(frozen=True, slots=True)
class EmotionScore:
    """A share of clips, and what chance would give."""

    name: str
    accuracy: Interval
    chance: float


def unknown_performances(
    reader: EmotionReader, performances: Sequence[Performance]
) -> list[Performance]:
    """Acted clips of people that the encoder never learned from, with certain labels."""
    acted = {name for name, emotions in _emotions(performances).items() if len(emotions) > 2}  # noqa: PLR2004 - more than one pole
    return [
        one
        for one in performances
        if one.clip.identity not in reader.space.identities
        and one.clip.dataset in acted
        and one.clip.label_certain
    ]


def measure_accuracy(
    reader: EmotionReader, performances: Sequence[Performance], neutrals: Neutrals
) -> list[EmotionScore]:
    """Clips whose embedding lies nearest to the prompt of their label, among those of their set.

    Measured from the person's own neutral, and from the prior, which is how a reference is read:
    by its coefficients, and by its pixels too; no classifier is fitted. Beside them, for
    comparison, a logistic model of raw coefficients, fitted to the other people asked.
    """
    rows = []
    for way in WAYS:
        hits = read_rightly(reader, performances, neutrals, way)
        rows.append(_share(f"emotion, from the {way.name}", hits, performances))
    labels = np.array([one.label for one in performances])
    people = [one.clip.identity for one in performances]
    for name, own in (("own neutral", True), ("neutral prior", False)):
        raw = np.stack([_raw(one, neutrals, own=own) for one in performances])
        read = probe_across_people(raw, labels, people)
        title = f"logistic model of raw coefficients, from the {name}"
        rows.append(_share(title, (read == labels).astype(float), performances))
    return rows


def read_rightly(
    reader: EmotionReader, performances: Sequence[Performance], neutrals: Neutrals, way: Way
) -> Float[np.ndarray, " clips"]:
    """1 for each clip that is read as its label, 0 for others; one of :data:`WAYS`."""
    present = _emotions(performances)
    return np.array(
        [
            _nearest_label(reader, _embed(reader, one, neutrals, way), present[one.clip.dataset])
            is one.clip.emotion
            for one in performances
        ],
        float,
    )


def measure_leaks(
    reader: EmotionReader, performances: Sequence[Performance], neutrals: Neutrals
) -> list[EmotionScore]:
    """What else can be read from embeddings: the person, and the sentence (should be chance)."""
    rows = []
    for name, of in (
        ("person", [one.clip.identity for one in performances]),
        ("sentence", [one.clip.sentence for one in performances]),
    ):
        count = Counter(of)
        kept = [i for i, value in enumerate(of) if value and count[value] >= FEWEST_CLIPS]
        values = sorted({str(of[i]) for i in kept})
        if len(values) < 2:  # noqa: PLR2004 - nobody to be taken for
            continue
        labels = np.array([values.index(str(of[i])) for i in kept])
        for way in WAYS:
            shown = [_embed(reader, performances[i], neutrals, way) for i in kept]
            rows.append(_recognition(f"{name}, from the {way.name}", np.stack(shown), labels))
    return rows


def measure_free_text(models: Models) -> EmotionScore:
    """Sentences that nobody learned from, by the label they lie nearest to."""
    hits = []
    for sentence, emotion in FREE_PROMPTS.items():
        probabilities = models.cerl.space.probabilities(models.embed_words(sentence))
        hits.append(max(probabilities, key=lambda e: probabilities[e]) is emotion)
    interval = bootstrap_mean(np.array(hits, float), generator=np.random.default_rng(0))
    return EmotionScore("free text", interval, 1 / len(Emotion))


def _embed(
    reader: EmotionReader, one: Performance, neutrals: Neutrals, way: Way
) -> Float32[np.ndarray, " dimension"]:
    return reader.embed(
        one.expression,
        neutrals.of(one.clip) if way.own_neutral else None,
        one.faces if way.pixels else None,
    )


def _nearest_label(
    reader: EmotionReader, embedding: Float32[np.ndarray, " dimension"], present: set[Emotion]
) -> Emotion:
    probabilities = reader.space.probabilities(embedding)
    return max(present, key=lambda emotion: probabilities[emotion])


def _raw(one: Performance, neutrals: Neutrals, *, own: bool) -> Float[np.ndarray, " 104"]:
    neutral = neutrals.of(one.clip) if own else neutrals.prior
    return np.concatenate([one.expression.mean(axis=0) - neutral, one.expression.std(axis=0)])


def _emotions(performances: Sequence[Performance]) -> dict[str, set[Emotion]]:
    """Which emotions each data set has."""
    present: dict[str, set[Emotion]] = defaultdict(set)
    for one in performances:
        assert one.clip.emotion is not None
        present[one.clip.dataset].add(one.clip.emotion)
    return present


def _share(
    name: str, hits: Float[np.ndarray, " clips"], performances: Sequence[Performance]
) -> EmotionScore:
    present = _emotions(performances)
    chance = float(np.mean([1 / len(present[one.clip.dataset]) for one in performances]))
    return EmotionScore(name, bootstrap_mean(hits, generator=np.random.default_rng(0)), chance)


def _recognition(
    name: str, embeddings: Float[np.ndarray, "clips d"], labels: Int[np.ndarray, " clips"]
) -> EmotionScore:
    read = nearest_centroid(embeddings, labels)
    interval = bootstrap(
        len(labels),
        lambda drawn: balanced_accuracy(read[drawn], labels[drawn]),
        generator=np.random.default_rng(0),
    )
    return EmotionScore(name, interval, 1 / len(np.unique(labels)))
