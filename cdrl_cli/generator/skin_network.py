"""The network of light and creases. Torch, for training; an edit runs its ONNX copy.

What it sees is half as fine as what it draws, so it cannot know pores and freckles, let alone take
them away; where creases lie it tells from the face's shape, its light and its movement.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from cdrl_cli.array_types import Float
from cdrl_cli.emotion import Emotion
from cdrl_cli.face.blendshapes import COEFFICIENTS
from cdrl_cli.generator.skin import RATIO_REACH, WINDOW_MIDDLE_Y

CONDITION = 2 * COEFFICIENTS + len(Emotion)
"""Length of the condition: the source's coefficients, their change, the emotion."""

CHANNELS = 10
"""Warped RGB (-1..1), flow / 10 % of the eye distance (x, y), mask (0..1), position on the
canonical face (x, y, z in head space), what is expected of everybody (logarithm of the ratio, times
:data:`EXPECTED_GAIN`)."""

EXPECTED_GAIN = 4.0


MAX_LIGHT, MAX_CREASE = 0.5, 0.7
"""Logarithm of the brightness that either part gives or takes, at most."""

MAX_GLINT, GLINT_PX = 0.05, 8
"""Logarithm of the brightness that a line narrower than so many window pixels gives, at most: folds
are dark, and bright lines beside them look drawn."""

FULL_GATE = 0.15
"""Length of the condition's change from which the network's word counts in full (63 %)."""

TOLD = 64
"""Length of what is made of the condition."""


@dataclass(frozen=True, slots=True)
class SkinNetConfig:
    """Size of the network."""

    widths: tuple[int, ...] = (32, 48, 80, 112)
    """Channels at 64, 32, ... pixels; multiples of 8."""


class SkinNet(nn.Module):
    """U-Net with two ends: coarse light at 64 px, creases at 256 px.

    It works at 64 px, where each place holds four pixels of what is seen and answers sixteen of the
    creases: two thirds of the multiplications, and half of the memory moved, of one that works at
    128 px. Light has mean 0 over the face, so face and neck stay of one light. All is times a gate
    that is 0 where nothing is asked for.
    """

    def __init__(self, config: SkinNetConfig | None = None) -> None:
        super().__init__()
        self.config = config or SkinNetConfig()
        widths = self.config.widths
        self.condition = nn.Sequential(nn.Linear(CONDITION, TOLD), nn.SiLU(), nn.Linear(TOLD, TOLD))
        self.first = _Block(4 * CHANNELS, widths[0])
        self.halve = nn.ModuleList(_Block(into, out, stride=2) for into, out in pairwise(widths))
        self.refine = nn.ModuleList(_Block(width, width) for width in widths[1:])
        self.narrow = nn.ModuleList(
            nn.Conv2d(widths[k], widths[k - 1], 1) for k in range(len(widths) - 1, 0, -1)
        )
        self.up = nn.ModuleList(
            _Block(widths[k - 1], widths[k - 1]) for k in range(len(widths) - 1, 0, -1)
        )
        self.light = nn.Conv2d(widths[0], 1, 3, 1, 1)
        self.crease = nn.Conv2d(widths[0], 16, 3, 1, 1)
        for end in (self.light, self.crease):
            nn.init.zeros_(end.weight)
            assert end.bias is not None
            nn.init.zeros_(end.bias)

    def forward(
        self,
        picture: Float[Tensor, "batch 10 128 128"],
        condition: Float[Tensor, "batch 111"],
    ) -> tuple[Float[Tensor, "batch 1 64 64"], Float[Tensor, "batch 1 256 256"]]:
        """How much lighter the skin becomes than is expected, as a logarithm, before the mask.

        Args:
            picture: See :data:`CHANNELS`.
            condition: The source's coefficients, the target's minus those, and the likelihood of
                each emotion times the intensity (0 for neutral).

        Returns:
            Light, of which the masked mean is 0; creases.
        """
        told = self.condition(condition)
        x = self.first(functional.pixel_unshuffle(picture, 2), told)
        kept = [x]
        for halve, refine in zip(self.halve, self.refine, strict=True):
            x = refine(halve(x, told), told)
            kept.append(x)
        x = kept.pop()
        for narrow, block in zip(self.narrow, self.up, strict=True):
            x = block(_double(narrow(x)) + kept.pop(), told)
        change = condition[:, COEFFICIENTS:]
        gate = 1 - torch.exp(-(change.square().sum(dim=1) + 1e-12).sqrt() / FULL_GATE)
        gate = gate.view(-1, 1, 1, 1)
        mask = functional.avg_pool2d(picture[:, 5:6], 2)
        shade = MAX_LIGHT * torch.tanh(self.light(x))
        mean = (shade * mask).sum(dim=(2, 3), keepdim=True)
        shade = shade - mean / (mask.sum(dim=(2, 3), keepdim=True) + 1e-3)
        crease = functional.pixel_shuffle(self.crease(x), 4)
        return gate * shade, gate * MAX_CREASE * torch.tanh(crease)


