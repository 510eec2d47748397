"""Eyeballs under lids that move: lids slide over them, and what a lid covered is made up.

A warp stretches the iris with the opening between the lids. Here what lies in the opening keeps its
place and shape. What a lid uncovers is nowhere in the picture: inside the iris it is taken from the
other half of it, elsewhere from the white of the eye beside it.

Convention: *eye* coordinates are crop pixels, turned: x from the corner of the eye that is on the
left of the crop to the other one, y down across it, the origin at the first corner.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor

import cv2
import numpy as np

from cdrl_cli.array_types import Float, Float32
from cdrl_cli.face.eye_white import LITTLE, brightness, mean_by_eye, spread_near
from cdrl_cli.geometry.easing import smoothstep
from cdrl_cli.geometry.warp import chain, invert, layers_of, resample, scale_of
from cdrl_cli.media.frames import Plane
from cdrl_cli.media.orientation import Box

KNOTS = 40
"""At so many places, equally far apart from corner to corner, the height of a lid is told."""

UPPER_EDGE, LOWER_EDGE = 0.3, 0.0
"""So far inside of the line of a lid's landmarks the eyeball begins to show, crop pixels: on it
stand lashes, which move with the lid."""

EDGE_SOFTNESS = 0.8
"""Over so many crop pixels more it shows in full."""

UPPER_DOUBT, LOWER_DOUBT = 1.8, 1.3
"""Widest strip along a lid whose pixels belong to the lid as much as to the eyeball, lashes and
blur, crop pixels: where the lid moves away they are made up."""

DOUBT_PER_SAMPLE = 1.35
"""But it is at least so many samples wide: one of colour tells of all around it."""

SHADOW, SHADOW_REACH = 0.1, 1.2
"""Share of the light that the upper lid keeps from the eyeball right under it, and at which depth,
crop pixels, a third of that is left."""

CORNERS = (0.08, 0.25)
"""Up to the first share of the way from corner to corner all moves with the lids, from the second
on the eyeball is still."""

LIMBUS = 1.3
"""The rim of the iris is so wide, crop pixels."""

STILL_PX = 0.05
"""Lids that move less than this are left to the warp, crop pixels."""

_BESIDE = 2
"""Columns of the grid beside each corner."""
_ROWS = (34, 68)
"""Rows of the grid: nearly as far above and below the opening as eyes are high; and where lids move
farther than that, twice as many."""
_COLUMNS = KNOTS + 2 * _BESIDE


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
    """Samples of planes that lie alike, around an eyeball whose lids have moved."""

    box: Box
    """Where, among the planes' samples."""
    weight: Float32[np.ndarray, "rows columns"]
    """0 where the lids lie, 1 where the eyeball shows."""
    values: Float32[np.ndarray, "planes rows columns"]
    """Of the eyeball as if there were no lids, above black."""

    def lay_on(
        self,
        moved: Float32[np.ndarray, "part_rows part_columns"],
        part: Box,
        plane: int,
        black: float,
    ) -> None:
        """Show it, in place.

        Args:
            moved: Samples of a part of a plane.
            part: That part.
            plane: Which one of the planes it is.
            black: What black is among these samples.
        """
        (x0, y0, x1, y1), (left, top, right, bottom) = self.box, part
        low_x, high_x, low_y, high_y = max(x0, left), min(x1, right), max(y0, top), min(y1, bottom)
        if low_x >= high_x or low_y >= high_y:
            return
        here = np.s_[low_y - y0 : high_y - y0, low_x - x0 : high_x - x0]
        under = moved[low_y - top : high_y - top, low_x - left : high_x - left]
        over = self.values[plane][here] - under
        if black:
            over += np.float32(black)
        over *= self.weight[here]
        under += over


_Maps = Float32[np.ndarray, "eyes rows columns"]
_Both = Float32[np.ndarray, "2 eyes rows columns"]
"""Of the upper and of the lower lid."""


