"""The second stage of light and creases: what they do to a picture of an edit.

Pairs teach what skin does; here it is held to what it is for. Edits of calm photographs
(:mod:`~cdrl_cli.training.skin_edits`) get their light and creases from the network, and the picture
is looked at: published nets must see the emotion, as the paper's CERL does (section 3.4), a network
of recognition must find the person as another photograph shows them, and the critic must find no
line that no actor has. What is learned of pairs stays, and there features of the picture count too.

Differs from the paper: CERL and CCRL read coefficients and mouths, which skin does not change, so
two published emotion nets stand for the one, and nothing for the other.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cdrl_cli.array_types import Float
from cdrl_cli.checkpoints.load import find_weights
from cdrl_cli.face.blendshapes import COEFFICIENTS
from cdrl_cli.generator.skin import WINDOW_SIZE
from cdrl_cli.generator.skin_network import SkinModel, SkinNet, join
from cdrl_cli.training.checkpoint import digest_data, run_facts, step_rng
from cdrl_cli.training.config import ScheduleConfig
from cdrl_cli.training.loop import Loss, Trainer, Update, Validation, open_device
from cdrl_cli.training.optimiser import MovingAverage
from cdrl_cli.training.recipes import SkinConfig, SkinRefinementConfig
from cdrl_cli.training.skin import AVERAGE_DECAY, SkinResult, SkinTask
from cdrl_cli.training.skin_batches import SkinBatch
from cdrl_cli.training.skin_data import SkinData
from cdrl_cli.training.skin_edits import EditBatch, SkinEdits, draw_edits, shade_picture
from cdrl_cli.training.skin_losses import (
    PATCH_MARGIN_PX,
    PATCH_PX,
    cut_patches,
    jaggedness,
)
from cdrl_cli.training.supervision import Guides, ask_guides
from cdrl_cli.training.teachers.emotion import open_guides
from cdrl_cli.training.teachers.identity import template_grids
from cdrl_cli.training.teachers.recognition import Recogniser

FEATURES = 7
"""Sums of the recogniser behind which pictures of pairs are compared: 28, then 14 places across."""

_TEMPLATE = slice(8, 120)
"""The middle of what the network sees: as large as a face for recognition is."""


@dataclass(frozen=True, slots=True)
class SkinTeachers:
    """Frozen networks that look at edits; none of them measures edits in the evaluation."""

    guides: Guides
    recogniser: Recogniser

    def to(self, device: torch.device) -> "SkinTeachers":
        """The same with its networks moved to a device."""
        for network in (self.recogniser, *(guide for guide, _ in self.guides)):
            network.to(device)
        return self


def open_teachers() -> SkinTeachers:
    """All of them.

    Raises:
        WeightsError: If their weights have not been brought (``download-weights guides
            guide-recognition``).
    """
    return SkinTeachers(open_guides(), Recogniser(find_weights("guide-recognition")))


class RefinementTask(SkinTask):
    """The network of light and creases, learned from pairs, goes on through pictures of edits.

    Args:
        config: The recipe.
        data: Pairs.
        begin: What was learned of pairs.
        edits: Edits without skin.
        teachers: Look at them.
        device: Where networks and batches are.
    """

    def __init__(
        self,
        config: SkinConfig,
        data: SkinData,
        begin: SkinResult,
        edits: SkinEdits,
        teachers: SkinTeachers,
        *,
        device: torch.device,
    ) -> None:
        stage = config.refinement or SkinRefinementConfig()
        pairs = replace(config, schedule=stage.schedule, batch=stage.pairs)
        super().__init__(pairs, data, begin.model.expectation, device=device)
        self._stage, self._edits, self._teachers = stage, edits, teachers.to(device)
        self._network.load_state_dict(begin.model.network.state_dict())
        self._average = MovingAverage.of(self._network, decay=AVERAGE_DECAY)
        self.whole = SkinModel(begin.model.expectation.to(device), self._network, dulled=True)
        """Expectation and network as they are now."""

    @property
    def schedule(self) -> ScheduleConfig:
        """Of this stage."""
        return self._stage.schedule

    def updates(self, step: int) -> Iterator[Update]:
        """See :class:`~cdrl_cli.training.loop.Task`."""
        stage, rng = self._stage, step_rng(self._config.schedule.seed, step)
        pairs = self._sampler.draw(stage.pairs, rng).to(self._device)
        light, crease = self._network(pairs.picture, pairs.condition)
        losses = self._compare(pairs, light, crease, self._config.loss)
        losses.append(Loss("perceptual", self._perceive(pairs, light, crease), stage.perceptual))

        edits = draw_edits(self._edits, stage.edits, rng).to(self._device)
        shade = self.whole(edits.seen, edits.condition) * edits.mask
        picture = shade_picture(edits.picture, shade)
        losses += [
            Loss("identity", self._unlike(edits, picture), stage.identity),
            Loss("jagged", jaggedness(shade, edits.mask), stage.jagged),
        ]
        if stage.guide:
            seen = ask_guides(self._teachers.guides, picture, edits.landmarks, edits.emotion, rng)
            losses.append(Loss("guide", seen, stage.guide))

        asked = pairs.condition[:, COEFFICIENTS:]
        shown = [
            (cut_patches(pairs, light, crease, _corners(stage.pairs, rng)), asked),
            (_cut_edits(edits, shade, _corners(stage.edits, rng)), edits.asked),
        ]
        if step >= self._config.critic_from * self.schedule.steps:
            weights = self._config.loss.adversarial, stage.natural
            self._critic.requires_grad_(requires_grad=False)
            losses += [
                Loss(name, (self._critic(*one) - 1).square().mean(), weight)
                for name, one, weight in zip(
                    ("adversarial", "natural"), shown, weights, strict=True
                )
            ]
            self._critic.requires_grad_(requires_grad=True)
        yield Update(losses, [self._optimiser])

        real = cut_patches(pairs, pairs.light, pairs.crease, _corners(stage.pairs, rng))
        told = (self._critic(real, asked) - 1).square().mean()
        caught = [
            self._critic(patches.detach(), wanted).square().mean() for patches, wanted in shown
        ]
        yield Update([Loss("critic", told + torch.stack(caught).sum())], [self._critic_optimiser])

    def validate(self) -> Validation | None:
        """All steps are taken: what pairs would choose is what they chose before."""
        return None

    def _perceive(
        self,
        pairs: SkinBatch,
        light: Float[Tensor, "batch 1 64 64"],
        crease: Float[Tensor, "batch 1 256 256"],
    ) -> Float[Tensor, ""]:
        """How far the moved photograph with its answer is from that with the real ratio.

        Squared distance of unit features (Zhang et al. 2018), by the recogniser's first layers.
        """
        skin = (pairs.picture[:, :3] / 2 + 0.5)[..., _TEMPLATE, _TEMPLATE]
        mask = functional.avg_pool2d(pairs.weight, 2)

        def look(one: Float[Tensor, "batch 1 256 256"]) -> list[Tensor]:
            ratio = functional.avg_pool2d(pairs.expected + one, 2) * mask
            lit = skin * ratio[..., _TEMPLATE, _TEMPLATE].exp()
            return self._teachers.recogniser.look(lit.clamp(0, 1), features=FEATURES)

        with torch.no_grad():
            real = look(join(pairs.light, pairs.crease))
        apart = [
            (one - other).square().sum(dim=1).mean()
            for one, other in zip(look(join(light, crease)), real, strict=True)
        ]
        return torch.stack(apart).mean()

    def _unlike(
        self, edits: EditBatch, picture: Float[Tensor, "batch 3 256 256"]
    ) -> Float[Tensor, ""]:
        """1 - cosine with another photograph of the person."""
        recogniser = self._teachers.recogniser
        with torch.no_grad():
            other = recogniser.embed(edits.other)
        shown = recogniser(picture, template_grids(edits.template))
        return 1 - (shown * other).sum(dim=1).mean()


def _corners(count: int, rng: np.random.Generator) -> np.ndarray:
    """Of patches for the critic."""
    return rng.integers(PATCH_MARGIN_PX, WINDOW_SIZE - PATCH_PX - PATCH_MARGIN_PX, (count, 2))


def _cut_edits(
    edits: EditBatch, shade: Float[Tensor, "batch 1 256 256"], corners: np.ndarray
) -> Float[Tensor, "batch 4 80 80"]:
    """Patches of edits, as the critic sees those of pairs."""
    none = torch.zeros_like(shade)
    dark = functional.avg_pool2d(none, 4)
    batch = SkinBatch(
        picture=functional.pad(edits.seen, (0, 0, 0, 0, 0, 1)),
        condition=edits.condition,
        light=dark,
        crease=none,
        expected=none,
        mask=edits.mask,
        weight=torch.ones_like(shade),
    )
    return cut_patches(batch, dark, shade, corners)


def refine_skin(
    config: SkinConfig,
    data: SkinData,
    begin: SkinResult,
    edits: SkinEdits,
    teachers: SkinTeachers,
    *,
    run: Path,
    resume: bool = False,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> SkinResult:
    """Go on with what was learned of pairs.

    Args:
        config: The recipe.
        data: Pairs.
        begin: Of :func:`~cdrl_cli.training.skin.train_skin`.
        edits: Edits without skin.
        teachers: Look at them.
        run: Folder of the checkpoint and the log; another one than that of the pairs.
        resume: Continue from the checkpoint there.
        device: ``cpu`` or ``cuda``.
        progress: Called with (steps done, steps in all).
    """
    task = RefinementTask(config, data, begin, edits, teachers, device=open_device(device))
    start: Sequence[np.ndarray] = [
        weights.cpu().numpy() for weights in begin.model.network.state_dict().values()
    ]
    facts = run_facts(config, digest_data([edits.condition, edits.picture, *start]))
    outcome = Trainer(run, task, task.schedule, facts, resume=resume, progress=progress).fit()
    described = facts.describe("spfem train skin") | {"steps": f"{begin.steps} and {outcome.steps}"}
    network = task.product.cpu()
    assert isinstance(network, SkinNet)
    model = SkinModel(begin.model.expectation.cpu(), network, dulled=True)
    return replace(begin, model=model, facts=described)