class Expectation(nn.Module):
    """What is expected of everybody: ratios on the canonical face, linear in what is asked for.

    Args:
        loadings: How much of each map a unit of each coefficient's change and of each emotion adds.
        maps: Logarithms of the ratio, over :data:`~cdrl_cli.generator.skin.RATIO_REACH`.
    """

    loadings: Tensor
    maps: Tensor

    def __init__(
        self, loadings: Float[Tensor, "59 maps"], maps: Float[Tensor, "maps side side"]
    ) -> None:
        super().__init__()
        self.register_buffer("loadings", loadings)
        self.register_buffer("maps", maps)

    def forward(
        self, position: Float[Tensor, "batch 3 128 128"], condition: Float[Tensor, "batch 111"]
    ) -> Float[Tensor, "batch 1 256 256"]:
        """The logarithm of the ratio where pixels lie at these positions."""
        shares = condition[:, COEFFICIENTS:] @ self.loadings
        mixed = (shares @ self.maps.flatten(1)).view(-1, 1, *self.maps.shape[1:])
        x, y = position[:, 0] / RATIO_REACH, (position[:, 1] - WINDOW_MIDDLE_Y) / RATIO_REACH
        grid = _double(torch.stack([x, y], dim=1)).permute(0, 2, 3, 1)
        return functional.grid_sample(mixed, grid, padding_mode="zeros", align_corners=True)


class SkinModel(nn.Module):
    """Expectation and network together, as they are shipped.

    Args:
        expectation: What is expected of everybody.
        network: The rest of each person.
        dulled: Whether bright lines are (:func:`dull_glints`).
    """

    def __init__(self, expectation: Expectation, network: SkinNet, *, dulled: bool = False) -> None:
        super().__init__()
        self.expectation = expectation
        self.network = network
        self._dulled = dulled

    def forward(
        self, picture: Float[Tensor, "batch 9 128 128"], condition: Float[Tensor, "batch 111"]
    ) -> Float[Tensor, "batch 1 256 256"]:
        """Logarithm of how much lighter each pixel of the window becomes, before the mask.

        Args:
            picture: See :data:`CHANNELS`, without the last.
            condition: See :meth:`SkinNet.forward`.
        """
        expected = self.expectation(picture[:, 6:9], condition)
        hint = EXPECTED_GAIN * functional.avg_pool2d(expected, 2)
        light, crease = self.network(torch.cat([picture, hint], dim=1), condition)
        shade = expected + join(light, crease)
        return dull_glints(shade) if self._dulled else shade


def dull_glints(shade: Float[Tensor, "batch 1 256 256"]) -> Float[Tensor, "batch 1 256 256"]:
    """Bright lines no brighter than :data:`MAX_GLINT` above what is around them; all else stays.

    Args:
        shade: Logarithm of the ratio of brightness.
    """
    around = functional.avg_pool2d(shade, GLINT_PX)
    around = functional.interpolate(
        around, scale_factor=float(GLINT_PX), mode="bilinear", align_corners=False
    )
    bright = functional.relu(shade - around)
    return shade - bright + MAX_GLINT * torch.tanh(bright / MAX_GLINT)


def join(
    light: Float[Tensor, "batch 1 64 64"], crease: Float[Tensor, "batch 1 256 256"]
) -> Float[Tensor, "batch 1 256 256"]:
    """Light and creases together."""
    return _double(_double(light)) + crease


def _double(values: Tensor) -> Tensor:
    """Twice the size."""
    return functional.interpolate(values, scale_factor=2.0, mode="bilinear", align_corners=False)


class _Block(nn.Module):
    """Convolution, norm, scaled and shifted by the condition (FiLM)."""

    def __init__(self, into: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(into, out, 3, stride, 1)
        self.norm = nn.GroupNorm(8, out)
        self.film = nn.Linear(TOLD, 2 * out)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        scale, shift = self.film(told)[:, :, None, None].chunk(2, dim=1)
        return functional.silu(self.norm(self.convolution(x)) * (1 + scale) + shift)
