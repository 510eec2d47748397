"""The 52 blendshape coefficients of a face: names, and which of them speak, feel, look or blink.

A coefficient is 0 where a movement is absent and 1 where it is as strong as it gets. Every part
that edits, encodes or measures expressions takes its channels from here.
"""

import numpy as np

from cdrl_cli.array_types import Float

EXPRESSION_NAMES = (
    "_neutral browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight cheekPuff "
    "cheekSquintLeft cheekSquintRight eyeBlinkLeft eyeBlinkRight eyeLookDownLeft eyeLookDownRight "
    "eyeLookInLeft eyeLookInRight eyeLookOutLeft eyeLookOutRight eyeLookUpLeft eyeLookUpRight "
    "eyeSquintLeft eyeSquintRight eyeWideLeft eyeWideRight jawForward jawLeft jawOpen jawRight "
    "mouthClose mouthDimpleLeft mouthDimpleRight mouthFrownLeft mouthFrownRight mouthFunnel "
    "mouthLeft mouthLowerDownLeft mouthLowerDownRight mouthPressLeft mouthPressRight mouthPucker "
    "mouthRight mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper mouthSmileLeft "
    "mouthSmileRight mouthStretchLeft mouthStretchRight mouthUpperUpLeft mouthUpperUpRight "
    "noseSneerLeft noseSneerRight"
).split()
"""Names of the coefficients in the landmarker's order: ARKit's, where left is the person's own."""

COEFFICIENTS = len(EXPRESSION_NAMES)
"""How many coefficients describe an expression: 52."""

COUNTERPARTS = [
    EXPRESSION_NAMES.index(name.replace("Left", "#").replace("Right", "Left").replace("#", "Right"))
    for name in EXPRESSION_NAMES
]
"""For each coefficient, the index of the one that it becomes in a mirror."""


def channels(*prefixes: str) -> list[int]:
    """Indices of the coefficients whose name begins with one of some prefixes.

    >>> [EXPRESSION_NAMES[index] for index in channels("eyeBlink")]
    ['eyeBlinkLeft', 'eyeBlinkRight']
    """
    return [i for i, name in enumerate(EXPRESSION_NAMES) if name.startswith(prefixes)]


MOUTH_COEFFICIENTS = channels("jaw", "mouth", "cheekPuff")
"""Indices of the coefficients that speech moves: jaw, lips and puffed cheeks."""

_NOT_EDITED = ("_neutral", "jaw", "mouthClose", "mouthLeft", "mouthRight", "eyeLook", "eyeBlink")
_SHARED_WITH_SPEECH = (
    "mouthPucker",
    "mouthFunnel",
    "mouthRoll",
    "mouthShrug",
    "mouthLowerDown",
    "mouthUpperUp",
)


def _emotion_shares() -> Float[np.ndarray, " 52"]:
    shares = np.ones(COEFFICIENTS)
    shares[channels(*_NOT_EDITED)] = 0.0
    shares[channels(*_SHARED_WITH_SPEECH)] = 0.35
    return shares


SHARES = _emotion_shares()
"""Share of an emotion's change that each channel takes, 0..1: 0 where it is speech, gaze or a
blink; .35 where speech and emotion share the lips; 1 at the brows, eyes, cheeks, nose and mouth
corners."""

IS_SMILE = np.isin(np.arange(COEFFICIENTS), channels("mouthSmile"))
"""Whether a channel pulls a corner of the mouth up and out."""

RHYTHM = np.flatnonzero(SHARES < 1).tolist()
"""Indices of the channels that tell the rhythm of speech, gaze and blinks: all whose share of an
emotion (:data:`SHARES`) is under 1."""

RAISED = 1.35
"""Ceiling of the channels that raise the brows; all others end at 1."""


def _ceilings() -> Float[np.ndarray, " 52"]:
    ceilings = np.ones(COEFFICIENTS)
    ceilings[channels("browInnerUp", "browOuterUp")] = RAISED
    return ceilings


CEILINGS = _ceilings()
"""Highest value that an edit may give each channel: 1, and :data:`RAISED` for raised brows. Brows
that are high at rest are taken for raised ones by the landmarker (one person in ten has them above
.45, one in twenty above .64), and can still rise."""

BLINKS = channels("eyeBlink")
"""Indices of the two channels that shut the eyes, left then right."""

SQUINTS = channels("eyeSquint")
"""Indices of the two channels that narrow the eyes, left then right."""

LIDS_LEFT = channels("eyeWideLeft", "eyeSquintLeft")
"""Indices of the channels that widen or narrow the left eye."""

LIDS_RIGHT = channels("eyeWideRight", "eyeSquintRight")
"""Indices of the channels that widen or narrow the right eye."""
