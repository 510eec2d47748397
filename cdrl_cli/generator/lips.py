"""Lips that are closed in the source stay closed, whatever the expression does around them."""

import numpy as np

from cdrl_cli.array_types import Float
from cdrl_cli.metrics.mouth import INNER_PAIRS

_OUTER_PAIRS = np.array(
    [(0, 17), (37, 84), (39, 181), (40, 91), (185, 146), (267, 314), (269, 405), (270, 321),
     (409, 375)]
)  # fmt: skip
_MIDDLE_PAIRS = np.array(
    [(11, 16), (72, 85), (73, 180), (74, 90), (184, 77), (302, 315), (303, 404), (304, 320),
     (408, 307), (12, 15), (38, 86), (41, 179), (42, 89), (183, 96), (268, 316), (271, 403),
     (272, 319), (407, 325)]
)  # fmt: skip
PAIRS = np.concatenate([INNER_PAIRS, _OUTER_PAIRS, _MIDDLE_PAIRS])
"""Pairs of upper and lower landmarks all over the red of the lips, inner ones first. They are moved
as a whole, or the lips would be torn."""

RED_OF_UPPER = np.array(
    [(191, 80, 81, 82, 13, 312, 311, 310, 415), (183, 42, 41, 38, 12, 268, 271, 272, 407),
     (184, 74, 73, 72, 11, 302, 303, 304, 408), (185, 40, 39, 37, 0, 267, 269, 270, 409)]
)  # fmt: skip
RED_OF_LOWER = np.array(
    [(95, 88, 178, 87, 14, 317, 402, 318, 324), (96, 89, 179, 86, 15, 316, 403, 319, 325),
     (77, 90, 180, 85, 16, 315, 404, 320, 307), (146, 91, 181, 84, 17, 314, 405, 321, 375)]
)  # fmt: skip
"""Landmarks of the red of a lip, its inner edge first, the outer one last, without the corners."""

_FROM_INNER = np.linspace(0, 1, 4)
"""Share of what its outer edge is moved by of each row of a lip's red, the inner edge first."""

LEAST_RED = 0.87
"""Share of its height that the red of a lip keeps wherever a face moves, 0..1. People who smile (56
with a closed mouth) keep .84 to .94 of the lower lip from corner to middle."""

APERTURE_CHANGE = 0.08
"""Share of its own opening by which an edit may open or close a mouth, 0..1."""


def keep_aperture(
    landmarks_xyz: Float[np.ndarray, "478 3"], displacement_xyz: Float[np.ndarray, "478 3"]
) -> Float[np.ndarray, "478 3"]:
    r"""Take out of a displacement what would open or close the mouth.

    For a pair at :math:`u, l` with opening :math:`g = l - u` the displacements :math:`d_u, d_l`
    may differ along the opening by at most ``APERTURE_CHANGE`` of the opening of the inner lips;
    the excess is taken half from each. The common part, which carries the emotion (a raised
    corner, a pulled lip), stays.

    Args:
        landmarks_xyz: Any unit.
        displacement_xyz: Same unit.
    """
    moved = displacement_xyz.copy()
    inner_upper, inner_lower = landmarks_xyz[INNER_PAIRS.T, :2]
    allowed = APERTURE_CHANGE * float(np.linalg.norm(inner_lower - inner_upper, axis=1).mean())
    upper, lower = PAIRS.T
    # The outer lips never touch, so their difference gives the direction even when g is 0.
    down = landmarks_xyz[17] - landmarks_xyz[0]
    down = down / np.linalg.norm(down)
    parting = (moved[lower] - moved[upper]) @ down
    excess = parting - np.clip(parting, -allowed, allowed)
    taken = np.outer(0.5 * excess, down)
    moved[upper] += taken
    moved[lower] -= taken
    return moved


def keep_red(
    landmarks_xyz: Float[np.ndarray, "478 3"], displacement_xyz: Float[np.ndarray, "478 3"]
) -> Float[np.ndarray, "478 3"]:
    """Give the red of lips back what a displacement squeezes it by more than people do.

    A smile that is fitted to landmarks halves the red of the lower lip beside the corners, which
    then look pulled thin. Outer edges are moved outwards until :data:`LEAST_RED` of the red is
    left; inner edges, and with them the opening of the mouth, stay.

    Args:
        landmarks_xyz: Any unit.
        displacement_xyz: Same unit.
    """
    kept = displacement_xyz.copy()
    down = landmarks_xyz[17] - landmarks_xyz[0]
    down = down / np.linalg.norm(down)
    for rows, outwards in ((RED_OF_UPPER, -down), (RED_OF_LOWER, down)):
        inner, outer = rows[0], rows[-1]
        before = (landmarks_xyz[outer] - landmarks_xyz[inner]) @ outwards
        growth = (displacement_xyz[outer] - displacement_xyz[inner]) @ outwards
        missing = np.maximum(-(1 - LEAST_RED) * np.maximum(before, 0) - growth, 0)
        kept[rows] += np.multiply.outer(np.outer(_FROM_INNER, missing), outwards)
    return kept
