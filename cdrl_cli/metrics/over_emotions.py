"""Means in which every emotion counts alike."""

import numpy as np

from cdrl_cli.array_types import Float, Int


def mean_over_emotions(
    hits: Float[np.ndarray, " clips"], labels: Int[np.ndarray, " clips"]
) -> float:
    """Mean of the emotions' means: each that occurs counts alike, however many clips it has.

    Args:
        hits: A number a clip, such as 1 where the judge agrees.
        labels: Class index of the emotion wanted.

    >>> mean_over_emotions(np.array([1.0, 1.0, 1.0, 0.0]), np.array([0, 0, 0, 1]))
    0.5
    """
    return float(np.mean([hits[labels == label].mean() for label in np.unique(labels)]))
