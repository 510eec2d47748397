"""Two photographs of one person, one moved to the other's landmarks: what is left is skin.

The logarithm of the ratio of their brightness (expression ratio image, Liu et al. 2001), seen in
the window of :mod:`cdrl_cli.generator.skin`, and brought onto the first photograph moved as an edit
moves it: less far than the actor moved, and with the mouth at rest.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from cdrl_cli.array_types import Float, Float32, Int8, UInt8
from cdrl_cli.face.blendshapes import EXPRESSION_NAMES
from cdrl_cli.face.landmarks import MESH_LANDMARKS
from cdrl_cli.generator.lips import keep_aperture
from cdrl_cli.generator.renderer import RING_REACH, ring_positions
from cdrl_cli.generator.skin import (
    RATIO_REACH,
    RATIO_SIDE,
    SEEN_SIZE,
    WINDOW_EYE_DISTANCE_PX,
    WINDOW_MIDDLE_Y,
    WINDOW_SIZE,
    SkinMasks,
    read_maps,
)
from cdrl_cli.geometry.mesh import FaceMesh, add_ring, interpolate, unfold

RATIO_UNIT = 0.8 / 127
"""Of the stored logarithm of a ratio."""

DARK = 0.03
"""Added to brightness (0..1) before its logarithm: noise in the dark is no crease."""

REFINE_SOFTNESS_PX, REFINE_MOST_PX = 4.0, 5.0
"""Blur, and bound, of the optical flow by which a moved face is moved on to fit the other."""

DENOISE_PX = 0.8
"""Blur of the ratio: noise of the sensor is no crease."""

_CLEARLY, _LEAST_PIXELS = 0.9, 100
"""Mask from which a pixel shows what colour the skin has, and how many such there must be."""

FLOW_SOFTNESS_PX = 2.0
"""Blur of the flow, window pixels: about the renderer's, seen in the window."""

OPENED = (0.08, 0.25)
"""Change of the coefficient of the jaw from which skin about the mouth begins to count less, and
from which it counts nothing: an edit leaves the jaw where it is."""

LOWER_FACE = (0.45, 0.65)
"""Where the part of the face begins that the jaw stretches, and where it counts in full; y in head
space."""

_JAW_OPEN = EXPRESSION_NAMES.index("jawOpen")

MOST_TURN_DEG = 10.0
"""Heads of a pair may be turned by so much against each other."""


@dataclass(frozen=True, slots=True)
class FacePhotos:
    """Faces of photographs, upright in the window."""

    image: UInt8[np.ndarray, "photos 256 256 3"]
    landmarks_xyz: Float32[np.ndarray, "photos 478 3"]
    """Window pixels."""
    window_from_head: Float32[np.ndarray, "photos 3 4"]
    """Linear part and translation of the pose."""
    expression: Float32[np.ndarray, "photos 52"]
    zoom: Float32[np.ndarray, " photos"]
    """Window pixels a pixel of the photograph; above 1 the window shows no more than it has."""
    row: Float32[np.ndarray, " photos"]
    """Which photograph of the list it is."""