class Openings:
    """The openings between lids that have moved, and whence what is seen in them is taken.

    A place belongs to an opening if what the flow brings there was in it. All is found on a grid
    over each eye, three points over two crop pixels.

    Args:
        eyeballs: As they are seen before.
        flow: Of the lids and all around, crop pixels: x, and y.
        crop_from_frame: Carries places in the frame to crop pixels.
    """

    def __init__(
        self,
        eyeballs: Sequence[Eyeball],
        flow: Sequence[Float32[np.ndarray, "256 256"]],
        crop_from_frame: Float[np.ndarray, "2 3"],
    ) -> None:
        crop_px = scale_of(crop_from_frame)
        for rows in _ROWS:
            flows = self._sample(eyeballs, flow, rows)
            if not flows:
                return
            self._look(np.stack(flows), crop_px)
            if not self._shares[0][:, [0, -1]].any():
                break
        self._trim()

    def _sample(
        self, eyeballs: Sequence[Eyeball], flow: Sequence[Float32[np.ndarray, "256 256"]], rows: int
    ) -> list[Float32[np.ndarray, "rows columns 2"]]:
        """The flow on grids of so many rows, over those eyeballs whose lids move; these are kept.

        Arguments as of the class.
        """
        self._eyeballs: list[Eyeball] = []
        self._crop_from_grids: list[Float[np.ndarray, "2 3"]] = []
        flows = []
        for eyeball in eyeballs:
            crop_from_grid = chain(invert(eyeball.eye_from_crop), _eye_from_grid(eyeball, rows))
            grid = (0, 0, _COLUMNS, rows)
            moved = cv2.merge([resample(one, crop_from_grid, grid) for one in flow])
            if cv2.norm(moved, cv2.NORM_INF) >= STILL_PX:
                self._eyeballs.append(eyeball)
                self._crop_from_grids.append(crop_from_grid)
                flows.append(moved)
        return flows

    def _look(self, flow: Float32[np.ndarray, "eyes rows columns 2"], crop_px: float) -> None:
        """Find where the eyeballs show, and of what their samples are made.

        Args:
            flow: On the grid.
            crop_px: From one pixel of the frame to the next, crop pixels.
        """
        eyes, rows = self._eyeballs, flow.shape[1]
        grids = np.array([_eye_from_grid(one, rows) for one in eyes], np.float32)
        grids = grids[..., None, None]
        x = grids[:, 0, 0] * np.arange(_COLUMNS, dtype=np.float32) + grids[:, 0, 2]
        y = grids[:, 1, 1] * np.arange(rows, dtype=np.float32)[:, None] + grids[:, 1, 2]
        numbers = np.array([(*one.iris_xy, one.iris_radius, one.strength) for one in eyes])
        middle_x, middle_y, radius, strength = numbers.T.astype(np.float32)[..., None, None]
        turns = np.array([one.eye_from_crop[:, :2] for one in eyes], np.float32)
        # A product of small matrices for each point takes ten times as long.
        across = (
            turns[:, 0, 0, None, None] * flow[..., 0] + turns[:, 0, 1, None, None] * flow[..., 1]
        )
        down = turns[:, 1, 0, None, None] * flow[..., 0] + turns[:, 1, 1, None, None] * flow[..., 1]
        lids = np.array([[one.upper for one in eyes], [one.lower for one in eyes]])
        lids = lids[:, :, None, _KNOT_OF_COLUMN]
        slopes = np.gradient(lids, axis=3) / grids[:, 0, 0]
        loose = 1 - strength * _STILLNESS
        before_x, before_y = loose * across, loose * down
        before = _INWARDS * (y + before_y - lids - slopes * before_x)
        after = _INWARDS * (y + down - lids - slopes * across)
        mirrored = _INWARDS * (2 * middle_y - y - lids)

        weight = _clip((after - _EDGES).min(axis=0) / np.float32(EDGE_SOFTNESS))
        kept = _find_kept(before, after, crop_px)
        # Surely the eyeball's own, of the white and of the iris.
        clear = _least(before, (0.6 + 0.6 * crop_px, 0.4 + 0.6 * crop_px))
        off_x, off_y = x + before_x - middle_x, y + before_y - middle_y
        off = np.sqrt(off_x * off_x + off_y * off_y)
        white = clear * _clip((off - (radius + np.float32(0.8))) / np.float32(0.6))
        coloured = clear * _clip((radius - np.float32(0.3) - off) / np.float32(0.6))
        disc = _clip((radius + np.float32(0.2) - off) / np.float32(LIMBUS) + np.float32(0.5))
        seen = disc * _least(mirrored, (0.5, 0.2 + 0.45 * crop_px))
        lit = _light(after[0])
        made_up = (1 - kept) * lit
        own = kept * lit / _light(before[0])
        self._shares = np.stack(
            [
                *(weight, own, made_up * seen, made_up * (disc - seen)),
                *(made_up * (1 - disc), white, coloured),
            ]
        )
        self._moves = loose[..., None] * flow

    def _trim(self) -> None:
        """Leave out rows of the grid in which nothing shows, and of which nothing is made."""
        rows = self._shares.shape[2]
        counts = np.asarray(self._shares[[0, 5, 6]].any(axis=(0, 1, 3)))
        for eyeball in self._eyeballs:
            # What is mirrored is read anywhere between lids as they were.
            _, step, top = _eye_from_grid(eyeball, rows)[1]
            first, last = (eyeball.upper.min() - top) / step, (eyeball.lower.max() - top) / step
            counts[max(floor(first), 0) : ceil(last) + 1] = True
        (kept,) = np.nonzero(counts)
        first, behind = max(int(kept[0]) - 1, 0), min(int(kept[-1]) + 2, rows)
        self._shares, self._moves = self._shares[:, :, first:behind], self._moves[:, first:behind]
        down = np.array([(1.0, 0, 0), (0, 1, first)])
        self._crop_from_grids = [chain(one, down) for one in self._crop_from_grids]

    def fill(
        self, planes: Sequence[Plane], crop_from_plane: Float[np.ndarray, "2 3"]
    ) -> tuple[Uncovered, ...]:
        """What is seen in them in planes that lie alike; of those that lie wholly inside.

        Args:
            planes: Luma, or the chromas.
            crop_from_plane: Carries places among a plane's samples to crop pixels.
        """
        if not self._eyeballs:
            return ()
        plane_from_crop = invert(crop_from_plane)
        grid_rows = self._shares.shape[2]
        boxes = _boxes(self._crop_from_grids, grid_rows, plane_from_crop, planes[0].samples.shape)
        if not boxes:
            return ()
        # The eyes one above the other: most steps then take little longer than for one.
        rows, columns = boxes[0][3] - boxes[0][1], boxes[0][2] - boxes[0][0]
        high = len(boxes) * rows
        # As all that lies around is read (:func:`~cdrl_cli.geometry.warp.fetch`).
        how = cv2.INTER_CUBIC if planes[0].step_xy == (1, 1) else cv2.INTER_LINEAR
        seen = np.empty((len(planes), high, columns), np.float32)
        mirrored = np.empty_like(seen)
        # Four layers are read in the time of one, and two or three in twice that.
        layers = np.empty((2, high, columns, 4), np.float32)
        y = np.empty((high, columns), np.float32)
        turn = plane_from_crop[:, :2].astype(np.float32)
        for eye, (left, top, right, bottom) in enumerate(boxes):
            block = np.s_[eye * rows : (eye + 1) * rows]
            for place, plane in enumerate(planes):
                around = plane.samples[top:bottom, left:right]
                np.subtract(around, np.float32(plane.black), out=seen[place, block])
            box_from_crop = plane_from_crop.copy()
            box_from_crop[:, 2] -= left, top
            box_from_grid = chain(box_from_crop, self._crop_from_grids[eye])
            move_x, move_y = layers_of(cv2.transform(self._moves[eye], turn))
            shares = [*self._shares[:, eye], move_x]
            for into, values in (
                (layers[0, block], cv2.merge(shares[:4])),
                (layers[1, block], cv2.merge(shares[4:])),
                (y[block], move_y),
            ):
                cv2.warpAffine(values, box_from_grid, (columns, rows), dst=into)
            eyeball = self._eyeballs[eye]
            box_from_eye = chain(box_from_crop, invert(eyeball.eye_from_crop))
            upside_down = np.array([(1, 0, 0), (0, -1, 2 * eyeball.iris_xy[1])])
            upside_down = chain(chain(box_from_eye, upside_down), invert(box_from_eye))
            for one, into in zip(seen[:, block], mirrored[:, block], strict=True):
                cv2.warpAffine(
                    one, upside_down, (columns, rows), dst=into,
                    flags=cv2.WARP_INVERSE_MAP | how,
                    borderMode=cv2.BORDER_REPLICATE,
                )  # fmt: skip
        by_eye = len(boxes), rows, columns
        x = layers[1, ..., 3] + np.arange(columns, dtype=np.float32)
        y += np.arange(high, dtype=np.float32)[:, None]
        weight, own_share, mirrored_share, usual_share, spread_share, white, coloured, _ = (
            one.reshape(by_eye) for four in layers for one in layers_of(four)
        )
        own = [
            cv2.remap(one, x, y, how, borderMode=cv2.BORDER_REPLICATE).reshape(by_eye)
            for one in seen
        ]
        usual = [mean_by_eye(one, coloured) for one in own]
        values = mirrored.reshape(-1, *by_eye)
        if len(planes) == 1:
            # In the luma: what glints is not the iris's own, and stays where it is; and what is
            # darker than the rest of the white is lashes or their shadow.
            np.minimum(values, usual[0], out=values)
            white *= brightness(own[0], mean_by_eye(own[0], white))
        # Where no white is near enough, the mean of it.
        little = np.float32(LITTLE)
        sums = [one * white + mean_by_eye(one, white) * little for one in own]
        spread = spread_near(sums, white + little, crop_from_plane)
        values *= mirrored_share
        for place, into in enumerate(values):
            np.add(into, own[place] * own_share, out=into)
            np.add(into, spread[place] * spread_share, out=into)
            np.add(into, usual[place] * usual_share, out=into)
        return tuple(Uncovered(box, weight[eye], values[:, eye]) for eye, box in enumerate(boxes))


