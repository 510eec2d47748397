"""The sides of a face, in front of the ears: bone lies under them, and no emotion moves them."""

import numpy as np

from cdrl_cli.array_types import Float, Float32
from cdrl_cli.geometry.easing import smoothstep

SIDES_X = (0.45, 0.72)
"""Between these distances from the middle of the canonical face, to either side, the light of the
skin and the finer flow end; head space, in which the outer corners of the eyes are at .5."""

SIDES_Z = (0.1, 0.5)
"""Between these depths landmarks move less and less, and behind the second not at all; head space,
in which the corners of the eyes are at 0 and the ears begin at .6."""


def spare_sides(
    position: Float32[np.ndarray, "3 rows columns"],
) -> Float32[np.ndarray, "rows columns"]:
    """How much of the skin's light and of the finer flow stays: none at the sides of the face.

    They show no emotion; what light does there costs likeness all the same, and what the flow does
    bends hair, ears and what is behind them.

    Args:
        position: Where on the canonical face each pixel lies, head space.
    """
    start, end = SIDES_X
    away = np.abs(position[0]) - np.float32(start)
    return 1 - smoothstep(away / np.float32(end - start))


def hold_sides(
    displacement: Float[np.ndarray, "52 478 3"], canonical_xyz: Float[np.ndarray, "478 3"]
) -> Float[np.ndarray, "52 478 3"]:
    """A basis of expressions in which the sides of the face stay where they are.

    Those who frown bow their heads, and so the basis, which is fitted to actors, turns the face as
    it frowns: temples go up by 5 % of the distance between the eyes and the nose goes down.

    Args:
        displacement: What one unit of each coefficient does to the landmarks, head space.
        canonical_xyz: Canonical face, head space.
    """
    start, end = SIDES_Z
    depth = (canonical_xyz[:, 2] - start) / (end - start)
    moves = 1 - smoothstep(depth.astype(np.float32))
    return displacement * moves[:, None]
