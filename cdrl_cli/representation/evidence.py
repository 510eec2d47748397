"""What is seen of a face, and two conclusions: how it looks when neutral, and what it shows.

How a face is built shifts its expression coefficients: low brows read as a frown. The person's
neutral face takes that out; where nobody gives one it is estimated, by ridge regression from the
coefficients, the shape of the face and what two published nets say of its pixels. Both conclusions
are closed-form fits (:mod:`cdrl_cli.training.evidence`), linear in the evidence.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from cdrl_cli.array_types import Float
from cdrl_cli.emotion import Emotion
from cdrl_cli.face.blendshapes import COEFFICIENTS, SHARES

NETS = 2
"""Published expression nets that read the pixels: face-api's and FER's mini-Xception, both MIT."""

FLOOR = -7.0
"""Log probability below which a net's doubt counts no further."""

COEFFICIENT_UNIT = 0.2
"""Coefficients are told in units of this."""


ARRAYS = ("neutral", "shape_mean", "shape_axes", "neutral_weights", "logit_weights")
"""Names of the arrays of a fitted model in its file, in the order of its fields."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is seen of a face, over some frames in the mean."""

    expression: Float[np.ndarray, " 52"]
    """Blendshape coefficients, 0..1."""
    shape: Float[np.ndarray, "478 3"]
    """Landmarks in head space (see :class:`~cdrl_cli.face.head.HeadModel`)."""
    judged: Float[np.ndarray, "2 7"] | None
    """Log probability that each of the :data:`NETS` gives each emotion, in the order of
    :class:`~cdrl_cli.emotion.Emotion`; None where the pixels were not looked at."""


class EvidenceMean:
    """The mean of what is seen of a face in some frames; takes the room of one."""

    def __init__(self) -> None:
        self._frames = 0
        self._looks = 0
        self._expression = np.zeros(())
        self._shape = np.zeros(())
        self._judged = np.zeros(())

    def add(self, seen: Evidence) -> None:
        """Count another frame; its pixels count where they were looked at."""
        self._frames += 1
        self._expression = self._expression + seen.expression
        self._shape = self._shape + seen.shape
        if seen.judged is not None:
            self._looks += 1
            self._judged = self._judged + seen.judged

    @property
    def value(self) -> Evidence | None:
        """The mean; None where nothing was counted."""
        if not self._frames:
            return None
        return Evidence(
            self._expression / self._frames,
            self._shape / self._frames,
            self._judged / self._looks if self._looks else None,
        )


@dataclass(frozen=True, slots=True)
class EvidenceModel:
    """Fitted numbers of both conclusions.

    Args:
        numbers: Arrays of the file ``evidence-….safetensors``.
    """

    neutral: Float[np.ndarray, " 52"]
    """Coefficients of the mean neutral face."""
    shape_mean: Float[np.ndarray, "478 3"]
    shape_axes: Float[np.ndarray, "axes 1434"]
    """Principal axes of face shapes, each divided by the standard deviation along it."""
    neutral_weights: Float[np.ndarray, "told 52"]
    """From the evidence, the nets' opinions too, to the person's neutral coefficients, minus the
    mean ones."""
    logit_weights: Float[np.ndarray, "features 7"]
    """From the evidence to what is added to the nets' logits."""
    trust: float
    """Factor of the sum of the nets' log probabilities: two nets that agree are one opinion."""
    ways: Float[np.ndarray, "7 ways 52"] = field(
        default_factory=lambda: np.zeros((len(Emotion), 0, COEFFICIENTS))
    )
    """Usual changes of each emotion, the most usual first; 0 where there are fewer."""

    @classmethod
    def of(cls, numbers: Mapping[str, Float[np.ndarray, "..."]]) -> "EvidenceModel":
        """The model in a file's arrays."""
        neutral, mean, axes, rests, logits = (np.asarray(numbers[name], float) for name in ARRAYS)
        trust, ways = float(np.squeeze(numbers["trust"])), np.asarray(numbers["ways"], float)
        return cls(neutral, mean, axes, rests, logits, trust, ways)

    def ways_of(self, emotion: Emotion) -> Float[np.ndarray, "ways 52"]:
        """The usual ways of acting an emotion that are known, as changes of the coefficients."""
        ways = self.ways[emotion.class_index]
        return ways[np.any(ways != 0, axis=1)]

    def estimate_neutral(self, seen: Evidence) -> Float[np.ndarray, " 52"]:
        """The person's neutral coefficients, 0..1, where no neutral picture of them is known.

        Source: ridge regression over people whose neutral face is known; what it explains of the
        differences between people stands in ``weights/evidence.md``.
        """
        share = np.exp(self.trust * opinions(seen.judged))
        even = 1 / len(share)
        told = np.concatenate([self.features(seen), share / share.sum() - even])
        return (self.neutral + told @ self.neutral_weights).clip(0, 1)

    def read(
        self, seen: Evidence, own_neutral: Float[np.ndarray, " 52"] | None = None
    ) -> Float[np.ndarray, " 7"]:
        """Probability of each emotion, in the order of :class:`~cdrl_cli.emotion.Emotion`.

        Args:
            seen: The face.
            own_neutral: The person's neutral coefficients, where they are known.
        """
        if own_neutral is not None:
            moved = seen.expression - own_neutral + self.neutral
            seen = Evidence(moved, seen.shape, seen.judged)
        logits = self.trust * opinions(seen.judged) + self.features(seen) @ self.logit_weights
        likely = np.exp(logits - logits.max())
        return np.asarray(likely / likely.sum())

    def features(self, seen: Evidence) -> Float[np.ndarray, " features"]:
        """One, the coefficients without those of speech, and the shape of the face."""
        unusual = (SHARES > 0) * (seen.expression - self.neutral) / COEFFICIENT_UNIT
        shape = self.shape_axes @ (seen.shape - self.shape_mean).ravel()
        return np.concatenate([[1.0], unusual, shape])


def opinions(judged: Float[np.ndarray, "2 7"] | None) -> Float[np.ndarray, " 7"]:
    """Log of the product of the nets' probabilities (Hinton 2002); 0 where there are none."""
    if judged is None:
        return np.zeros(len(Emotion))
    summed: Float[np.ndarray, " 7"] = judged.clip(min=FLOOR).sum(axis=0)
    return summed
