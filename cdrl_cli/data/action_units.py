"""What the textbook says an emotion looks like: EMFACS (Friesen and Ekman 1983)."""

import numpy as np

from cdrl_cli.array_types import Float
from cdrl_cli.emotion import Emotion
from cdrl_cli.face.blendshapes import COEFFICIENTS, EXPRESSION_NAMES

ACTION_UNITS = {
    Emotion.ANGRY: {
        "browDown": 0.45, "browInnerUp": -0.25, "browOuterUp": -0.25, "eyeSquint": 0.2,
        "mouthPress": 0.15, "mouthFrown": 0.1, "noseSneer": 0.1,
    },
    Emotion.DISGUSTED: {
        "browDown": 0.3, "browInnerUp": -0.2, "eyeSquint": 0.35, "noseSneer": 0.4,
        "mouthUpperUp": 0.3, "mouthFrown": 0.2, "mouthShrugLower": 0.1,
    },
    Emotion.FEAR: {
        "browInnerUp": 0.5, "browOuterUp": 0.2, "eyeWide": 0.35, "eyeSquint": -0.2,
        "mouthStretch": 0.25, "mouthFrown": 0.1,
    },
    Emotion.HAPPY: {
        "mouthSmile": 0.55, "cheekSquint": 0.3, "eyeSquint": 0.2, "mouthUpperUp": 0.15,
        "mouthFrown": -0.1,
    },
    Emotion.SAD: {
        "browInnerUp": 0.5, "browDown": 0.1, "browOuterUp": -0.25, "mouthFrown": 0.4,
        "mouthSmile": -0.15, "eyeSquint": 0.15, "mouthShrugLower": 0.2,
    },
    Emotion.SURPRISED: {
        "browInnerUp": 0.5, "browOuterUp": 0.5, "eyeWide": 0.35, "eyeSquint": -0.2,
    },
}  # fmt: skip
"""Action units of each emotion by EMFACS, as coefficients, 0..1, that are added to a neutral face;
a name without a side stands for both sides. AU1 browInnerUp, AU2 browOuterUp, AU4 browDown, AU5
eyeWide, AU6 cheekSquint, AU7 eyeSquint, AU9 noseSneer, AU10 mouthUpperUp, AU12 mouthSmile, AU15
mouthFrown, AU17 mouthShrugLower, AU20 mouthStretch, AU24 mouthPress."""


def coded_expression(emotion: Emotion) -> Float[np.ndarray, " 52"]:
    """The emotion's action units, as a difference from neutral; both sides alike."""
    coded = np.zeros(COEFFICIENTS)
    for stem, value in ACTION_UNITS.get(emotion, {}).items():
        for name in (stem, f"{stem}Left", f"{stem}Right"):
            if name in EXPRESSION_NAMES:
                coded[EXPRESSION_NAMES.index(name)] = value
    return coded