def _eye_from_grid(eyeball: Eyeball, rows: int) -> Float[np.ndarray, "2 3"]:
    """Carries points of the grid over an eye, of so many rows, to the eye."""
    step = eyeball.length / (KNOTS - 1)
    middle = float(eyeball.upper.min() + eyeball.lower.max()) / 2
    return np.array([(step, 0, -_BESIDE * step), (0, step, middle - step * (rows - 1) / 2)])


def _boxes(
    crop_from_grids: Sequence[Float[np.ndarray, "2 3"]],
    grid_rows: int,
    plane_from_crop: Float[np.ndarray, "2 3"],
    shape: tuple[int, ...],
) -> list[Box]:
    """Boxes of a plane's samples around grids, of one size, moved into the plane.

    Empty if that is smaller.
    """
    plane_from_grids = np.array([chain(plane_from_crop, one) for one in crop_from_grids])
    reach = np.array([(_COLUMNS - 1) / 2, (grid_rows - 1) / 2])
    middles = plane_from_grids[..., :2] @ reach + plane_from_grids[..., 2]
    halves = np.abs(plane_from_grids[..., :2]) @ reach
    low, high = np.floor(middles - halves).astype(int), np.ceil(middles + halves).astype(int) + 1
    sizes = (high - low).max(axis=0)
    room = np.array(shape[::-1]) - sizes
    if (room < 0).any():
        return []
    starts = np.clip(low, 0, room)
    wide, tall = sizes.tolist()
    return [(x, y, x + wide, y + tall) for x, y in starts.tolist()]


