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
    moved[upper] += 0.5 * excess[:, None] * down
    moved[lower] -= 0.5 * excess[:, None] * down
    return moved
