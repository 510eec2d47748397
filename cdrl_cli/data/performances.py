"""Clips as CERL takes them: who shows which emotion, and how that person looks when neutral."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from cdrl_cli.array_types import Float32, Float64, UInt8
from cdrl_cli.data.action_units import coded_expression
from cdrl_cli.data.index import Clip, Role
from cdrl_cli.data.prepared import PreparedClip
from cdrl_cli.emotion import Emotion
from cdrl_cli.face.blendshapes import EXPRESSION_NAMES

ACTED_EMOTIONS = 3
"""Emotions from which on a data set counts as acted: one with fewer teaches how people look."""

LESSER_WEIGHT = 0.2
"""Weight in sampling of a data set with fewer than :data:`ACTED_EMOTIONS` emotions; others have
1."""

FULL_WEIGHT_CLIPS = 50
"""Clips from which on a data set has its full weight in sampling; below, in proportion."""


UNIT_CHANCE = 0.75
"""Probability that a made-up performance shows each action unit of its emotion."""

CODED = "EMFACS"
"""Name of the data set that is made up, not recorded."""


@dataclass(frozen=True, slots=True)
class Performance:
    """One clip with a known emotion."""

    clip: Clip
    expression: Float32[np.ndarray, "frames features"]
    """Coefficients of each frame, or features of a picture prior."""
    faces: UInt8[np.ndarray, "looks side side 3"] | None = None
    """Aligned crops of frames spread over the clip, where pixels are asked for."""

    @property
    def label(self) -> int:
        """Class index."""
        assert self.clip.emotion is not None
        return self.clip.emotion.class_index


@dataclass(frozen=True, slots=True)
class Neutrals:
    """What to measure an expression from."""

    prior: Float32[np.ndarray, " features"]
    """Mean neutral face over people."""
    own: dict[str, Float32[np.ndarray, " features"]]
    """By identity, where a neutral clip is known."""

    def of(self, clip: Clip) -> Float32[np.ndarray, " features"]:
        """The clip's person's own, else the prior."""
        return self.own.get(clip.identity, self.prior)


def read_performances(prepared: Iterable[PreparedClip], *, looks: int = 0) -> list[Performance]:
    """The clips whose emotion is known; other framings of the same take are left out.

    Args:
        prepared: All.
        looks: So many crops of each clip are kept, at most.
    """
    return [
        Performance(one.clip, one.expression, spread_faces(one, looks) if looks else None)
        for one in prepared
        if has_known_emotion(one.clip)
    ]


def has_known_emotion(clip: Clip) -> bool:
    """It shows an emotion that is sure, and is not another framing of a take there is."""
    return (
        clip.emotion is not None
        and (clip.label_certain or clip.emotion is Emotion.NEUTRAL)
        and Role.REFRAMED not in clip.roles
    )


def spread_faces(one: PreparedClip, looks: int) -> UInt8[np.ndarray, "looks side side 3"]:
    """Aligned crops of at most so many frames at even distances over a clip."""
    return one.face[np.unique(np.linspace(0, len(one.face) - 1, looks).round().astype(int))]


def acted_clips(clips: Sequence[Clip]) -> list[Clip]:
    """Those of data sets that act: with certain labels, of three emotions or more."""
    labelled = [one for one in clips if one.emotion is not None and one.label_certain]
    emotions: dict[str, set[Emotion | None]] = defaultdict(set)
    for one in labelled:
        emotions[one.dataset].add(one.emotion)
    return [one for one in labelled if len(emotions[one.dataset]) >= ACTED_EMOTIONS]


def find_neutrals(
    performances: Iterable[Performance], prior: Float32[np.ndarray, " features"]
) -> Neutrals:
    """Each person's mean over neutral clips."""
    means: dict[str, list[Float32[np.ndarray, " features"]]] = defaultdict(list)
    for one in performances:
        if one.clip.emotion is Emotion.NEUTRAL:
            means[one.clip.identity].append(one.expression.mean(axis=0))
    return Neutrals(prior, {name: np.mean(values, axis=0) for name, values in means.items()})


