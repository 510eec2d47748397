"""Clips as the motion editor takes them: coefficients at an even rate, each beside its neutral."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from cdrl_cli.array_types import Float, Float32
from cdrl_cli.data.action_units import coded_expression
from cdrl_cli.data.index import Clip
from cdrl_cli.data.pairs import align
from cdrl_cli.data.performances import has_known_emotion
from cdrl_cli.data.prepared import PreparedClip
from cdrl_cli.data.takes import time_grid
from cdrl_cli.emotion import Emotion
from cdrl_cli.face.blendshapes import RHYTHM, SHARES
from cdrl_cli.generator.motion import RATE_HZ

CLEARLY_ACTED = 0.3
"""Change of the coefficients (L2) under which an actor's emotion is taken as not shown."""

FULL_STRENGTH = 0.6
"""From here on a take counts in full; a weaker one in proportion."""

OBSERVED_SHARE = 0.25
"""Share of the windows that a reference asks with its own change, 0..1; names ask in the others."""

ALIGNED_SHARE = 0.25
PLAYED_SHARE = 0.25
"""Of the windows: a neutral take beside the same sentence with an emotion; and an emotional take's
speech on the same person's neutral face. The others are any clip with any emotion."""

LOW_PASS_S = 0.2
"""Standard deviation of the smoothing of takes that were aligned by warping: nearer the two
cannot be brought."""

Choice = TypeVar("Choice")


@dataclass(frozen=True, slots=True)
class MotionTake:
    """One clip at 25 frames a second."""

    clip: Clip
    expression: Float32[np.ndarray, "frames 52"]
    neutral: Float32[np.ndarray, " 52"]
    """The person's own."""

    @property
    def emotion(self) -> Emotion:
        """What is shown."""
        assert self.clip.emotion is not None
        return self.clip.emotion

    @property
    def difference(self) -> Float[np.ndarray, " 52"]:
        """Mean of the clip minus the person's neutral, by channel share; 0 for a neutral clip."""
        if self.emotion is Emotion.NEUTRAL:
            return np.zeros(52)
        return SHARES * (self.expression.mean(axis=0) - self.neutral)

    @property
    def strength(self) -> float:
        """How clearly the emotion is acted: L2 of the difference."""
        return float(np.linalg.norm(self.difference))


@dataclass(frozen=True, slots=True)
class AlignedTakes:
    """One person says one sentence neutrally and with an emotion."""

    neutral: MotionTake
    emotional: MotionTake
    change: Float32[np.ndarray, "frames 52"]
    """For each frame of the neutral take, how the other differs where the same is said; smooth."""


def read_motion_takes(prepared: Iterable[PreparedClip]) -> list[MotionTake]:
    """Clips that show a known emotion, of people whose neutral face is known; no stills."""
    known = [one for one in prepared if has_known_emotion(one.clip)]
    neutral: dict[str, list[Float[np.ndarray, " 52"]]] = defaultdict(list)
    for one in known:
        if one.clip.emotion is Emotion.NEUTRAL:
            neutral[one.clip.identity].append(one.expression.mean(axis=0))
    return [
        MotionTake(
            one.clip,
            _resample(one),
            np.mean(neutral[one.clip.identity], axis=0).astype(np.float32),
        )
        for one in known
        if one.clip.identity in neutral and len(time_grid(one.time_s)) > 1
    ]


def align_takes(takes: Sequence[MotionTake]) -> list[AlignedTakes]:
    """Each emotional take with the same person's neutral take of the sentence, by mouth motion."""
    neutral = {
        _spoken(one): one for one in takes if one.emotion is Emotion.NEUTRAL and one.clip.sentence
    }
    pairs = []
    for one in takes:
        calm = neutral.get(_spoken(one))
        if calm is None or one.emotion is Emotion.NEUTRAL:
            continue
        moment = align(calm.expression[:, RHYTHM], one.expression[:, RHYTHM])
        change = _low_pass(one.expression[moment] - calm.expression)
        pairs.append(AlignedTakes(calm, one, change.astype(np.float32)))
    return pairs


def typical_differences(
    takes: Sequence[MotionTake], *, strength: float
) -> Float[np.ndarray, "7 52"]:
    """How each emotion differs from neutral where it is acted clearly; neutral is 0.

    The mean over people of those who act it clearly, as far as they agree (mean cosine between
    two of them), and for the rest the textbook's action units, both of length 1. Where everybody
    acts an emotion in a way of their own, what is left of the mean is one actor's brows; where
    nobody acts it, the action units are all there is.

    Args:
        takes: Whom to look at.
        strength: L2 of each difference.
    """
    typical = np.zeros((len(Emotion), 52))
    for emotion in Emotion:
        if emotion is Emotion.NEUTRAL:
            continue
        difference = _unit(SHARES * coded_expression(emotion))
        if clear := clear_differences(takes, emotion):
            agreed = max(0.0, agreement(clear))
            difference = (1 - agreed) * difference + agreed * _unit(np.mean(clear, axis=0))
        typical[emotion.class_index] = strength * _unit(difference)
    return typical


