"""The generator as one differentiable function: displacement -> flow -> warp -> network.

The shipped path (:mod:`cdrl_cli.generator.renderer`) draws the moved mesh; here the flow is read
from the mesh at rest and turned round by iteration, which has a slope everywhere. A test holds
the two together.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cdrl_cli.array_types import Float, Int, UInt8
from cdrl_cli.face.alignment import CROP_SIZE
from cdrl_cli.face.blendshapes import COEFFICIENTS
from cdrl_cli.face.landmarks import MESH_LANDMARKS
from cdrl_cli.generator.folds import MAP_HIGH, MAP_LOW, FoldMaps
from cdrl_cli.generator.lips import APERTURE_CHANGE, PAIRS
from cdrl_cli.generator.renderer import (
    FADE_PX,
    FLOW_UNIT_PX,
    RING_REACH,
    SOFTNESS_PX,
    depth_inside,
    ring_positions,
)
from cdrl_cli.generator.unet import RendererNet
from cdrl_cli.geometry.mesh import FaceMesh, add_ring, draw_owners
from cdrl_cli.metrics.mouth import INNER_PAIRS
from cdrl_cli.preparation import MOUTH_LANDMARKS

INVERSIONS = 4
"""Iterations by which a displacement is inverted to the flow that undoes it."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """What is fixed about a crop while its expression changes."""

    owner: Int[np.ndarray, "256 256"]
    """Triangle of each pixel, from 1; 0: none."""
    inside_px: UInt8[np.ndarray, "256 256"]
    """Depth inside the ring, pixels, at most 255."""

    @classmethod
    def of(cls, landmarks_xyz: Float[np.ndarray, "478 3"], mesh: FaceMesh) -> "Geometry":
        """Draw the mesh at rest."""
        landmarks = landmarks_xyz[:MESH_LANDMARKS].astype(float)
        points = add_ring(landmarks[:, :2], mesh.oval, reach=RING_REACH)
        ring = len(points) - MESH_LANDMARKS
        depth = np.concatenate([landmarks[:, 2], np.full(ring, landmarks[:, 2].max())])
        owner = draw_owners(points, mesh.with_ring(), depth, size=CROP_SIZE)
        inside = depth_inside(points[MESH_LANDMARKS:])
        return cls(owner.astype(np.int16), np.minimum(np.rint(inside), 255).astype(np.uint8))


class Chain:
    """Renders batches of crops; everything that is fixed over a training run.

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
        self._triangles = torch.from_numpy(mesh.with_ring().astype(np.int64))
        self._oval = torch.from_numpy(mesh.oval.astype(np.int64))
        self._basis = torch.from_numpy(basis).float()
        mouth = canonical_xyz[list(MOUTH_LANDMARKS)].mean(axis=0)
        self.mouth: Float[Tensor, " 3"] = torch.from_numpy(mouth).float()
        """Where the canonical face has its mouth, head space."""
        self._positions = torch.from_numpy(ring_positions(mesh, canonical_xyz)).float()
        folds = FoldMaps.draw(canonical_xyz)
        self._folds = torch.from_numpy(folds.maps)
        self._fold_weights = torch.from_numpy(folds.weights)
        grid = torch.arange(CROP_SIZE, dtype=torch.float32)
        self._y, self._x = torch.meshgrid(grid, grid, indexing="ij")
        reach = round(3 * SOFTNESS_PX)
        taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / SOFTNESS_PX) ** 2)
        self._taps = (taps / taps.sum()).view(1, 1, 1, -1)

    def to(self, device: torch.device | str) -> "Chain":
        """Move everything to a device; returns itself."""
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(self, name, value.to(device))
        return self

    def displace(
        self,
        shift: Float[Tensor, "batch 52"],
        crop_from_head: Float[Tensor, "batch 3 4"],
        landmarks_xyz: Float[Tensor, "batch 478 3"],
    ) -> Float[Tensor, "batch 478 2"]:
        """Where a change of the coefficients moves the landmarks; crop pixels.

        As :class:`~cdrl_cli.generator.renderer.WarpRenderer` does, less the unfolding.
        """
        in_head = torch.einsum("bc,clk->blk", shift, self._basis)
        moved = torch.einsum("blk,bik->bli", in_head, crop_from_head[:, :, :3])
        return self._keep_aperture(landmarks_xyz, moved)[..., :2]

    def warp_flow(
        self,
        displacement: Float[Tensor, "batch 478 2"],
        landmarks_xyz: Float[Tensor, "batch 478 3"],
        owner: Int[Tensor, "batch 256 256"],
        inside_px: Float[Tensor, "batch 256 256"],
    ) -> tuple[Float[Tensor, "batch 5 256 256"], Float[Tensor, "batch 1 256 256"]]:
        """Flow (x, y; crop pixels) with the position on the canonical face (x, y, z), and mask."""
        points = self._with_ring(landmarks_xyz[:, :MESH_LANDMARKS, :2])
        still = displacement.new_zeros(len(points), len(self._oval), 2)
        moves = torch.cat([displacement[:, :MESH_LANDMARKS], still], dim=1)
        positions = self._positions.expand(len(points), -1, -1)
        dense = self._spread(points, torch.cat([moves, positions], dim=2), owner)
        forward = dense[:, :2]
        flow = -forward
        for _ in range(INVERSIONS):
            flow = -sample(forward, flow, self._x, self._y)
        flow = functional.conv2d(
            functional.pad(flow.flatten(0, 1)[:, None], (4, 4, 0, 0), mode="replicate"), self._taps
        )
        flow = functional.conv2d(
            functional.pad(flow, (0, 0, 4, 4), mode="replicate"), self._taps.transpose(2, 3)
        ).view(len(points), 2, CROP_SIZE, CROP_SIZE)
        flow = flow * (inside_px[:, None] / FADE_PX).clamp(max=1)
        where = sample(dense[:, 2:], flow, self._x, self._y)
        return torch.cat([flow, where], dim=1), inside_px[:, None].clamp(max=1)

    def render(
        self,
        network: RendererNet,
        image: Float[Tensor, "batch 3 256 256"],
        moved: Float[Tensor, "batch 5 256 256"],
        mask: Float[Tensor, "batch 1 256 256"],
        condition: Float[Tensor, "batch 111"],
    ) -> "Rendered":
        """Warp, ask the network, warp finer, fold, colour.

        Args:
            network: The renderer.
            image: Source crops, 0..1.
            moved: Of :meth:`warp_flow`.
            mask: Likewise.
            condition: See :meth:`RendererNet.forward`.
        """
        flow = moved[:, :2]
        warped = self.warp(image, flow)
        seen = torch.cat([2 * warped - 1, flow / FLOW_UNIT_PX, mask, moved[:, 2:]], dim=1)
        with torch.autocast(image.device.type, torch.bfloat16):
            finer, colour = network(seen, condition)
        finer, colour = finer.float(), colour.float()
        change = condition[:, COEFFICIENTS : 2 * COEFFICIENTS]
        shade = self.fold(change, moved[:, 2:4]) * mask
        moved_finer = self.warp(image, flow + finer) + warped * torch.expm1(shade)
        return Rendered(moved_finer + colour, warped, finer, colour)

    def fold(
        self, change: Float[Tensor, "batch 52"], position: Float[Tensor, "batch 2 256 256"]
    ) -> Float[Tensor, "batch 1 256 256"]:
        """See :meth:`FoldMaps.shade`."""
        depth = 1 - torch.exp(-torch.relu(change @ self._fold_weights.T))
        drawn = torch.einsum("bf,fhw->bhw", depth, self._folds)[:, None]
        low, high = position.new_tensor(MAP_LOW), position.new_tensor(MAP_HIGH)
        grid = 2 * (position.permute(0, 2, 3, 1) - low) / (high - low) - 1
        return functional.grid_sample(drawn, grid, align_corners=True)

    def warp(
        self, image: Float[Tensor, "batch c 256 256"], flow: Float[Tensor, "batch 2 256 256"]
    ) -> Float[Tensor, "batch c 256 256"]:
        """Fetch each pixel from where the flow points."""
        return sample(image, flow, self._x, self._y)

    def _with_ring(self, points: Float[Tensor, "batch 468 2"]) -> Float[Tensor, "batch more 2"]:
        rim = points[:, self._oval]
        middle = rim.mean(dim=1, keepdim=True)
        return torch.cat([points, middle + RING_REACH * (rim - middle)], dim=1)

    def _spread(
        self,
        points: Float[Tensor, "batch points 2"],
        values: Float[Tensor, "batch points channels"],
        owner: Int[Tensor, "batch 256 256"],
    ) -> Float[Tensor, "batch channels 256 256"]:
        corners = points[:, self._triangles]
        a, b, c = corners.unbind(dim=2)
        va, vb, vc = values[:, self._triangles].unbind(dim=2)
        (ux, uy), (wx, wy) = (b - a).unbind(-1), (c - a).unbind(-1)
        area = ux * wy - uy * wx
        # A triangle seen edge-on has no slope that means anything: it is flat.
        inverse = torch.where(area.abs() > 1, 1 / area, torch.zeros_like(area))[..., None]
        du, dw = vb - va, vc - va
        slope_x = (du * wy[..., None] - dw * uy[..., None]) * inverse
        slope_y = (dw * ux[..., None] - du * wx[..., None]) * inverse
        middle = (va + vb + vc) / 3
        centre = (a + b + c) / 3
        offset = middle - slope_x * centre[..., :1] - slope_y * centre[..., 1:]
        planes = torch.cat([slope_x, slope_y, offset], dim=2)
        planes = torch.cat([planes.new_zeros(len(planes), 1, planes.shape[2]), planes], dim=1)
        index = owner.flatten(1).long()[..., None].expand(-1, -1, planes.shape[2])
        sx, sy, at = planes.gather(1, index).chunk(3, dim=2)
        spread = sx * self._x.reshape(-1, 1) + sy * self._y.reshape(-1, 1) + at
        return spread.transpose(1, 2).reshape(len(points), -1, CROP_SIZE, CROP_SIZE)

    @staticmethod
    def _keep_aperture(
        landmarks: Float[Tensor, "batch 478 3"], displacement: Float[Tensor, "batch 478 3"]
    ) -> Float[Tensor, "batch 478 3"]:
        inner_upper, inner_lower = INNER_PAIRS.T
        opening = (landmarks[:, inner_lower, :2] - landmarks[:, inner_upper, :2]).norm(dim=2)
        allowed = APERTURE_CHANGE * opening.mean(dim=1)[:, None]
        upper, lower = PAIRS.T
        down = functional.normalize(landmarks[:, 17] - landmarks[:, 0], dim=1)[:, None]
        parting = ((displacement[:, lower] - displacement[:, upper]) * down).sum(dim=2)
        excess = (parting - parting.clamp(-allowed, allowed))[..., None] * down / 2
        change = torch.zeros_like(displacement)
        change[:, upper] += excess
        change[:, lower] -= excess
        return displacement + change


@dataclass(frozen=True, slots=True)
class Rendered:
    """A batch of outputs."""

    image: Float[Tensor, "batch 3 256 256"]
    """0..1, give or take."""
    warped: Float[Tensor, "batch 3 256 256"]
    """What the warp alone shows."""
    finer: Float[Tensor, "batch 2 256 256"]
    """The network's flow, crop pixels."""
    colour: Float[Tensor, "batch 3 256 256"]
    """The network's change of colour."""


def sample(
    image: Float[Tensor, "batch c 256 256"],
    flow: Float[Tensor, "batch 2 256 256"],
    x: Float[Tensor, "256 256"],
    y: Float[Tensor, "256 256"],
) -> Float[Tensor, "batch c 256 256"]:
    """Read an image where a flow (pixels) points, bilinearly, edges repeated."""
    scale = 2 / (CROP_SIZE - 1)
    grid = torch.stack([(flow[:, 0] + x) * scale - 1, (flow[:, 1] + y) * scale - 1], dim=3)
    return functional.grid_sample(image, grid, padding_mode="border", align_corners=True)
