"""Heads made of numbers: the canonical mesh, posed and moved by a known basis."""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, Int

from cdrl_cli.face.blendshapes import COUNTERPARTS, EXPRESSION_NAMES
from cdrl_cli.face.head import HeadModel
from cdrl_cli.face.landmarks import Face
from cdrl_cli.generator.renderer import ExpressionBasis
from cdrl_cli.geometry.mesh import FaceMesh
from cdrl_cli.geometry.similarity import Similarity
from cdrl_cli.training.core import mirror_landmarks

IRISES = {468: (33, 133), 473: (362, 263)}
"""First landmark of each iris, and the corners of its eye."""


class ToyHead(NamedTuple):
    """A head that knows all of itself."""

    canonical_xyz: Float[np.ndarray, "478 3"]
    mesh: FaceMesh
    basis: Float[np.ndarray, "52 478 3"]
    mirror: Int[np.ndarray, " 478"]
    mirror_names: Int[np.ndarray, " 52"]

    @property
    def model(self) -> HeadModel:
        return HeadModel(self.canonical_xyz, np.r_[np.ones(468), np.zeros(10)])

    @property
    def expression_basis(self) -> ExpressionBasis:
        return ExpressionBasis(self.basis)

    def face(self, pose: Similarity, expression=None) -> Face:
        """The head in a pose, showing an expression."""
        shown = np.zeros(52) if expression is None else expression
        moved = self.canonical_xyz + np.tensordot(shown, self.basis, axes=1)
        return Face(pose.apply(moved).astype(np.float32), shown.astype(np.float32))


def canonical_mesh():
    """Vertices, triangles and outline of the landmarker's mesh (``test_canonical_mesh``)."""
    with np.load(Path(__file__).with_name("canonical_mesh.npz")) as stored:
        vertices = stored["vertices_xyz"].astype(float)
        return vertices, stored["triangles"].astype(np.int32), stored["oval"].astype(np.int32)


@cache
def toy_head() -> ToyHead:
    """The landmarker's canonical mesh with irises, and a smooth mirror-symmetric basis."""
    mesh_xyz, triangles, oval = canonical_mesh()
    corners = mesh_xyz[[33, 263]]
    mesh_xyz = (mesh_xyz - corners.mean(axis=0)) / np.linalg.norm(corners[1] - corners[0])
    canonical = np.concatenate([mesh_xyz, np.zeros((10, 3))])
    for first, eye in IRISES.items():
        around = [(0, 0, 0), (1, 0, 0), (0, -1, 0), (-1, 0, 0), (0, 1, 0)]
        canonical[first : first + 5] = mesh_xyz[list(eye)].mean(axis=0) + 0.06 * np.array(around)
    mirror, mirror_names = mirror_landmarks(mesh_xyz), np.array(COUNTERPARTS)

    generator = np.random.default_rng(0)
    phases = canonical @ generator.normal(0, 2.0, (3, 6)) + generator.uniform(0, 6, 6)
    basis = np.einsum("nf,kfd->knd", np.cos(phases), generator.normal(0, 0.02, (52, 6, 3)))
    basis = (basis + basis[mirror_names][:, mirror] * (-1, 1, 1)) / 2
    return ToyHead(canonical, FaceMesh(triangles, oval), basis, mirror, mirror_names)


def rotation(*, yaw_deg=0.0, pitch_deg=0.0, roll_deg=0.0):
    """Turned about the head's y axis, then about the picture's x axis, then in the picture."""
    turns = (0, 0, roll_deg), (pitch_deg, 0, 0), (0, yaw_deg, 0)
    roll, pitch, yaw = (cv2.Rodrigues(np.radians(turn))[0] for turn in turns)
    return roll @ pitch @ yaw


def pose(*, yaw_deg=0.0, pitch_deg=0.0, roll_deg=0.0, scale=100.0, at=(200.0, 200.0)):
    """A head of so many pixels between the eyes, its middle at a place in the picture."""
    turn = rotation(yaw_deg=yaw_deg, pitch_deg=pitch_deg, roll_deg=roll_deg)
    return Similarity(float(scale), turn, np.array([*at, 0.0]))


def coefficients(**values):
    """An expression by names; 0 where not named. ``smile=…`` style stems name both sides."""
    shown = np.zeros(len(EXPRESSION_NAMES))
    for stem, value in values.items():
        names = [n for n in (stem, f"{stem}Left", f"{stem}Right") if n in EXPRESSION_NAMES]
        assert names, stem
        shown[[EXPRESSION_NAMES.index(name) for name in names]] = value
    return shown
