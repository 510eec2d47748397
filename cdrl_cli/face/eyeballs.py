"""Eyeballs under lids that move: lids slide over them, and what a lid covered is made up.

A warp stretches the iris with the opening between the lids. Here what lies in the opening keeps its
place and shape. What a lid uncovers is nowhere in the picture: inside the iris it is taken from the
other half of it, elsewhere from the white of the eye beside it.

Convention: *eye* coordinates are crop pixels, turned: x from the corner of the eye that is on the
left of the crop to the other one, y down across it, the origin at the first corner.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Float32

from cdrl_cli.geometry.warp import chain, fetch, invert, resample
from cdrl_cli.media.frames import Plane
from cdrl_cli.media.orientation import Box

KNOTS = 25
"""At so many places, equally far apart from corner to corner, the height of a lid is told."""

UPPER_EDGE, LOWER_EDGE = 0.3, 0.0
"""So far inside of the line of a lid's landmarks the eyeball begins to show, crop pixels: on it
stand lashes, which move with the lid."""

EDGE_SOFTNESS = 0.8
"""Over so many crop pixels more it shows in full."""

UPPER_DOUBT, LOWER_DOUBT = 1.8, 1.3
"""Widest strip along a lid whose pixels belong to the lid as much as to the eyeball, lashes and
blur, crop pixels: where the lid moves away they are made up."""

DOUBT_PER_SAMPLE = 0.9
"""But it is at least so many samples wide: one holds colour from all around it."""

SHADOW, SHADOW_REACH = 0.1, 1.2
"""Share of the light that the upper lid keeps from the eyeball right under it, and at which depth,
crop pixels, a third of that is left."""

CORNERS = (0.08, 0.25)
"""Up to the first share of the way from corner to corner all moves with the lids, from the second
on the eyeball is still."""

LIMBUS = 1.3
"""The rim of the iris is so wide, crop pixels."""

NEAR_PX, FAR_PX, FAR = (1.0, 0.8), (3.5, 1.5), 0.03
"""The white of the eye is spread as far as the first, crop pixels across and down, and where
nothing is so near, as far as the second, which counts less by the third."""

STILL_PX = 0.05
"""Lids that move less than this are left to the warp, crop pixels."""


@dataclass(frozen=True, slots=True)
class Eyeball:
    """What is seen of an eyeball, in eye coordinates."""

    eye_from_crop: Float[np.ndarray, "2 3"]
    length: float
    """From corner to corner."""
    upper: Float32[np.ndarray, " knots"]
    """The y of the upper lid's edge, at :data:`KNOTS` places from corner to corner."""
    lower: Float32[np.ndarray, " knots"]
    """Of the lower one's."""
    iris_xy: tuple[float, float]
    """Its middle."""
    iris_radius: float
    strength: float
    """How much of the movement of the lids it withstands: 1 all, 0 none."""


@dataclass(frozen=True, slots=True)
class Uncovered:
    """Samples of some planes that lie alike, around an eyeball whose lids have moved."""

    box: Box
    """Where, among the planes' samples."""
    weight: Float32[np.ndarray, "rows columns"]
    """0 where the lids lie, 1 where the eyeball shows."""
    values: Sequence[Float32[np.ndarray, "rows columns"]]
    """Of each plane, the eyeball as if there were no lids."""

    def lay_on(
        self,
        moved: Float32[np.ndarray, "part_rows part_columns"],
        part: Box,
        plane: int,
        black: np.float32,
    ) -> None:
        """Show it, in place.

        Args:
            moved: Samples of a part of a plane.
            part: That part.
            plane: Which one of the planes it is.
            black: What has been taken off these samples.
        """
        (x0, y0, x1, y1), (left, top, right, bottom) = self.box, part
        low_x, high_x, low_y, high_y = max(x0, left), min(x1, right), max(y0, top), min(y1, bottom)
        if low_x >= high_x or low_y >= high_y:
            return
        here = np.s_[low_y - y0 : high_y - y0, low_x - x0 : high_x - x0]
        under = moved[low_y - top : high_y - top, low_x - left : high_x - left]
        under += self.weight[here] * (self.values[plane][here] - black - under)


