"""Faces made of numbers, as the generator's training takes them."""

from pathlib import Path

import numpy as np

from cdrl_cli.data.faces import FaceClip
from cdrl_cli.data.index import Clip
from cdrl_cli.data.prepared import ClipCrops
from cdrl_cli.face.alignment import crop_face
from cdrl_cli.face.identity import align_to_template
from cdrl_cli.training.differentiable import Geometry
from heads import pose, toy_head
from pictures import ArrayFrame, waves


def face_clip(identity, emotion, seed, frames=6):
    """A toy head that talks for two seconds."""
    rng, toy = np.random.default_rng(seed), toy_head()
    expression = np.clip(rng.uniform(0, 0.3, (1, 52)) + rng.normal(0, 0.05, (50, 52)), 0, 1)
    place = np.linspace(2, 47, frames).astype(int)
    picture = ArrayFrame(waves(256, 256))
    crops, owners, depths = [], [], []
    for i in place:
        face = toy.face(pose(yaw_deg=3 * rng.normal(), scale=70, at=(128, 128)), expression[i])
        crop = crop_face(picture, face, toy.model.locate(face))
        crops.append(crop)
        geometry = Geometry.of(crop.landmarks_xyz, toy.mesh)
        owners.append(geometry.owner)
        depths.append(geometry.inside_px)
    poses = [crop.crop_from_head for crop in crops]
    clip = Clip(Path("toy.mp4"), None, "toy", "permissive", identity, emotion, True, None, "train")
    return FaceClip(
        ClipCrops(
            clip,
            place / 25,
            np.stack([crop.image() for crop in crops]),
            np.stack([crop.landmarks_xyz for crop in crops]).astype(np.float32),
            np.stack(
                [np.column_stack([p.scale * p.rotation, p.translation]) for p in poses]
            ).astype(np.float32),
            np.stack([crop.expression for crop in crops]).astype(np.float32),
        ),
        np.stack(owners),
        np.stack(depths),
        expression.astype(np.float32),
        rng.integers(0, 255, (50, 32, 32)).astype(np.uint8),
        place,
        np.stack([align_to_template(crop.landmarks_xyz.astype(np.float32)) for crop in crops]),
    )
