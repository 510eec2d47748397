"""Batches of pairs of photographs, as the network of light and creases sees them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cdrl_cli.array_types import Float, Int
from cdrl_cli.data.skin_pairs import RATIO_UNIT
from cdrl_cli.emotion import Emotion
from cdrl_cli.face.blendshapes import COEFFICIENTS, COUNTERPARTS
from cdrl_cli.generator.skin import WINDOW_SIZE
from cdrl_cli.generator.skin_network import CHANNELS, EXPECTED_GAIN, Expectation, join

LIGHT_SOFTNESS_PX = 10.0
"""What is smoother than so many window pixels is light, the rest creases."""

UNKNOWN = 0.15
"""Where it is not skin nothing is to change, and that counts so much."""

TREMBLE = 0.03
"""Noise on the coefficients that the network is told, so that it does not follow theirs."""

WHOLE_ODDS, NONE_ODDS = 0.65, 0.04
"""Share of the pairs that are shown in full, and of those in which nothing is asked for."""

LEAST_SHOWN, MOST_SHOWN = 0.2, 1.3
"""Bounds of how much of a pair's ratio is shown where it is not in full, and of how much of its
emotion is told: skin follows what is asked for, however far the face moves for it."""

UNTOLD_ODDS = 0.1
"""Share of the pairs of which the emotion is not told."""


@dataclass(frozen=True, slots=True)
class SkinBatch:
    """Some pairs, as tensors."""

    picture: Float[Tensor, "batch 10 128 128"]
    condition: Float[Tensor, "batch 111"]
    light: Float[Tensor, "batch 1 64 64"]
    """What is to be added to the expected ratio: its smooth part."""
    crease: Float[Tensor, "batch 1 256 256"]
    """What is to be added to the expected ratio beside its smooth part: the fine rest."""
    expected: Float[Tensor, "batch 1 256 256"]
    """Logarithm of the ratio, by :class:`~cdrl_cli.generator.skin_network.Expectation`."""
    mask: Float[Tensor, "batch 1 256 256"]
    """Where the answer shows."""
    weight: Float[Tensor, "batch 1 256 256"]
    """How far it is known there."""

    def to(self, device: torch.device) -> "SkinBatch":
        """The same on a device."""
        return SkinBatch(
            picture=self.picture.to(device),
            condition=self.condition.to(device),
            light=self.light.to(device),
            crease=self.crease.to(device),
            expected=self.expected.to(device),
            mask=self.mask.to(device),
            weight=self.weight.to(device),
        )


class PairSampler:
    """Draws batches out of pairs, with other light, sizes, strengths and sides.

    Args:
        pairs: Fields of :class:`~cdrl_cli.data.skin_pairs.SkinPairs`.
        share: How often each pair is drawn.
        maps: What is expected of everybody.
    """

    def __init__(
        self,
        pairs: Mapping[str, np.ndarray],
        share: Float[np.ndarray, " pairs"],
        maps: Expectation,
    ) -> None:
        self._pairs = pairs
        self._share = share / share.sum()
        self._maps = maps

    def draw(self, count: int, rng: np.random.Generator) -> SkinBatch:
        """A batch to learn from."""
        rows = rng.choice(len(self._share), count, p=self._share)
        part = rng.uniform(LEAST_SHOWN, MOST_SHOWN, count)
        strength = np.where(rng.random(count) < WHOLE_ODDS, 1.0, part)
        strength[rng.random(count) < NONE_ODDS] = 0.0
        shown = torch.from_numpy(strength).float()
        told = read_condition(self._pairs, rows, shown)
        tremble = torch.from_numpy(rng.normal(size=(count, 2 * COEFFICIENTS))).float()
        told[:, : 2 * COEFFICIENTS] += TREMBLE * (shown[:, None] > 0) * tremble
        told[torch.from_numpy(rng.random(count) < UNTOLD_ODDS), 2 * COEFFICIENTS :] = 0
        batch = read_batch(self._pairs, rows, strength=shown, condition=told, maps=self._maps)
        batch.picture[:, :3] = _vary_light(batch.picture[:, :3], rng)
        stretch = rng.uniform(0.85, 1.15, (count, 1, 1, 1))
        batch.picture[:, 3:5] *= torch.from_numpy(stretch).float()
        return mirror(batch) if rng.integers(2) else batch


def read_condition(
    pairs: Mapping[str, np.ndarray],
    rows: Int[np.ndarray, " batch"],
    strength: Float[Tensor, " batch"],
) -> Float[Tensor, "batch 111"]:
    """What is asked for.

    Args:
        pairs: Fields of :class:`~cdrl_cli.data.skin_pairs.SkinPairs`.
        rows: Which.
        strength: So much of the emotion; where it is 0 no change is told either.
    """
    source, change, emotion = (
        torch.from_numpy(pairs[name][rows]).float() for name in ("source", "change", "emotion")
    )
    part = strength[:, None]
    return torch.cat([source, change * (part > 0), emotion * part], dim=1)


def read_batch(
    pairs: Mapping[str, np.ndarray],
    rows: Int[np.ndarray, " batch"],
    *,
    strength: Float[Tensor, " batch"],
    condition: Float[Tensor, "batch 111"],
    maps: Expectation,
) -> SkinBatch:
    """Pairs as the network sees them.

    Args:
        pairs: Fields of :class:`~cdrl_cli.data.skin_pairs.SkinPairs`.
        rows: Which.
        strength: So much of the ratio is shown.
        condition: What is asked for.
        maps: What is expected of everybody.
    """

    def planes(name: str) -> Tensor:
        return torch.from_numpy(np.asarray(pairs[name][rows])).float().permute(0, 3, 1, 2)

    def plane(name: str) -> Tensor:
        return torch.from_numpy(np.asarray(pairs[name][rows])).float()[:, None]

    part = strength.view(-1, 1, 1, 1)
    flow = planes("flow") / 10 * (part > 0)
    small = torch.cat([flow, planes("position")], dim=1)
    small = functional.interpolate(small, scale_factor=2.0, mode="bilinear", align_corners=False)
    mask, trust = plane("mask") / 255, plane("trust") / 255
    expected = maps(small[:, 2:], condition)
    seen = planes("seen") / 127.5 - 1
    hint = EXPECTED_GAIN * functional.avg_pool2d(expected, 2)
    picture = torch.cat([seen, small[:, :2], mask, small[:, 2:], hint], dim=1)
    both = torch.cat([mask, trust], dim=1)
    mask, trust = functional.interpolate(
        both, scale_factor=2.0, mode="bilinear", align_corners=False
    ).chunk(2, dim=1)
    known = mask * (UNKNOWN + (1 - UNKNOWN) * trust)
    missing = plane("ratio") * RATIO_UNIT * part * trust - expected
    light = light_of(missing, known)
    return SkinBatch(
        picture, condition, light, missing - spread_light(light), expected, mask, known
    )


def mirror(batch: SkinBatch) -> SkinBatch:
    """The same faces in a mirror."""
    sign = torch.ones(1, CHANNELS, 1, 1)
    sign[:, [3, 6]] = -1
    half = np.array(COUNTERPARTS)
    order = np.concatenate([half, COEFFICIENTS + half, 2 * COEFFICIENTS + np.arange(len(Emotion))])
    return SkinBatch(
        (batch.picture * sign).flip(3),
        batch.condition[:, order],
        *(
            one.flip(3)
            for one in (batch.light, batch.crease, batch.expected, batch.mask, batch.weight)
        ),
    )


def _vary_light(
    seen: Float[Tensor, "batch 3 128 128"], rng: np.random.Generator
) -> Float[Tensor, "batch 3 128 128"]:
    """Other exposure, colour and sharpness; the logarithm of a ratio stays what it is."""
    count = len(seen)
    image = seen / 2 + 0.5
    gain = rng.uniform(0.6, 1.2, (count, 1, 1, 1)) * rng.uniform(0.92, 1.08, (count, 3, 1, 1))
    gamma = rng.uniform(0.75, 1.35, (count, 1, 1, 1))
    image = (image * torch.from_numpy(gain).float()).clamp(1e-3, 1)
    image = image ** torch.from_numpy(gamma).float()
    side = int(rng.choice([48, 64, 80, 96, 128, 128]))
    if side < image.shape[2]:
        image = functional.interpolate(image, size=(side, side), mode="area")
        image = functional.interpolate(image, size=(128, 128), mode="bicubic", align_corners=False)
    noise = rng.uniform(0, 0.015) * torch.from_numpy(rng.normal(size=image.shape)).float()
    return (image + noise).clamp(0, 1) * 2 - 1


def light_of(
    ratio: Float[Tensor, "batch 1 256 256"], weight: Float[Tensor, "batch 1 256 256"]
) -> Float[Tensor, "batch 1 64 64"]:
    """The smooth part where the ratio is known, mean 0 over the face."""
    known = functional.avg_pool2d(weight, 4)
    sums = functional.avg_pool2d(ratio * weight, 4)
    soft = blur(torch.cat([sums, known], dim=1), LIGHT_SOFTNESS_PX / 4)
    light = soft[:, :1] / (soft[:, 1:] + 0.05)
    mean = (light * known).sum(dim=(2, 3), keepdim=True)
    return light - mean / (known.sum(dim=(2, 3), keepdim=True) + 1e-3)


def spread_light(light: Float[Tensor, "batch 1 64 64"]) -> Float[Tensor, "batch 1 256 256"]:
    """Light, on all of the window's pixels."""
    return join(light, light.new_zeros(len(light), 1, WINDOW_SIZE, WINDOW_SIZE))


def blur(values: Tensor, sigma: float) -> Tensor:
    """Planes (batch, channels, height, width) under a Gaussian; what the rim shows goes on beyond.

    Args:
        values: The planes.
        sigma: Width of the Gaussian, pixels of the planes.
    """
    reach = max(1, round(3 * sigma))
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    taps = (taps / taps.sum()).view(1, 1, 1, -1).to(values)
    batch, channels, height, width = values.shape
    flat = values.reshape(batch * channels, 1, height, width)
    flat = functional.conv2d(functional.pad(flat, (reach, reach, 0, 0), mode="replicate"), taps)
    flat = functional.conv2d(
        functional.pad(flat, (0, 0, reach, reach), mode="replicate"), taps.transpose(2, 3)
    )
    return flat.view(batch, channels, height, width)
