"""Where irises are in a picture: their middles, their size, and how clearly they are seen.

The landmarker's irises are those of its average face: up to a quarter of the radius too large and
as far off. So the rim of each is looked for around there, where the lids leave it free.

Convention: *eye* coordinates, as of :mod:`cdrl_cli.face.eyeballs`.
"""

from dataclasses import dataclass
from functools import cache
from math import hypot

import cv2
import numpy as np

from cdrl_cli.array_types import Float, Float32, UInt8
from cdrl_cli.face.eyeballs import KNOTS
from cdrl_cli.geometry.warp import chain, invert

UPPER_LIDS = np.array(
    [(362, 398, 384, 385, 386, 387, 388, 466, 263), (33, 246, 161, 160, 159, 158, 157, 173, 133)]
)
"""Landmarks of the edges of the upper lids, of the left eye and of the right one, from its corner
on the left of the picture to the other one."""

LOWER_LIDS = np.array(
    [(362, 382, 381, 380, 374, 373, 390, 249, 263), (33, 7, 163, 144, 145, 153, 154, 155, 133)]
)
"""Of the lower lids'; the corners are the same."""

IRISES = np.array([473, 468])
"""Landmarks of the middles of the irises."""

_OUTLINES = np.concatenate([UPPER_LIDS, LOWER_LIDS, IRISES[:, None]], axis=1)
_LID = UPPER_LIDS.shape[1]

IRIS_RADIUS, IRIS_SPREAD = 4.8, 0.4
"""Usual radius of an iris, and by how much people differ, crop pixels: eyes hardly grow, and their
outer corners are at one distance in every crop."""

STEADY_PX = 0.6
"""From one frame to the one after the next, what is found moves about its landmark by so much at
most, crop pixels, unless landmarks are late."""

_LEVELS_PER_LEAP = 4.0
"""By so much less clearly an iris is seen for each crop pixel more."""
_GRID_PX = 0.5
"""Step of the picture of an eye in which its iris is looked for, crop pixels."""
_COLUMNS, _ROWS = 64, 36
"""Of that picture; the corners of the eye lie level in its middle."""
_BESIDE_PX, _ABOVE_PX = 2.0, _ROWS * _GRID_PX / 2
"""It begins so far beside the first corner and above it."""
_EYES = (np.s_[:_ROWS], np.s_[_ROWS:])
"""Rows of each eye where one picture lies above the other."""
_X_PX = np.arange(_COLUMNS) * _GRID_PX - _BESIDE_PX
_Y_PX = (np.arange(_ROWS, dtype=np.float32) * _GRID_PX - np.float32(_ABOVE_PX))[:, None]
"""Places of its columns and rows, eye coordinates."""
_SOFTNESS_PX = 0.6
"""Blur of the picture, crop pixels."""
_STEPS = np.linspace(-2.1, 2.1, 7)
"""How far off its landmark an iris is looked for, crop pixels, in x and y."""
_RADII = np.arange(3.2, 6.61, 0.4)
_RIM = 2
"""The rim is seen as the difference between so many radii farther out and farther in."""
_ANGLES = np.arange(16) * (np.pi / 8)
_SHARPNESS = 1.5
"""Circles count by the exponential of what is seen of their rims in these units, levels."""
_BELOW = np.arange(7) * 0.25
"""So far below the lower lid the iris is looked for, crop pixels."""
_SHARES = np.linspace(0, 1, KNOTS)
_LEAST_LENGTH_PX = 4.0
"""An eye seen shorter is seen from the side."""


