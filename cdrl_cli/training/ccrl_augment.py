"""The same moments of speech under other light, framing, cameras, faces and microphones."""

import torch
from torch import Tensor
from torch.nn import functional

from cdrl_cli.array_types import Float
from cdrl_cli.data.takes import Windows
from cdrl_cli.face.blendshapes import COUNTERPARTS, MOUTH_COEFFICIENTS

MIRRORED, BLURRED = 0.5, 0.25
"""Shares of the windows that augmentation mirrors, and blurs."""

_MIRROR = [MOUTH_COEFFICIENTS.index(COUNTERPARTS[index]) for index in MOUTH_COEFFICIENTS]
"""For each mouth coefficient, the one that a mirror turns it into."""


def augment(
    windows: Windows,
    *,
    coefficient_scale: Float[Tensor, " mouth"],
    speech_scale: Float[Tensor, " dim"],
    generator: torch.Generator,
) -> Windows:
    """The same moments under other light, framing, cameras, faces and microphones.

    What is drawn for a window holds for all its frames, except noise.

    Args:
        windows: As recorded.
        coefficient_scale: How much each coefficient varies; noise is in proportion.
        speech_scale: How much each speech feature varies; likewise.
        generator: Randomness.
    """

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    count = len(windows.crops)
    mirrored = torch.rand(count, generator=generator) < MIRRORED
    # Colours beside frames: what is drawn for a window holds for all of them.
    seen = windows.crops.flatten(1, -3)
    crops = torch.where(mirrored[:, None, None, None], seen.flip(3), seen)
    coefficients = torch.where(
        mirrored[:, None, None], windows.coefficients[..., _MIRROR], windows.coefficients
    )

    crops = crops * (1 + 0.2 * normal(count, 1, 1, 1)) + 0.2 * normal(count, 1, 1, 1)
    crops = _move(crops, generator) + 0.05 * normal(*crops.shape)
    gain = 1 + 0.15 * normal(count, 1, coefficients.shape[2])
    noise = 0.1 * coefficient_scale * normal(*coefficients.shape)
    # A louder voice or another microphone shifts the features of a whole window.
    hiss = normal(*windows.speech.shape) + normal(count, 1, windows.speech.shape[2])
    crops = crops.view_as(windows.crops)
    return Windows(crops, coefficients * gain + noise, windows.speech + 0.2 * speech_scale * hiss)


def _move(
    crops: Float[Tensor, "batch frames side side"], generator: torch.Generator
) -> Float[Tensor, "batch frames side side"]:
    """Shift by up to 2 pixels, zoom and turn a little; every other window also loses detail."""
    count = len(crops)
    turn, zoom = 0.08 * torch.randn(2, count, generator=generator)
    shift = (torch.rand(count, 2, generator=generator) - 0.5) * 8 / crops.shape[-1]
    cosine, sine = (1 + zoom) * turn.cos(), (1 + zoom) * turn.sin()
    rows = torch.stack([cosine, -sine, shift[:, 0], sine, cosine, shift[:, 1]], dim=1)
    grid = functional.affine_grid(rows.view(count, 2, 3), [*crops.shape], align_corners=False)
    moved = functional.grid_sample(crops, grid, padding_mode="border", align_corners=False)
    coarse = functional.interpolate(
        functional.avg_pool2d(moved, 2), scale_factor=2.0, mode="bilinear", align_corners=False
    )
    blurred = torch.rand(count, 1, 1, 1, generator=generator) < BLURRED
    return torch.where(blurred, coarse, moved)
