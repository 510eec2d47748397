"""What an edit is worth, from what is read in its file: one small function a measure.

Convention: "source" and "output" are the same frames before and after an edit, row by row;
landmarks are pixels, in any scale.
"""

from collections.abc import Sequence

import numpy as np

from cdrl_cli.array_types import Float, Int, Shaped
from cdrl_cli.emotion import Emotion
from cdrl_cli.face.blendshapes import COEFFICIENTS, channels
from cdrl_cli.face.head import HeadModel
from cdrl_cli.face.landmarks import MESH_LANDMARKS, Face
from cdrl_cli.metrics.mouth import OUTER_EYE_CORNERS, correlation

SPEECH_CHANNELS = (
    "_neutral",
    "jaw",
    "mouthClose",
    "mouthLeft",
    "mouthRight",
    "mouthPucker",
    "mouthFunnel",
    "eyeLook",
    "eyeBlink",
)
"""Prefixes of the blendshape names that tell speech, gaze and blinks rather than emotion."""

EMOTION_CHANNELS = tuple(
    index for index in range(COEFFICIENTS) if index not in channels(*SPEECH_CHANNELS)
)
"""Indices of the other blendshapes: brows, eyelids, cheeks, nose, mouth corners and lips. The
measures of manner and strength look at these alone."""

LOW_PERCENTILE = 5.0
"""Of the frames of a clip: its bad moments."""


def judged_emotion(probabilities: Float[np.ndarray, "frames 7"]) -> Emotion:
    """What a judge says of a clip: the class of the highest mean probability."""
    return list(Emotion)[int(probabilities.mean(axis=0).argmax())]


def frame_accuracy(probabilities: Float[np.ndarray, "frames 7"], wanted: Emotion) -> float:
    """Share of a clip's frames of which the judge says the wanted emotion."""
    return float((probabilities.argmax(axis=1) == wanted.class_index).mean())


def probability_rise(
    source: Float[np.ndarray, "frames 7"], output: Float[np.ndarray, "frames 7"], wanted: Emotion
) -> float:
    """How much likelier a judge finds the wanted emotion in the output than in the source.

    A judge has its opinions of a face at rest; this takes them out.

    Returns:
        Difference of mean probabilities, -1..1.
    """
    return float((output - source)[:, wanted.class_index].mean())


def confusion(
    judged: Int[np.ndarray, " clips"], wanted: Int[np.ndarray, " clips"]
) -> Int[np.ndarray, "7 7"]:
    """How many clips of each emotion wanted (row) were judged to be which (column)."""
    table = np.zeros((len(Emotion), len(Emotion)), int)
    np.add.at(table, (wanted, judged), 1)
    return table


def cosines(
    one: Float[np.ndarray, "frames dim"], other: Float[np.ndarray, "frames dim"]
) -> Float[np.ndarray, " frames"]:
    """Cosine of each row with its partner; the rows are unit vectors."""
    return np.asarray((one * other).sum(axis=1), float)


def jerkiness(landmarks_xyz: Float[np.ndarray, "frames 478 3"]) -> float:
    """Mean length of the second difference over time, by the eye distance: how much it trembles.

    Raises:
        ValueError: If there are fewer than three frames.
    """
    if len(landmarks_xyz) < 3:  # noqa: PLR2004 - of a second difference
        raise ValueError(f"three frames or more, got {len(landmarks_xyz)}")
    left, right = OUTER_EYE_CORNERS
    eyes = np.linalg.norm(landmarks_xyz[:, left] - landmarks_xyz[:, right], axis=1).mean()
    xy = landmarks_xyz[..., :2]
    second = xy[2:] - 2 * xy[1:-1] + xy[:-2]
    return float(np.linalg.norm(second, axis=2).mean() / eyes)


def expression_change(
    source: Float[np.ndarray, "frames 52"], output: Float[np.ndarray, "frames 52"]
) -> float:
    """Length (L2) of the clip's mean change of coefficients.

    Averaged over time before its length is taken: what real actors move between a neutral and an
    emotional take, .6 to 1.3, can only be known of means, and the noise of single frames has a
    length of its own.
    """
    return float(np.linalg.norm((output - source).mean(axis=0)))


