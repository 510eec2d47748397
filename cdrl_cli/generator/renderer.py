"""Which pixels: an expression to show and a face to show it on, and how its pixels change.

Today the one renderer is :class:`WarpRenderer`, exact geometry without learned parts.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import Float, Float32

from cdrl_cli.face.alignment import CROP_SIZE, FaceCrop
from cdrl_cli.face.compositing import Rendering
from cdrl_cli.face.landmarks import MESH_LANDMARKS
from cdrl_cli.generator.lips import keep_aperture
from cdrl_cli.geometry.mesh import FaceMesh, add_ring, interpolate, unfold

RING_REACH = 1.35
"""Motion ends at so many times the face's outline."""

SOFTNESS_PX = 1.5
"""Blur of the flow, crop pixels: hides the mesh's edges and keeps upper and lower lip apart."""


FADE_PX = 8.0
"""And over so many pixels inside the ring it is brought to exactly zero."""


@runtime_checkable
class Renderer(Protocol):
    """What shows an expression on a face."""

    def __call__(self, crop: FaceCrop, expression: Float[np.ndarray, " 52"]) -> Rendering:
        """How the crop's pixels change when the face shows these coefficients."""
        ...


@dataclass(frozen=True, slots=True)
class ExpressionBasis:
    """What one unit of each coefficient does to the landmarks."""

    displacement: Float[np.ndarray, "52 478 3"]
    """Head space (see :class:`~cdrl_cli.face.head.HeadModel`)."""


class WarpRenderer:
    """Moves the mesh by the linear basis, carries it through the head pose, warps what lies on it.

    DESIGN: landmark displacement = J (b' - b), kept at the lips, unfolded, spread over the
    triangles, zero from the ring outwards.
    """

    def __init__(self, basis: ExpressionBasis, mesh: FaceMesh) -> None:
        self._basis = basis
        self._mesh = mesh
        self._triangles = mesh.with_ring()

    def __call__(self, crop: FaceCrop, expression: Float[np.ndarray, " 52"]) -> Rendering:
        """See :class:`Renderer`."""
        shift = expression - crop.expression
        in_head = np.tensordot(shift, self._basis.displacement, axes=1)
        in_crop = crop.crop_from_head.apply_direction(in_head)
        in_crop = keep_aperture(crop.landmarks_xyz, in_crop)[:MESH_LANDMARKS]

        landmarks = crop.landmarks_xyz[:MESH_LANDMARKS]
        points = add_ring(landmarks[:, :2], self._mesh.oval, reach=RING_REACH)
        still = np.zeros((len(points) - MESH_LANDMARKS, 2))
        moves = unfold(points, np.concatenate([in_crop[:, :2], still]), self._triangles)
        depth = np.concatenate([landmarks[:, 2], np.full(len(still), landmarks[:, 2].max())])

        # Drawn where the points arrive: each pixel of the output then knows where it came from.
        arrived = points + moves
        flow, _ = interpolate(arrived, -moves, self._triangles, depth, size=CROP_SIZE)
        inside_px = _depth_inside(arrived[MESH_LANDMARKS:])
        # The motion, not the picture, fades: blending two pictures would double the contours.
        fade = np.minimum(inside_px / FADE_PX, 1.0)
        flow = cv2.GaussianBlur(flow, (0, 0), SOFTNESS_PX) * fade[..., None]
        return Rendering(flow=flow, mask=np.minimum(inside_px, 1.0))


def _depth_inside(ring_xy: Float[np.ndarray, "rim 2"]) -> Float32[np.ndarray, "256 256"]:
    """How far inside a ring each pixel lies, pixels; 0 outside and on the crop's border."""
    filled = np.zeros((CROP_SIZE, CROP_SIZE), np.uint8)
    cv2.fillPoly(filled, [np.round(ring_xy).astype(np.int32)], 1)
    filled[[0, -1], :] = filled[:, [0, -1]] = 0
    return cv2.distanceTransform(filled, cv2.DIST_L2, 3)