def _find_kept(before: _Both, after: _Both, crop_px: float) -> _Maps:
    """How much of each point is the eyeball's own: less, the more a lid has moved away."""
    most = np.maximum(_DOUBTS, np.float32(DOUBT_PER_SAMPLE * crop_px))
    strip = np.clip(np.float32(1.5) * (after - before), np.float32(1e-3), most)
    # Where a lid does not move, all is kept a point of the grid farther than anything shows.
    inside = before - _EDGES + (1 - strip / most)
    return smoothstep((inside / strip - _DOUBTED).min(axis=0))


def _least(depths: _Both, margins: tuple[float, float]) -> _Maps:
    """1 so far inside of both lids, 0 a little less far."""
    upper, lower = (
        depth - np.float32(margin) for depth, margin in zip(depths, margins, strict=True)
    )
    return _clip(np.minimum(upper, lower) / np.float32(0.6))


def _light(depth: _Maps) -> _Maps:
    """Share of the light that reaches the eyeball so far under the upper lid."""
    return 1 - np.float32(SHADOW) * np.exp(np.maximum(depth, 0) * np.float32(-1 / SHADOW_REACH))


def _clip(t: Float32[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
    return np.clip(t, np.float32(0), np.float32(1))


def _both(upper: float, lower: float) -> Float32[np.ndarray, "2 1 1 1"]:
    return np.array([upper, lower], np.float32).reshape(2, 1, 1, 1)


_INWARDS = _both(1.0, -1.0)
_EDGES = _both(UPPER_EDGE, LOWER_EDGE)
_DOUBTS = _both(UPPER_DOUBT, LOWER_DOUBT)
_DOUBTED = _both(0.3, 0.7)
"""So many times the width of a doubtful strip nothing of it is kept."""
_KNOT_OF_COLUMN = np.clip(np.arange(_COLUMNS) - _BESIDE, 0, KNOTS - 1)
_SHARE = (np.arange(_COLUMNS, dtype=np.float32) - _BESIDE) / (KNOTS - 1)
_STILLNESS = smoothstep((np.minimum(_SHARE, 1 - _SHARE) - CORNERS[0]) / (CORNERS[1] - CORNERS[0]))
"""How still the eyeball is at the columns of the grid."""
