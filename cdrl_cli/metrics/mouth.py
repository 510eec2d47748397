"""Whether lips move as they did: how far they are open, and when they are closed."""

import numpy as np

from cdrl_cli.array_types import Bool, Float

INNER_PAIRS = np.array(
    [(13, 14), (82, 87), (81, 178), (80, 88), (191, 95), (312, 317), (311, 402), (310, 318),
     (415, 324)]
)  # fmt: skip
"""Pairs of landmarks of the inner lips, upper and lower, that meet when the mouth is closed."""

OUTER_EYE_CORNERS = (33, 263)

CLOSED_SHARE = 0.15
"""Lips are closed below so much of the way from a clip's narrowest aperture to its widest:"""

WIDE_PERCENTILE = 95.0
"""the widest but for a few frames."""

NEVER_CLOSED = 0.05
"""A clip whose narrowest aperture is wider than this, in eye distances, closes its lips never."""

TOLERANCE_FRAMES = 1
"""A closure counts as kept if it is there a frame earlier or later."""


def lip_aperture(landmarks_xyz: Float[np.ndarray, "frames 478 3"]) -> Float[np.ndarray, " frames"]:
    """Mean opening of the inner lips by the distance of the outer eye corners.

    In space, so that it is the same however the head is turned, and wherever it is.
    """
    upper, lower = INNER_PAIRS.T
    opening = np.linalg.norm(landmarks_xyz[:, lower] - landmarks_xyz[:, upper], axis=2).mean(axis=1)
    left, right = OUTER_EYE_CORNERS
    return opening / np.linalg.norm(landmarks_xyz[:, left] - landmarks_xyz[:, right], axis=1)


def correlation(one: Float[np.ndarray, " frames"], other: Float[np.ndarray, " frames"]) -> float:
    """Pearson's; NaN where one of them does not move."""
    centred = one - one.mean(), other - other.mean()
    length = np.linalg.norm(centred[0]) * np.linalg.norm(centred[1])
    return float(centred[0] @ centred[1] / length) if length > 0 else float("nan")


def closed_threshold(source: Float[np.ndarray, " frames"]) -> float:
    """The aperture below which the lips of this clip are closed.

    Relative to the clip, because landmarks keep a gap between closed lips that is a person's own
    (.002 to .019 eye distances in 43 neutral clips), and the source's for both sides: lips that no
    longer reach it have opened.

    Returns:
        Eye distances; 0, which nothing is below, where the lips never close
        (:data:`NEVER_CLOSED`).
    """
    low, high = float(source.min()), float(np.percentile(source, WIDE_PERCENTILE))
    return 0.0 if low > NEVER_CLOSED else low + CLOSED_SHARE * (high - low)


def closure_f1(
    source: Bool[np.ndarray, " frames"],
    output: Bool[np.ndarray, " frames"],
    *,
    tolerance: int = TOLERANCE_FRAMES,
) -> float:
    """F1 of "the lips are closed", each closed frame forgiven a shift by ``tolerance`` frames.

    Returns:
        0..1; NaN where neither closes its lips, so that there is nothing to keep.
    """
    if not source.any() and not output.any():
        return float("nan")
    if not source.any() or not output.any():
        return 0.0
    recall = _widen(output, tolerance)[source].mean()
    precision = _widen(source, tolerance)[output].mean()
    total = recall + precision
    return float(2 * recall * precision / total) if total > 0 else 0.0


def _widen(mask: Bool[np.ndarray, " frames"], by: int) -> Bool[np.ndarray, " frames"]:
    """True wherever it is true within so many frames."""
    return np.convolve(mask, np.ones(2 * by + 1))[by : by + len(mask)] > 0
