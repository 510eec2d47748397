"""Batches for the renderer: pairs of frames of one person, and moments of a clip to be edited."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor

from cdrl_cli.array_types import Float, Int, UInt8
from cdrl_cli.data.augment import Light
from cdrl_cli.data.index import Clip
from cdrl_cli.data.prepared import ClipCrops, PreparedClip
from cdrl_cli.data.takes import time_grid
from cdrl_cli.face.blendshapes import EXPRESSION_NAMES
from cdrl_cli.face.identity import align_to_template
from cdrl_cli.representation.ccrl import CROP_SIDE

STILL_WEIGHT = 0.25
"""Chance of a photograph to be drawn for a training pair, relative to that of a clip."""

STILL_SHARE = 0.3
"""Share of the edits learned from that are of photographs: they show more people than the clips."""

OTHER_CLIP_SHARE = 0.65
"""Share of the training pairs whose two frames come from two clips of the person, if there are
two."""

PASSED_OVER = 0.4
"""Share of a clip's frames left out of a search for the best partner of a frame, so that it is not
always the same one."""

MAX_TURN = 0.15
"""Largest sine of the angle between the two heads of a training pair."""

_MOUTH = [i for i, name in enumerate(EXPRESSION_NAMES) if name.startswith(("mouth", "jaw"))]


@dataclass(frozen=True, slots=True)
class FaceClip:
    """A clip's crops and all that goes with them."""

    crops: ClipCrops
    owner: Int[np.ndarray, "frames 256 256"]
    inside_px: UInt8[np.ndarray, "frames 256 256"]
    """Of :class:`~cdrl_cli.training.differentiable.Geometry`."""
    expression: Float[np.ndarray, "grid 52"]
    """All of the clip, 25 frames a second."""
    mouth: UInt8[np.ndarray, "grid 32 32"]
    """Luma around the mouth, likewise."""
    place: Int[np.ndarray, " frames"]
    """Where on the grid the crops lie."""
    template_from_crop: Float[np.ndarray, "frames 2 3"]
    """Brings each crop to ArcFace's template."""

    @property
    def clip(self) -> Clip:
        """Its row of the index."""
        return self.crops.clip


def join_clip(
    prepared: PreparedClip,
    crops: ClipCrops,
    geometry: Sequence[tuple[np.ndarray, np.ndarray]],
) -> FaceClip:
    """Put together what is known of a clip.

    Args:
        prepared: The whole clip.
        crops: Some frames of it, full size.
        geometry: Owner and depth of each of them.
    """
    grid_s = time_grid(prepared.time_s)
    if not len(grid_s):
        grid_s = prepared.time_s[:1]
    columns = [np.interp(grid_s, prepared.time_s, column) for column in prepared.expression.T]
    nearest = np.abs(grid_s[:, None] - prepared.time_s).argmin(axis=1)
    mouth = [
        cv2.resize(prepared.mouth[i], (CROP_SIDE, CROP_SIDE), interpolation=cv2.INTER_AREA)
        for i in nearest
    ]
    owners, depths = zip(*geometry, strict=True)
    return FaceClip(
        crops=crops,
        owner=np.stack(owners),
        inside_px=np.stack(depths),
        expression=np.stack(columns, axis=1).astype(np.float32),
        mouth=np.stack(mouth),
        place=np.abs(crops.time_s[:, None] - grid_s).argmin(axis=1),
        template_from_crop=np.stack([align_to_template(one) for one in crops.landmarks_xyz]),
    )


@dataclass(frozen=True, slots=True)
class FaceBatch:
    """Frames as the chain takes them."""

    image: Float[Tensor, "batch 3 256 256"]
    landmarks: Float[Tensor, "batch 478 3"]
    crop_from_head: Float[Tensor, "batch 3 4"]
    expression: Float[Tensor, "batch 52"]
    owner: Int[Tensor, "batch 256 256"]
    inside_px: Float[Tensor, "batch 256 256"]
    template_from_crop: Float[Tensor, "batch 2 3"]

    @classmethod
    def of(
        cls, frames: Sequence[tuple[FaceClip, int]], device: torch.device | str = "cpu"
    ) -> "FaceBatch":
        """Collect frames, each a clip and its place among the clip's crops."""

        def stack(arrays: Sequence[np.ndarray]) -> Tensor:
            return torch.from_numpy(np.stack(arrays)).to(device)

        image = stack([one.crops.image[i] for one, i in frames])
        return cls(
            image=image.permute(0, 3, 1, 2).float() / 255,
            landmarks=stack([one.crops.landmarks_xyz[i] for one, i in frames]),
            crop_from_head=stack([one.crops.crop_from_head[i] for one, i in frames]),
            expression=stack([one.crops.expression[i] for one, i in frames]),
            owner=stack([one.owner[i] for one, i in frames]),
            inside_px=stack([one.inside_px[i] for one, i in frames]).float(),
            template_from_crop=stack([one.template_from_crop[i] for one, i in frames]).float(),
        )

    def relit(self, light: Light) -> "FaceBatch":
        """The same faces in another light."""
        return replace(self, image=light(self.image))


