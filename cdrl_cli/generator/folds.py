"""Where skin folds when a face moves: creases on the canonical face, deepened by coefficients.

A warp moves the skin it finds, and a network that learns from few people learns their mean, in
which folds are blurred away. Yet folds are most of what tells anger from rest: given a real
emotional frame's landmarks, and even its optical flow, judges see little; given its skin, they see
the emotion (``benchmarks/renderer_ceiling.py``). Faces fold where they are built to, so the creases
are drawn once, as wrinkle maps in animation are (Oat 2007), and nobody's face was copied.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from cdrl_cli.array_types import Float, Float32
from cdrl_cli.face.blendshapes import COEFFICIENTS, EXPRESSION_NAMES

MAP_SIDE = 256
MAP_LOW, MAP_HIGH = (-1.0, -1.35), (1.0, 1.45)
"""Corners of the maps on the canonical face, head space (x, y)."""

DEPTH = 0.55
"""Logarithm of the brightness that a full fold takes away where it is deepest, times about .6."""

RIDGE_REACH, RIDGE = 4.5, 0.2
"""Beside its valley a fold is lighter: so many times as wide, so strong. They cancel about. Narrow
and strong ridges of two folds would meet between the brows in a white stripe."""

_STEPS = 40

Points = Float[np.ndarray, "points 2"]


@dataclass(frozen=True, slots=True)
class Crease:
    """One line that skin folds along."""

    points: Points
    """Of a smooth curve, head space (x, y)."""
    width: float = 0.022
    """Standard deviation of the valley, head space."""
    strength: float = 1.0
    taper: float = 0.35
    """Share of its length over which it begins, and ends."""


@dataclass(frozen=True)
class FoldMaps:
    """All folds of the canonical face, and what deepens each."""

    maps: Float32[np.ndarray, "folds 256 256"]
    """Change of brightness, logarithmic, over :data:`MAP_LOW` to :data:`MAP_HIGH`."""
    weights: Float32[np.ndarray, "folds 52"]
    """A fold's depth is ``1 - exp(-relu(weights @ change))`` of the coefficients' change."""

    @classmethod
    def draw(cls, canonical_xyz: Float[np.ndarray, "478 3"]) -> "FoldMaps":
        """Draw the folds of a face."""
        face = canonical_xyz[:, :2].astype(float)
        lines = _creases(face)
        maps = [sum(map(_draw, lines[name])) for name in WEIGHTS]
        weights = np.zeros((len(WEIGHTS), COEFFICIENTS), np.float32)
        for row, causes in zip(weights, WEIGHTS.values(), strict=True):
            for name, weight in causes.items():
                row[EXPRESSION_NAMES.index(name)] = weight
        return cls(DEPTH * np.stack(maps).astype(np.float32), weights)

    def shade(
        self,
        change: Float[np.ndarray, " 52"],
        position: Float32[np.ndarray, "axes rows columns"],
        *,
        zoom: int = 1,
    ) -> Float32[np.ndarray, "more_rows more_columns"]:
        """Logarithm of how much lighter each pixel becomes.

        Args:
            change: Of the coefficients.
            position: Where on the canonical face a pixel lies, x, y and maybe more; head space.
            zoom: How many pixels of the answer are as wide as one of these.
        """
        depth = 1 - np.exp(-np.maximum(self.weights @ change, 0))
        drawn = np.zeros((MAP_SIDE, MAP_SIDE), np.float32)
        part = drawn[self._part]
        for one in np.flatnonzero(depth > 0):
            cv2.scaleAdd(self.maps[one][self._part], float(depth[one]), part, dst=part)
        size = zoom * position.shape[2], zoom * position.shape[1]
        x, y = (
            cv2.resize((position[axis] - np.float32(MAP_LOW[axis])) * to_pixels(axis), size)
            for axis in (0, 1)
        )
        return cv2.remap(drawn, x, y, cv2.INTER_LINEAR)

    def find(
        self,
        position: Float32[np.ndarray, "axes rows columns"],
        mask: Float32[np.ndarray, "rows columns"],
    ) -> tuple[int, int, int, int]:
        """A box of the pixels that folds may lie on: left, top, columns, rows.

        Args:
            position: As of :meth:`shade`.
            mask: 0 where none are wanted.
        """
        rows, columns = self._part
        near = (mask > 0).astype(np.uint8)
        for axis, cells in enumerate((columns, rows)):
            low, high = (
                MAP_LOW[axis] + cell / to_pixels(axis) for cell in (cells.start - 1, cells.stop)
            )
            near &= cv2.inRange(position[axis], low, high)
        left, top, wide, high = cv2.boundingRect(near)
        return left, top, wide, high

    @cached_property
    def _part(self) -> tuple[slice, slice]:
        """Rows and columns of the maps in which there is any fold."""
        drawn = (np.abs(self.maps).max(axis=0) > 0).astype(np.uint8)
        left, top, columns, rows = cv2.boundingRect(drawn)
        return np.s_[top : top + rows, left : left + columns]


def to_pixels(axis: int) -> float:
    """Pixels of a map in a unit of head space, along x (0) or y (1)."""
    return (MAP_SIDE - 1) / (MAP_HIGH[axis] - MAP_LOW[axis])


def _both(name: str, weight: float) -> dict[str, float]:
    return {f"{name}Left": weight / 2, f"{name}Right": weight / 2}


def _side(side: str, **weights: float) -> dict[str, float]:
    return {f"{name}{side}": weight for name, weight in weights.items()}


WEIGHTS: Mapping[str, Mapping[str, float]] = {
    "forehead": {**_both("browOuterUp", 0.6), "browInnerUp": 0.4, **_both("browDown", -0.4)},
    "forehead, middle": {"browInnerUp": 1.0, **_both("browOuterUp", -1.0)},
    "glabella": {**_both("browDown", 1.0), "browInnerUp": 0.4, **_both("browOuterUp", -0.5)},
    "nose": _both("noseSneer", 1.0),
} | {
    f"{name}, {side}": weights
    for side in ("Left", "Right")
    for name, weights in {
        "cheek": _side(side, mouthSmile=0.8, noseSneer=0.7, mouthUpperUp=0.4, mouthFrown=0.25),
        "corner of the eye": _side(side, eyeSquint=0.5, mouthSmile=0.4),
        "under the eye": _side(side, eyeSquint=0.5, mouthSmile=0.5),
    }.items()
}
"""What deepens each fold: EMFACS's action units, as far as coefficients name them."""


