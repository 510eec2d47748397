"""Light and creases of skin, learned from pairs of photographs.

Fine creases are the object: the mean over what might be (L1, L2) blurs them away. So beside the
ratio itself its *energy* must be right: how much dark and light line of each direction lies
hereabouts (oriented second derivatives, rectified and pooled), and a patch discriminator asks that
lines look like lines. Texture that the person has must not be drawn in negative: what is
misaligned in pairs looks like a wish to blur.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from cdrl_cli.data.skin_pairs import DARK, RATIO_UNIT
from cdrl_cli.emotion import Emotion
from cdrl_cli.face.blendshapes import COEFFICIENTS, COUNTERPARTS
from cdrl_cli.generator.skin import WINDOW_SIZE
from cdrl_cli.generator.skin_network import (
    CHANNELS,
    EXPECTED_GAIN,
    Expectation,
    SkinModel,
    SkinNet,
    join,
)
from cdrl_cli.training.checkpoint import Stateful, digest_data, run_facts, step_rng
from cdrl_cli.training.loop import Loss, Task, Trainer, Update, Validation
from cdrl_cli.training.optimiser import MovingAverage, Optimiser
from cdrl_cli.training.recipes import SkinConfig
from cdrl_cli.training.skin_data import SkinData

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

PATCH_PX, PATCH_MARGIN_PX = 80, 20
"""Side of what the critic sees, and how far from the window's rim it ends; window pixels."""

GRAIN_PX, GRAIN_POOL_PX = 1.5, 9
"""Texture is what is finer than so many half window pixels; it is compared over so many."""

WHOLE_ODDS, NONE_ODDS = 0.65, 0.04
"""Share of the pairs that are shown in full, and of those in which nothing is asked for."""

UNTOLD_ODDS, UNREAD_ODDS = 0.15, 0.1
"""Share of the pairs of which the emotion is not told, and the coefficients hardly."""

VALIDATION_BATCH = 8
"""Pairs looked at together in validation."""

_FIT_ROWS = 256
"""Pairs whose flat ratios are held as floats at once."""


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
        strength = np.where(rng.random(count) < WHOLE_ODDS, 1.0, rng.uniform(0.15, 1.0, count))
        strength[rng.random(count) < NONE_ODDS] = 0.0
        asked = torch.from_numpy(strength).float()
        told = read_condition(self._pairs, rows, asked)
        tremble = torch.from_numpy(rng.normal(size=(count, 2 * COEFFICIENTS))).float()
        told[:, : 2 * COEFFICIENTS] += TREMBLE * asked[:, None] * tremble
        lot = rng.random(count)
        told[torch.from_numpy(lot < UNTOLD_ODDS), 2 * COEFFICIENTS :] = 0
        told[torch.from_numpy(lot > 1 - UNREAD_ODDS), : 2 * COEFFICIENTS] *= 0.3
        modelled = rng.integers(2, size=count) == 1
        batch = read_batch(
            self._pairs, rows, modelled=modelled, strength=asked, condition=told, maps=self._maps
        )
        batch.picture[:, :3] = _vary_light(batch.picture[:, :3], rng)
        stretch = rng.uniform(0.85, 1.15, (count, 1, 1, 1))
        batch.picture[:, 3:5] *= torch.from_numpy(stretch).float()
        return mirror(batch) if rng.integers(2) else batch


def read_condition(
    pairs: Mapping[str, np.ndarray],
    rows: Int[np.ndarray, " batch"],
    strength: Float[Tensor, " batch"],
) -> Float[Tensor, "batch 111"]:
    """What is asked for, so much of the whole way."""
    source, change, emotion = (
        torch.from_numpy(pairs[name][rows]).float() for name in ("source", "change", "emotion")
    )
    part = strength[:, None]
    return torch.cat([source, change * part, emotion * part], dim=1)