def uncover(
    eyeball: Eyeball,
    flow: Float32[np.ndarray, "256 256 2"],
    planes: Sequence[Plane],
    crop_from_plane: Float[np.ndarray, "2 3"],
) -> Uncovered | None:
    """An eyeball after its lids have moved; None where they have not, or it lies outside.

    A place belongs to the opening if what the flow brings there was in the opening.

    Args:
        eyeball: As it is seen before.
        flow: Of the lids and all around, crop pixels.
        planes: Luma, or the chromas, which lie alike.
        crop_from_plane: Carries places among a plane's samples to crop pixels.
    """
    eye_from_plane = chain(eyeball.eye_from_crop, crop_from_plane)
    rows, columns = planes[0].samples.shape
    box = _box(eyeball, invert(eye_from_plane), (0, 0, columns, rows))
    if box is None:
        return None
    moved = resample(flow, crop_from_plane, box)
    if cv2.norm(moved, cv2.NORM_INF) < STILL_PX:
        return None
    return _Opening(eyeball, moved, box, eye_from_plane, crop_from_plane).fill(planes)


def _box(eyeball: Eyeball, plane_from_eye: Float[np.ndarray, "2 3"], within: Box) -> Box | None:
    """A box of samples around all that may be uncovered."""
    reach = 4.0
    top, bottom = float(eyeball.upper.min()) - reach, float(eyeball.lower.max()) + reach
    corners = np.array([(x, y) for x in (0.0, eyeball.length) for y in (top, bottom)])
    places = corners @ plane_from_eye[:, :2].T + plane_from_eye[:, 2]
    low, high = np.floor(places.min(axis=0)), np.ceil(places.max(axis=0)) + 1
    x0, y0, x1, y1 = np.concatenate([low, high]).astype(int).tolist()
    x0, y0, x1, y1 = max(x0, within[0]), max(y0, within[1]), min(x1, within[2]), min(y1, within[3])
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


_Map = Float32[np.ndarray, "rows columns"]