@dataclass(frozen=True, slots=True)
class EyeOutline:
    """What landmarks say of an eye, in eye coordinates."""

    eye_from_crop: Float[np.ndarray, "2 3"]
    length: float
    """From corner to corner."""
    upper: Float32[np.ndarray, " knots"]
    """The y of the upper lid's edge, at :data:`~cdrl_cli.face.eyeballs.KNOTS` places from corner
    to corner."""
    lower: Float32[np.ndarray, " knots"]
    """Of the lower one's."""
    middle_xy: Float[np.ndarray, " 2"]
    """Where the landmarker has the iris."""

    @classmethod
    def both(cls, landmarks_xyz: Float[np.ndarray, "478 3"]) -> tuple["EyeOutline", "EyeOutline"]:
        """Of the left and the right eye.

        Args:
            landmarks_xyz: Crop pixels.
        """
        points = landmarks_xyz[:, :2]
        return cls._of(points, 0), cls._of(points, 1)

    @classmethod
    def _of(cls, points: Float[np.ndarray, "478 2"], side: int) -> "EyeOutline":
        lids = points[_OUTLINES[side]]
        (first_x, first_y), (last_x, last_y) = lids[[0, _LID - 1]].tolist()
        length = max(hypot(last_x - first_x, last_y - first_y), 1e-6)
        x, y = (last_x - first_x) / length, (last_y - first_y) / length
        from_crop = np.array(
            [(x, y, -x * first_x - y * first_y), (-y, x, y * first_x - x * first_y)]
        )
        along, down = from_crop[:, :2] @ lids.T + from_crop[:, 2:]
        knots = length * _SHARES
        upper, lower = (
            np.interp(knots, along[lid], down[lid]).astype(np.float32)
            for lid in (np.s_[:_LID], np.s_[_LID:-1])
        )
        return cls(from_crop, length, upper, lower, np.array([along[-1], down[-1]]))

    @property
    def knots(self) -> Float[np.ndarray, " knots"]:
        """The x of the places at which lids are told."""
        return self.length * _SHARES


@dataclass(frozen=True, slots=True)
class Irises:
    """The irises of a face, left and right, in eye coordinates."""

    offset_xy: Float[np.ndarray, "2 2"]
    """From their landmarks to their middles."""
    radius: Float[np.ndarray, " 2"]
    clearness: Float[np.ndarray, " 2"]
    """How much brighter it is outside of the rim than inside, levels per 1.6 crop pixels, less what
    makes the place unlikely."""
    below: Float[np.ndarray, " 2"]
    """How far below the landmarks of the lower lid it is as dark as in them."""

    @classmethod
    def between(cls, before: "Irises", after: "Irises") -> "Irises":
        """Those of a frame between two others; hardly seen where these are far apart."""
        leap = np.abs(after.offset_xy - before.offset_xy).max(axis=1)
        blurred = np.maximum(leap - STEADY_PX, 0) * _LEVELS_PER_LEAP
        return cls(
            (before.offset_xy + after.offset_xy) / 2,
            (before.radius + after.radius) / 2,
            np.minimum(before.clearness, after.clearness) - blurred,
            (before.below + after.below) / 2,
        )


def find_irises(
    image: UInt8[np.ndarray, "256 256 3"], outlines: tuple[EyeOutline, EyeOutline]
) -> Irises:
    """The irises of a face.

    Differs from Daugman (1993), who takes the sharpest circle, in that all of them count, the
    sharper the more, so that the answer is steady; and those count less that the landmark and the
    usual size make unlikely.

    Args:
        image: The aligned crop.
        outlines: Of the left and the right eye.
    """
    circles, unlikely = _circles()
    pictures = _close_ups(image, outlines)
    middles = np.array([one.middle_xy for one in outlines])
    starts = np.add(middles, (_BESIDE_PX, _ABOVE_PX)) / _GRID_PX
    starts[1, 1] += _ROWS  # one picture above the other
    at_x, at_y = circles[:, None] + starts.T[..., None, None].astype(np.float32)
    places = at_x.reshape(-1, circles.shape[2]), at_y.reshape(-1, circles.shape[2])
    # One by one: two in one picture take half as long again.
    grey, seen = (
        cv2.remap(both, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).reshape(
            2, -1, len(_RADII), len(_ANGLES)
        )
        for both in pictures
    )
    count = np.minimum(seen[:, :, : -2 * _RIM], seen[:, :, 2 * _RIM :])
    # White beside it is brighter; glints and lashes must not decide.
    step = np.clip(
        grey[:, :, 2 * _RIM :] - grey[:, :, : -2 * _RIM], np.float32(-20), np.float32(60)
    )
    score = (step * count).sum(axis=3) / (count.sum(axis=3) + 0.17 * len(_ANGLES)) - unlikely
    best = score.max(axis=(1, 2))
    weight = np.exp((score - best[:, None, None]) / _SHARPNESS).astype(float)
    weight /= weight.sum(axis=(1, 2), keepdims=True)
    by_place = weight.sum(axis=2).reshape(2, len(_STEPS), len(_STEPS))
    offset = np.stack([by_place.sum(axis=2) @ _STEPS, by_place.sum(axis=1) @ _STEPS], axis=1)
    radius = weight.sum(axis=1) @ _RADII[_RIM:-_RIM]
    aside = np.array([one.length < _LEAST_LENGTH_PX for one in outlines])
    below = [
        _reach_below(pictures[0][rows], outline, float(outline.middle_xy[0] + x), float(size))
        for rows, outline, x, size in zip(_EYES, outlines, offset[:, 0], radius, strict=True)
    ]
    return Irises(offset, radius, np.where(aside, -np.inf, best.astype(float)), np.array(below))


