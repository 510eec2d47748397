"""Eyes: where their eyeballs lie, which no lid takes along, and what a shut one is spared.

The landmarker's irises are those of its average face: up to a quarter of the radius too large and
as far off. So the rim of each is looked for around there, where the lids leave it free.
"""

from dataclasses import replace
from functools import cache

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

from cdrl_cli.face.alignment import FaceCrop
from cdrl_cli.face.blendshapes import EXPRESSION_NAMES
from cdrl_cli.face.eyeballs import KNOTS, Eyeball
from cdrl_cli.geometry.warp import chain, invert

OPEN = np.ones(2)
"""Eyes that are open."""

LIDS_OPEN = 2 / 3
"""From so open an eye on, its colours and the shade around it show in full; 0 shut, 1 as usual."""

EYE_X, EYE_Y = 0.345, 0.0
EYE_REACH = (0.30, 0.24)
"""Middle of the left eye on the canonical face, and half-axes of the ellipse that holds its lids
and what moves with them; head space."""

UPPER_LIDS = np.array(
    [(362, 398, 384, 385, 386, 387, 388, 466, 263), (33, 246, 161, 160, 159, 158, 157, 173, 133)]
)
"""Landmarks of the edges of the upper lids, of the left eye and of the right one, from its corner
on the left of the picture to the other one."""

LOWER_LIDS = np.array(
    [(362, 382, 381, 380, 374, 373, 390, 249, 263), (33, 7, 163, 144, 145, 153, 154, 155, 133)]
)
"""Of the lower lids'; the corners are the same."""

FOLDS_OF_LIDS = np.array([(414, 286, 258, 257, 259, 260, 467), (247, 30, 29, 27, 28, 56, 190)])
"""Landmarks of the upper lids above their edges, as :data:`UPPER_LIDS` without the corners."""

LIFT, LIFT_ABOVE = 1.5, 0.6
"""By how many times what it does already ``eyeWide`` raises the edge of an upper lid on top of
that, and which share of that the lid above takes."""

UNDER_EYE_Y = 0.10
UNDER_EYE_REACH = (0.26, 0.14)
"""Middle of what is under an eye on the canonical face, below :data:`EYE_X`, and half-axes of the
ellipse around it; head space."""

SINKING = 0.4
"""Share of what draws lower lids down that stays: a wide eye opens upwards."""

IRISES = np.array([473, 468])
"""Landmarks of the middles of the irises."""

IRIS_RADIUS, IRIS_SPREAD = 4.8, 0.4
"""Usual radius of an iris, and by how much people differ, crop pixels: eyes grow hardly at all,
and their outer corners are at one distance in every crop."""

OPEN_ENOUGH = (0.8, 1.2)
"""An opening that is lower than the first number times the radius of the iris is left to the warp;
from the second on the eyeball is still."""

ASIDE = (0.15, 0.27)
"""An eye that looks so far aside, as a share of the way from corner to corner, begins to move with
its lids; from the second number on it does so wholly."""

SEEN = (1.0, 4.0)
"""An iris whose rim is fainter than the first number, levels per 1.6 crop pixels, is not found;
from the second on it surely is."""

_GRID_PX = 0.5
"""Step of the picture of an eye in which its iris is looked for, crop pixels."""
_GRID_REACH = (2.0, 9.0)
"""So far it reaches beyond the corners, and above and below them."""
_STEPS = np.linspace(-2.4, 2.4, 9)
"""How far off its landmark an iris is looked for, crop pixels, in x and y."""
_RADII = np.arange(3.2, 6.61, 0.4)
_RIM = 2
"""The rim is seen as the difference between so many radii farther out and farther in."""
_ANGLES = np.arange(16) * (np.pi / 8)
_BELOW = np.arange(7) * 0.25
"""So far below the lower lid the iris is looked for, crop pixels."""
_LEAST_LENGTH_PX = 4.0
"""An eye seen shorter is seen from the side."""
_SOFTNESS_PX = 0.6
_SHARPNESS = 1.5
"""Candidates count by the exponential of what is seen of their rims in these units, levels."""


def find_eyeballs(crop: FaceCrop) -> tuple[Eyeball, ...]:
    """The eyeballs of a face, left and right; how still each is says how surely it is seen."""
    return tuple(_find_eyeball(crop, side) for side in range(2))


def shut_eyeballs(
    eyeballs: tuple[Eyeball, ...], eyes: Float[np.ndarray, " 2"]
) -> tuple[Eyeball, ...]:
    """Those that show under lids that are so far open; the others move with their lids.

    Args:
        eyeballs: Left and right.
        eyes: How open they are: 1 as usual, 0 shut.
    """
    shares = np.minimum(eyes / LIDS_OPEN, 1).tolist()
    held = (
        replace(one, strength=one.strength * share)
        for one, share in zip(eyeballs, shares, strict=True)
    )
    return tuple(one for one in held if one.strength > 0)