class _Opening:
    """Where in a box of samples the eyeball shows, and whence.

    Args:
        eyeball: The eyeball.
        flow: At each sample, crop pixels.
        box: Of the samples.
        eye_from_plane: Carries places among the samples to the eye.
        crop_from_plane: And to the crop.
    """

    def __init__(
        self,
        eyeball: Eyeball,
        flow: Float32[np.ndarray, "rows columns 2"],
        box: Box,
        eye_from_plane: Float[np.ndarray, "2 3"],
        crop_from_plane: Float[np.ndarray, "2 3"],
    ) -> None:
        self._eyeball = eyeball
        self._box = box
        self._plane_from_eye = invert(eye_from_plane).astype(np.float32)
        self._crop_px = float(np.sqrt(abs(np.linalg.det(crop_from_plane[:, :2]))))
        left, top, right, bottom = box
        matrix = eye_from_plane.astype(np.float32)
        column = np.arange(left, right, dtype=np.float32)
        row = np.arange(top, bottom, dtype=np.float32)[:, None]
        x = matrix[0, 0] * column + (matrix[0, 1] * row + matrix[0, 2])
        y = matrix[1, 0] * column + (matrix[1, 1] * row + matrix[1, 2])
        across, down = cv2.split(
            cv2.transform(flow, eyeball.eye_from_crop[:, :2].astype(np.float32))
        )
        loose = 1 - np.float32(eyeball.strength) * _held(x / np.float32(eyeball.length))
        plane_from_crop = np.linalg.inv(crop_from_plane[:, :2]).astype(np.float32)
        flow_x, flow_y = cv2.split(cv2.transform(flow, plane_from_crop))
        self._place_xy = (
            column - np.float32(left) + loose * flow_x,
            row - np.float32(top) + loose * flow_y,
        )
        self._x, self._y = x + loose * across, y + loose * down
        self._upper, self._lower = self._depths(self._x, self._y)
        self._upper_after, self._lower_after = self._depths(x + across, y + down)
        middle_x, middle_y = eyeball.iris_xy
        self._off = cv2.magnitude(self._x - np.float32(middle_x), self._y - np.float32(middle_y))

    def _depths(self, x: _Map, y: _Map) -> tuple[_Map, _Map]:
        """How far below the upper and above the lower lid places of the eye lie."""
        lids = np.stack([self._eyeball.upper, self._eyeball.lower], axis=1)[None]
        place = x * np.float32((KNOTS - 1) / self._eyeball.length)
        found = cv2.remap(
            lids, place, np.zeros_like(place), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return y - found[..., 0], found[..., 1] - y

    def fill(self, planes: Sequence[Plane]) -> Uncovered:
        """The eyeball in each of the planes."""
        eyeball, wide, upper, lower = self._eyeball, self._crop_px, self._upper, self._lower
        radius = np.float32(eyeball.iris_radius)
        shows = np.minimum(self._upper_after - UPPER_EDGE, self._lower_after - LOWER_EDGE)
        weight = _clip(shows / np.float32(EDGE_SOFTNESS))
        kept = self._kept()
        # Surely the eyeball's own, of the white and of the iris.
        clear = _clip(np.minimum(upper - (0.6 + 0.4 * wide), lower - (0.4 + 0.4 * wide)) / 0.6)
        white = clear * _clip((self._off - (radius + 0.8)) / 0.6) + np.float32(1e-4)
        coloured = clear * _clip((radius - 0.3 - self._off) / 0.6) + np.float32(1e-4)
        disc = _clip((radius + 0.2 - self._off) / LIMBUS + 0.5)
        mirrored_y = np.float32(2 * eyeball.iris_xy[1]) - self._y
        upper_there, lower_there = self._depths(self._x, mirrored_y)
        seen = _clip(np.minimum(upper_there - 0.5, lower_there - (0.2 + 0.3 * wide)) / 0.6)
        there = self._places(self._x, mirrored_y)
        shade_after = _light(self._upper_after)
        shade = shade_after / _light(upper)
        values = []
        left, top, right, bottom = self._box
        for plane in planes:
            smooth = plane.step_xy != (1, 1)
            around = plane.samples[top:bottom, left:right].astype(np.float32)
            own = fetch(around, *self._place_xy, smooth=smooth)
            iris = fetch(around, *there, smooth=smooth)
            usual = np.float32((own * coloured).sum() / coloured.sum())
            if plane.step_xy == (1, 1):
                # What glints is not the iris's own, and stays where it is.
                iris = np.minimum(iris, usual)
            iris = usual + seen * (iris - usual)
            around = _spread(own, white, wide)
            made_up = around + disc * (iris - around)
            black = np.float32(plane.black)
            made_up = black + (made_up - black) * shade_after
            own = black + (own - black) * shade
            values.append(made_up + kept * (own - made_up))
        return Uncovered(self._box, weight, values)

    def _kept(self) -> _Map:
        """How much of each sample is the eyeball's own: less, the more a lid has moved away."""
        least = DOUBT_PER_SAMPLE * self._crop_px
        kept = []
        for before, after, edge, doubt, start in (
            (self._upper, self._upper_after, UPPER_EDGE, UPPER_DOUBT, 0.3),
            (self._lower, self._lower_after, LOWER_EDGE, LOWER_DOUBT, 0.7),
        ):
            strip = np.clip(1.5 * (after - before), 1e-3, max(doubt, least))
            kept.append((before - edge) / strip - np.float32(start))
        return _ease(np.minimum(*kept))

    def _places(self, x: _Map, y: _Map) -> tuple[_Map, _Map]:
        """Where places of the eye lie in the box."""
        (a, b, c), (d, e, f) = self._plane_from_eye
        left, top, *_ = self._box
        return a * x + b * y + (c - np.float32(left)), d * x + e * y + (f - np.float32(top))


def _spread(values: _Map, weight: _Map, crop_px: float) -> _Map:
    """Values spread to where they have no weight, from near by if they can be.

    Args:
        values: In their places.
        weight: Of each, above 0.
        crop_px: From one to the next, crop pixels.
    """
    rows, columns = weight.shape
    shrink = min(crop_px, 1.0)  # a large eye is blurred small
    size = max(round(columns * shrink), 1), max(round(rows * shrink), 1)
    both = cv2.resize(cv2.merge([values * weight, weight]), size, interpolation=cv2.INTER_AREA)
    px = size[0] / (columns * crop_px)
    far = cv2.GaussianBlur(both, (0, 0), sigmaX=FAR_PX[0] * px, sigmaY=FAR_PX[1] * px)
    near = cv2.GaussianBlur(both, (0, 0), sigmaX=NEAR_PX[0] * px, sigmaY=NEAR_PX[1] * px)
    total, count = cv2.split(cv2.scaleAdd(far, FAR, near))
    found = cv2.divide(total, count)
    return cv2.resize(found, (columns, rows), interpolation=cv2.INTER_LINEAR)


def _light(depth: _Map) -> _Map:
    """Share of the light that reaches the eyeball so far under the upper lid."""
    return 1 - np.float32(SHADOW) * cv2.exp(np.maximum(depth, 0) * np.float32(-1 / SHADOW_REACH))


def _held(share: _Map) -> _Map:
    """How still the eyeball is at a share of the way from corner to corner."""
    start, end = CORNERS
    return _ease((np.minimum(share, 1 - share) - np.float32(start)) / np.float32(end - start))


def _ease(t: _Map) -> _Map:
    t = _clip(t)
    return t * t * (3 - 2 * t)


def _clip(t: _Map) -> _Map:
    return np.clip(t, np.float32(0), np.float32(1))
