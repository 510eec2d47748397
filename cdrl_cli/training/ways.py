"""The usual ways in which people act an emotion, from how far each moves from their neutral face.

Actors of one emotion differ: half of the angry frown, others narrow their eyes or press their lips.
Their mean is nobody's anger. So takes are put into groups by the direction of their change
(spherical k-means; Dhillon and Modha 2001), and each group's mean is a way.
"""

from collections.abc import Sequence

import numpy as np

from cdrl_cli.array_types import Float, Int
from cdrl_cli.emotion import Emotion
from cdrl_cli.face.blendshapes import COEFFICIENTS, IS_SMILE, SHARES
from cdrl_cli.limits import WAYS
from cdrl_cli.representation.evidence import opinions
from cdrl_cli.training.evidence import Seen, find_rests

LEAST_TAKES = 8
"""Takes that a way must be seen in; else the emotion has fewer ways."""

LEAST_STRENGTH = 0.3
"""Length (L2) of a change from which on its direction says something."""

TRIALS = 20
"""Random beginnings of the grouping; the best one counts."""


def find_ways(seen: Sequence[Seen]) -> Float[np.ndarray, "7 ways 52"]:
    """The usual ways of each emotion, the most usual first; 0 where there are fewer.

    Smiles are left out of all but joy: bared teeth pass for one. A take counts where the published
    nets, together, read what it is called: not everybody who is asked to looks afraid.

    Args:
        seen: Takes, and neutral faces of the same people.
    """
    rests = find_rests(seen)
    ways = np.zeros((len(Emotion), WAYS, COEFFICIENTS))
    for emotion in Emotion:
        changes = [
            SHARES * (one.shown.expression - rests[one.clip.identity])
            for one in seen
            if one.clip.emotion is emotion is not Emotion.NEUTRAL
            and one.clip.identity in rests
            and one.clip.label_certain
            and opinions(one.shown.judged).argmax() == emotion.class_index
        ]
        if emotion is not Emotion.HAPPY:
            changes = [np.where(IS_SMILE, one.clip(max=0), one) for one in changes]
        strong = [one for one in changes if np.linalg.norm(one) >= LEAST_STRENGTH]
        found = _group(np.array(strong)) if len(strong) >= LEAST_TAKES else ()
        for place, way in enumerate(found):
            ways[emotion.class_index, place] = way
    return ways


def _group(changes: Float[np.ndarray, "takes 52"]) -> list[Float[np.ndarray, " 52"]]:
    """Means of groups of changes, at their mean length; the largest group first."""
    directions = changes / np.linalg.norm(changes, axis=1, keepdims=True)
    for count in range(WAYS, 0, -1):
        group = min(
            (_try(directions, count, seed) for seed in range(TRIALS)), key=lambda one: one[0]
        )[1]
        sizes = np.bincount(group, minlength=count)
        if sizes.min() >= LEAST_TAKES:
            break
    found = []
    for each in np.argsort(-sizes, kind="stable"):
        mean = directions[group == each].mean(axis=0)
        length = np.linalg.norm(changes[group == each], axis=1).mean()
        found.append(mean * length / np.linalg.norm(mean))
    return found


def _try(
    directions: Float[np.ndarray, "takes 52"], count: int, seed: int
) -> tuple[float, Int[np.ndarray, " takes"]]:
    """How far takes lie from the way of their group, 1 minus the mean cosine; and the groups."""
    rng = np.random.default_rng(seed)
    centres = directions[rng.choice(len(directions), count, replace=False)]
    while True:
        group = (directions @ centres.T).argmax(axis=1)
        sums = np.stack([directions[group == each].sum(axis=0) for each in range(count)])
        moved = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
        if np.allclose(moved, centres):
            return 1 - float((directions @ centres.T).max(axis=1).mean()), group
        centres = moved
