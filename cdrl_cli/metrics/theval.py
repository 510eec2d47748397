"""Two measures of THEval (Quignon et al. 2026, arXiv 2511.04520), and how it scores them.

Written anew from the paper and its code, on the same mesh of landmarks. Of its eight measures these
two need nothing else; the others need networks (FaceXFormer, MUSIQ, TOPIQ, an aesthetic score) or a
voice detector, and are not here.
"""

from itertools import combinations

import numpy as np
from jaxtyping import Float

OUTER_EYE_CORNERS = (33, 263)

LIPS = (
    0, 13, 14, 17, 37, 39, 40, 61, 78, 80, 81, 82, 84, 87, 88, 91, 95, 146, 178, 181, 185, 191,
    267, 269, 270, 291, 308, 310, 311, 312, 314, 317, 318, 321, 324, 375, 402, 405, 409, 415,
)  # fmt: skip
"""Landmarks of the lips, outer and inner."""

BROWS = (
    (46, 52, 53, 55, 63, 65, 66, 70, 105, 107),
    (276, 282, 283, 285, 293, 295, 296, 300, 334, 336),
)
"""Landmarks of each brow, the person's right one first."""

EYES = (
    (7, 33, 133, 144, 145, 153, 154, 155, 157, 158, 159, 160, 161, 163, 173, 246),
    (249, 263, 362, 373, 374, 380, 381, 382, 384, 385, 386, 387, 388, 390, 398, 466),
)
"""Landmarks of each eye's rim, likewise."""


def lip_dynamics(landmarks_xyz: Float[np.ndarray, "frames 478 3"]) -> float:
    """How much the shape of the lips varies over time.

    Variance over the frames of each distance between two landmarks of the lips, in outer eye
    distances, mean over all pairs.
    """
    xy = landmarks_xyz[..., :2].astype(float)
    left, right = OUTER_EYE_CORNERS
    eyes = np.linalg.norm(xy[:, left] - xy[:, right], axis=1)
    one, other = np.array(list(combinations(LIPS, 2))).T
    lengths = np.linalg.norm(xy[:, one] - xy[:, other], axis=2) / eyes[:, None]
    return float(lengths.var(axis=0).mean())


def brow_dynamics(landmarks_xyz: Float[np.ndarray, "frames 478 3"]) -> float:
    """How much brows move from frame to frame.

    Mean change of the distance between a brow's and its eye's middle, in distances between the
    eyes' middles; NaN for a single frame.
    """
    xy = landmarks_xyz[..., :2].astype(float)
    brows, eyes = ([xy[:, list(part)].mean(axis=1) for part in parts] for parts in (BROWS, EYES))
    apart = np.linalg.norm(eyes[0] - eyes[1], axis=1)
    heights = [
        np.linalg.norm(brow - eye, axis=1) / apart for brow, eye in zip(brows, eyes, strict=True)
    ]
    changes = np.abs(np.diff(np.stack(heights), axis=1))
    return float(changes.mean()) if changes.size else float("nan")


def closeness(value: float, real: float) -> float:
    """THEval's score of a measure: 1 less the relative distance from real clips' value.

    Args:
        value: Mean over the clips that are judged.
        real: Mean over real ones, not 0.

    >>> closeness(0.75, 1.0), closeness(1.25, 1.0)
    (0.75, 0.75)
    """
    return 1 - abs(value - real) / real
