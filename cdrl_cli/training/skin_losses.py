"""Losses on light and creases: their energy, the critic, the texture that must stay.

Fine creases are the object: the mean over what might be (L1, L2) blurs them away. So beside the
ratio itself its *energy* must be right: how much dark and light line of each direction lies
hereabouts (oriented second derivatives, rectified and pooled), and a patch discriminator asks that
lines look like lines. Texture that the person has must not be drawn in negative: what is
misaligned in pairs looks like a wish to blur.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cdrl_cli.array_types import Float, Int
from cdrl_cli.data.skin_pairs import DARK
from cdrl_cli.emotion import Emotion
from cdrl_cli.face.blendshapes import COEFFICIENTS
from cdrl_cli.generator.skin_network import join
from cdrl_cli.training.skin_batches import SkinBatch, blur

CREASE_PX = 1.0
"""Width of the lines whose energy is compared, half window pixels; and twice that."""

POOL_PX = 16
"""Over so many pixels a line may lie elsewhere."""

NOISE_FLOOR = 0.010
"""Response of the line filters that is no line: sensor, misaligned pores."""

PATCH_PX, PATCH_MARGIN_PX = 80, 20
"""Side of what the critic sees, and how far from the window's rim it ends; window pixels."""

GRAIN_PX, GRAIN_POOL_PX = 1.5, 9
"""Texture is what is finer than so many half window pixels; it is compared over so many."""


class Critic(nn.Module):
    """How real a patch of skin looks, by its place and what was asked (LSGAN, Mao et al. 2017)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(4, 24, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(24, 48, 4, 2, 1),
            nn.GroupNorm(8, 48),
            nn.LeakyReLU(0.2),
            nn.Conv2d(48, 96, 4, 2, 1),
            nn.GroupNorm(8, 96),
            nn.LeakyReLU(0.2),
        )
        self.told = nn.Linear(COEFFICIENTS + len(Emotion), 96)
        self.last = nn.Conv2d(96, 1, 3, 1, 1)

    def forward(
        self, patches: Float[Tensor, "batch 4 80 80"], asked: Float[Tensor, "batch 59"]
    ) -> Float[Tensor, "batch 1 10 10"]:
        """1 where it looks real, 0 where it does not."""
        x = self.layers(patches) + self.told(asked)[:, :, None, None]
        return self.last(functional.leaky_relu(x, 0.2))


class LineEnergy:
    """How much line of each width, direction and sign lies about each place."""

    def __init__(self) -> None:
        self._filters = _line_filters(CREASE_PX)

    def __call__(
        self, crease: Float[Tensor, "batch 1 256 256"], mask: Float[Tensor, "batch 1 256 256"]
    ) -> Float[Tensor, "batch energies 32 32"]:
        """Responses above the noise floor, rectified, pooled."""
        filters, found = self._filters.to(crease), []
        crease, mask = functional.avg_pool2d(crease, 2), functional.avg_pool2d(mask, 2)
        for octave in range(1, 3):
            lines = functional.conv2d(crease, filters, padding=filters.shape[2] // 2)
            both = torch.cat([lines, -lines], dim=1)
            strong = functional.relu(both - NOISE_FLOOR) * mask
            pool = POOL_PX >> octave
            found.append(functional.avg_pool2d(strong, pool, pool // 2, pool // 4))
            crease, mask = functional.avg_pool2d(crease, 2), functional.avg_pool2d(mask, 2)
        return torch.cat(found, dim=1)


def _line_filters(sigma: float) -> Float[Tensor, "4 1 side side"]:
    """Second derivative of a Gaussian across four directions; a line of depth 1 answers about 1."""
    reach = round(3 * sigma)
    y, x = torch.meshgrid(*(2 * [torch.arange(-reach, reach + 1.0)]), indexing="ij")
    bell = torch.exp(-(x**2 + y**2) / (2 * sigma**2))
    filters = []
    for angle in (0.0, 45.0, 90.0, 135.0):
        turn = np.radians(angle)
        across = x * float(np.cos(turn)) + y * float(np.sin(turn))
        one = (across**2 / sigma**2 - 1) * bell
        one = one - one.mean()
        filters.append(one / one.abs().sum() * 2)
    return torch.stack(filters)[:, None]


def cut_patches(
    batch: SkinBatch,
    light: Float[Tensor, "batch 1 64 64"],
    crease: Float[Tensor, "batch 1 256 256"],
    corners: Int[np.ndarray, "batch 2"],
) -> Float[Tensor, "batch 4 80 80"]:
    """The ratio, the skin that it makes, and where on the face: cut out.

    Args:
        batch: What was seen.
        light: Of the answer, or of the truth.
        crease: Likewise.
        corners: Top left of each patch, (y, x), window pixels.
    """
    skin = _grey(batch.picture[:, :3])
    skin = functional.interpolate(skin, scale_factor=2.0, mode="bilinear", align_corners=False)
    place = functional.interpolate(batch.picture[:, 6:8], scale_factor=2.0)
    ratio = (batch.expected + join(light, crease)) * batch.weight
    stack = torch.cat([4 * ratio, 2 * skin * ratio.exp() - 1, place], dim=1)
    return torch.stack(
        [
            one[:, y : y + PATCH_PX, x : x + PATCH_PX]
            for one, (y, x) in zip(stack, corners.tolist(), strict=True)
        ]
    )


def erased_texture(batch: SkinBatch, crease: Float[Tensor, "batch 1 256 256"]) -> Float[Tensor, ""]:
    """How much of the contrast of the skin's own texture is taken away, place by place."""
    dark = torch.log(_grey(batch.picture[:, :3]) + 2 * DARK)
    grain = dark - blur(dark, GRAIN_PX)
    drawn = functional.avg_pool2d(batch.expected + crease, 2)
    drawn = drawn - blur(drawn, GRAIN_PX)
    both, alone = (
        functional.avg_pool2d(grain * one, GRAIN_POOL_PX, GRAIN_POOL_PX // 2)
        for one in (drawn, grain)
    )
    shown = functional.avg_pool2d(
        functional.avg_pool2d(batch.mask, 2), GRAIN_POOL_PX, GRAIN_POOL_PX // 2
    )
    return (functional.relu(-both / (alone + 2e-4)) * shown).mean()


def jaggedness(
    shade: Float[Tensor, "batch 1 256 256"], mask: Float[Tensor, "batch 1 256 256"]
) -> Float[Tensor, ""]:
    """Third differences between neighbours, L1: near 0 for lines of skin, not for a grid of pixels.

    Args:
        shade: Under its mask.
        mask: Where it shows.
    """
    found = shade.new_zeros(())
    for values in (shade, shade.transpose(2, 3)):
        third = values[..., 3:] - 3 * values[..., 2:-1] + 3 * values[..., 1:-2] - values[..., :-3]
        found = found + third.abs().mean()
    return found / (mask.mean() + 1e-6)


def _grey(seen: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 1 height width"]:
    """Brightness, 0..1, of colours in -1..1."""
    weights = seen.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    return ((seen / 2 + 0.5) * weights).sum(dim=1, keepdim=True)
