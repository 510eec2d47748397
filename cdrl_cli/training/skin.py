"""Light and creases of skin, learned from pairs of photographs.

What is expected of everybody is fitted in closed form; a network learns the rest of each person
(:mod:`~cdrl_cli.training.skin_batches`: what it sees; :mod:`~cdrl_cli.training.skin_losses`: what
it is compared by).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cdrl_cli.array_types import Float
from cdrl_cli.data.skin_pairs import RATIO_UNIT
from cdrl_cli.face.blendshapes import COEFFICIENTS, COUNTERPARTS
from cdrl_cli.generator.skin import WINDOW_SIZE
from cdrl_cli.generator.skin_network import Expectation, SkinModel, SkinNet, join
from cdrl_cli.training.checkpoint import Stateful, digest_data, run_facts, step_rng
from cdrl_cli.training.loop import Loss, Task, Trainer, Update, Validation, open_device
from cdrl_cli.training.optimiser import MovingAverage, Optimiser
from cdrl_cli.training.recipes import SkinConfig, SkinLossConfig
from cdrl_cli.training.skin_batches import (
    PairSampler,
    SkinBatch,
    light_of,
    read_batch,
    read_condition,
    spread_light,
)
from cdrl_cli.training.skin_data import SkinData
from cdrl_cli.training.skin_losses import (
    PATCH_MARGIN_PX,
    PATCH_PX,
    Critic,
    LineEnergy,
    cut_patches,
    erased_texture,
)

VALIDATION_BATCH = 8
"""Pairs looked at together in validation."""

AVERAGE_DECAY = 0.995
"""Decay of the moving average of the network's weights, per step."""

_FIT_ROWS = 256
"""Pairs whose flat ratios are held as floats at once."""


class SkinTask(Task):
    """The network of light and creases, and the critic that it learns against.

    Args:
        config: The recipe.
        data: Pairs to learn from, and of other people to validate on.
        expectation: What is expected of everybody (:func:`fit_expectation`).
        device: Where networks and batches are.
    """

    def __init__(
        self,
        config: SkinConfig,
        data: SkinData,
        expectation: Expectation,
        *,
        device: torch.device | None = None,
    ) -> None:
        schedule = config.schedule
        self._config, self._proof = config, data.proof
        self._device = device or torch.device("cpu")
        self._expectation = expectation
        self._sampler = PairSampler(data.pairs, data.share, expectation)
        self._energy = LineEnergy()
        self.generator = torch.Generator().manual_seed(schedule.seed)
        with torch.random.fork_rng():
            torch.manual_seed(schedule.seed)
            network, critic = SkinNet(config.model), Critic()
        self._network, self._critic = network.to(self._device), critic.to(self._device)
        self._average = MovingAverage.of(self._network, decay=AVERAGE_DECAY)
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
        batch = self._sampler.draw(config.batch, rng).to(self._device)
        light, crease = self._network(batch.picture, batch.condition)
        losses = self._compare(batch, light, crease, weights)
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
        weights: SkinLossConfig,
    ) -> list[Loss]:
        """The terms on the answer itself."""
        known = functional.avg_pool2d(batch.weight, 4)
        area = known.mean() + 1e-6
        apart = functional.smooth_l1_loss(light, batch.light, beta=0.05, reduction="none")
        fine = functional.smooth_l1_loss(crease, batch.crease, beta=0.08, reduction="none")
        # The light's second derivatives are nothing beside the creases'.
        base = batch.expected + spread_light(batch.light)
        wanted, shown = (self._energy(base + one, batch.weight) for one in (batch.crease, crease))
        return [
            Loss("light", (apart * known).mean() / area, weights.light),
            Loss("crease", (fine * batch.weight).mean() / area, weights.crease),
            Loss("energy", (wanted - shown).abs().mean() / area, weights.energy),
            Loss("texture", erased_texture(batch, crease) / area, weights.texture),
            Loss("sparse", (crease.abs() * batch.mask).mean() / area, weights.sparse),
        ]

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
                strength=whole,
                condition=read_condition(self._proof, rows, whole),
                maps=self._expectation,
            ).to(self._device)
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
        fine, fine0 = (
            one - spread_light(soft) for one, soft in ((answer, smooth), (truth, smooth0))
        )
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
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> SkinResult:
    """Learn light and creases from pairs: the expectation in closed form, then the network.

    Args:
        config: The recipe.
        data: Pairs.
        run: Folder of the checkpoint and the log.
        resume: Continue from the checkpoint there.
        device: ``cpu`` or ``cuda``.
        progress: Called with (steps done, steps in all).
    """
    expectation = fit_expectation(data.pairs, ridge=config.ridge, rank=config.rank)
    task = SkinTask(config, data, expectation, device=open_device(device))
    # What comes after pairs changes nothing here.
    own = replace(config, refinement=None)
    facts = run_facts(own, digest_data([data.pairs["change"], data.pairs["ratio"]]))
    trainer = Trainer(run, task, config.schedule, facts, resume=resume, progress=progress)
    outcome = trainer.fit()
    described = facts.describe("spfem train skin") | {"steps": str(outcome.steps)}
    return SkinResult(
        SkinModel(expectation, task.product.cpu()), outcome.steps, outcome.best_step, described
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
