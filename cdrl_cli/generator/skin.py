"""Light and creases of skin: the window that they are seen in, and where on a face they may show.

The network of :mod:`cdrl_cli.generator.skin_network` answers with the logarithm of how much
lighter each point of the skin becomes. The person's own pixels are multiplied by it, so pores,
freckles and beard stay (expression ratio images, Liu et al. 2001).
"""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float, Float32

from cdrl_cli.face.alignment import CROP_SIZE, EYE_DISTANCE_PX

WINDOW_SIZE = 256
"""Side of the window, pixels."""

WINDOW_EYE_DISTANCE_PX = 112.0
"""Window pixels between the outer eye corners: 1.5 times the crop's, so that creases are as fine
as in photographs of 384 px."""

WINDOW_MIDDLE_Y = 0.38
"""Middle of the window below the crop's, head space: the middle of a face."""

MAP_SIDE = 512
MAP_REACH = 1.6
"""The canonical mask covers so much of head space to each side of the window's middle."""

RIM_FADE = 0.16
"""Over so much inside the outline of the face the change of light ends; head space."""

EYE_FADE, LIP_FADE = 0.045, 0.06
"""Over so much outside eyes and lips it begins."""

RATIO_SIDE, RATIO_REACH = 208, 1.04
"""Cells of the maps of expected ratios, and how much of head space they cover to each side of the
window's middle."""

_EYES = (
    (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246),
    (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466),
)
_LIPS = (
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185,
)  # fmt: skip


def window_from_crop() -> Float[np.ndarray, "2 3"]:
    """The matrix that carries points of the aligned crop to points of the window."""
    zoom = WINDOW_EYE_DISTANCE_PX / EYE_DISTANCE_PX
    middle = (CROP_SIZE - 1) / 2
    shift = (WINDOW_SIZE - 1) / 2 - zoom * middle
    return np.array([(zoom, 0, shift), (0, zoom, shift - WINDOW_MIDDLE_Y * WINDOW_EYE_DISTANCE_PX)])


class SkinMask:
    """How much of the skin's change shows at each place of the canonical face, 0..1.

    0 outside the face, on its rim, on eyes and lips; 1 on the rest, with smooth ways between.

    Args:
        canonical_xyz: Canonical face, head space.
        oval: Landmarks of its outline.
    """

    def __init__(self, canonical_xyz: Float[np.ndarray, "478 3"], oval: Sequence[int]) -> None:
        face = canonical_xyz[:, :2]
        inside = _depth(face[list(oval)])
        shown = _ramp(inside / RIM_FADE)
        for part, fade in ((_EYES[0], EYE_FADE), (_EYES[1], EYE_FADE), (_LIPS, LIP_FADE)):
            shown *= _ramp(_depth(face[list(part)], outside=True) / fade)
        self._map = shown.astype(np.float32)

    def at(
        self, position: Float32[np.ndarray, "height width more"]
    ) -> Float32[np.ndarray, "height width"]:
        """The mask where pixels lie at these positions (x, y, ...) of the canonical face."""
        x, y = (
            (position[..., axis] - low) * ((MAP_SIDE - 1) / (2 * MAP_REACH))
            for axis, low in ((0, -MAP_REACH), (1, WINDOW_MIDDLE_Y - MAP_REACH))
        )
        found = cv2.remap(
            self._map, np.ascontiguousarray(x, np.float32), np.ascontiguousarray(y, np.float32),
            cv2.INTER_LINEAR,
        )  # fmt: skip
        # Outside the mesh positions are 0, which is a place on the face.
        found[~position.any(axis=2)] = 0
        return found


def _depth(
    outline: Float[np.ndarray, "rim 2"], *, outside: bool = False
) -> Float32[np.ndarray, "side side"]:
    """How far inside (or outside) an outline each cell of the map lies, head space; 0 beyond it."""
    scale = (MAP_SIDE - 1) / (2 * MAP_REACH)
    cells = (outline - (-MAP_REACH, WINDOW_MIDDLE_Y - MAP_REACH)) * scale
    drawn = np.zeros((MAP_SIDE, MAP_SIDE), np.uint8)
    cv2.fillPoly(drawn, [np.round(cells * 16).astype(np.int32)], 1, shift=4)
    if outside:
        drawn = 1 - drawn
    return cv2.distanceTransform(drawn, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) / np.float32(scale)


def _ramp(depth: Float32[np.ndarray, "side side"]) -> Float32[np.ndarray, "side side"]:
    """From 0 to 1 without a corner at either end (smoothstep)."""
    t = np.clip(depth, 0, 1)
    return t * t * (3 - 2 * t)
