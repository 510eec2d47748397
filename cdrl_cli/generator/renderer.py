"""Which pixels: an expression to show and a face to show it on, and how its pixels change.

:class:`WarpRenderer`, the core, is exact geometry without learned parts; :class:`LearnedRenderer`
asks the network of :mod:`cdrl_cli.generator.unet` what the warp cannot show.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import cv2
import numpy as np

from cdrl_cli.array_types import Float, Float32, Shaped, UInt8
from cdrl_cli.face.alignment import CROP_SIZE, FaceCrop
from cdrl_cli.face.blendshapes import COEFFICIENTS
from cdrl_cli.face.compositing import Rendering, Shade
from cdrl_cli.face.landmarks import MESH_LANDMARKS
from cdrl_cli.generator.answer import Answer
from cdrl_cli.generator.eyes import (
    LIDS_OPEN,
    OPEN,
    bound_lids,
    find_eyes,
    hold_lower_lids,
    place_eyeballs,
    spare_eyes,
)
from cdrl_cli.generator.folds import FoldMaps
from cdrl_cli.generator.irises import EyeOutline, find_irises
from cdrl_cli.generator.lips import keep_aperture, keep_red
from cdrl_cli.generator.sides import spare_sides
from cdrl_cli.generator.skin import LEVELS, Skin, window_from_crop
from cdrl_cli.geometry.mesh import FaceMesh, add_ring, draw_owners, fit_planes, read_planes, unfold
from cdrl_cli.geometry.warp import fetch

RING_REACH = 1.35
"""Motion ends at so many times the face's outline."""

SOFTNESS_PX = 1.5
"""Blur of the flow, crop pixels: hides the mesh's edges and keeps upper and lower lip apart."""

_COARSE_SOFTNESS = 0.65
"""The same for a flow that is drawn at half the side, its pixels, and enlarged afterwards, which
softens it too."""

FADE_PX = 8.0
"""And over so many pixels inside the ring it is brought to exactly zero."""

FLOW_UNIT_PX = 8.0
"""The network is told the flow in units of so many crop pixels."""

SHADOW_TINT = (0.74, 1.04, 1.18)
"""Share of a change of light that red, green and blue take on skin."""

MOUTH_Y = 0.77
MOUTH_REACH = (0.36, 0.20)
"""Middle of the mouth on the canonical face, and half-axes of the ellipse around both lips inside
of which they move by the mesh alone; head space."""


@runtime_checkable
class Renderer(Protocol):
    """What shows an expression on a face."""

    def __call__(
        self,
        crop: FaceCrop,
        expression: Float[np.ndarray, " 52"],
        emotion: Float[np.ndarray, " 7"],
        eyes: Float[np.ndarray, " 2"] = OPEN,
    ) -> Rendering:
        """How the crop's pixels change.

        Args:
            crop: The face as it is.
            expression: The coefficients that it should show.
            emotion: How much of each emotion is asked for, by its likelihood times the intensity;
                0 for neutral.
            eyes: How open they are, left and right: 1 as usual, 0 shut.
        """
        ...


@dataclass(frozen=True, slots=True)
class ExpressionBasis:
    """What one unit of each coefficient does to the landmarks."""

    displacement: Float[np.ndarray, "52 478 3"]
    """Head space (see :class:`~cdrl_cli.face.head.HeadModel`)."""


@dataclass(frozen=True, slots=True)
class Movement:
    """A face's mesh, moved."""

    flow: Float32[np.ndarray, "2 256 256"]
    """For each pixel of the crop, its source's position minus its own, crop pixels: x, and y."""
    mask: Float32[np.ndarray, "256 256"]
    """0 outside the ring around the face, 1 inside."""
    position: Float32[np.ndarray, "3 128 128"]
    """Where on the canonical face a pixel of the crop at half its side lies, head space; 0
    outside."""


