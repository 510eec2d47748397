"""Light and creases of skin, learned from pairs of photographs.

Fine creases are the object: the mean over what might be (L1, L2) blurs them away. So beside the
ratio itself its *energy* must be right: how much dark and light line of each direction lies
hereabouts (oriented second derivatives, rectified and pooled), and a patch discriminator asks that
lines look like lines. Texture that the person has must not be drawn in negative: what is
misaligned in pairs looks like a wish to blur.
"""

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from cdrl_cli.data.skin_pairs import RATIO_UNIT
from cdrl_cli.face.blendshapes import COEFFICIENTS, COUNTERPARTS
from cdrl_cli.generator.skin_network import (
    CHANNELS,
    EXPECTED_GAIN,
    Expectation,
    SkinNet,
    SkinNetConfig,
    join,
)
from cdrl_cli.training.checkpoint import Stateful, digest_data, resume, run_facts, save_checkpoint
from cdrl_cli.training.config import DataConfig, ScheduleConfig
from cdrl_cli.training.log import Log

LIGHT_SOFTNESS_PX = 10.0
"""What is smoother than so many window pixels is light, the rest creases."""

CREASE_PX = 1.0
"""Width of the lines whose energy is compared, half window pixels; and twice that."""

POOL_PX = 16
"""Over so many pixels a line may lie elsewhere."""

NOISE_FLOOR = 0.010
"""Response of the line filters that is no line: sensor, misaligned pores."""

UNKNOWN = 0.15
"""Where it is not skin nothing is to change, and that counts so much."""

TREMBLE = 0.03
"""Noise on the coefficients that the network is told, so that it does not follow theirs."""

PATCH_PX = 80
"""Side of what the discriminator sees."""


@dataclass(frozen=True, slots=True)
class SkinLossConfig:
    """Weights of the terms."""

    light: float = 12.0
    crease: float = 10.0
    energy: float = 16.0
    texture: float = 0.15
    adversarial: float = 0.03
    smooth: float = 0.3


@dataclass(frozen=True, slots=True)
class SkinTrainingConfig:
    """Recipe of the network of light and creases."""

    data: DataConfig = field(default_factory=DataConfig)
    model: SkinNetConfig = field(default_factory=SkinNetConfig)
    loss: SkinLossConfig = field(default_factory=SkinLossConfig)
    schedule: ScheduleConfig = field(
        default_factory=lambda: ScheduleConfig(
            steps=4000, learning_rate=2e-3, weight_decay=1e-4, validate_every=100
        )
    )
    batch: int = 8
    critic_from: float = 0.3
    """Share of the steps from which the discriminator counts."""


class Critic(nn.Module):
    """How real a patch of creases looks, seen with its place and what was asked (LSGAN)."""

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
        self.told = nn.Linear(COEFFICIENTS + 7, 96)
        self.last = nn.Conv2d(96, 1, 3, 1, 1)

    def forward(
        self, patches: Float[Tensor, "batch 4 80 80"], asked: Float[Tensor, "batch 59"]
    ) -> Float[Tensor, "batch 1 10 10"]:
        """1 where it looks real, 0 where it does not."""
        x = self.layers(patches) + self.told(asked)[:, :, None, None]
        return self.last(functional.leaky_relu(x, 0.2))


@dataclass(frozen=True, slots=True)
class SkinBatch:
    """Some pairs, as tensors."""

    picture: Float[Tensor, "batch 10 128 128"]
    condition: Float[Tensor, "batch 111"]
    light: Float[Tensor, "batch 1 64 64"]
    """What is to be added to the expected ratio: its smooth part."""
    crease: Float[Tensor, "batch 1 256 256"]
    """And the rest."""
    expected: Float[Tensor, "batch 1 256 256"]
    """Logarithm of the ratio, by :class:`~cdrl_cli.generator.skin_network.Expectation`."""
    mask: Float[Tensor, "batch 1 256 256"]
    """Where the answer shows."""
    weight: Float[Tensor, "batch 1 256 256"]
    """How far it is known there."""


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
        strength = np.where(rng.random(count) < 0.65, 1.0, rng.uniform(0.15, 1.0, count))
        strength[rng.random(count) < 0.04] = 0.0
        asked = torch.from_numpy(strength).float()
        told = read_condition(self._pairs, rows, asked)
        tremble = torch.from_numpy(rng.normal(size=(count, 2 * COEFFICIENTS))).float()
        told[:, : 2 * COEFFICIENTS] += TREMBLE * asked[:, None] * tremble
        lot = rng.random(count)
        told[torch.from_numpy(lot < 0.15), 2 * COEFFICIENTS :] = 0
        told[torch.from_numpy(lot > 0.9), : 2 * COEFFICIENTS] *= 0.3
        modelled = rng.random(count) < 0.5
        batch = read_batch(
            self._pairs, rows, modelled=modelled, strength=asked, condition=told, maps=self._maps
        )
        batch.picture[:, :3] = _vary_light(batch.picture[:, :3], rng)
        batch.picture[:, 3:5] *= torch.from_numpy(rng.uniform(0.85, 1.15, (count, 1, 1, 1))).float()
        return mirror(batch) if rng.random() < 0.5 else batch


