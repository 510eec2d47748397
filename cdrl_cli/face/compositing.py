"""Crop to frame: what a renderer made goes back into the picture, and nowhere else.

:mod:`cdrl_cli.face.alignment` is the way there. The stored samples themselves are moved and
changed, each plane at its own resolution: nothing is turned into colours and back.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, Float32, Shaped

from cdrl_cli.face.alignment import CROP_SIZE, FaceCrop
from cdrl_cli.geometry.warp import chain, fetch, invert, resample, turn_flow
from cdrl_cli.media.frames import Plane, VideoFrame
from cdrl_cli.media.orientation import Box
from cdrl_cli.media.planes import block_means

_MARGIN_PX = 8
"""Wider than any chroma sample and the filter that makes it."""

_STRIP_PX = 1 << 17
"""About so many pixels are painted at once."""

_DEPTHS = {"uint8": cv2.CV_8U, "uint16": cv2.CV_16U}

_REACH_PX = 2
"""So far around a place samples are read from which the one there is made."""


@dataclass(frozen=True, slots=True)
class Rendering:
    """What a renderer answers: how the pixels move, and where that may show."""

    flow: Float32[np.ndarray, "256 256 2"]
    """For each pixel of the crop, its source's position minus its own, crop pixels."""
    mask: Float32[np.ndarray, "256 256"]
    """0 where the source must stay, 1 where the rendering counts."""
    colour: Float32[np.ndarray, "side side 3"] | None = None
    """Added to the moved pixels, -1..1 of the range, sRGB, over the whole crop; None adds
    nothing."""
    shade: "Shade | None" = None
    """By which the moved pixels become lighter; None leaves them as they are."""