def code_performances(
    performances: Sequence[Performance],
    *,
    count: int,
    generator: np.random.Generator,
) -> list[Performance]:
    """Performances as the textbook has them, played on the neutral clips of real people.

    Actors of a small data set show some emotions weakly or not at all; the action units are what
    they would share. Each is played on a person's neutral talking, at a strength and with a
    choice of action units of its own, so that no single one of them stands for the emotion.

    Args:
        performances: Whose neutral clips are played on.
        count: Of each emotion.
        generator: Randomness.
    """
    talking = [
        one
        for one in performances
        if one.clip.emotion is Emotion.NEUTRAL and len(one.expression) > 1
    ]
    coded = []
    for emotion in Emotion:
        if emotion is Emotion.NEUTRAL:
            continue
        units = coded_expression(emotion)
        for _ in range(count):
            stage = talking[generator.integers(len(talking))]
            shown = units * _unit_choice(units, generator) * generator.uniform(0.6, 1.6)
            expression = np.clip(stage.expression + shown, 0, 1).astype(np.float32)
            coded.append(
                Performance(replace(stage.clip, dataset=CODED, emotion=emotion), expression)
            )
    return coded


def _unit_choice(
    units: Float64[np.ndarray, " 52"], generator: np.random.Generator
) -> Float64[np.ndarray, " 52"]:
    """Each action unit, both sides alike, is there or not, more or less."""
    stems = [name.removesuffix("Left").removesuffix("Right") for name in EXPRESSION_NAMES]
    degrees = {
        stem: (generator.random() < UNIT_CHANCE) * generator.uniform(0.5, 1.5)
        for stem in dict.fromkeys(stems)
    }
    choice = np.array([degrees[stem] for stem in stems])
    return choice if (choice * units).any() else np.ones_like(units)


class SetSampler:
    """Draws clips so that no person, data set or emotion drowns the others.

    Emotion-augmented sampling (paper, section 3.3): a set has one clip of every emotion, of any
    person. The person is drawn by data set first: 102 people who smile once for a photograph do
    not outweigh eight who act.
    """

    def __init__(self, performances: Sequence[Performance], generator: torch.Generator) -> None:
        self._performances = performances
        self._generator = generator
        weights = _set_weights(performances)
        people: dict[int, dict[tuple[str, str], list[int]]] = defaultdict(lambda: defaultdict(list))
        for index, one in enumerate(performances):
            people[one.label][one.clip.dataset, one.clip.identity].append(index)
        self._people = {label: list(people[label].values()) for label in sorted(people)}
        self._chances = {}
        for label, by_person in people.items():
            size = {
                dataset: sum(key[0] == dataset for key in by_person) for dataset, _ in by_person
            }
            self._chances[label] = torch.tensor(
                [weights[dataset] / size[dataset] for dataset, _ in by_person]
            )

    def draw_set(self) -> list[Performance]:
        """One performance of each emotion there is, in class order."""
        drawn = []
        for label, people in self._people.items():
            chances = self._chances[label]
            person = people[int(torch.multinomial(chances, 1, generator=self._generator))]
            drawn.append(self._performances[person[self._below(len(person))]])
        return drawn

    def draw_any(self, count: int) -> list[Performance]:
        """Performances as they come, for the ablation."""
        return [self._performances[self._below(len(self._performances))] for _ in range(count)]

    def _below(self, count: int) -> int:
        return int(torch.randint(count, (1,), generator=self._generator))


def _set_weights(performances: Sequence[Performance]) -> dict[str, float]:
    emotions: dict[str, set[int]] = defaultdict(set)
    clips: dict[str, int] = defaultdict(int)
    for one in performances:
        emotions[one.clip.dataset].add(one.label)
        clips[one.clip.dataset] += 1
    return {
        name: min(1.0, clips[name] / FULL_WEIGHT_CLIPS)
        * (1.0 if len(emotions[name]) >= ACTED_EMOTIONS else LESSER_WEIGHT)
        for name in clips
    }