def read_condition(
    pairs: Mapping[str, np.ndarray], rows: np.ndarray, strength: Float[Tensor, " batch"]
) -> Float[Tensor, "batch 111"]:
    """What is asked for, so much of the whole way."""
    source, change, emotion = (
        torch.from_numpy(pairs[name][rows]).float() for name in ("source", "change", "emotion")
    )
    part = strength[:, None]
    return torch.cat([source, change * part, emotion * part], dim=1)


def read_batch(
    pairs: Mapping[str, np.ndarray],
    rows: np.ndarray,
    *,
    modelled: np.ndarray,
    strength: Float[Tensor, " batch"],
    condition: Float[Tensor, "batch 111"],
    maps: Expectation,
) -> SkinBatch:
    """Pairs as the network sees them.

    Args:
        pairs: Fields of :class:`~cdrl_cli.data.skin_pairs.SkinPairs`.
        rows: Which.
        modelled: Where the flow told is that of the coefficients, not of the landmarks.
        strength: So much of the whole way is shown.
        condition: What is asked for.
        maps: What is expected of everybody.
    """

    def planes(name: str) -> Tensor:
        return torch.from_numpy(np.asarray(pairs[name][rows])).float().permute(0, 3, 1, 2)

    def plane(name: str) -> Tensor:
        return torch.from_numpy(np.asarray(pairs[name][rows])).float()[:, None]

    part = strength.view(-1, 1, 1, 1)
    flows, position = planes("flow") / 10, planes("position")
    chosen = torch.from_numpy(modelled).view(-1, 1, 1, 1)
    flow = torch.where(chosen, flows[:, 2:], flows[:, :2]) * part
    small = torch.cat([flow, position], dim=1)
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
    light = _light_of(missing, known)
    spread = functional.interpolate(light, scale_factor=4.0, mode="bilinear", align_corners=False)
    return SkinBatch(picture, condition, light, missing - spread, expected, mask, known)


def mirror(batch: SkinBatch) -> SkinBatch:
    """The same faces in a mirror."""
    sign = torch.ones(1, CHANNELS, 1, 1)
    sign[:, [3, 6]] = -1
    half = np.array(COUNTERPARTS)
    order = np.concatenate([half, COEFFICIENTS + half, 2 * COEFFICIENTS + np.arange(7)])
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


def _light_of(
    ratio: Float[Tensor, "batch 1 256 256"], weight: Float[Tensor, "batch 1 256 256"]
) -> Float[Tensor, "batch 1 64 64"]:
    """The smooth part where the ratio is known, mean 0 over the face."""
    known = functional.avg_pool2d(weight, 4)
    sums = functional.avg_pool2d(ratio * weight, 4)
    soft = _blur(torch.cat([sums, known], dim=1), LIGHT_SOFTNESS_PX / 4)
    light = soft[:, :1] / (soft[:, 1:] + 0.05)
    mean = (light * known).sum(dim=(2, 3), keepdim=True)
    return light - mean / (known.sum(dim=(2, 3), keepdim=True) + 1e-3)


def _blur(values: Tensor, sigma: float) -> Tensor:
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


class LineEnergy:
    """How much line of each width, direction and sign lies about each place."""

    def __init__(self) -> None:
        self._filters = _line_filters(CREASE_PX)

    def __call__(
        self, crease: Float[Tensor, "batch 1 256 256"], mask: Float[Tensor, "batch 1 256 256"]
    ) -> Float[Tensor, "batch energies 16 16"]:
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


