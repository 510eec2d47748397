"""Crop to frame: what a renderer made goes back into the picture, and nowhere else.

:mod:`cdrl_cli.face.alignment` is the way there. The stored samples themselves are moved and
changed, each plane at its own resolution: nothing is turned into colours and back.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

import cv2
import numpy as np

from cdrl_cli.array_types import Float, Float32, Shaped
from cdrl_cli.face.alignment import CROP_SIZE, FaceCrop
from cdrl_cli.face.eyeballs import Eyeball, Openings, Uncovered
from cdrl_cli.face.sample_grid import SampleGrid
from cdrl_cli.geometry.warp import (
    box_around,
    chain,
    fetch,
    invert,
    resample,
    resized,
    turn_flow,
)
from cdrl_cli.media.frames import Plane, VideoFrame
from cdrl_cli.media.orientation import Box

_MARGIN_PX = 8
"""Wider than any chroma sample and the filter that makes it."""

_STRIP_PX = 1 << 18
"""About so many pixels are painted at once."""

_DEPTHS = {"uint8": cv2.CV_8U, "uint16": cv2.CV_16U}

_REACH_PX = 2
"""So far around a place samples are read from which the one there is made."""

APART_PX = 2
"""Points at which a flow and colours are read from the crop lie no farther apart than this, crop
pixels: the mesh is drawn, and the networks answer, at every second one."""

RIM_PX = 1 + APART_PX
"""So far outside of a mask samples may change, crop pixels: a pixel of the crop reaches to its
neighbours' middles, and a point to the next one."""

_SPREAD = 5
"""Points of a grid around those under a mask, as far as samples may change: a pixel of the crop
reaches to its neighbours' middles, a point to the next one, and chroma has points of its own."""


@dataclass(frozen=True, slots=True)
class Rendering:
    """What a renderer answers: how the pixels move, and where that may show."""

    flow: Float32[np.ndarray, "2 256 256"]
    """For each pixel of the crop, its source's position minus its own, crop pixels: x, and y."""
    mask: Float32[np.ndarray, "256 256"]
    """0 where the source must stay, 1 where the rendering counts."""
    colour: Float32[np.ndarray, "side side 3"] | None = None
    """Added to the moved pixels, -1..1 of the range, sRGB, over the whole crop; None adds
    nothing."""
    shade: "Shade | None" = None
    """By which the moved pixels become lighter; None leaves them as they are."""
    eyeballs: tuple[Eyeball, ...] = ()
    """Which stay as they are under lids that move."""


