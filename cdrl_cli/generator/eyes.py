"""Eyes: eyeballs that no lid takes along, lids that open wide, and what a shut eye is spared."""

import cv2
import numpy as np

from cdrl_cli.array_types import Float, Float32
from cdrl_cli.face.blendshapes import EXPRESSION_NAMES
from cdrl_cli.face.eyeballs import Eyeball
from cdrl_cli.generator.irises import IRISES, UPPER_LIDS, EyeOutline, Irises

OPEN = np.ones(2)
"""Eyes that are open."""

LIDS_OPEN = 2 / 3
"""From so open an eye on, its colours and the shade around it show in full; 0 shut, 1 as usual."""

EYE_X, EYE_Y = 0.345, 0.0
EYE_REACH = (0.30, 0.24)
"""Middle of the left eye on the canonical face, and half-axes of the ellipse that holds its lids
and what moves with them; head space."""

FOLDS_OF_LIDS = np.array([(414, 286, 258, 257, 259, 260, 467), (247, 30, 29, 27, 28, 56, 190)])
"""Landmarks of the upper lids above their edges, as :data:`UPPER_LIDS` without the corners."""

LIFT, LIFT_ABOVE = 1.5, 0.6
"""By how many times what it does already ``eyeWide`` raises the edge of an upper lid on top of
that, and which share of that the lid above takes."""

WIDEST_PX = 7.6
"""No upper lid is raised by so much above the landmark of its iris, crop pixels: 1.6 times the
radius of an iris. In 84 takes of acted fear and surprise (13 people) the widest eye is so wide in a
twentieth of its frames; only five takes come to 7."""

_KNEE = 6
"""How suddenly that bound sets in: the exponent of the mean of rise and room."""

UNDER_EYE_Y = 0.10
UNDER_EYE_REACH = (0.26, 0.14)
"""Middle of what is under an eye on the canonical face, below :data:`EYE_X`, and half-axes of the
ellipse around it; head space."""

SINKING = 0.4
"""Share of what draws lower lids down that stays: a wide eye opens upwards."""

OPEN_ENOUGH = (0.8, 1.2)
"""An opening that is lower than the first number times the radius of the iris is left to the warp;
from the second on the eyeball is still."""

ASIDE = (0.15, 0.27)
"""An eye that looks so far aside, as a share of the way from corner to corner, begins to move with
its lids; from the second number on it does so wholly."""

LATE_X, LATE_Y, USUAL_Y = (0.8, 1.3), (1.4, 1.9), -0.8
"""Both irises are so far beside their landmarks, and beside where they usually lie above these,
crop pixels, where landmarks are late behind a head that turns quickly: eyeballs begin to move with
their lids, which are not where landmarks say; from the second numbers on they do so wholly."""

SEEN = (1.0, 4.0)
"""An iris whose rim is fainter than the first number, levels per 1.6 crop pixels, is not found;
from the second on it surely is."""


def place_eyeballs(
    outlines: tuple[EyeOutline, EyeOutline],
    irises: Irises,
    eyes: Float[np.ndarray, " 2"] = OPEN,
) -> tuple[Eyeball, ...]:
    """The eyeballs of a face that lids do not take along: none that is hardly seen.

    Args:
        outlines: Of the left and the right eye.
        irises: Of the same frame, or of frames around it.
        eyes: How open they are, left and right: 1 as usual, 0 shut.
    """
    beside, above = (np.abs(irises.offset_xy.mean(axis=0) - (0, USUAL_Y))).tolist()
    in_time = _share(-beside, (-LATE_X[1], -LATE_X[0])) * _share(-above, (-LATE_Y[1], -LATE_Y[0]))
    shares = (in_time * np.minimum(eyes / LIDS_OPEN, 1)).tolist()
    eyeballs = (
        _place_eyeball(outline, irises, side, shares[side])
        for side, outline in enumerate(outlines)
        if shares[side] > 0 and irises.clearness[side] > SEEN[0]
    )
    return tuple(one for one in eyeballs if one.strength > 0)


def _place_eyeball(outline: EyeOutline, irises: Irises, side: int, share: float) -> Eyeball:
    x, y = (outline.middle_xy + irises.offset_xy[side]).tolist()
    radius, length = float(irises.radius[side]), outline.length
    off = outline.knots - x
    # As dark as it is, its rest on a lid that moves would be a line below it.
    rim = y + np.sqrt(np.maximum((radius + 0.7) ** 2 - off**2, 0)) - outline.lower
    below = np.where(np.abs(off) < radius, np.clip(rim, 0, irises.below[side]), 0)
    lower = outline.lower + below.astype(np.float32)
    opening = float(np.interp(x, outline.knots, lower - outline.upper))
    strength = (
        share
        * _share(opening / radius, OPEN_ENOUGH)
        * _share(-abs(x / length - 0.5), (-ASIDE[1], -ASIDE[0]))
        * _share(float(irises.clearness[side]), SEEN)
    )
    return Eyeball(outline.eye_from_crop, length, outline.upper, lower, (x, y), radius, strength)


def _share(value: float, between: tuple[float, float]) -> float:
    start, end = between
    return min(max((value - start) / (end - start), 0.0), 1.0)


