"""What a rendered picture is measured by: losses on pixels and flows, and who tells real from made.

Each is scaled so that its slope has about length 1, as that of the terms that are balanced by it.
"""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cdrl_cli.array_types import Float, Float32, UInt8
from cdrl_cli.face.alignment import CROP_SIZE
from cdrl_cli.face.landmarks import MESH_LANDMARKS
from cdrl_cli.generator.unet import MAX_FLOW_PX
from cdrl_cli.metrics.mouth import INNER_PAIRS
from cdrl_cli.training.teachers.emotion import luma

PATCH_PX = 96
"""Side of the square that the discriminator sees, pixels."""

FLOW_SOFTNESS_PX = 2.5
"""Standard deviation of the blur of the optical flow that the renderer's flow learns from,
pixels."""


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
    count, device = len(image), image.device
    which = torch.from_numpy(rng.integers(MESH_LANDMARKS, size=count)).to(device)
    apart = torch.from_numpy(rng.integers(-16, 17, size=(count, 2))).to(device)
    each = torch.arange(count, device=device)
    corner = (landmarks[each, which, :2] - PATCH_PX // 2).round().long() + apart
    corner = corner.clamp(0, CROP_SIZE - PATCH_PX)
    along = torch.arange(PATCH_PX, device=device)
    columns, rows = corner[:, :1] + along, corner[:, 1:] + along
    picked = image[each[:, None, None], :, rows[:, :, None], columns[:, None, :]]
    return picked.permute(0, 3, 1, 2)


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
    grey = [
        (255 * one[:, 0]).round().clamp(0, 255).byte().cpu().numpy()
        for one in (luma(target), luma(image))
    ]
    with ThreadPoolExecutor(torch.get_num_threads()) as workers:
        flows = list(workers.map(_search_flow, *grey))
    return torch.from_numpy(np.stack(flows)).to(image.device).permute(0, 3, 1, 2)


def _search_flow(
    target: UInt8[np.ndarray, "256 256"], image: UInt8[np.ndarray, "256 256"]
) -> Float32[np.ndarray, "256 256 2"]:
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    found = search.calc(target, image, None)  # type: ignore[call-overload]
    return cv2.GaussianBlur(found, (0, 0), FLOW_SOFTNESS_PX)


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