@dataclass(frozen=True, slots=True)
class Shade:
    """How much lighter pixels become: they are multiplied, so that their own texture stays."""

    logarithm: Float32[np.ndarray, "side side"]
    """Natural logarithm of the ratio of brightness; 0 changes nothing."""
    from_crop: Float[np.ndarray, "2 3"]
    """Carries crop pixels to those of ``logarithm``."""
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Share of the logarithm that red, green and blue take."""


def paste_face(frame: VideoFrame, crop: FaceCrop, rendering: Rendering) -> VideoFrame:
    """The frame with the rendering in it.

    The source's own samples are warped at native resolution; nothing is enlarged from the crop
    but the flow, the mask and the changes of colour and light, which are smooth. Outside the mask
    the frame keeps its bits.
    """
    box = _masked_box(rendering.mask, crop.crop_from_frame, frame.width, frame.height)
    if box is None:
        return frame
    repaint = _Repaint(crop, rendering, frame.planes(box))
    return frame.with_planes((strip, repaint(frame.planes(strip))) for strip in _strips(box))


def _strips(box: Box) -> Iterator[Box]:
    """A box in strips so small that what is made of one stays in the processor's cache."""
    left, top, right, bottom = box
    # Whole chroma samples, or their rows would be made twice.
    rows = max(_STRIP_PX // (right - left) // 4 * 4, 16)
    for row in range(top - top % 4, bottom, rows):
        yield left, max(row, top), right, min(row + rows, bottom)


_Layers = Float32[np.ndarray, "256 256 4"]
"""What is read for each sample together."""


@dataclass(frozen=True, slots=True)
class _Samples:
    """Samples of a part of a plane, in single precision."""

    values: Float32[np.ndarray, "rows columns"]
    origin_xy: tuple[int, int]
    """Where the first one lies among the plane's."""

    def part(self, box: Box) -> Float32[np.ndarray, "rows columns"]:
        """Those of a box of the plane."""
        x, y = self.origin_xy
        return self.values[box[1] - y : box[3] - y, box[0] - x : box[2] - x]


class _Repaint:
    r"""Samples of a plane as a rendering has them, wherever its mask lets them show.

    With a ratio of brightness for each colour, a sample :math:`s = b + w \cdot c` of the colours
    :math:`c` (0..1) becomes :math:`b + (1 + g) (s - b) + w \cdot (\gamma - g) c`, where
    :math:`1 + \gamma` are the ratios and :math:`g` is their mean by the size of the weights
    :math:`w`. The first part multiplies the sample itself, whose texture stays; the second is
    small, and the colours in it are read from the crop.

    Args:
        crop: The face.
        rendering: How its pixels change.
        planes: Of the frame, with the parts that serve all that is masked.
    """

    def __init__(self, crop: FaceCrop, rendering: Rendering, planes: Sequence[Plane]) -> None:
        self._crop_from_frame = crop.crop_from_frame
        self._rendering = rendering
        shade, colour = rendering.shade, rendering.colour
        self._side = CROP_SIZE // 2 if colour is None else len(colour)
        self._gains: list[Float32[np.ndarray, "side side"]] = []
        self._coarse: tuple[Any, Any, Any] | None = None
        # Of each kind of plane, by its step or its weights: a frame comes in strips.
        self._crop_from_step: dict[tuple[int, int], Float[np.ndarray, "2 3"]] = {}
        self._layers_of: dict[tuple[tuple[int, int], int], _Layers] = {}
        self._gain_of: dict[tuple[float, float, float], Any] = {}
        self._farthest = cv2.norm(rendering.flow, cv2.NORM_INF)
        self._samples = [self._samples_around(plane) for plane in planes]
        if shade is None:
            return
        self._lit = cv2.boundingRect((shade.logarithm != 0).astype(np.uint8))
        self._gains = [_growth(shade.logarithm, share) for share in shade.tint]
        if len(set(shade.tint)) > 1:
            whole = (0, 0, self._side, self._side)
            from_grid = chain(shade.from_crop, invert(_grid_from_crop(self._side)))
            found = resample(shade.logarithm, from_grid, whole)
            gains = [_growth(found, share) for share in shade.tint]
            seen = cv2.resize(crop.image(), whole[2:], interpolation=cv2.INTER_AREA)
            colours = seen.astype(np.float32) / np.float32(255)
            self._coarse = colours, colours * cv2.merge(gains), gains

    def __call__(self, planes: Sequence[Plane]) -> list[Shaped[np.ndarray, "rows columns"]]:
        """New samples for the parts of a frame's planes."""
        luma, *chromas = planes
        of_luma, *of_chromas = self._samples
        read = self._read([luma], of_luma)
        mask = read[2]
        if not mask.any():
            return [plane.samples[_slices(plane)] for plane in planes]
        parts = [self._paint(luma, of_luma, (read[0], read[1]), read[3], mask)]
        if chromas:
            # They lie alike, so they share where they come from. Each of their samples shows as
            # much of the change as the pixels that it serves do on average.
            x, y, *added = self._read(chromas, of_chromas[0])
            weight = block_means(mask, *chromas[0].step_xy)
            parts += [
                self._paint(chroma, samples, (x, y), one, weight)
                for chroma, samples, one in zip(chromas, of_chromas, added, strict=True)
            ]
        return parts

    def _samples_around(self, plane: Plane) -> _Samples:
        """The samples that those of a plane's part come from."""
        turn = invert(self._crop_from(plane))[:, :2]
        reach = np.abs(turn).sum(axis=1) * self._farthest + _REACH_PX
        rows, columns = plane.samples.shape
        across, down = np.ceil(reach).astype(int).tolist()
        left, top, right, bottom = plane.part_xyxy
        left, top = max(left - across, 0), max(top - down, 0)
        part = plane.samples[top : min(bottom + down, rows), left : min(right + across, columns)]
        # Single precision is read in three quarters of the time of bytes, and not rounded between.
        return _Samples(part.astype(np.float32), (left, top))

    def _crop_from(self, plane: Plane) -> Float[np.ndarray, "2 3"]:
        """Carries places among a plane's samples to crop pixels."""
        if plane.step_xy not in self._crop_from_step:
            matrix = chain(self._crop_from_frame, invert(plane.from_frame))
            self._crop_from_step[plane.step_xy] = matrix
        return self._crop_from_step[plane.step_xy]

    def _read(
        self, planes: Sequence[Plane], samples: _Samples
    ) -> Sequence[Float32[np.ndarray, "rows columns"]]:
        """What lies on the crop, for each sample of the parts of planes that lie alike.

        Args:
            planes: The luma, or the two chromas.
            samples: Around the part of the first one.

        Returns:
            Where among these each sample comes from, x and y; of the luma how much of the change
            it shows; what is added to each of the planes.
        """
        first = planes[0]
        crop_from_plane = self._crop_from(first)
        kind = first.step_xy, len(planes)  # of 4:4:4, luma and chromas have the same step
        if kind not in self._layers_of:
            flow = turn_flow(self._rendering.flow, crop_from_plane)
            mask = [self._rendering.mask] if len(planes) == 1 else []
            added = [self._find_added(plane) for plane in planes]
            self._layers_of[kind] = cv2.merge([*flow, *mask, *added])
        # Four layers at once take little longer than one.
        x, y, *rest = cv2.split(resample(self._layers_of[kind], crop_from_plane, first.part_xyxy))
        (left, top, right, bottom), (x0, y0) = first.part_xyxy, samples.origin_xy
        x += np.arange(left - x0, right - x0, dtype=np.float32)
        y += np.arange(top - y0, bottom - y0, dtype=np.float32)[:, None]
        return x, y, *rest

    def _paint(
        self,
        plane: Plane,
        samples: _Samples,
        places: tuple[Float32[np.ndarray, "rows columns"], Float32[np.ndarray, "rows columns"]],
        added: Float32[np.ndarray, "rows columns"],
        mask: Float32[np.ndarray, "rows columns"],
    ) -> Shaped[np.ndarray, "rows columns"]:
        """The samples of a plane's part, as far as a mask lets them change; under 0 they stay.

        Args:
            plane: The plane.
            samples: Of it, around.
            places: Where among these each sample comes from, x and y.
            added: What is added to it.
            mask: How much of the change it shows.
        """
        # Chroma at half the resolution has no edges that bilinear reading would soften.
        painted = fetch(samples.values, *places, smooth=plane.step_xy != (1, 1))
        if self._rendering.shade is not None:
            self._shade(plane, painted)
        if self._adds:
            cv2.add(painted, added, dst=painted)
        old = samples.part(plane.part_xyxy)
        cv2.subtract(painted, old, dst=painted)
        cv2.multiply(painted, mask, dst=painted)
        depth = plane.samples.dtype
        mixed = cv2.add(painted, old, dtype=_DEPTHS[depth.name])
        return mixed if plane.largest == np.iinfo(depth).max else np.minimum(mixed, plane.largest)

    def _shade(self, plane: Plane, painted: Float32[np.ndarray, "rows columns"]) -> None:
        """Make samples of a plane's part lighter, in place; where the gain is 0 they stay."""
        shade = self._rendering.shade
        assert shade is not None
        from_plane = chain(shade.from_crop, self._crop_from(plane))
        left, top, right, bottom = plane.part_xyxy
        x0, y0, x1, y1 = self._reached(from_plane)
        x0, y0, x1, y1 = max(x0, left), max(y0, top), min(x1, right), min(y1, bottom)
        if x0 >= x1 or y0 >= y1:
            return
        lit = painted[y0 - top : y1 - top, x0 - left : x1 - left]
        grown = lit - np.float32(plane.black)
        cv2.multiply(grown, resample(self._gain(plane), from_plane, (x0, y0, x1, y1)), dst=grown)
        lit += grown

    def _reached(self, from_plane: Float[np.ndarray, "2 3"]) -> Box:
        """A box of a plane's samples around all that becomes lighter; empty where nothing does.

        Args:
            from_plane: Carries places among the samples to where the shade lies.
        """
        left, top, columns, rows = self._lit
        if not columns:
            return 0, 0, 0, 0
        corners = [(x, y) for x in (left - 1, left + columns) for y in (top - 1, top + rows)]
        return _box_around(corners, invert(from_plane))

    def _gain(self, plane: Plane) -> Float32[np.ndarray, "side side"]:
        """By which share of itself a sample grows, where the shade lies."""
        if plane.weights not in self._gain_of:
            self._gain_of[plane.weights] = _mean(plane, self._gains)
        return self._gain_of[plane.weights]

    @property
    def _adds(self) -> bool:
        """Whether anything is added to the samples."""
        return self._rendering.colour is not None or self._coarse is not None

    def _find_added(self, plane: Plane) -> Float32[np.ndarray, "256 256"]:
        """What is added to the samples, over the whole crop."""
        weights = np.array([plane.weights], np.float32)
        colour = self._rendering.colour
        added = np.zeros((self._side, self._side), np.float32)
        if colour is not None:
            added += cv2.transform(colour, weights)
        if self._coarse is not None:
            colours, grown, gains = self._coarse
            plain, changed = cv2.transform(colours, weights), cv2.transform(grown, weights)
            added += changed - _mean(plane, gains) * plain
        return cv2.resize(added, (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_LINEAR)


def _growth(
    logarithm: Float32[np.ndarray, "side side"], share: float
) -> Float32[np.ndarray, "side side"]:
    """By which share of itself a colour grows that takes a share of a ratio's logarithm."""
    return cv2.exp(np.float32(share) * logarithm) - np.float32(1)


def _mean(
    plane: Plane, of_colours: Sequence[Float32[np.ndarray, "side side"]]
) -> Float32[np.ndarray, "side side"]:
    """The mean over red, green and blue by how much they weigh in a plane."""
    weights = np.abs(np.array(plane.weights, np.float32))
    shares = weights / weights.sum()
    counted = [share * one for share, one in zip(shares, of_colours, strict=True) if share]
    return np.add.reduce(counted)


def _slices(plane: Plane) -> tuple[slice, slice]:
    """Rows and columns of a plane's part."""
    left, top, right, bottom = plane.part_xyxy
    return slice(top, bottom), slice(left, right)


def _grid_from_crop(side: int) -> Float[np.ndarray, "2 3"]:
    """Carries crop pixels to those of a grid of so many over the whole crop."""
    # Middles of pixels, not their corners, lie at whole numbers.
    shrink = side / CROP_SIZE
    shift = (shrink - 1) / 2
    return np.array([(shrink, 0, shift), (0, shrink, shift)])


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
    # A pixel of the crop reaches to its neighbours' middles.
    corners = [(x, y) for x in (left - 1, left + columns) for y in (top - 1, top + rows)]
    x0, y0, x1, y1 = _box_around(corners, invert(crop_from_frame))
    x0, y0 = max(x0 - _MARGIN_PX, 0), max(y0 - _MARGIN_PX, 0)
    x1, y1 = min(x1 + _MARGIN_PX, width), min(y1 + _MARGIN_PX, height)
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _box_around(corners: Sequence[tuple[int, int]], matrix: Float[np.ndarray, "2 3"]) -> Box:
    """A box around where a matrix carries corners to, exclusive at right and bottom."""
    places = np.array(corners, float) @ matrix[:, :2].T + matrix[:, 2]
    low, high = np.floor(places.min(axis=0)), np.ceil(places.max(axis=0)) + 1
    x0, y0, x1, y1 = np.concatenate([low, high]).astype(int).tolist()
    return x0, y0, x1, y1