def _find_eyeball(crop: FaceCrop, side: int) -> Eyeball:
    upper, lower = (crop.landmarks_xyz[lids[side], :2] for lids in (UPPER_LIDS, LOWER_LIDS))
    along = upper[-1] - upper[0]
    length = float(np.linalg.norm(along))
    (x, y) = along / max(length, 1e-6)
    turn = np.array([(x, y), (-y, x)])
    eye_from_crop = np.column_stack([turn, -turn @ upper[0]])
    knots = np.linspace(0, length, KNOTS)
    high, low = (
        np.interp(knots, *((lid - upper[0]) @ turn.T).T).astype(np.float32)
        for lid in (upper, lower)
    )
    middle = turn @ (crop.landmarks_xyz[IRISES[side], :2] - upper[0])
    if length < _LEAST_LENGTH_PX:
        return Eyeball(eye_from_crop, length, high, low, (0.0, 0.0), IRIS_RADIUS, 0.0)
    close = _CloseUp(crop.image(), eye_from_crop, knots, high, low)
    iris_xy, radius, rim = close.find_iris(middle)
    low = low + close.reach_below(low, iris_xy, radius)
    opening = float(np.interp(iris_xy[0], knots, low - high))
    strength = (
        _share(opening / radius, OPEN_ENOUGH)
        * _share(-abs(iris_xy[0] / length - 0.5), (-ASIDE[1], -ASIDE[0]))
        * _share(rim, SEEN)
    )
    return Eyeball(eye_from_crop, length, high, low, iris_xy, radius, strength)


def _share(value: float, between: tuple[float, float]) -> float:
    start, end = between
    return min(max((value - start) / (end - start), 0.0), 1.0)


class _CloseUp:
    """The picture of an eye, level.

    Args:
        image: The face's crop.
        eye_from_crop: Carries crop pixels to the eye (see :mod:`cdrl_cli.face.eyeballs`).
        knots: Places from corner to corner.
        upper: Height of the upper lid there.
        lower: And of the lower one.
    """

    def __init__(
        self,
        image: UInt8[np.ndarray, "256 256 3"],
        eye_from_crop: Float[np.ndarray, "2 3"],
        knots: Float[np.ndarray, " knots"],
        upper: Float32[np.ndarray, " knots"],
        lower: Float32[np.ndarray, " knots"],
    ) -> None:
        beside, above = _GRID_REACH
        size = round((knots[-1] + 2 * beside) / _GRID_PX), round(2 * above / _GRID_PX)
        eye_from_grid = np.array([(_GRID_PX, 0, -beside), (0, _GRID_PX, -above)])
        crop_from_grid = chain(invert(eye_from_crop), eye_from_grid)
        colours = cv2.warpAffine(
            image, crop_from_grid, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        grey = cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY).astype(np.float32)
        self._grey = cv2.GaussianBlur(grey, (0, 0), _SOFTNESS_PX / _GRID_PX)
        x = np.arange(size[0]) * _GRID_PX - beside
        y = (np.arange(size[1]) * _GRID_PX - above)[:, None].astype(np.float32)
        high, low = (np.interp(x, knots, lid).astype(np.float32) for lid in (upper, lower))
        seen = np.clip(np.minimum(y - (high + 0.8), (low - 0.3) - y), 0, 1)
        self._both = cv2.merge([self._grey, seen])
        self._knots = knots

    def find_iris(
        self, middle_xy: Float[np.ndarray, " 2"]
    ) -> tuple[tuple[float, float], float, float]:
        """Middle and radius of the iris, and how clearly its rim is seen, levels.

        Differs from Daugman (1993), who takes the sharpest circle, in that all of them count, the
        sharper the more, so that the answer is steady; and those that the landmark and the usual
        size make unlikely count less.

        Args:
            middle_xy: Where the landmarker sees it.
        """
        circles, unlikely = _circles()
        start = (middle_xy + _GRID_REACH) / _GRID_PX
        found = cv2.remap(
            self._both,
            circles[0] + np.float32(start[0]),
            circles[1] + np.float32(start[1]),
            cv2.INTER_LINEAR,
        ).reshape(-1, len(_RADII), len(_ANGLES), 2)
        inner, outer = found[:, : -2 * _RIM], found[:, 2 * _RIM :]
        count = np.minimum(inner[..., 1], outer[..., 1])
        # White beside it is brighter; glints and lashes must not decide.
        step = np.clip(outer[..., 0] - inner[..., 0], -20, 60)
        score = (step * count).sum(axis=2) / (count.sum(axis=2) + 0.17 * len(_ANGLES))
        score -= unlikely
        best = float(score.max())
        weight = np.exp((score - best) / _SHARPNESS)
        weight /= weight.sum()
        places = weight.sum(axis=1).reshape(len(_STEPS), len(_STEPS))
        x = float(middle_xy[0] + places.sum(axis=1) @ _STEPS)
        y = float(middle_xy[1] + places.sum(axis=0) @ _STEPS)
        return (x, y), float(weight.sum(axis=0) @ _RADII[_RIM:-_RIM]), best

    def reach_below(
        self, lower: Float32[np.ndarray, " knots"], iris_xy: tuple[float, float], radius: float
    ) -> Float32[np.ndarray, " knots"]:
        """How far the iris is seen below the landmarks of the lower lid, eye pixels.

        As dark as it is, its rest on a lid that moves would be a line below it.

        Args:
            lower: Height of these landmarks.
            iris_xy: Its middle.
            radius: Its radius.
        """
        off = self._knots - iris_xy[0]
        rim = iris_xy[1] + np.sqrt(np.maximum((radius + 0.7) ** 2 - off**2, 0))
        room = np.where(np.abs(off) < radius, np.maximum(rim - lower, 0), 0).astype(np.float32)
        columns = np.abs(off) < 0.6 * radius
        if not room.any() or not columns.any():
            return np.zeros_like(room)
        depth = np.array([-1.5, *_BELOW, 3.5])
        x = np.repeat(self._knots[columns, None], len(depth), axis=1)
        y = lower[columns, None] + depth
        at_x, at_y = ((v + r) / _GRID_PX for v, r in zip((x, y), _GRID_REACH, strict=True))
        inside, *below, skin = cv2.remap(
            self._grey, at_x.astype(np.float32), at_y.astype(np.float32), cv2.INTER_LINEAR
        ).mean(axis=0)
        dark = (skin - np.array(below)) / max(skin - inside, 5.0)
        reached = np.minimum.accumulate(np.clip((dark - 0.4) / 0.3, 0, 1)).sum() * _BELOW[1]
        return np.minimum(room, np.float32(reached))


