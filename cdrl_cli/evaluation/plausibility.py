"""Which expressions real people show: an edit that leaves their region is a grimace."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cdrl_cli.array_types import Bool, Float, Float32
from cdrl_cli.data.prepared import PreparedClip
from cdrl_cli.face.blendshapes import EXPRESSION_NAMES

NEIGHBOURS = 5
"""Distance is measured to so many nearest frames, on average: one odd frame makes no region."""

FRAMES_A_CLIP = 20
"""Real frames kept of a clip, at even distances."""

INSIDE_PERCENT = 99.0

_CHANNELS = [
    index
    for index, name in enumerate(EXPRESSION_NAMES)
    if not name.startswith(("_neutral", "eyeLook"))
]
"""Where somebody looks has nothing to do with how."""


@dataclass(frozen=True, slots=True)
class RealExpressions:
    """Frames of real acted clips, and how far from other people's they lie."""

    frames: Float32[np.ndarray, "frames channels"]
    threshold: float
    """So far from everybody else's frames are 99 % of a real person's."""

    def contains(self, expression: Float[np.ndarray, "n 52"]) -> Bool[np.ndarray, " n"]:
        """Which expressions lie inside the region.

        Args:
            expression: Coefficients of somebody who is not among :attr:`frames`.
        """
        return _distance(_channels(expression), self.frames) <= self.threshold


def learn_region(clips: Sequence[PreparedClip]) -> RealExpressions:
    """The 99 % region of real acted clips.

    An expression is as odd as its mean distance (L2) to the nearest :data:`NEIGHBOURS` frames of
    *other* people; the threshold is what 99 % of real frames stay below, each measured against
    everybody but the person who shows it: so it is what a stranger's may reach. Coefficients crowd
    at 0 and are far from normal, hence neighbours and no covariance. Every person counts alike in
    the percentile.

    Raises:
        ValueError: If there are fewer than two people.
    """
    people: dict[str, list[Float32[np.ndarray, "n channels"]]] = {}
    for one in clips:
        chosen = np.unique(np.linspace(0, len(one.expression) - 1, FRAMES_A_CLIP).astype(int))
        people.setdefault(one.clip.identity, []).append(_channels(one.expression[chosen]))
    if len(people) < 2:  # noqa: PLR2004 - a person and somebody else
        raise ValueError(f"a region needs two people, got {sorted(people)}")
    frames = {name: np.concatenate(parts) for name, parts in people.items()}
    distances, weights = [], []
    for name, own in frames.items():
        others = np.concatenate([rows for other, rows in frames.items() if other != name])
        distances.append(_distance(own, others))
        weights.append(np.full(len(own), 1 / len(own)))
    threshold = _weighted_percentile(
        np.concatenate(distances), np.concatenate(weights), INSIDE_PERCENT
    )
    return RealExpressions(np.concatenate(list(frames.values())), threshold)


def _channels(expression: Float[np.ndarray, "n 52"]) -> Float32[np.ndarray, "n channels"]:
    return np.asarray(expression[:, _CHANNELS], np.float32)


def _distance(
    asked: Float32[np.ndarray, "n channels"], known: Float32[np.ndarray, "m channels"]
) -> Float32[np.ndarray, " n"]:
    squares = (asked**2).sum(axis=1)[:, None] + (known**2).sum(axis=1) - 2 * asked @ known.T
    count = min(NEIGHBOURS, len(known))
    nearest = np.partition(squares, count - 1, axis=1)[:, :count]
    return np.sqrt(np.maximum(nearest, 0)).mean(axis=1)


def _weighted_percentile(
    values: Float[np.ndarray, " n"], weights: Float[np.ndarray, " n"], percent: float
) -> float:
    order = np.argsort(values)
    share = np.cumsum(weights[order]) / weights.sum()
    place = int(np.searchsorted(share, percent / 100))
    return float(values[order[min(place, len(values) - 1)]])