def spare_eyes(
    around: Float32[np.ndarray, "rows columns"], eyes: Float[np.ndarray, " 2"]
) -> Float32[np.ndarray, "rows columns"]:
    """How much of the finer flow stays: all but around an eye that is shut, which it would tear.

    Args:
        around: Which pixels lie around which eye, of :func:`find_eyes`.
        eyes: How open they are, left and right.
    """
    left, right = (1 - eyes).astype(np.float32)
    return 1 - np.maximum(left * around, -right * around)


def find_eyes(
    position: Float32[np.ndarray, "3 rows columns"],
) -> Float32[np.ndarray, "rows columns"]:
    """How far inside the ellipse around an eye pixels lie: up to 1 for the left, -1 for the right.

    Args:
        position: Where on the canonical face each pixel lies, head space.
    """
    return np.copysign(_inside(position, EYE_Y, EYE_REACH), position[0])


def lift_lids(displacement: Float[np.ndarray, "52 478 3"]) -> Float[np.ndarray, "52 478 3"]:
    """A basis of expressions in which wide eyes are as wide as people open them.

    The landmarker sees half of it when a lid moves in a picture, and regression on what it sees
    finds as much.

    Args:
        displacement: What one unit of each coefficient does to the landmarks, head space.
    """
    moved = displacement.copy()
    for side, name in enumerate(("Left", "Right")):
        channel = moved[EXPRESSION_NAMES.index(f"eyeWide{name}")]
        lid = UPPER_LIDS[side]
        corners = channel[lid[[0, -1]]].mean(axis=0)
        for landmarks, share in ((lid[1:-1], 1.0), (FOLDS_OF_LIDS[side], LIFT_ABOVE)):
            channel[landmarks] += LIFT * share * (channel[lid[1:-1]] - corners)
    return moved


def bound_lids(
    landmarks_xyz: Float[np.ndarray, "478 3"], displacement_xyz: Float[np.ndarray, "478 3"]
) -> Float[np.ndarray, "478 3"]:
    r"""Take out of a displacement what would open eyes wider than anybody does.

    Where the edge of an upper lid would rise by :math:`r`, and there is room for :math:`m`
    (:data:`WIDEST_PX`), it rises by :math:`r / (1 + (r/m)^6)^{1/6}`: nearly all of little, never
    more than :math:`m`. What of the edge would still stand above the bound stops at it. The lid
    above takes its share (:data:`LIFT_ABOVE`).

    Args:
        landmarks_xyz: Crop pixels.
        displacement_xyz: Crop pixels.
    """
    bounded = displacement_xyz
    for side, lid in enumerate(UPPER_LIDS):
        points = landmarks_xyz[lid, :2]
        along = points[-1] - points[0]
        length = float(np.linalg.norm(along))
        if length == 0:
            continue
        up = np.array([along[1], -along[0]]) / length
        heights = (points - landmarks_xyz[IRISES[side], :2]) @ up
        rises = displacement_xyz[lid, :2] @ up
        before = float(heights.max())
        rise = float((heights + rises).max()) - before
        room = max(WIDEST_PX - before, 1e-3)
        if rise <= 0.3 * room:  # less than a thousandth would be taken
            continue
        excess = rise - rise / (1 + (rise / room) ** _KNEE) ** (1 / _KNEE)
        if bounded is displacement_xyz:
            bounded = displacement_xyz.copy()
        share_of_rise = np.clip(rises / rises[(heights + rises).argmax()], 0, 1)
        over = heights + rises - max(WIDEST_PX, before)  # of what stands high and rises little
        taken = np.maximum(excess * share_of_rise, np.minimum(over, rises))[1:-1]
        for landmarks, share in ((lid[1:-1], 1.0), (FOLDS_OF_LIDS[side], LIFT_ABOVE)):
            bounded[landmarks, :2] -= share * taken[:, None] * up
    return bounded


def hold_lower_lids(
    down: Float32[np.ndarray, "rows columns"], position: Float32[np.ndarray, "3 rows columns"]
) -> None:
    """Let a finer flow hardly draw lower lids down, as it does to make eyes large; in place.

    Args:
        down: The flow's y on an upright crop, crop pixels: what comes from above is drawn down.
        position: Where on the canonical face each pixel lies, head space.
    """
    taken = _inside(position, UNDER_EYE_Y, UNDER_EYE_REACH)
    taken *= np.float32(1 - SINKING)
    taken *= np.minimum(down, 0)
    down -= taken


def _inside(
    position: Float32[np.ndarray, "3 rows columns"], middle_y: float, reach: tuple[float, float]
) -> Float32[np.ndarray, "rows columns"]:
    """How far inside an ellipse below each eye, or around it, pixels lie: 1 from half-way on."""
    x = np.abs(position[0])
    x -= np.float32(EYE_X)
    x *= np.float32(2 / reach[0])
    y = position[1] - np.float32(middle_y)
    y *= np.float32(2 / reach[1])
    off = cv2.magnitude(x, y)
    return np.clip(np.subtract(2, off, out=off), np.float32(0), np.float32(1), out=off)