def _creases(face: Float[np.ndarray, "478 2"]) -> dict[str, list[Crease]]:
    """Anatomy: lines of each fold on a face given by its landmarks."""
    brow, top = face[9, 1], face[10, 1]
    between, root, bridge = face[8, 1], face[168, 1], face[6, 1]
    height = brow - top

    def across(up: float, reach: float, bow: float) -> Points:
        """A line over the forehead: how far up it, how far to each side, how much bowed."""
        x = np.linspace(-reach, reach, 9)
        return np.stack([x, brow - up * height - bow * np.cos(np.pi * x / reach)], axis=1)

    def over_the_nose(y: float, reach: float) -> Points:
        return np.array([(-reach, y), (0, y + 0.018), (reach, y)])

    upright = np.array(
        [(0.070, brow - 0.1 * height), (0.055, between), (0.075, (between + root) / 2)]
    )
    beside = np.array([(0.095, root), (0.105, (root + bridge) / 2), (0.14, bridge)])
    found = {
        "forehead": [
            Crease(across(0.24, 0.30, 0.010), strength=0.7),
            Crease(across(0.38, 0.46, 0.015)),
            Crease(across(0.58, 0.48, 0.010), strength=0.9),
        ],
        "forehead, middle": [
            Crease(across(0.34, 0.20, 0.025), width=0.028, strength=0.55, taper=0.5),
            Crease(across(0.50, 0.24, 0.025), width=0.028, strength=0.4, taper=0.5),
        ],
        # No line joins the brows over the nose's root: brows that do not meet have none there.
        "glabella": [
            *(Crease(upright * (side, 1), width=0.020, taper=0.3) for side in (-1, 1)),
        ],
        "nose": [
            Crease(over_the_nose(bridge, 0.08), width=0.024, strength=0.45),
            *(Crease(beside * (side, 1), strength=0.7, taper=0.45) for side in (-1, 1)),
        ],
    }
    # The person's left is at positive x.
    for name, sign, cheek, eye, bag in (
        ("Left", 1, (358, 423, 426, 436, 432), 263, (340, 346, 347, 348, 349)),
        ("Right", -1, (129, 203, 206, 216, 212), 33, (111, 117, 118, 119, 120)),
    ):
        found[f"cheek, {name}"] = [Crease(face[list(cheek)], width=0.036, strength=0.6, taper=0.4)]
        found[f"under the eye, {name}"] = [Crease(face[list(bag)], strength=0.6, taper=0.4)]
        start = face[eye] + (sign * 0.07, 0)
        found[f"corner of the eye, {name}"] = [
            Crease(
                start + np.outer([0, length], [sign * np.cos(angle), np.sin(angle)]),
                width=0.013,
                strength=0.7,
                taper=0.4,
            )
            for angle, length in ((-0.44, 0.14), (0.05, 0.17), (0.49, 0.15))
        ]
    return found


def _draw(crease: Crease) -> Float[np.ndarray, "256 256"]:
    """Its valley, darker, with lighter ridges."""
    line, along = _smooth(crease.points)
    reach = 3 * RIDGE_REACH * crease.width
    drawn = np.zeros((MAP_SIDE, MAP_SIDE))
    axes = [np.linspace(low, high, MAP_SIDE) for low, high in zip(MAP_LOW, MAP_HIGH, strict=True)]
    near = [
        np.flatnonzero((axis > column.min() - reach) & (axis < column.max() + reach))
        for axis, column in zip(axes, line.T, strict=True)
    ]
    across, down = (
        np.subtract.outer(axis[cells], column) ** 2
        for axis, cells, column in zip(axes, near, line.T, strict=True)
    )
    apart = down[:, None] + across  # squared, of each cell from each point of the line
    nearest = apart.argmin(axis=2)
    strength = (np.minimum(along, 1 - along) / crease.taper).clip(0, 1)[nearest]
    widths = np.sqrt(np.take_along_axis(apart, nearest[..., None], axis=2)[..., 0]) / crease.width
    valley, ridge = np.exp(-0.5 * widths**2), np.exp(-0.5 * (widths / RIDGE_REACH) ** 2)
    drawn[np.ix_(near[1], near[0])] = crease.strength * strength * (RIDGE * ridge - valley)
    return drawn


def _smooth(
    points: Points,
) -> tuple[Float[np.ndarray, "steps 2"], Float[np.ndarray, " steps"]]:
    """A cubic through points, as many points, and their place along it, 0..1."""
    along = np.concatenate([[0], np.hypot(*np.diff(points, axis=0).T).cumsum()])
    places = np.linspace(0, 1, _STEPS)
    degree = min(3, len(points) - 1)
    curve = [
        np.polyval(np.polyfit(along / along[-1], column, degree), places) for column in points.T
    ]
    return np.stack(curve, axis=1), places