@dataclass(frozen=True, slots=True)
class SkinPairs:
    """What a network sees of each pair, and what it shall answer."""

    seen: UInt8[np.ndarray, "pairs 128 128 3"]
    """The first photograph, moved as an edit moves it; sRGB."""
    flow: Float32[np.ndarray, "pairs 64 64 2"]
    """Where each pixel came from (x, y), head space times 100. float16."""
    position: Float32[np.ndarray, "pairs 64 64 3"]
    """On the canonical face, head space. float16."""
    mask: UInt8[np.ndarray, "pairs 128 128"]
    """The ``skin`` of :class:`~cdrl_cli.generator.skin.SkinMasks`, 0..255."""
    ratio: Int8[np.ndarray, "pairs 256 256"]
    """Logarithm of the ratio, in :data:`RATIO_UNIT`."""
    trust: UInt8[np.ndarray, "pairs 128 128"]
    """How far a pixel is skin in both photographs, and not about a mouth that opened; 0..255."""
    flat: Int8[np.ndarray, "pairs 208 208"]
    """The ratio times the trust on the canonical face, over
    :data:`~cdrl_cli.generator.skin.RATIO_REACH`; in :data:`RATIO_UNIT`."""
    source: Float32[np.ndarray, "pairs 52"]
    """Coefficients of the first photograph."""
    change: Float32[np.ndarray, "pairs 52"]
    """That an edit asks of it."""
    emotion: Float32[np.ndarray, "pairs 7"]
    """Shares of the second photograph's emotions."""
    first: Float32[np.ndarray, " pairs"]
    second: Float32[np.ndarray, " pairs"]
    """Places in :class:`FacePhotos`."""