def read_batch(
    pairs: Mapping[str, np.ndarray],
    rows: Int[np.ndarray, " batch"],
    *,
    modelled: Bool[np.ndarray, " batch"],
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
    light = light_of(missing, known)
    return SkinBatch(picture, condition, light, missing - _spread(light), expected, mask, known)


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
    soft = _blur(torch.cat([sums, known], dim=1), LIGHT_SOFTNESS_PX / 4)
    light = soft[:, :1] / (soft[:, 1:] + 0.05)
    mean = (light * known).sum(dim=(2, 3), keepdim=True)
    return light - mean / (known.sum(dim=(2, 3), keepdim=True) + 1e-3)


def _spread(light: Float[Tensor, "batch 1 64 64"]) -> Float[Tensor, "batch 1 256 256"]:
    """Light, on all of the window's pixels."""
    return join(light, light.new_zeros(len(light), 1, WINDOW_SIZE, WINDOW_SIZE))


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


class SkinTask(Task):
    """The network of light and creases, and the critic that it learns against.

    Args:
        config: The recipe.
        data: Pairs to learn from, and of other people to validate on.
        expectation: What is expected of everybody (:func:`fit_expectation`).
    """

    def __init__(self, config: SkinConfig, data: SkinData, expectation: Expectation) -> None:
        schedule = config.schedule
        self._config, self._proof = config, data.proof
        self._expectation = expectation
        self._sampler = PairSampler(data.pairs, data.share, expectation)
        self._energy = LineEnergy()
        self.generator = torch.Generator().manual_seed(schedule.seed)
        with torch.random.fork_rng():
            torch.manual_seed(schedule.seed)
            self._network, self._critic = SkinNet(config.model), Critic()
        self._average = MovingAverage.of(self._network, decay=0.995)
        self._optimiser = Optimiser(
            self._network,
            learning_rate=schedule.learning_rate,
            steps=schedule.steps,
            weight_decay=schedule.weight_decay,
            betas=(0.8, 0.99),
            rising=0.06,
            clip=1.0,
        )
        self._critic_optimiser = Optimiser(
            self._critic, learning_rate=config.critic_rate, steps=None, betas=(0.5, 0.99)
        )

    @property
    def parts(self) -> dict[str, Stateful]:
        """See :class:`~cdrl_cli.training.loop.Task`."""
        return {
            "network": self._network,
            "critic": self._critic,
            "optimiser": self._optimiser,
            "critic optimiser": self._critic_optimiser,
        }

    @property
    def product(self) -> SkinNet:
        """The averaged network."""
        network = self._average.average.module
        assert isinstance(network, SkinNet)
        return network

    @property
    def averages(self) -> dict[str, MovingAverage]:
        """See :class:`~cdrl_cli.training.loop.Task`."""
        return {"network": self._average}

    def updates(self, step: int) -> Iterator[Update]:
        """See :class:`~cdrl_cli.training.loop.Task`."""
        config, weights = self._config, self._config.loss
        rng = step_rng(config.schedule.seed, step)
        batch = self._sampler.draw(config.batch, rng)
        light, crease = self._network(batch.picture, batch.condition)
        losses = [
            Loss(name, value, getattr(weights, name))
            for name, value in self._compare(batch, light, crease).items()
        ]
        judged = step >= config.critic_from * config.schedule.steps and weights.adversarial > 0
        if not judged:
            yield Update(losses, [self._optimiser])
            return
        corners = rng.integers(
            PATCH_MARGIN_PX, WINDOW_SIZE - PATCH_PX - PATCH_MARGIN_PX, (config.batch, 2)
        )
        asked = batch.condition[:, COEFFICIENTS:]
        seen = cut_patches(batch, light, crease, corners)
        self._critic.requires_grad_(requires_grad=False)
        fooled = (self._critic(seen, asked) - 1).square().mean()
        self._critic.requires_grad_(requires_grad=True)
        yield Update([*losses, Loss("adversarial", fooled, weights.adversarial)], [self._optimiser])
        real = cut_patches(batch, batch.light, batch.crease, corners)
        told = (self._critic(real, asked) - 1).square().mean()
        caught = self._critic(seen.detach(), asked).square().mean()
        yield Update([Loss("critic", told + caught)], [self._critic_optimiser])

    def _compare(
        self,
        batch: SkinBatch,
        light: Float[Tensor, "batch 1 64 64"],
        crease: Float[Tensor, "batch 1 256 256"],
    ) -> dict[str, Float[Tensor, ""]]:
        """The terms on the answer itself, by the names of their weights."""
        known = functional.avg_pool2d(batch.weight, 4)
        area = known.mean() + 1e-6
        apart = functional.smooth_l1_loss(light, batch.light, beta=0.05, reduction="none")
        fine = functional.smooth_l1_loss(crease, batch.crease, beta=0.08, reduction="none")
        # The light's second derivatives are nothing beside the creases'.
        base = batch.expected + _spread(batch.light)
        wanted, shown = (self._energy(base + one, batch.weight) for one in (batch.crease, crease))
        return {
            "light": (apart * known).mean() / area,
            "crease": (fine * batch.weight).mean() / area,
            "energy": (wanted - shown).abs().mean() / area,
            "texture": _erased(batch, crease) / area,
            "sparse": (crease.abs() * batch.mask).mean() / area,
        }

    def validate(self) -> Validation | None:
        """On people never learned from: what is left of light, creases and lines; lines drawn.

        Each relative to what there is. Without such people there is nothing to validate on.
        """
        sums: dict[str, float] = {}
        network, count = self.product.eval(), len(self._proof["change"])
        if not count:
            return None
        for start in range(0, count, VALIDATION_BATCH):
            rows = np.arange(start, min(start + VALIDATION_BATCH, count))
            whole = torch.ones(len(rows))
            batch = read_batch(
                self._proof,
                rows,
                modelled=rows % 2 == 1,
                strength=whole,
                condition=read_condition(self._proof, rows, whole),
                maps=self._expectation,
            )
            with torch.no_grad():
                light, crease = network(batch.picture, batch.condition)
                for name, value in self._measure(batch, light, crease).items():
                    sums[name] = sums.get(name, 0.0) + float(value)
        measures = {
            "light_left": sums["light"] / sums["light0"],
            "crease_left": sums["crease"] / sums["crease0"],
            "energy_left": sums["energy"] / sums["energy0"],
            "energy_share": sums["shown"] / sums["energy0"],
        }
        return Validation(1 - measures["energy_left"], measures)

    def _measure(
        self,
        batch: SkinBatch,
        light: Float[Tensor, "batch 1 64 64"],
        crease: Float[Tensor, "batch 1 256 256"],
    ) -> dict[str, Float[Tensor, ""]]:
        """Sums of what is missed, and of what there is to be hit."""
        answer = batch.expected + join(light, crease)
        truth = batch.expected + join(batch.light, batch.crease)
        known = functional.avg_pool2d(batch.weight, 4)
        smooth, smooth0 = (light_of(one, batch.weight) for one in (answer, truth))
        fine, fine0 = (one - _spread(soft) for one, soft in ((answer, smooth), (truth, smooth0)))
        shown, wanted = (self._energy(one, batch.weight) for one in (answer, truth))
        return {
            "light": ((smooth - smooth0).abs() * known).sum(),
            "light0": (smooth0.abs() * known).sum(),
            "crease": ((fine - fine0).abs() * batch.weight).sum(),
            "crease0": (fine0.abs() * batch.weight).sum(),
            "energy": (shown - wanted).abs().sum(),
            "energy0": wanted.sum(),
            "shown": shown.sum(),
        }


@dataclass(frozen=True, slots=True)
class SkinResult:
    """What a run brought."""

    model: SkinModel
    steps: int
    best_step: int
    facts: dict[str, str]


def train_skin(
    config: SkinConfig,
    data: SkinData,
    *,
    run: Path,
    resume: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> SkinResult:
    """Learn light and creases from pairs: the expectation in closed form, then the network.

    Args:
        config: The recipe.
        data: Pairs.
        run: Folder of the checkpoint and the log.
        resume: Continue from the checkpoint there.
        progress: Called with (steps done, steps in all).
    """
    expectation = fit_expectation(data.pairs, ridge=config.ridge, rank=config.rank)
    task = SkinTask(config, data, expectation)
    facts = run_facts(config, digest_data([data.pairs["change"], data.pairs["ratio"]]))
    trainer = Trainer(run, task, config.schedule, facts, resume=resume, progress=progress)
    outcome = trainer.fit()
    described = facts.describe("spfem train skin") | {"steps": str(outcome.steps)}
    return SkinResult(
        SkinModel(expectation, task.product), outcome.steps, outcome.best_step, described
    )


def fit_expectation(pairs: Mapping[str, np.ndarray], *, ridge: float, rank: int) -> Expectation:
    r"""Ratios on the canonical face, linear in what is asked for, in closed form.

    Ridge regression of the flat ratios :math:`Y` on the change of coefficients and the shares of
    emotions :math:`A`, every pair also in a mirror:
    :math:`W = (A^\top A + \lambda I)^{-1} A^\top Y`. The maps kept are the principal ones of
    :math:`W` for requests as they come: with :math:`A^\top A / n = L L^\top` the first
    singular vectors of :math:`L^\top W`.

    Args:
        pairs: Fields of :class:`~cdrl_cli.data.skin_pairs.SkinPairs`.
        ridge: :math:`\lambda`, in pairs.
        rank: Maps that are kept.
    """
    asked = np.concatenate([pairs["change"], pairs["emotion"]], axis=1).astype(np.float64)
    mirrored = asked[:, [*COUNTERPARTS, *range(COEFFICIENTS, asked.shape[1])]]
    flat = pairs["flat"]
    sums = np.zeros((asked.shape[1], flat[0].size))
    for start in range(0, len(flat), _FIT_ROWS):
        part = slice(start, start + _FIT_ROWS)
        ratio = flat[part].astype(np.float32) * RATIO_UNIT
        sums += asked[part].T @ ratio.reshape(len(ratio), -1)
        sums += mirrored[part].T @ ratio[:, :, ::-1].reshape(len(ratio), -1)
    gram = asked.T @ asked + mirrored.T @ mirrored
    solved = np.linalg.solve(gram + ridge * np.eye(len(gram)), sums)
    lower = np.linalg.cholesky(gram / (2 * len(flat)) + 1e-4 * np.eye(len(gram)))
    left, sizes, maps = np.linalg.svd(lower.T @ solved, full_matrices=False)
    loadings = np.linalg.solve(lower.T, left[:, :rank] * sizes[:rank])
    side = flat.shape[1:]
    return Expectation(
        torch.from_numpy(loadings).float(),
        torch.from_numpy(maps[:rank].reshape(-1, *side)).float(),
    )


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


def _erased(batch: SkinBatch, crease: Float[Tensor, "batch 1 256 256"]) -> Float[Tensor, ""]:
    """How much of the contrast of the skin's own texture is taken away, place by place."""
    dark = torch.log(_grey(batch.picture[:, :3]) + 2 * DARK)
    grain = dark - _blur(dark, GRAIN_PX)
    drawn = functional.avg_pool2d(batch.expected + crease, 2)
    drawn = drawn - _blur(drawn, GRAIN_PX)
    both, alone = (
        functional.avg_pool2d(grain * one, GRAIN_POOL_PX, GRAIN_POOL_PX // 2)
        for one in (drawn, grain)
    )
    shown = functional.avg_pool2d(
        functional.avg_pool2d(batch.mask, 2), GRAIN_POOL_PX, GRAIN_POOL_PX // 2
    )
    return (functional.relu(-both / (alone + 2e-4)) * shown).mean()


def _grey(seen: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 1 height width"]:
    """Brightness, 0..1, of colours in -1..1."""
    weights = seen.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    return ((seen / 2 + 0.5) * weights).sum(dim=1, keepdim=True)
