"""What the generator learns from: the faces of clips, or of a pack, with their geometry."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from cdrl_cli.array_types import Float
from cdrl_cli.checkpoints.models import load_models
from cdrl_cli.data.faces import FaceClip, join_clip
from cdrl_cli.data.index import Role
from cdrl_cli.data.packs import read_pack
from cdrl_cli.errors import UsageError
from cdrl_cli.geometry.mesh import FaceMesh
from cdrl_cli.preparation import prepare_clips, prepare_crops
from cdrl_cli.training.config import DataConfig
from cdrl_cli.training.differentiable import Geometry
from cdrl_cli.training.split import find_clips, is_learned_from


def gather_faces(
    chosen: DataConfig,
    data: Path,
    cache: Path,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> list[FaceClip]:
    """The faces of a folder of clips that a recipe may learn from: crops and geometry.

    Args:
        chosen: What the recipe learns from.
        data: Folder with ``index.csv``.
        cache: Of prepared clips; crops are kept beside them.
        progress: Called with (clips done, clips in all).

    Raises:
        UsageError: If no clip is left to learn from.
    """
    models = load_models(chosen.weight_set, core=True)
    clips = [
        clip
        for clip in find_clips(data, stills=chosen.stills)
        if is_learned_from(clip, chosen) and Role.REFRAMED not in clip.roles
    ]
    prepared = list(prepare_clips(clips, models, cache, progress=progress))
    if not prepared:
        raise UsageError(f"{data}: no clip to learn from")
    return [
        join_clip(
            one, crops, [draw_geometry(points, models.mesh) for points in crops.landmarks_xyz]
        )
        for one, crops in zip(
            prepared, prepare_crops(prepared, models, cache / "crops"), strict=True
        )
    ]


def unpack_faces(chosen: DataConfig, pack: Path) -> list[FaceClip]:
    """The same from a pack (:mod:`cdrl_cli.data.packs`).

    Raises:
        UnreadableInputError: If the file is no pack.
        UsageError: If no clip is left to learn from.
    """
    faces = read_pack(
        pack,
        partial(draw_geometry, mesh=load_models(chosen.weight_set, core=True).mesh),
        wanted=partial(is_learned_from, data=chosen),
    )
    if not faces:
        raise UsageError(f"{pack}: no clip to learn from")
    return faces


def draw_geometry(
    landmarks_xyz: Float[np.ndarray, "478 3"], mesh: FaceMesh
) -> tuple[np.ndarray, np.ndarray]:
    """Owner and depth of a crop's pixels."""
    drawn = Geometry.of(landmarks_xyz, mesh)
    return drawn.owner, drawn.inside_px
