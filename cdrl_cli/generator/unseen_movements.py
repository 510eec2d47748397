"""Movements that the landmarker has channels for and never reports: raised cheeks, wrinkled noses.

``cheekSquint`` and ``noseSneer`` stay near 0 whatever a face shows, so no regression on landmarks
finds what they do. Motion editors ask for them all the same, as the textbook has them: action unit
6 in a smile, 9 in anger and disgust (Ekman, Friesen and Hager, Facial Action Coding System, 2002).
"""

from dataclasses import dataclass

import numpy as np

from cdrl_cli.array_types import Float
from cdrl_cli.face.blendshapes import EXPRESSION_NAMES, channels


@dataclass(frozen=True, slots=True)
class Pull:
    """A patch of skin that moves one way, most in its middle: a Gaussian."""

    middle: tuple[float, float]
    """On the person's left half of the canonical face, head space."""
    reach: tuple[float, float]
    """Standard deviations across and down, head space."""
    move: tuple[float, float]
    """Outwards and down, where it moves most, at a coefficient of 1; head space."""


UNSEEN = {
    # The cheek rises towards the eye, and takes the skin below the lower lid along.
    "cheekSquint": (Pull((0.45, 0.30), (0.17, 0.14), (0.010, -0.080)),),
    # The wing of the nose and the cheek beside it rise; the root of the nose is drawn down.
    "noseSneer": (
        Pull((0.19, 0.36), (0.09, 0.12), (0.000, -0.055)),
        Pull((0.34, 0.27), (0.13, 0.11), (0.000, -0.035)),
        Pull((0.06, -0.12), (0.08, 0.09), (-0.006, 0.030)),
    ),
}
"""What each of these channels does to the person's left side; the right one is its mirror. An edit
by name asks for .4 to .5 of them, which moves skin by 2 to 3 mm where it moves most."""

UNSEEN_CHANNELS = channels(*UNSEEN)
"""Indices of these coefficients."""

_MIDDLE = 0.05
"""Over so much on both sides of the middle of the face one side passes into the other; head
space."""


def move_unseen(
    displacement: Float[np.ndarray, "52 478 3"], canonical_xyz: Float[np.ndarray, "478 3"]
) -> Float[np.ndarray, "52 478 3"]:
    """A basis of expressions with these movements in it.

    Args:
        displacement: What one unit of each coefficient does to the landmarks, head space, as
            regression found it.
        canonical_xyz: Canonical face, head space.
    """
    moved = displacement.copy()
    for name, pulls in UNSEEN.items():
        for side, sign in (("Left", 1.0), ("Right", -1.0)):
            across, down = sign * canonical_xyz[:, 0], canonical_xyz[:, 1]
            own = (1 + np.tanh(across / _MIDDLE)) / 2
            channel = moved[EXPRESSION_NAMES.index(name + side)]
            channel[:] = 0
            for pull in pulls:
                (x, y), (wide, high), (outwards, downwards) = pull.middle, pull.reach, pull.move
                weight = own * np.exp(-(((across - x) / wide) ** 2 + ((down - y) / high) ** 2) / 2)
                channel[:, 0] += sign * outwards * weight
                channel[:, 1] += downwards * weight
    return moved