def emotion_change(
    shown: Float[np.ndarray, "frames 52"], neutral: Float[np.ndarray, " 52"]
) -> Float[np.ndarray, " channels"]:
    """How a clip's mean expression differs from a neutral one, in :data:`EMOTION_CHANNELS`.

    Args:
        shown: Blendshape coefficients.
        neutral: Mean coefficients of the same person's neutral face.
    """
    return (shown.mean(axis=0) - neutral)[list(EMOTION_CHANNELS)].astype(float)


def reference_change(
    shown: Float[np.ndarray, "frames 52"], neutral: Float[np.ndarray, " 52"]
) -> Float[np.ndarray, " channels"]:
    """What a reference shows: :func:`emotion_change` of its more expressive half of frames.

    Acted clips begin and end near neutral, so the mean over all frames would say less than the
    actor does. A photo has one frame, which is its half.

    Args:
        shown: Blendshape coefficients of the reference.
        neutral: Mean coefficients of the same person's neutral face.
    """
    strength = np.linalg.norm((shown - neutral)[:, list(EMOTION_CHANNELS)], axis=1)
    return emotion_change(shown[strength >= np.median(strength)], neutral)


def manner(
    shown: Float[np.ndarray, " channels"], reference: Float[np.ndarray, " channels"]
) -> float:
    """Whether an edit changes the face as the reference's face changes, however strongly.

    Args:
        shown: The output's change from the source (:func:`emotion_change`).
        reference: The reference's change from its person's neutral (:func:`reference_change`).

    Returns:
        Cosine, -1..1; 0 where one of them does not change at all.

    >>> manner(np.array([0.2, 0.0]), np.array([0.4, 0.0]))
    1.0
    """
    lengths = float(np.linalg.norm(shown) * np.linalg.norm(reference))
    return float(shown @ reference) / lengths if lengths > 0 else 0.0


def own_manner(
    shown: Float[np.ndarray, " channels"],
    reference: Float[np.ndarray, " channels"],
    others: Sequence[Float[np.ndarray, " channels"]],
) -> float:
    """:func:`manner`, less its mean with other people's references of the same emotion.

    Above 0, the edit shows this reference; about 0, it shows what everybody's emotion looks like.

    Args:
        shown: The output's change from the source.
        reference: The change of the reference that was given.
        others: Changes of other people's references of that emotion.

    Returns:
        -2..2; NaN if there are no others.
    """
    if not others:
        return float("nan")
    return manner(shown, reference) - float(np.mean([manner(shown, other) for other in others]))


def rank_correlation(one: Float[np.ndarray, " n"], other: Float[np.ndarray, " n"]) -> float:
    """Spearman's: Pearson's correlation of ranks, equal values sharing their mean rank.

    Returns:
        -1..1; NaN where one of them is constant.

    >>> round(rank_correlation(np.array([1.0, 2.0, 3.0]), np.array([10.0, 100.0, 1000.0])), 6)
    1.0
    """
    return correlation(_ranks(one), _ranks(other))


def head_space(
    landmarks_xyz: Float[np.ndarray, "frames 478 3"], head: HeadModel
) -> Float[np.ndarray, "frames 468 3"]:
    """Landmarks without the head's place, size and turn; the outer eye corners are 1 apart."""
    nobody = np.zeros(52, np.float32)
    return np.stack(
        [
            head.locate(Face(xyz.astype(np.float32), nobody))
            .inverse()
            .apply(xyz.astype(float))[:MESH_LANDMARKS]
            for xyz in landmarks_xyz
        ]
    )


def landmark_error(
    one: Shaped[np.ndarray, "frames 468 3"], other: Shaped[np.ndarray, "frames 468 3"]
) -> float:
    """Mean distance of landmarks in head space, which is in eye distances."""
    return float(np.linalg.norm(one - other, axis=2).mean())


def _ranks(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[where]