def clear_differences(
    takes: Sequence[MotionTake], emotion: Emotion
) -> list[Float[np.ndarray, " 52"]]:
    """How each person differs from neutral, of those who act an emotion clearly."""
    people: dict[str, list[Float[np.ndarray, " 52"]]] = defaultdict(list)
    for one in takes:
        if one.emotion is emotion:
            people[one.clip.identity].append(one.difference)
    means = [np.mean(own, axis=0) for own in people.values()]
    return [mean for mean in means if np.linalg.norm(mean) > CLEARLY_ACTED]


def agreement(differences: Sequence[Float[np.ndarray, " 52"]]) -> float:
    """Mean cosine between two of them; who is alone agrees with nobody."""
    count = len(differences)
    if count == 1:
        return 0.0
    units = np.stack([_unit(one) for one in differences])
    cosines = units @ units.T
    return float(cosines.sum() - count) / (count * (count - 1))


@dataclass(frozen=True, slots=True)
class MotionBatch:
    """Windows to edit, and what they should become."""

    source: Float[Tensor, "batch frames 52"]
    neutral: Float[Tensor, "batch 52"]
    """Of the person."""
    labels: Tensor
    """Class index of the emotion asked for."""
    embedding: Float[Tensor, "batch dimension"]
    """The emotion asked for, as a clip, a label or words name it."""
    difference: Float[Tensor, "batch 52"]
    """The change that a reference shows; 0 where a name asks."""
    observed: Float[Tensor, "batch 1"]
    """1 where a reference asks for its own change, 0 where a name asks."""
    level: Float[Tensor, "batch 52"]
    """What the mean over the window should be."""
    target: Float[Tensor, "batch frames 52"]
    """What the person really did, where the weight is above 0."""
    target_weight: Float[Tensor, " batch"]
    real: Float[Tensor, "batch frames 52"]
    """Windows of real takes that show the emotion asked for; of anybody."""
    real_labels: Tensor

    def to(self, device: torch.device) -> "MotionBatch":
        """The same on a device."""
        return MotionBatch(
            source=self.source.to(device),
            neutral=self.neutral.to(device),
            labels=self.labels.to(device),
            embedding=self.embedding.to(device),
            difference=self.difference.to(device),
            observed=self.observed.to(device),
            level=self.level.to(device),
            target=self.target.to(device),
            target_weight=self.target_weight.to(device),
            real=self.real.to(device),
            real_labels=self.real_labels.to(device),
        )