def _close_ups(
    image: UInt8[np.ndarray, "256 256 3"], outlines: tuple[EyeOutline, EyeOutline]
) -> tuple[Float32[np.ndarray, "72 64"], Float32[np.ndarray, "72 64"]]:
    """Both eyes, level, one above the other, in grey; and where they are seen between their lids.

    That is 1 where it is sure, 0 outside.
    """
    eye_from_grid = np.array([(_GRID_PX, 0, -_BESIDE_PX), (0, _GRID_PX, -_ABOVE_PX)])
    colours = np.empty((2 * _ROWS, _COLUMNS, 3), np.uint8)
    seen = np.empty(colours.shape[:2], np.float32)
    for outline, rows in zip(outlines, _EYES, strict=True):
        cv2.warpAffine(
            image,
            chain(invert(outline.eye_from_crop), eye_from_grid),
            (_COLUMNS, _ROWS),
            dst=colours[rows],
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        high, low = (
            np.interp(_X_PX, outline.knots, lid).astype(np.float32)
            for lid in (outline.upper + 0.8, outline.lower - 0.3)
        )
        np.minimum(_Y_PX - high, low - _Y_PX, out=seen[rows])
    np.clip(seen, np.float32(0), np.float32(1), out=seen)
    soft = cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY).astype(np.float32)
    for rows in _EYES:
        cv2.GaussianBlur(soft[rows], (0, 0), _SOFTNESS_PX / _GRID_PX, dst=soft[rows])
    return soft, seen


def _reach_below(
    grey: Float32[np.ndarray, "36 64"], outline: EyeOutline, middle_x: float, radius: float
) -> float:
    """How far below the landmarks of the lower lid it is as dark as in the iris."""
    columns = np.abs(outline.knots - middle_x) < 0.6 * radius
    if not columns.any():
        return 0.0
    depth = np.array([-1.5, *_BELOW, 3.5])
    x = np.repeat(outline.knots[columns, None], len(depth), axis=1)
    y = outline.lower[columns, None] + depth
    inside, *below, skin = cv2.remap(
        grey,
        ((x + _BESIDE_PX) / _GRID_PX).astype(np.float32),
        ((y + _ABOVE_PX) / _GRID_PX).astype(np.float32),
        cv2.INTER_LINEAR,
    ).mean(axis=0)
    dark = (skin - np.array(below)) / max(skin - inside, 5.0)
    return float(np.minimum.accumulate(np.clip((dark - 0.4) / 0.3, 0, 1)).sum() * _BELOW[1])


@cache
def _circles() -> tuple[
    Float32[np.ndarray, "2 middles samples"], Float32[np.ndarray, "middles radii"]
]:
    """Where circles around a landmark lie on the grid, and how unlikely each one is, levels."""
    x, y = (one.reshape(-1, 1, 1) for one in np.meshgrid(_STEPS, _STEPS, indexing="ij"))
    radius = _RADII[:, None]
    across, down = x + radius * np.cos(_ANGLES), y + radius * np.sin(_ANGLES)
    places = np.stack([across, down]).reshape(2, len(x), -1) / _GRID_PX
    off = (x**2 + y**2)[:, 0] / 4 + ((_RADII[_RIM:-_RIM] - IRIS_RADIUS) / IRIS_SPREAD) ** 2
    return places.astype(np.float32), off.astype(np.float32)
