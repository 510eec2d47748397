"""Where the head is: position, size and turn, read from the landmarks that do not emote."""

from dataclasses import dataclass
from math import atan2, degrees, hypot

import numpy as np

from cdrl_cli.array_types import Float
from cdrl_cli.face.landmarks import Face
from cdrl_cli.geometry.similarity import Similarity, fit_similarity


@dataclass(frozen=True, slots=True)
class HeadModel:
    """The canonical face.

    Convention: head space has x to the right of the picture, y down, z away from the camera, and
    the outer eye corners 1 apart.
    """

    canonical_xyz: Float[np.ndarray, "478 3"]
    """Mean neutral face."""
    rigidity: Float[np.ndarray, " 478"]
    """How little each landmark moves with the expression: the weight it has in the fit, >= 0."""

    def locate(self, face: Face) -> Similarity:
        """The weak-perspective pose that carries head space to the face's own space."""
        return fit_similarity(self.canonical_xyz, face.landmarks_xyz.astype(float), self.rigidity)


# The third row of the rotation is the line of sight as the head sees it, so a head that is tilted
# in the picture (roll) is turned and nods by as much as an upright one.


def yaw_deg(head: Similarity) -> float:
    """How far the head is turned to a side: 0 frontal, 90 profile; the sign tells the side."""
    x, _, z = head.rotation[2]
    return degrees(atan2(-x, z))


def pitch_deg(head: Similarity) -> float:
    """How far the head nods: 0 level, positive looking down."""
    x, y, z = head.rotation[2]
    return degrees(atan2(y, hypot(x, z)))
