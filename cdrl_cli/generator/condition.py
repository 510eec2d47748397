"""What an edit is asked to show: an emotion as motion models and renderers take it, over time."""

from dataclasses import dataclass

import numpy as np

from cdrl_cli.array_types import Float
from cdrl_cli.generator.pace import Pace, steady_pace

NAMED_GAINS = np.array([1.2, 1.1, 1.6, 1.15, 1.0, 1.3, 1.3])
"""So many times the motion editor's way of acting each emotion is taken where a name asks, in the
order of :class:`~cdrl_cli.emotion.Emotion`: it acts fear and sadness half as strongly as the
others, and all of them less far than actors. Chosen on people kept out of training by what two
published emotion nets, not the judge, see for the likeness it costs: moving further is worth more
than stronger light and creases."""

NAMED_SQUINTS = np.array([0.0, 0.25, 0.0, 0.0, 0.0, 0.15, 0.0])
"""Added to ``eyeSquint`` where a name asks, in the order of :class:`~cdrl_cli.emotion.Emotion`.
Actors narrow their eyes in disgust and sadness by .37 and .20 (the landmarker, means of 4 and 12
people's takes less their calm ones); the motion editor by .06 and .04."""

OBSERVED_GAIN = 1.15
"""So many times a reference's change is asked for. Over whole clips .75 of its length is found in
the output where 1 is asked, and .83 where this is; 1.3 costs twice as much of the likeness."""

NO_NAME_FROM = 0.1
"""Value of :attr:`Condition.observed` from which a reference asks, not a name; in a track between
the two, the gains end on the way there."""


@dataclass(frozen=True, slots=True)
class Condition:
    """The emotion asked for, as motion models and renderers need it."""

    difference: Float[np.ndarray, " 52"]
    """Coefficients of the emotion minus those of a neutral face, times
    :data:`~cdrl_cli.face.blendshapes.SHARES`."""
    embedding: Float[np.ndarray, " dimension"]
    """The emotion as CERL names or recalls it, a unit vector."""
    likelihood: Float[np.ndarray, " 7"]
    """Of each emotion by that embedding; 0 for neutral, which asks for nothing."""
    reading: Float[np.ndarray, " 7"]
    """Likelihood of each as it was read, with all doubts: what people are told."""
    observed: float = 0.0
    """Above 0 where the difference was seen on a face and is shown in full: 1 less the share, 0..1,
    of what the motion editor does for that emotion beside it. 0 where a name asks: the editor knows
    how its emotion is acted."""

    @property
    def strength(self) -> float:
        """Length (L2) of the difference: real actors reach 0.6 to 1.3."""
        return float(np.linalg.norm(self.difference))

    @property
    def emphasis(self) -> float:
        """Factor of the intensity: :data:`OBSERVED_GAIN` where a reference asks, 1 where a name."""
        return 1.0 + (OBSERVED_GAIN - 1.0) * min(1.0, self.observed / NO_NAME_FROM)

    @property
    def amount(self) -> float:
        """How much of the editor's acting is shown: falls to 0 with the likelihood of any emotion.

        1 where it is an emotion rather than none; where a name asks, times :data:`NAMED_GAINS`.
        """
        whole = float(self.likelihood.sum())
        amount = min(1.0, 2.0 * whole)
        gain = float(self.likelihood @ NAMED_GAINS) / whole if whole > 0 else 1.0
        return amount * (1.0 + self._named * (gain - 1.0))

    @property
    def squint(self) -> float:
        """What is added to ``eyeSquint``, 0 where a reference asks: :data:`NAMED_SQUINTS`."""
        return self._named * float(self.likelihood @ NAMED_SQUINTS)

    @property
    def _named(self) -> float:
        """1 where a name asks, 0 where a reference does."""
        return max(0.0, 1.0 - self.observed / NO_NAME_FROM)


@dataclass(frozen=True, slots=True)
class ConditionTrack:
    """An emotion that varies over time; one that does not is a track of one moment."""

    times_s: Float[np.ndarray, " moments"]
    """Growing, seconds from the beginning of the edit."""
    conditions: tuple[Condition, ...]
    """One for each moment."""
    pace: Pace = steady_pace
    """How the strength varies beside that; nothing more where the track itself says it."""

    def gain(self, time_s: float, share: float) -> float:
        """Factor of the strength at a time.

        Args:
            time_s: Seconds from the beginning of the edit.
            share: How far the strength follows :attr:`pace`: 0 holds it, 1 follows.
        """
        return 1.0 + share * (self.pace(time_s) - 1.0)

    def asked(self, time_s: float, share: float) -> tuple[Condition, float]:
        """The emotion at a time, and the factor of its strength; arguments as :meth:`gain`."""
        condition = self.at(time_s)
        return condition, self.gain(time_s, share) * condition.emphasis

    def at(self, time_s: float) -> Condition:
        """The emotion at a time: between two moments in between, beyond the last as at it."""
        after = int(np.searchsorted(self.times_s, time_s))
        if after in (0, len(self.times_s)):
            return self.conditions[min(after, len(self.times_s) - 1)]
        one, other = self.conditions[after - 1 : after + 1]
        begun_s, step_s = self.times_s[after - 1], self.times_s[after] - self.times_s[after - 1]
        share = (time_s - begun_s) / step_s
        embedding = (1 - share) * one.embedding + share * other.embedding
        return Condition(
            (1 - share) * one.difference + share * other.difference,
            embedding / max(float(np.linalg.norm(embedding)), 1e-9),
            (1 - share) * one.likelihood + share * other.likelihood,
            (1 - share) * one.reading + share * other.reading,
            (1 - share) * one.observed + share * other.observed,
        )