class WarpRenderer:
    """Moves the mesh by the linear basis, carries it through the head pose, warps what lies on it.

    DESIGN: landmark displacement = J (b' - b), kept at the lips, unfolded, spread over the
    triangles, zero from the ring outwards.

    Args:
        basis: What one unit of each coefficient does.
        mesh: The face mesh.
        canonical_xyz: Canonical face, head space.
    """

    def __init__(
        self, basis: ExpressionBasis, mesh: FaceMesh, canonical_xyz: Float[np.ndarray, "478 3"]
    ) -> None:
        self._basis = basis
        self._mesh = mesh
        self._triangles = mesh.with_ring()
        self._positions = ring_positions(mesh, canonical_xyz)

    def __call__(
        self,
        crop: FaceCrop,
        expression: Float[np.ndarray, " 52"],
        emotion: Float[np.ndarray, " 7"],  # noqa: ARG002 - a warp shows no more than coefficients
        eyes: Float[np.ndarray, " 2"] = OPEN,
    ) -> Rendering:
        """See :class:`Renderer`."""
        movement = self.move(crop, expression)
        outlines = EyeOutline.both(crop.landmarks_xyz)
        eyeballs = place_eyeballs(outlines, find_irises(crop.image(), outlines), eyes)
        return Rendering(movement.flow, movement.mask, eyeballs=eyeballs)

    def move(self, crop: FaceCrop, expression: Float[np.ndarray, " 52"]) -> Movement:
        """Where each pixel of the crop comes from when the face shows these coefficients."""
        shift = expression - crop.expression
        # Not a matrix product: BLAS would wake threads for it, and they spin on when it is done.
        in_head = np.einsum("c,cij->ij", shift, self._basis.displacement)
        in_crop = crop.crop_from_head.apply_direction(in_head)
        for bound in (keep_aperture, keep_red, bound_lids):
            in_crop = bound(crop.landmarks_xyz, in_crop)
        in_crop = in_crop[:MESH_LANDMARKS]

        landmarks = crop.landmarks_xyz[:MESH_LANDMARKS]
        points = add_ring(landmarks[:, :2], self._mesh.oval, reach=RING_REACH)
        still = np.zeros((len(points) - MESH_LANDMARKS, 2))
        moves = unfold(points, np.concatenate([in_crop[:, :2], still]), self._triangles)
        depth = np.concatenate([landmarks[:, 2], np.full(len(still), landmarks[:, 2].max())])

        # Drawn where the points arrive: each pixel of the output then knows where it came from.
        arrived = points + moves
        values = np.concatenate([-moves, self._positions], axis=1)
        # At half the crop's side: what is blurred needs no more, and networks see no more.
        coarse = (arrived - 0.5) / 2
        owner = draw_owners(coarse, self._triangles, depth, size=CROP_SIZE // 2)
        planes = fit_planes(arrived, values, self._triangles)
        spread = read_planes(planes, owner, step=2)
        inside_px = depth_inside(arrived[MESH_LANDMARKS:])
        # The motion, not the picture, fades: blending two pictures would double the contours.
        fade = np.minimum(inside_px / np.float32(FADE_PX), np.float32(1))
        flow = np.empty((2, CROP_SIZE, CROP_SIZE), np.float32)
        for coarse_flow, into in zip(spread[:2], flow, strict=True):
            _whole(cv2.GaussianBlur(coarse_flow, (0, 0), _COARSE_SOFTNESS), into)
        flow *= fade
        return Movement(flow, np.minimum(inside_px, np.float32(1)), spread[2:])


@dataclass(frozen=True)
class Look:
    """What is seen of a face in a frame: by the networks, and by what renders their answer."""

    movement: Movement
    condition: Float[np.ndarray, " 111"]
    """The source's coefficients, their change, and how much of each emotion is asked for."""
    mask: Float32[np.ndarray, "128 128"]
    """The movement's, at half the side."""
    crop: FaceCrop
    """Before it moved."""
    parts: tuple[Float32[np.ndarray, "128 128"], Float32[np.ndarray, "128 128"]] | None
    """Where skin is, and where eyes and mouth are, 0..1; None where light is not learned."""
    outlines: tuple[EyeOutline, EyeOutline]
    """Of the left and the right eye, before they moved."""

    @cached_property
    def warped(self) -> UInt8[np.ndarray, "256 256 3"]:
        """The aligned crop, moved."""
        return warp_crop(self.crop.image(), self.movement)


class LearnedRenderer:
    """The warp, what a trained :class:`~cdrl_cli.generator.unet.RendererNet` adds, and the skin.

    Calling it looks, asks the networks and renders; each can be had by itself, for an answer also
    serves frames nearby (:mod:`cdrl_cli.generator.face_task`).

    Args:
        warp: The core.
        network: Its ONNX copy, as a session of ONNX Runtime.
        skin: Light and creases as they were learned from real faces; the network's colours then
            count on eyes and mouth alone. Or drawn folds, beside its colours.
    """

    def __init__(self, warp: WarpRenderer, network: Any, skin: Skin | FoldMaps) -> None:
        self._warp = warp
        self._network = network
        self._skin = skin

    def __call__(
        self,
        crop: FaceCrop,
        expression: Float[np.ndarray, " 52"],
        emotion: Float[np.ndarray, " 7"],
        eyes: Float[np.ndarray, " 2"] = OPEN,
    ) -> Rendering:
        """See :class:`Renderer`."""
        look = self.look(crop, expression, emotion)
        return self.render(look, self.ask(look), eyes)

    def look(
        self,
        crop: FaceCrop,
        expression: Float[np.ndarray, " 52"],
        emotion: Float[np.ndarray, " 7"],
    ) -> Look:
        """Move the face; arguments are those of :class:`Renderer`."""
        movement = self._warp.move(crop, expression)
        skin = self._skin
        return Look(
            movement=movement,
            condition=tell(crop, expression, emotion),
            mask=_half(movement.mask),
            crop=crop,
            parts=skin.masks.at(movement.position) if isinstance(skin, Skin) else None,
            outlines=EyeOutline.both(crop.landmarks_xyz),
        )

    def ask(self, look: Look) -> Answer:
        """What the networks say."""
        finer, colour = self._network.run(
            None,
            {
                "picture": network_input(look.warped, look.movement)[None],
                "condition": look.condition.astype(np.float32)[None],
            },
        )
        light = None
        if isinstance(self._skin, Skin):
            assert look.parts is not None
            flow, place = look.movement.flow, look.movement.position
            light = self._skin.ask(look.warped, flow, place, look.parts[0], look.condition)
        irises = find_irises(look.crop.image(), look.outlines)
        return Answer(finer[0], colour[0], look.mask, light, irises)

    def render(self, look: Look, answer: Answer, eyes: Float[np.ndarray, " 2"] = OPEN) -> Rendering:
        """How the crop's pixels change, by an answer about this look.

        Args:
            look: At the face.
            answer: Of the networks.
            eyes: How open they are, left and right: 1 as usual, 0 shut.
        """
        movement, position = look.movement, look.movement.position
        inner, around = spare_sides(position), find_eyes(position)
        finer = answer.flow * (inner * spare_eyes(around, eyes) * spare_mouth(position))
        hold_lower_lids(finer[1], position)
        flow = movement.flow.copy()
        for axis, one in enumerate(finer):
            flow[axis] += _whole(one)
        # The colours and the shade of an open eye, on a lid that shuts it, make the lid grey.
        lids = spare_eyes(around, np.minimum(eyes / LIDS_OPEN, 1))
        if isinstance(self._skin, Skin):
            assert look.parts is not None
            assert answer.light is not None
            skin, parts = look.parts
            added = cv2.merge(list(answer.colour * (parts * lids)))
            light = self._skin.show(answer.light, skin * lids * inner)
            shade = Shade(light, window_from_crop(), SHADOW_TINT)
        else:
            shade = None
            added = _whole(cv2.merge(list(answer.colour * lids)))
            self._add_folds(added, look)
        eyeballs = place_eyeballs(look.outlines, answer.irises, eyes)
        return Rendering(flow, movement.mask, colour=added, shade=shade, eyeballs=eyeballs)

    def _add_folds(self, added: Float32[np.ndarray, "256 256 3"], look: Look) -> None:
        """Add to colours, -1..1 of the range, what drawn folds do to them; in place."""
        assert isinstance(self._skin, FoldMaps)
        left, top, columns, rows = self._skin.find(look.movement.position, look.mask)
        if columns == 0:
            return
        # With the points beside, which those at the border are read between.
        x, y = max(left - 1, 0), max(top - 1, 0)
        near = look.movement.position[:2, y : top + rows + 1, x : left + columns + 1]
        part = np.s_[2 * y : 2 * (y + near.shape[1]), 2 * x : 2 * (x + near.shape[2])]
        change = look.condition[COEFFICIENTS : 2 * COEFFICIENTS]
        folds = self._skin.shade(change, near, zoom=2) * look.movement.mask[part]
        added[part] += _folded(look.warped[part], folds)


def tell(
    crop: FaceCrop, expression: Float[np.ndarray, " 52"], emotion: Float[np.ndarray, " 7"]
) -> Float[np.ndarray, " 111"]:
    """The condition that networks are told: the source's coefficients, their change, the emotion.

    Args:
        crop: The face as it is.
        expression: The coefficients that it should show.
        emotion: How much of each emotion is asked for.
    """
    return np.concatenate([crop.expression, expression - crop.expression, emotion])


def _folded(
    warped: UInt8[np.ndarray, "rows columns 3"], folds: Float32[np.ndarray, "rows columns"]
) -> Float32[np.ndarray, "rows columns 3"]:
    """What folds add to colours, -1..1 of the range, by the logarithm of the ratio of light."""
    growth = [cv2.exp(folds * np.float32(share)) - np.float32(1) for share in SHADOW_TINT]
    return cv2.multiply(warped, cv2.merge(growth), scale=1 / 255, dtype=cv2.CV_32F)


def _whole(
    values: Float32[np.ndarray, "128 128 *channels"],
    into: Float32[np.ndarray, "256 256"] | None = None,
) -> Float32[np.ndarray, "256 256 *channels"]:
    """Values of the crop at half its side at its whole side."""
    return cv2.resize(values, (CROP_SIZE, CROP_SIZE), dst=into, interpolation=cv2.INTER_LINEAR)


def spare_mouth(
    position: Float32[np.ndarray, "3 rows columns"],
) -> Float32[np.ndarray, "rows columns"]:
    """How much of the finer flow stays: none on the lips, which it would part where they touch.

    The mesh keeps the opening between the lips (:mod:`cdrl_cli.generator.lips`); the finer flow,
    zero where they meet, drew them apart from around there.

    Args:
        position: Where on the canonical face each pixel lies, head space.
    """
    x = position[0] / np.float32(MOUTH_REACH[0])
    y = (position[1] - np.float32(MOUTH_Y)) / np.float32(MOUTH_REACH[1])
    return np.clip(x * x + y * y - 1, np.float32(0), np.float32(1))


def warp_crop(
    image: UInt8[np.ndarray, "256 256 3"], movement: Movement
) -> UInt8[np.ndarray, "256 256 3"]:
    """The aligned crop, moved."""
    return fetch(image, *movement.flow, smooth=True, relative=True)


def network_input(
    warped: UInt8[np.ndarray, "256 256 3"], movement: Movement
) -> Float32[np.ndarray, "9 128 128"]:
    """What the network sees (:data:`~cdrl_cli.generator.unet.CHANNELS`), at half the crop's side.

    Its channels are means over squares of two by two pixels.
    """
    # Written plane by plane, where it stays: a seventh of the time of stacking and turning.
    seen = np.empty((9, CROP_SIZE // 2, CROP_SIZE // 2), np.float32)
    cv2.split(cv2.LUT(_half(warped), LEVELS), list(seen[:3]))
    for values, into in zip((*movement.flow, movement.mask), seen[3:6], strict=True):
        _half(values, into)
    seen[3:5] /= np.float32(FLOW_UNIT_PX)
    seen[6:] = movement.position
    return seen


def _half(
    values: Shaped[np.ndarray, "256 256 *channels"],
    into: Float32[np.ndarray, "128 128"] | None = None,
) -> Shaped[np.ndarray, "128 128 *channels"]:
    """Means over squares of two by two pixels of the crop."""
    side = CROP_SIZE // 2
    return cv2.resize(values, (side, side), dst=into, interpolation=cv2.INTER_AREA)


def ring_positions(
    mesh: FaceMesh, canonical_xyz: Float[np.ndarray, "478 3"]
) -> Float[np.ndarray, "points 3"]:
    """The canonical face with the ring around it."""
    return np.concatenate([canonical_xyz[:MESH_LANDMARKS], RING_REACH * canonical_xyz[mesh.oval]])


def depth_inside(ring_xy: Float[np.ndarray, "rim 2"]) -> Float32[np.ndarray, "256 256"]:
    """How far inside a ring each pixel lies, pixels; 0 outside and on the crop's border."""
    filled = np.zeros((CROP_SIZE, CROP_SIZE), np.uint8)
    cv2.fillPoly(filled, [np.round(ring_xy).astype(np.int32)], 1)
    filled[[0, -1], :] = filled[:, [0, -1]] = 0
    left, top, columns, rows = cv2.boundingRect(filled)
    depth = np.zeros((CROP_SIZE, CROP_SIZE), np.float32)
    if columns:
        part = np.s_[top - 1 : top + rows + 1, left - 1 : left + columns + 1]
        depth[part] = cv2.distanceTransform(filled[part], cv2.DIST_L2, 3)
    return depth