@dataclass(frozen=True, slots=True)
class Shade:
    """How much lighter pixels become: they are multiplied, so that their own texture stays."""

    logarithm: Float32[np.ndarray, "side side"]
    """Natural logarithm of the ratio of brightness; 0 changes nothing."""
    from_crop: Float[np.ndarray, "2 3"]
    """Carries crop pixels to those of ``logarithm``, which are no larger, or light reaches farther
    out of the mask than :data:`RIM_PX`."""
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Share of the logarithm that red, green and blue take."""


def paste_face(frame: VideoFrame, crop: FaceCrop, rendering: Rendering) -> VideoFrame:
    """The frame with the rendering in it.

    The source's own samples are warped at native resolution; nothing is enlarged from the crop
    but the flow, the mask and the changes of colour and light, which are smooth. Outside the mask
    the frame keeps its bits, but for a rim of :data:`RIM_PX`.
    """
    box = _masked_box(rendering.mask, crop.crop_from_frame, frame.width, frame.height)
    if box is None:
        return frame
    repaint = _Repaint(crop, rendering, frame.planes(box))
    strips = _strips(box, rendering.mask, crop.crop_from_frame)
    return frame.with_planes((strip, repaint(frame.planes(strip))) for strip in strips)


def _strips(
    box: Box, mask: Float32[np.ndarray, "256 256"], crop_from_frame: Float[np.ndarray, "2 3"]
) -> Iterator[Box]:
    """What is masked of a box, in strips.

    They are so small that what is made of one stays in the processor's cache.
    """
    left, top, right, bottom = box
    # Whole chroma samples, or their rows would be made twice.
    rows = max(_STRIP_PX // (right - left) // 4 * 4, 16)
    if rows >= bottom - top:
        yield box
        return
    grid = SampleGrid.over(box, crop_from_frame, apart_px=APART_PX)
    veil = (grid.read(mask, crop_from_frame) > 0).astype(np.uint8)
    for row in range(top - top % 4, bottom, rows):
        y0, y1 = max(row, top), min(row + rows, bottom)
        first, behind = ((y - top) // grid.step for y in (y0, y1))
        around = veil[max(first - _SPREAD, 0) : behind + _SPREAD]
        x, _, columns, _ = cv2.boundingRect(around)
        x0 = grid.corner_xy[0] + (x - _SPREAD) * grid.step
        x1 = x0 + (columns + 2 * _SPREAD) * grid.step
        if columns:
            yield max(x0, left), y0, min(x1, right), y1


@dataclass(frozen=True, slots=True)
class _Alike:
    """Planes whose samples lie alike, the luma or both chromas, and how they change.

    What a grid holds is read at its points.
    """

    grid: SampleGrid
    moves: tuple[Float32[np.ndarray, "rows columns"], Float32[np.ndarray, "rows columns"]]
    """Where samples come from, x and y, minus where they are."""
    added: tuple[Float32[np.ndarray, "rows columns"], ...]
    """What is added, for each plane."""
    fine_grid: SampleGrid
    factors: tuple[Float32[np.ndarray, "fine_rows fine_columns"], ...]
    """By what samples are multiplied before that, for each plane, on the fine grid; empty if they
    stay."""
    eyes: tuple[Uncovered, ...]
    """What is seen where lids have moved."""


class _Repaint:
    r"""Samples of a frame's planes as a rendering has them, wherever its mask lets them show.

    With a ratio of brightness for each colour, a sample :math:`s = b + w \cdot c` of the colours
    :math:`c` (0..1) becomes :math:`b + (1 + g) (s - b) + w \cdot (\gamma - g) c`, where
    :math:`1 + \gamma` are the ratios and :math:`g` is their mean by the size of the weights
    :math:`w`. The first part multiplies the sample itself, whose texture stays; the second is
    small, and the colours in it are read from the crop.

    The mask counts on what changes, not on the changed samples: half of it is half of the way, of
    the gain and of what is added, so that nothing is seen twice, and all is smooth but the samples.

    Args:
        crop: The face.
        rendering: How its pixels change.
        planes: Of the frame, with the parts that serve all that is masked.
    """

    def __init__(self, crop: FaceCrop, rendering: Rendering, planes: Sequence[Plane]) -> None:
        self._crop_from_frame = crop.crop_from_frame
        self._rendering = rendering
        shade, colour, mask = rendering.shade, rendering.colour, rendering.mask
        side = CROP_SIZE // 2 if colour is None else len(colour)
        self._gains: Float32[np.ndarray, "_ _ 3"] | None = None
        self._coarse: tuple[Any, Any, Any] | None = None
        if shade is not None:
            height, width = shade.logarithm.shape
            self._gains = _growth(shade.logarithm, shade.tint)
            self._veil = resample(mask, invert(shade.from_crop), (0, 0, width, height))
        if shade is not None and len(set(shade.tint)) > 1:
            whole = (0, 0, side, side)
            from_grid = chain(shade.from_crop, invert(resized(side / CROP_SIZE)))
            gains = _growth(resample(shade.logarithm, from_grid, whole), shade.tint)
            seen = cv2.resize(crop.image(), whole[2:], interpolation=cv2.INTER_AREA)
            colours = seen.astype(np.float32) / np.float32(255)
            self._coarse = colours, colours * gains, gains
        self._flow = [cv2.multiply(one, mask) for one in rendering.flow]
        self._openings = Openings(rendering.eyeballs, self._flow, crop.crop_from_frame)
        luma, *chromas = planes
        self._kinds = [self._look_at(alike) for alike in ([luma], chromas) if alike]

    def __call__(self, planes: Sequence[Plane]) -> list[Shaped[np.ndarray, "_ _"]]:
        """New samples for the parts of a frame's planes."""
        luma, *chromas = planes
        return [
            part
            for kind, alike in zip(self._kinds, ([luma], chromas), strict=False)
            for part in self._paint(kind, alike)
        ]

    def _look_at(self, planes: Sequence[Plane]) -> _Alike:
        """What the rendering says about planes that lie alike."""
        plane, shade = planes[0], self._rendering.shade
        crop_from_plane = chain(self._crop_from_frame, invert(plane.from_frame))
        grid = fine_grid = SampleGrid.over(plane.part_xyxy, crop_from_plane, apart_px=APART_PX)
        x, y, *added = (
            grid.read(one, crop_from_plane) for one in (*self._flow, *map(self._find_added, planes))
        )
        factors: list[Float32[np.ndarray, "_ _"]] = []
        if shade is not None:
            from_plane = chain(shade.from_crop, crop_from_plane)
            fine_grid = SampleGrid.over(plane.part_xyxy, from_plane, apart_px=1)
            factors = [
                fine_grid.read(one, from_plane, outside=1.0)
                for one in map(self._find_factor, planes)
            ]
            added = [one + np.float32(its.black) for one, its in zip(added, planes, strict=True)]
        return _Alike(
            grid=grid,
            moves=turn_flow(x, y, crop_from_plane),
            added=tuple(added),
            fine_grid=fine_grid,
            factors=tuple(factors),
            eyes=self._openings.fill(planes, crop_from_plane),
        )

    def _paint(
        self, kind: _Alike, planes: Sequence[Plane]
    ) -> Iterator[Shaped[np.ndarray, "rows columns"]]:
        """The samples of the same part of planes that lie alike."""
        left, top, right, bottom = part = planes[0].part_xyxy
        rows, columns = planes[0].samples.shape
        x, y = (kind.grid.near(moves, part) for moves in kind.moves)
        first_column, behind_columns = _reached(x, left, right, columns)
        first_row, behind_rows = _reached(y, top, bottom, rows)
        x = kind.grid.enlarge(x + np.float32(left - first_column), part)
        y = kind.grid.enlarge(y + np.float32(top - first_row), part)
        for place, plane in enumerate(planes):
            # Single precision is read in three quarters of the time of bytes, and not rounded
            # between. What grows by a factor is counted from black.
            around = plane.samples[first_row:behind_rows, first_column:behind_columns]
            around = around.astype(np.float32)
            if kind.factors and plane.black:
                around -= np.float32(plane.black)
            # Chroma at half the resolution has no edges that bilinear reading would soften.
            painted = fetch(around, x, y, smooth=plane.step_xy != (1, 1), relative=True)
            for eye in kind.eyes:
                eye.lay_on(painted, part, place, 0.0 if kind.factors else plane.black)
            if kind.factors:
                factor = kind.fine_grid.near(kind.factors[place], part)
                cv2.multiply(painted, kind.fine_grid.enlarge(factor, part), dst=painted)
            depth = plane.samples.dtype
            added = kind.grid.enlarge(kind.grid.near(kind.added[place], part), part)
            new = cv2.add(painted, added, dtype=_DEPTHS[depth.name])
            yield new if plane.largest == np.iinfo(depth).max else np.minimum(new, plane.largest)

    def _find_factor(self, plane: Plane) -> Float32[np.ndarray, "_ _"]:
        """By what samples are multiplied, over the whole picture of the shade."""
        assert self._gains is not None
        gain = cv2.multiply(_mean(plane, self._gains), self._veil)
        return np.asarray(gain + np.float32(1))

    def _find_added(self, plane: Plane) -> Float32[np.ndarray, "256 256"]:
        """What is added to the samples, over the whole crop."""
        weights = np.array([plane.weights], np.float32)
        colour = self._rendering.colour
        parts = [] if colour is None else [cv2.transform(colour, weights)]
        if self._coarse is not None:
            colours, grown, gains = self._coarse
            plain, changed = cv2.transform(colours, weights), cv2.transform(grown, weights)
            parts.append(changed - _mean(plane, gains) * plain)
        if not parts:
            return np.zeros_like(self._rendering.mask)
        added = sum(parts[1:], parts[0])
        whole = cv2.resize(added, (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_LINEAR)
        return cv2.multiply(whole, self._rendering.mask)


def _reached(
    moves: Float32[np.ndarray, "rows columns"], start: int, stop: int, length: int
) -> tuple[int, int]:
    """The span that samples of a span come from, with those that are read for the ones there.

    Args:
        moves: Where each sample comes from minus where it is.
        start: Of the span.
        stop: Of it, exclusive.
        length: Of the plane.
    """
    least, most, *_ = cv2.minMaxLoc(moves)
    first, behind = start + floor(least) - _REACH_PX, stop + ceil(most) + _REACH_PX
    return max(min(first, length - 1), 0), min(max(behind, 1), length)


def _growth(
    logarithm: Float32[np.ndarray, "rows columns"], tint: tuple[float, float, float]
) -> Float32[np.ndarray, "rows columns 3"]:
    """By which share of themselves colours grow that take shares of a ratio's logarithm."""
    return cv2.merge([cv2.exp(np.float32(share) * logarithm) for share in tint]) - np.float32(1)


def _mean(
    plane: Plane, of_colours: Float32[np.ndarray, "rows columns 3"]
) -> Float32[np.ndarray, "rows columns"]:
    """The mean over red, green and blue by how much they weigh in a plane."""
    weights = np.abs(np.array([plane.weights], np.float32))
    return cv2.transform(of_colours, weights / weights.sum())


def _masked_box(
    mask: Float32[np.ndarray, "256 256"],
    crop_from_frame: Float[np.ndarray, "2 3"],
    width: int,
    height: int,
) -> Box | None:
    """A box of the frame around what is masked, exclusive at right and bottom; None if it is empty.

    With a margin, so that no chroma sample that is touched serves a pixel outside.
    """
    left, top, columns, rows = cv2.boundingRect((mask > 0).astype(np.uint8))
    if not columns:
        return None
    xs, ys = (left - RIM_PX, left + columns - 1 + RIM_PX), (top - RIM_PX, top + rows - 1 + RIM_PX)
    x0, y0, x1, y1 = box_around([(x, y) for x in xs for y in ys], invert(crop_from_frame))
    x0, y0 = max(x0 - _MARGIN_PX, 0), max(y0 - _MARGIN_PX, 0)
    x1, y1 = min(x1 + _MARGIN_PX, width), min(y1 + _MARGIN_PX, height)
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None
