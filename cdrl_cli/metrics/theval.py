"""Four measures of THEval (Quignon et al. 2026, arXiv 2511.04520), and how it scores them.

Written anew from the paper and its code, on the same mesh of landmarks. Of its eight measures these
four need landmarks and sound alone. Head motion needs FaceXFormer and RetinaFace, mouth quality
MUSIQ, face quality and aesthetics TOPIQ: they are not here.

Differs from its code: landmarks are in pixels of the frame, which it squeezes to a square. In a
score that cancels, where a clip and its real take have frames of one shape.
"""

from itertools import combinations

import numpy as np

from cdrl_cli.array_types import Bool, Float

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


INNER_LIPS = (
    (191, 80, 81, 82, 13, 312, 311, 310),
    (95, 88, 178, 87, 14, 317, 402, 318),
)
"""Landmarks of the inner upper lip, and those below them on the inner lower one."""

EYE_CORNERS = ((33, 133), (362, 263))
"""Outer and inner corner of each eye."""

FEWEST_FRAMES = 2
"""Of speech, or of silence, for a measure of it."""

SPOKEN_SHARE = 0.1
"""Of the frames: with less speech nothing is said of how lips go with it."""


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


def silent_lip_stability(
    landmarks_xyz: Float[np.ndarray, "frames 478 3"], silent: Bool[np.ndarray, " frames"]
) -> float:
    """How much lips move while nobody speaks.

    Median distance of their opening from its mean over the silent frames, in outer eye distances;
    NaN with fewer than two of them.

    Args:
        landmarks_xyz: Of each frame.
        silent: Which frames lie in silences.
    """
    if silent.sum() < FEWEST_FRAMES:
        return float("nan")
    xy = landmarks_xyz[silent, :, :2].astype(float)
    left, right = OUTER_EYE_CORNERS
    eyes = np.linalg.norm(xy[:, left] - xy[:, right], axis=1)
    upper, lower = (xy[:, list(part), 1] for part in INNER_LIPS)
    opening = np.abs(upper - lower).mean(axis=1) / eyes
    return float(np.median(np.abs(opening - opening.mean())))


def lip_sync(
    landmarks_xyz: Float[np.ndarray, "frames 478 3"],
    spoken: Bool[np.ndarray, " frames"],
    loudness: Float[np.ndarray, " frames"],
) -> float:
    """How far the opening of the lips is from the loudness of what they say.

    Mean distance over the spoken frames, both brought to 0..1 over them; NaN where less than a
    tenth of the frames is spoken.

    Args:
        landmarks_xyz: Of each frame.
        spoken: Which frames are spoken.
        loudness: Of the sound at each frame, on any scale.
    """
    if spoken.sum() < max(FEWEST_FRAMES, SPOKEN_SHARE * len(spoken)):
        return float("nan")
    xy = landmarks_xyz[spoken, :, :2].astype(float)
    one, other = (xy[:, list(corners), 0].mean(axis=1) for corners in EYE_CORNERS)
    upper, lower = (xy[:, list(part), 1].mean(axis=1) for part in INNER_LIPS)
    opening = np.abs(upper - lower) / np.abs(one - other)
    return float(np.abs(_to_unit(opening) - _to_unit(loudness[spoken])).mean())


def _to_unit(values: Float[np.ndarray, " frames"]) -> Float[np.ndarray, " frames"]:
    return (values - values.min()) / (np.ptp(values) + 1e-8)


def closeness(value: float, real: float) -> float:
    """THEval's score of a measure: 1 less the relative distance from real clips' value.

    Args:
        value: Mean over the clips that are judged.
        real: Mean over real ones, not 0.

    >>> closeness(0.75, 1.0), closeness(1.25, 1.0)
    (0.75, 0.75)
    """
    return 1 - abs(value - real) / real