class MotionSampler:
    """Draws batches.

    Args:
        takes: Learned from.
        typical: :func:`typical_differences`.
        references: For each emotion, embeddings that ask for it and come from clips, each with the
            difference that the clip shows.
        names: For each emotion, embeddings of its label and of words for it.
        frames: Of a window.
        generator: Randomness.
        observed_share: Share of the windows that a reference asks with its own change, 0..1; a
            name or an embedding asks in the others.
    """

    def __init__(
        self,
        takes: Sequence[MotionTake],
        typical: Float[np.ndarray, "7 52"],
        references: Mapping[Emotion, Sequence[tuple[np.ndarray, np.ndarray]]],
        names: Mapping[Emotion, Sequence[np.ndarray]],
        *,
        frames: int,
        generator: torch.Generator,
        observed_share: float = OBSERVED_SHARE,
    ) -> None:
        self._observed_share = observed_share
        self._typical, self._references, self._names = typical, references, names
        self._frames, self._generator = frames, generator
        self._by_person = _by_person([one for one in takes if len(one.expression) >= frames])
        long = [one for person in self._by_person.values() for one in person]
        self._emotional = [
            one
            for one in long
            if one.emotion is not Emotion.NEUTRAL and self._neutrals(one) and one.strength > 0
        ]
        self._aligned = [one for one in align_takes(takes) if len(one.change) >= frames]
        self._by_emotion: dict[Emotion, list[MotionTake]] = defaultdict(list)
        for one in long:
            self._by_emotion[one.emotion].append(one)

    def draw(self, count: int) -> MotionBatch:
        """So many windows."""
        rows = [self._draw_one() for _ in range(count)]
        columns = [torch.from_numpy(np.stack(column)).float() for column in zip(*rows, strict=True)]
        source, neutral, label, embedding, difference, observed, *rest = columns
        level, target, weight, real, real_label = rest
        return MotionBatch(
            source=source,
            neutral=neutral,
            labels=label.long(),
            embedding=embedding,
            difference=difference,
            observed=observed,
            level=level,
            target=target,
            target_weight=weight,
            real=real,
            real_labels=real_label.long(),
        )

    def _draw_one(self) -> tuple[np.ndarray, ...]:
        kind = float(torch.rand((), generator=self._generator))
        shown = np.zeros(52)
        own: MotionTake | None = None
        if kind < ALIGNED_SHARE and self._aligned:
            pair = self._pick(self._aligned)
            cut = self._cut(pair.change)
            take, emotion, own = pair.neutral, pair.emotional.emotion, pair.emotional
            source = take.expression[cut]
            target = (source + pair.change[cut]).clip(0, 1)
            weight = min(1.0, pair.emotional.strength / FULL_STRENGTH)
        elif kind < ALIGNED_SHARE + PLAYED_SHARE and self._emotional:
            take = own = self._pick(self._emotional)
            emotion = take.emotion
            target = take.expression[self._cut(take.expression)]
            calm = self._pick(self._neutrals(take)).expression
            source = play_on(target, calm[self._cut(calm)])
            weight = min(1.0, take.strength / FULL_STRENGTH)
        else:
            person = self._pick(list(self._by_person.values()))
            take = self._pick(person)
            emotion = self._pick(list(Emotion))
            source = target = take.expression[self._cut(take.expression)]
            shown = take.difference
            weight = 0.0
        by_reference = float(torch.rand((), generator=self._generator)) < self._observed_share
        if by_reference:
            embedding, asked = self._names[emotion][-1], self._observe(own, emotion)
        else:
            embedding, asked = self._condition(emotion)
        level = (source.mean(axis=0) + asked - shown).clip(0, 1)
        real = self._pick(self._by_emotion[self._pick(list(self._by_emotion))])
        return (
            source,
            take.neutral,
            np.array(emotion.class_index),
            embedding,
            asked if by_reference else np.zeros(52),
            np.array([float(by_reference)]),
            level,
            target,
            np.array(weight),
            real.expression[self._cut(real.expression)],
            np.array(real.emotion.class_index),
        )

    def _observe(self, own: MotionTake | None, emotion: Emotion) -> np.ndarray:
        """What a reference shows: the take that is to be followed, or anybody's of the emotion."""
        if own is not None:
            return own.difference
        takes = self._by_emotion.get(emotion)
        return self._pick(takes).difference if takes else np.zeros(52)

    def _condition(self, emotion: Emotion) -> tuple[np.ndarray, np.ndarray]:
        """An embedding that asks for an emotion, and the difference that it asks for."""
        typical = self._typical[emotion.class_index]
        references = self._references.get(emotion, ())
        if not references or float(torch.rand((), generator=self._generator)) < 0.5:  # noqa: PLR2004
            return self._pick(self._names[emotion]), typical
        embedding, shown = self._pick(references)
        length = np.linalg.norm(shown)
        if emotion is Emotion.NEUTRAL or length < CLEARLY_ACTED:
            return embedding, typical
        # As far as the clip shows what others show: one that contradicts them is a way of its own.
        alike = max(0.0, float(_unit(typical) @ shown) / float(length))
        mixed = _unit(typical) + alike * shown / length
        return embedding, _unit(mixed) * max(float(np.linalg.norm(typical)), float(length))

    def _neutrals(self, take: MotionTake) -> list[MotionTake]:
        own = self._by_person[take.clip.identity]
        return [one for one in own if one.emotion is Emotion.NEUTRAL]

    def _pick(self, choices: Sequence[Choice]) -> Choice:
        return choices[int(torch.randint(len(choices), (), generator=self._generator))]

    def _cut(self, values: np.ndarray) -> slice:
        start = int(torch.randint(len(values) - self._frames + 1, (), generator=self._generator))
        return slice(start, start + self._frames)


def play_on(
    emotional: Float[np.ndarray, "frames 52"], calm: Float[np.ndarray, "frames 52"]
) -> Float[np.ndarray, "frames 52"]:
    """An emotional take's speech on a calm face: a source of which the real target is known.

    Speech channels are the take's own, in time; where speech and emotion share the lips, it is its
    movement about the calm face's mean; all others are the calm face's.
    """
    moved = emotional - emotional.mean(axis=0) + calm.mean(axis=0)
    played = np.where(SHARES == 0, emotional, np.where(SHARES < 1, moved, calm))
    return played.clip(0, 1).astype(np.float32)


def _spoken(take: MotionTake) -> tuple[str, str, str | None]:
    """Who says what."""
    return take.clip.dataset, take.clip.identity, take.clip.sentence


def _by_person(takes: Iterable[MotionTake]) -> dict[str, list[MotionTake]]:
    people: dict[str, list[MotionTake]] = defaultdict(list)
    for one in takes:
        people[one.clip.identity].append(one)
    return people


def _resample(one: PreparedClip) -> Float32[np.ndarray, "frames 52"]:
    grid_s = time_grid(one.time_s)
    columns = [np.interp(grid_s, one.time_s, column) for column in one.expression.T]
    return np.stack(columns, axis=1).astype(np.float32)


def _low_pass(values: Float[np.ndarray, "frames 52"]) -> Float[np.ndarray, "frames 52"]:
    places = np.arange(len(values)) / RATE_HZ
    weights = np.exp(-0.5 * ((places[:, None] - places) / LOW_PASS_S) ** 2)
    return (weights / weights.sum(axis=1, keepdims=True)) @ values


def _unit(values: Float[np.ndarray, " 52"]) -> Float[np.ndarray, " 52"]:
    return values / max(float(np.linalg.norm(values)), 1e-9)