class PairMaker:
    """Makes pairs out of two photographs of one person.

    Args:
        mesh: The face mesh.
        canonical_xyz: Canonical face, head space.
        basis: What one unit of each coefficient does to the landmarks, head space.
    """

    def __init__(
        self,
        mesh: FaceMesh,
        canonical_xyz: Float[np.ndarray, "478 3"],
        basis: Float[np.ndarray, "52 478 3"],
    ) -> None:
        self._mesh = mesh
        self._triangles = mesh.with_ring()
        self._positions = ring_positions(mesh, canonical_xyz)
        self._basis = basis
        self._mask = SkinMasks.draw(canonical_xyz, mesh.oval).skin
        corner = np.array([-RATIO_REACH, WINDOW_MIDDLE_Y - RATIO_REACH])
        scale = (RATIO_SIDE - 1) / (2 * RATIO_REACH)
        self._flat_xy = (canonical_xyz[:MESH_LANDMARKS, :2] - corner) * scale
        self._flat_depth = canonical_xyz[:MESH_LANDMARKS, 2]
        grid = np.arange(WINDOW_SIZE, dtype=np.float32)
        self._x, self._y = np.meshgrid(grid, grid)
        self._search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def make(
        self,
        faces: FacePhotos,
        first: int,
        second: int,
        change: Float[np.ndarray, " 52"],
    ) -> dict[str, Any]:
        """The pair that takes the first photograph to the second; fields of :class:`SkinPairs`.

        Args:
            faces: All photographs.
            first: Place of the one that is edited.
            second: Place of the one that shows what its skin shall look like.
            change: Of the coefficients, by which an edit moves the first.
        """
        source, target = (
            add_ring(
                faces.landmarks_xyz[one, :MESH_LANDMARKS, :2].astype(float),
                self._mesh.oval,
                reach=RING_REACH,
            )
            for one in (first, second)
        )
        ratio, trust = self._compare(faces, first, second, target - source)
        flat = self._flatten(ratio * trust, faces.landmarks_xyz[second])
        moves = self._move(faces, first, source, change)
        edited = source + moves
        depth = _depth(faces.landmarks_xyz[first], len(edited))
        values = np.concatenate([-moves, target - edited, self._positions], axis=1)
        spread, _ = interpolate(edited, values, self._triangles, depth, size=WINDOW_SIZE)
        flow = cv2.GaussianBlur(spread[..., :2], (0, 0), FLOW_SOFTNESS_PX)
        seen = self._fetch(faces.image[first], flow)
        onward = cv2.GaussianBlur(spread[..., 2:4], (0, 0), FLOW_SOFTNESS_PX)
        ratio, trust = (self._fetch(one, onward, cv2.INTER_LINEAR) for one in (ratio, trust))
        position = spread[..., 4:]
        opened = faces.expression[second, _JAW_OPEN] - faces.expression[first, _JAW_OPEN]
        trust = trust * (1 - _about_an_open_mouth(position, float(opened)))
        half = (SEEN_SIZE, SEEN_SIZE)
        quarter = (SEEN_SIZE // 2, SEEN_SIZE // 2)
        area = cv2.INTER_AREA
        told = flow * np.float32(100 / WINDOW_EYE_DISTANCE_PX)
        mask = read_maps([self._mask], np.moveaxis(position, 2, 0))[0]
        return {
            "seen": cv2.resize(seen, half, interpolation=area),
            "flow": cv2.resize(told, quarter, interpolation=area).astype(np.float16),
            "position": cv2.resize(position, quarter, interpolation=area).astype(np.float16),
            "mask": _to_bytes(cv2.resize(mask, half, interpolation=area)),
            "ratio": _to_units(ratio),
            "trust": _to_bytes(cv2.resize(trust, half, interpolation=area)),
            "flat": _to_units(flat),
            "source": faces.expression[first],
            "change": change.astype(np.float32),
            "first": np.float32(first),
            "second": np.float32(second),
        }

    def _compare(
        self,
        faces: FacePhotos,
        first: int,
        second: int,
        moves: Float[np.ndarray, "points 2"],
    ) -> tuple[Float32[np.ndarray, "256 256"], Float32[np.ndarray, "256 256"]]:
        """The ratio on the second photograph, and how far a pixel is skin in both, 0..1."""
        target = faces.landmarks_xyz[second]
        arrived = add_ring(
            target[:MESH_LANDMARKS, :2].astype(float), self._mesh.oval, reach=RING_REACH
        )
        values = np.concatenate([-moves, self._positions], axis=1)
        depth = _depth(target, len(arrived))
        spread, _ = interpolate(arrived, values, self._triangles, depth, size=WINDOW_SIZE)
        flow = cv2.GaussianBlur(spread[..., :2], (0, 0), FLOW_SOFTNESS_PX)
        wanted = faces.image[second]
        moved = self._fetch(faces.image[first], flow)
        moved = self._fetch(faces.image[first], flow + self._refine(moved, wanted))
        mask = read_maps([self._mask], np.moveaxis(spread[..., 2:], 2, 0))[0]
        # A deep crease is darker than skin; where there was skin before it is forgiven to be.
        before = cv2.erode(skin_likelihood(moved, mask), np.ones((5, 5)))
        after = cv2.erode(skin_likelihood(wanted, mask, forgiving=1.9), np.ones((3, 3)))
        trust = cv2.GaussianBlur(before * after, (0, 0), 1.5)
        one, two = (_brightness(image) for image in (moved, wanted))
        ratio = cv2.GaussianBlur(np.log(two + DARK) - np.log(one + DARK), (0, 0), DENOISE_PX)
        weight = mask * trust
        return ratio - (ratio * weight).sum() / max(float(weight.sum()), 1.0), trust

    def _move(
        self,
        faces: FacePhotos,
        first: int,
        points: Float[np.ndarray, "points 2"],
        change: Float[np.ndarray, " 52"],
    ) -> Float[np.ndarray, "points 2"]:
        """Where an edit moves the points of a photograph; window pixels."""
        turned = faces.window_from_head[first, :, :3].astype(float)
        in_window = np.tensordot(change, self._basis, axes=1) @ turned.T
        kept = keep_aperture(faces.landmarks_xyz[first].astype(float), in_window)
        still = np.zeros((len(points) - MESH_LANDMARKS, 2))
        moves = np.concatenate([kept[:MESH_LANDMARKS, :2], still])
        return unfold(points, moves, self._triangles)

    def _fetch(
        self, image: np.ndarray, flow: np.ndarray, interpolation: int = cv2.INTER_CUBIC
    ) -> np.ndarray:
        return cv2.remap(
            image, self._x + flow[..., 0], self._y + flow[..., 1],
            interpolation, borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip

    def _flatten(
        self, values: Float32[np.ndarray, "256 256"], landmarks: Float32[np.ndarray, "478 3"]
    ) -> Float32[np.ndarray, "208 208"]:
        """Values of the window, read where each cell of the canonical face lies in it."""
        xy, inside = interpolate(
            self._flat_xy,
            landmarks[:MESH_LANDMARKS, :2].astype(float),
            self._mesh.triangles,
            self._flat_depth,
            size=RATIO_SIDE,
        )
        found = cv2.remap(values, xy[..., 0], xy[..., 1], cv2.INTER_LINEAR)
        return np.where(inside, found, np.float32(0))

    def _refine(self, moved: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """What is left of the way from one picture to the other, soft and short."""
        greys = [cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in (wanted, moved)]
        found = self._search.calc(greys[0], greys[1], None)  # type: ignore[call-overload]
        found = cv2.GaussianBlur(found, (0, 0), REFINE_SOFTNESS_PX)
        length = np.linalg.norm(found, axis=2, keepdims=True)
        return np.asarray(found * np.minimum(1, REFINE_MOST_PX / np.maximum(length, 1e-6)))


def turn_deg(faces: FacePhotos, first: int, second: int) -> float:
    """Angle between the lines of sight of two photographs, degrees."""
    one, two = (faces.window_from_head[i, 2, :3] for i in (first, second))
    cosine = one @ two / np.linalg.norm(one) / np.linalg.norm(two)
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def _depth(
    landmarks_xyz: Float32[np.ndarray, "478 3"], points: int
) -> Float[np.ndarray, " points"]:
    """Of the mesh's points; the ring's lie behind."""
    depth = landmarks_xyz[:MESH_LANDMARKS, 2].astype(float)
    return np.concatenate([depth, np.full(points - MESH_LANDMARKS, depth.max())])


def _about_an_open_mouth(
    position: Float32[np.ndarray, "256 256 3"], opened: float
) -> Float32[np.ndarray, "256 256"]:
    """1 on the lower face of somebody whose mouth opened, where skin stretched by the jaw."""
    share = np.clip((abs(opened) - OPENED[0]) / (OPENED[1] - OPENED[0]), 0, 1)
    low = np.clip((position[..., 1] - LOWER_FACE[0]) / (LOWER_FACE[1] - LOWER_FACE[0]), 0, 1)
    return np.asarray(share * low, np.float32)


def _to_units(ratio: Float32[np.ndarray, "height width"]) -> Int8[np.ndarray, "height width"]:
    return np.clip(np.rint(ratio / RATIO_UNIT), -127, 127).astype(np.int8)


def _to_bytes(values: np.ndarray) -> np.ndarray:
    return np.rint(255 * values).clip(0, 255).astype(np.uint8)


def _brightness(image: UInt8[np.ndarray, "256 256 3"]) -> Float32[np.ndarray, "256 256"]:
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255


def skin_likelihood(
    image: UInt8[np.ndarray, "256 256 3"],
    mask: Float32[np.ndarray, "256 256"],
    *,
    forgiving: float = 1.0,
) -> Float32[np.ndarray, "256 256"]:
    """How far each pixel has the colour of this face's skin, 0..1.

    Hair, brows, glasses and teeth have not. By the distance from the median colour of the masked
    part, in units of what is usual there; shadow is forgiven more than another hue.
    """
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    lab = cv2.GaussianBlur(lab, (0, 0), 1.5)
    inside = lab[mask > _CLEARLY]
    if len(inside) < _LEAST_PIXELS:
        return np.zeros(image.shape[:2], np.float32)
    middle = np.median(inside, axis=0)
    spread = 1.48 * np.median(np.abs(inside - middle), axis=0)
    spread = np.clip(spread, (6, 2.5, 2.5), (14, 6, 6)) * (2.6, 3.0, 3.0) * forgiving
    apart = np.square((lab - middle) / spread).sum(axis=2)
    return np.exp(-np.maximum(apart - 1, 0) * 0.8).astype(np.float32)
