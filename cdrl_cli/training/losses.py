"""What a rendered picture is measured by: losses on pixels and flows, and who tells real from made.

Each is scaled so that its slope has about length 1, as that of the terms that are balanced by it.
"""

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from cdrl_cli.face.alignment import CROP_SIZE
from cdrl_cli.face.landmarks import MESH_LANDMARKS
from cdrl_cli.generator.lips import INNER_PAIRS
from cdrl_cli.generator.unet import MAX_FLOW_PX
from cdrl_cli.training.guides import luma

FLOW_SOFTNESS_PX = 2.5
"""Blur of the optical flow that the finer flow learns from."""


class Discriminator(nn.Module):
    """Patches of 96 px to how real they look (LSGAN, Mao et al. 2017)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 32, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(32, 64, 4, 2, 1),
            nn.GroupNorm(8, 64),
            nn.LeakyReLU(0.2),
            nn.Conv2d(64, 96, 4, 2, 1),
            nn.GroupNorm(8, 96),
            nn.LeakyReLU(0.2),
            nn.Conv2d(96, 1, 3, 1, 1),
        )

    def forward(self, patches: Float[Tensor, "batch 3 96 96"]) -> Float[Tensor, "batch 1 12 12"]:
        """1 where it looks real, 0 where it does not."""
        return self.layers(2 * patches - 1)


def cut_patches(
    image: Float[Tensor, "batch 3 256 256"],
    landmarks: Float[Tensor, "batch 478 3"],
    rng: np.random.Generator,
) -> Float[Tensor, "batch 3 96 96"]:
    """A part of each face."""
    cut = []
    for one, points in zip(image, landmarks, strict=True):
        x, y = points[int(rng.integers(MESH_LANDMARKS)), :2].tolist()
        left = int(np.clip(x - 48 + rng.integers(-16, 17), 0, CROP_SIZE - 96))
        top = int(np.clip(y - 48 + rng.integers(-16, 17), 0, CROP_SIZE - 96))
        cut.append(one[:, top : top + 96, left : left + 96])
    return torch.stack(cut)


def picture_loss(
    image: Float[Tensor, "batch 3 256 256"],
    target: Float[Tensor, "batch 3 256 256"],
    mask: Float[Tensor, "batch 1 256 256"],
) -> Float[Tensor, ""]:
    """L1 over the face, of colours, of edges, and of what is left at a quarter of the size."""
    error = (image - target) * mask
    area = mask.mean()
    small = functional.avg_pool2d(error, 4)
    edges = (error[..., 1:] - error[..., :-1]).abs().mean() + (
        error[..., 1:, :] - error[..., :-1, :]
    ).abs().mean()
    return (error.abs().mean() + small.abs().mean() + edges) / area


def match_colour(
    target: Float[Tensor, "batch 3 256 256"],
    like: Float[Tensor, "batch 3 256 256"],
    mask: Float[Tensor, "batch 1 256 256"],
) -> Float[Tensor, "batch 3 256 256"]:
    """The target in the source's light: means of the faces made equal, so none is learned."""
    area = mask.sum(dim=(2, 3), keepdim=True)
    apart = ((like - target) * mask).sum(dim=(2, 3), keepdim=True) / area
    return (target + apart).clamp(0, 1)


def optical_flow(
    image: Float[Tensor, "batch 3 256 256"], target: Float[Tensor, "batch 3 256 256"]
) -> Float[Tensor, "batch 2 256 256"]:
    """For each pixel of the target, where it lies in the image, minus its own place; pixels.

    Dense inverse search (Kroeger et al. 2016), softened. It sees what landmarks pass over: oblique
    brows, a raised cheek.
    """
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [
        (255 * one[:, 0]).round().clamp(0, 255).byte().numpy()
        for one in (luma(target), luma(image))
    ]
    flows = [
        cv2.GaussianBlur(search.calc(to, come, None), (0, 0), FLOW_SOFTNESS_PX)  # type: ignore[call-overload]
        for to, come in zip(*grey, strict=True)
    ]
    return torch.from_numpy(np.stack(flows)).permute(0, 3, 1, 2)


def follow_flow(
    flow: Float[Tensor, "batch 2 256 256"],
    seen: Float[Tensor, "batch 2 256 256"],
    mask: Float[Tensor, "batch 1 256 256"],
) -> Float[Tensor, ""]:
    """How far the finer flow is from the one that is seen, squared; slopes of length 1 at 1 px."""
    apart = (flow - seen.clamp(-MAX_FLOW_PX, MAX_FLOW_PX)) * mask
    return apart.square().sum() / (2 * apart.numel() ** 0.5)


def roughness(flow: Float[Tensor, "batch c 256 256"]) -> Float[Tensor, ""]:
    """How much neighbours differ, L1."""
    return sum_abs(flow[..., 1:] - flow[..., :-1]) + sum_abs(flow[..., 1:, :] - flow[..., :-1, :])


def sum_abs(values: Float[Tensor, "..."]) -> Float[Tensor, ""]:
    """L1, scaled so that its slope has length 1 as that of the balanced terms."""
    return values.abs().sum() / values.numel() ** 0.5


def part_lips(
    flow: Float[Tensor, "batch 2 256 256"], landmarks: Float[Tensor, "batch 478 3"]
) -> Float[Tensor, ""]:
    """What the finer flow does to the opening of the mouth, crop pixels, squared."""
    scale = 2 / (CROP_SIZE - 1)
    upper, lower = (
        functional.grid_sample(flow, landmarks[:, side, None, :2] * scale - 1, align_corners=True)[
            ..., 0
        ]
        for side in INNER_PAIRS.T
    )
    return (upper - lower)[:, 1].square().mean()