class FaceSampler:
    """Draws what the renderer learns from.

    Args:
        clips: All that may be drawn.
        rng: Of the draws.
    """

    def __init__(self, clips: Sequence[FaceClip], rng: np.random.Generator) -> None:
        self._clips = clips
        self.rng = rng
        self._of_person: dict[str, list[FaceClip]] = defaultdict(list)
        for one in clips:
            self._of_person[one.clip.identity].append(one)
        weights = np.array([1.0 if len(one.place) > 1 else STILL_WEIGHT for one in clips])
        self._weights = weights / weights.sum()
        stills = [one for one in clips if len(one.place) == 1]
        self._stills = stills if len(stills) >= MOMENTS else []
        self._moving = [one for one in clips if len(one.place) >= MOMENTS and _is_short(one)]

    def draw_pair(self) -> tuple[tuple[FaceClip, int], tuple[FaceClip, int]]:
        """A frame and another of the same person, from another clip if one fits.

        From another clip comes the frame whose mouth and head are most alike, so that what
        differs is the emotion.
        """
        while True:
            clip = self._clips[self.rng.choice(len(self._clips), p=self._weights)]
            frame = int(self.rng.integers(len(clip.place)))
            others = [one for one in self._of_person[clip.clip.identity] if one is not clip]
            if others and (len(clip.place) == 1 or self.rng.random() < OTHER_CLIP_SHARE):
                other = others[self.rng.integers(len(others))]
                fitting = self._most_alike(clip, frame, other)
                if fitting is not None:
                    return (clip, frame), (other, fitting)
            elif len(clip.place) > 1:
                fitting = int(self.rng.integers(len(clip.place)))
                if fitting != frame and _turn(clip, frame, clip)[fitting] < MAX_TURN:
                    return (clip, frame), (clip, fitting)

    def draw_moments(self) -> list[tuple[FaceClip, int]]:
        """Successive crops of a clip, about a second together; or stills of different people."""
        if self._stills and self.rng.random() < STILL_SHARE:
            drawn = self.rng.choice(len(self._stills), MOMENTS, replace=False)
            return [(self._stills[i], 0) for i in drawn]
        clip = self._moving[self.rng.integers(len(self._moving))]
        start = int(self.rng.integers(len(clip.place) - MOMENTS + 1))
        return [(clip, i) for i in range(start, start + MOMENTS)]

    def _most_alike(self, clip: FaceClip, frame: int, other: FaceClip) -> int | None:
        turn = _turn(clip, frame, other)
        mouth = other.crops.expression[:, _MOUTH] - clip.crops.expression[frame, _MOUTH]
        cost = np.square(mouth).sum(axis=1) + 4 * turn**2
        cost[turn >= MAX_TURN] = np.inf
        cost[self.rng.random(len(cost)) < PASSED_OVER] += 10
        best = int(cost.argmin())
        return best if np.isfinite(cost[best]) else None


MOMENTS = 4
"""Crops of a clip that are edited together."""


def _is_short(clip: FaceClip) -> bool:
    """Its crops lie close enough that what is between them can be interpolated."""
    return bool(np.diff(clip.place).max() <= 12) and len(clip.expression) >= 25  # noqa: PLR2004


def _turn(clip: FaceClip, frame: int, other: FaceClip) -> Float[np.ndarray, " frames"]:
    """Sine of the angle between lines of sight, roughly."""
    mine = clip.crops.crop_from_head[frame, 2, :3]
    others = other.crops.crop_from_head[:, 2, :3]
    return np.linalg.norm(
        others / np.linalg.norm(others, axis=1, keepdims=True) - mine / np.linalg.norm(mine),
        axis=1,
    )