@cache
def _circles() -> tuple[
    Float32[np.ndarray, "2 candidates samples"], Float32[np.ndarray, "middles radii"]
]:
    """Where circles around a landmark lie on the grid, and how unlikely each one is, levels."""
    x, y = (one.reshape(-1, 1, 1) for one in np.meshgrid(_STEPS, _STEPS, indexing="ij"))
    radius = _RADII[:, None]
    across, down = x + radius * np.cos(_ANGLES), y + radius * np.sin(_ANGLES)
    places = np.stack([across, down]).reshape(2, len(x), -1) / _GRID_PX
    off = (x**2 + y**2)[:, 0] / 4 + ((_RADII[_RIM:-_RIM] - IRIS_RADIUS) / IRIS_SPREAD) ** 2
    return places.astype(np.float32), off.astype(np.float32)


def spare_eyes(
    position: Float32[np.ndarray, "side side 3"], eyes: Float[np.ndarray, " 2"]
) -> Float32[np.ndarray, "side side"]:
    """How much of the finer flow stays: all but around an eye that is shut, which it would tear.

    Args:
        position: Where on the canonical face each pixel lies, head space.
        eyes: How open they are, left and right.
    """
    spared = np.ones(position.shape[:2], np.float32)
    for side, opened in zip((EYE_X, -EYE_X), eyes, strict=True):
        if opened < 1:
            around, inside = _ellipse(position, (side, EYE_Y), EYE_REACH)
            spared[around] *= 1 - np.float32(1 - opened) * inside
    return spared


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


def hold_lower_lids(
    flow: Float32[np.ndarray, "2 side side"], position: Float32[np.ndarray, "side side 3"]
) -> Float32[np.ndarray, "2 side side"]:
    """A finer flow that hardly draws lower lids down, as it does to make eyes large.

    Args:
        flow: Crop pixels, x and y.
        position: Where on the canonical face each pixel lies, head space.
    """
    held = flow.copy()
    for side in (EYE_X, -EYE_X):
        around, inside = _ellipse(position, (side, UNDER_EYE_Y), UNDER_EYE_REACH)
        down = held[1][around]  # an upright crop: what comes from above is drawn down
        down *= 1 - np.float32(1 - SINKING) * inside * (down < 0)
    return held


def _ellipse(
    position: Float32[np.ndarray, "side side 3"],
    middle: tuple[float, float],
    reach: tuple[float, float],
) -> tuple[tuple[slice, slice], Float32[np.ndarray, "rows columns"]]:
    """A box of pixels around an ellipse on the canonical face, and how far inside they lie, 0..1.

    Fully inside they are from half of its half-axes on.
    """
    low, high = (
        (middle[0] + sign * reach[0], middle[1] + sign * reach[1], sign * np.inf)
        for sign in (-1, 1)
    )
    left, top, columns, rows = cv2.boundingRect(cv2.inRange(position, low, high))
    around = np.s_[top : top + rows, left : left + columns]
    x = (position[around][..., 0] - np.float32(middle[0])) / np.float32(reach[0])
    y = (position[around][..., 1] - np.float32(middle[1])) / np.float32(reach[1])
    return around, np.clip(2 * (1 - cv2.magnitude(x, y)), 0, 1)