class SkinTraining:
    """One run of training.

    Args:
        config: The recipe.
        pairs: Fields of :class:`~cdrl_cli.data.skin_pairs.SkinPairs` to learn from.
        share: How often each pair is drawn.
        proof: The same of other people, looked at only.
        maps: What is expected of everybody.
        run: Folder of the checkpoint and the log.
        going_on: Continue from the checkpoint there.
    """

    def __init__(
        self,
        config: SkinTrainingConfig,
        pairs: Mapping[str, np.ndarray],
        share: Float[np.ndarray, " pairs"],
        proof: Mapping[str, np.ndarray],
        maps: Expectation,
        *,
        run: Path,
        going_on: bool = False,
    ) -> None:
        schedule = config.schedule
        torch.set_num_threads(schedule.threads)
        self.config = config
        with torch.random.fork_rng():
            torch.manual_seed(schedule.seed)
            self.network, self.critic = SkinNet(config.model), Critic()
        self.average = copy.deepcopy(self.network).requires_grad_(requires_grad=False)
        self.expectation = maps
        self._sampler = PairSampler(pairs, share, self.expectation)
        self._proof = proof
        self._energy = LineEnergy()
        self._optimiser = torch.optim.AdamW(
            self.network.parameters(), schedule.learning_rate, betas=(0.8, 0.99),
            weight_decay=schedule.weight_decay,
        )  # fmt: skip
        self._rate = torch.optim.lr_scheduler.OneCycleLR(
            self._optimiser, schedule.learning_rate, schedule.steps, pct_start=0.06
        )
        self._critic_optimiser = torch.optim.AdamW(
            self.critic.parameters(), 4e-4, betas=(0.5, 0.99)
        )
        self.generator = torch.Generator().manual_seed(schedule.seed)
        self.step = 0
        self._facts = run_facts(config, digest_data([pairs["change"], pairs["emotion"]]))
        self._parts: dict[str, Stateful] = {
            "network": self.network,
            "critic": self.critic,
            "average": self.average,
            "optimiser": self._optimiser,
            "critic_optimiser": self._critic_optimiser,
            "rate": self._rate,
        }
        self._checkpoint = run / "last.pt"
        if going_on:
            self.step, _ = resume(
                self._checkpoint, self._facts, parts=self._parts, generator=self.generator
            )
        self._log = Log(run / "log.csv", since=self.step)
        self._rows: list[dict[str, float]] = []

    def train(self, *, progress: Callable[[int, int], None] | None = None) -> dict[str, str]:
        """Take all steps; returns the facts of the run."""
        schedule = self.config.schedule
        saved_s = time.monotonic()
        while self.step < schedule.steps:
            self._rows.append(self.learn())
            if self.step % schedule.validate_every == 0:
                self._note()
            if time.monotonic() - saved_s > schedule.save_every_s:
                self.save()
                saved_s = time.monotonic()
            if progress:
                progress(self.step, schedule.steps)
        self.save()
        return self.facts

    @property
    def facts(self) -> dict[str, str]:
        """What a weight file says of this run."""
        return self._facts.describe("spfem train skin") | {"steps": str(self.step)}

    def save(self) -> None:
        """Write the checkpoint."""
        save_checkpoint(
            self._checkpoint, self._facts, step=self.step, parts=self._parts,
            generator=self.generator,
        )  # fmt: skip

    def learn(self) -> dict[str, float]:
        """One step; returns each term's value."""
        config, weights = self.config, self.config.loss
        # Of the step alone, so that a run that was cut goes on as if it had not been.
        rng = np.random.default_rng((config.schedule.seed, self.step))
        batch = self._sampler.draw(config.batch, rng)
        light, crease = self.network(batch.picture, batch.condition)
        terms = self._compare(batch, light, crease)
        total = sum((getattr(weights, name) * one for name, one in terms.items()), light.new_zeros(()))
        judged = self.step >= config.critic_from * config.schedule.steps and weights.adversarial > 0
        corners = rng.integers(20, 256 - PATCH_PX - 20, size=(config.batch, 2))
        if judged:
            self.critic.requires_grad_(requires_grad=False)
            asked = batch.condition[:, COEFFICIENTS:]
            seen = self._patches(batch, light, crease, corners)
            terms["adversarial"] = (self.critic(seen, asked) - 1).square().mean()
            total = total + weights.adversarial * terms["adversarial"]
            self.critic.requires_grad_(requires_grad=True)
        self._optimiser.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self._optimiser.step()
        self._rate.step()
        if judged:
            real = self._patches(batch, batch.light, batch.crease, corners)
            told = (self.critic(real, asked) - 1).square().mean()
            fooled = self.critic(seen.detach(), asked).square().mean()
            self._critic_optimiser.zero_grad()
            (told + fooled).backward()
            self._critic_optimiser.step()
            terms["critic"] = told + fooled
        keep = min(0.995, self.step / (self.step + 10))
        with torch.no_grad():
            for mean, now in zip(
                self.average.parameters(), self.network.parameters(), strict=True
            ):
                mean.lerp_(now, 1 - keep)
        self.step += 1
        return {name: float(one.detach()) for name, one in terms.items()}

    def _compare(
        self,
        batch: SkinBatch,
        light: Float[Tensor, "batch 1 64 64"],
        crease: Float[Tensor, "batch 1 256 256"],
    ) -> dict[str, Tensor]:
        known = functional.avg_pool2d(batch.weight, 4)
        area = known.mean() + 1e-6
        apart = functional.smooth_l1_loss(light, batch.light, beta=0.05, reduction="none")
        fine = functional.smooth_l1_loss(crease, batch.crease, beta=0.08, reduction="none")
        spread = functional.interpolate(
            batch.light, scale_factor=4.0, mode="bilinear", align_corners=False
        )
        # The light's second derivatives are nothing beside the creases'.
        wanted, shown = (
            self._energy(batch.expected + spread + one, batch.weight)
            for one in (batch.crease, crease)
        )
        dark = torch.log(_grey(batch.picture[:, :3]) + 0.06)
        grain = dark - _blur(dark, 1.5)
        drawn = functional.avg_pool2d(batch.expected + crease, 2)
        drawn = drawn - _blur(drawn, 1.5)
        pool = 9
        both = functional.avg_pool2d(grain * drawn, pool, 4)
        alone = functional.avg_pool2d(grain.square(), pool, 4)
        # So much of the texture's contrast is taken away hereabouts.
        erased = functional.relu(-both / (alone + 2e-4))
        small = functional.avg_pool2d(batch.mask, 2)
        sparse = (crease.abs() * batch.mask).mean() / area
        return {
            "light": (apart * known).mean() / area,
            "crease": (fine * batch.weight).mean() / area,
            "energy": (wanted - shown).abs().mean() / area,
            "texture": (erased * functional.avg_pool2d(small, pool, 4)).mean() / area,
            "smooth": sparse,
        }

    def _patches(
        self,
        batch: SkinBatch,
        light: Float[Tensor, "batch 1 64 64"],
        crease: Float[Tensor, "batch 1 256 256"],
        corners: np.ndarray,
    ) -> Float[Tensor, "batch 4 80 80"]:
        """Creases, the skin that they make, and where on the face: cut out."""
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

    def validate(self) -> dict[str, float]:
        """On people never learned from: what is left of light, creases and lines; lines drawn.

        Each relative to what there is.
        """
        count = len(self._proof["change"])
        sums: dict[str, float] = {}
        network = self.average.eval()
        for start in range(0, count, 8):
            rows = np.arange(start, min(start + 8, count))
            whole = torch.ones(len(rows))
            batch = read_batch(
                self._proof,
                rows,
                modelled=rows % 2 == 1,
                strength=whole,
                condition=read_condition(self._proof, rows, whole),
                maps=self.expectation,
            )
            with torch.no_grad():
                light, crease = network(batch.picture, batch.condition)
                answer = batch.expected + join(light, crease)
                truth = batch.expected + join(batch.light, batch.crease)
                known = functional.avg_pool2d(batch.weight, 4)
                smooth, smooth0 = (_light_of(one, batch.weight) for one in (answer, truth))
                fine, fine0 = (
                    one - functional.interpolate(soft, scale_factor=4.0, mode="bilinear")
                    for one, soft in ((answer, smooth), (truth, smooth0))
                )
                shown, wanted = (self._energy(one, batch.weight) for one in (answer, truth))
                for name, one in {
                    "light": ((smooth - smooth0).abs() * known).sum(),
                    "light0": (smooth0.abs() * known).sum(),
                    "crease": ((fine - fine0).abs() * batch.weight).sum(),
                    "crease0": (fine0.abs() * batch.weight).sum(),
                    "energy": (shown - wanted).abs().sum(),
                    "energy0": wanted.sum(),
                    "shown": shown.sum(),
                }.items():
                    sums[name] = sums.get(name, 0.0) + float(one)
        return {
            "light_left": sums["light"] / sums["light0"],
            "crease_left": sums["crease"] / sums["crease0"],
            "energy_left": sums["energy"] / sums["energy0"],
            "energy_share": sums["shown"] / sums["energy0"],
        }

    def _note(self) -> None:
        names = ("light", "crease", "energy", "texture", "smooth", "adversarial", "critic")
        row: dict[str, float | str] = {}
        for name in names:
            found = [one[name] for one in self._rows if name in one]
            row[name] = float(np.mean(found)) if found else ""
        self._rows.clear()
        self._log.write(step=self.step, **row, **self.validate())


def _grey(seen: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 1 height width"]:
    """Brightness, 0..1, of colours in -1..1."""
    weights = seen.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    return ((seen / 2 + 0.5) * weights).sum(dim=1, keepdim=True)
