"""The generator, learned: the renderer from pairs of frames, through it the motion editor by CDRL.

The renderer learns by reenactment: a frame is moved to the expression of another of the same
person, preferably from a take with another emotion, and must look like it. Once it does, moments of
clips are edited to an emotion, and frozen encoders look at them
(:mod:`cdrl_cli.training.supervision`).

Differs from the paper: a patch discriminator keeps the output photographic, and what encoders and
nets ask for goes through the renderer to the motion editor and to one coarse, symmetric drawing an
emotion, not into the renderer's network: asked for pixels it takes bruises for disgust, and one eye
torn open for surprise.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cdrl_cli.array_types import Float
from cdrl_cli.data.augment import Light
from cdrl_cli.data.faces import FaceBatch, FaceClip, FaceSampler
from cdrl_cli.emotion import Emotion
from cdrl_cli.face.blendshapes import COEFFICIENTS, EXPRESSION_NAMES, SHARES
from cdrl_cli.generator.motion_network import MotionEditor
from cdrl_cli.generator.ned_network import NedEditor
from cdrl_cli.generator.unet import RendererNet
from cdrl_cli.training.balance import GradientBalance, LikenessPrice
from cdrl_cli.training.checkpoint import Stateful, step_rng
from cdrl_cli.training.differentiable import Chain
from cdrl_cli.training.image_losses import (
    Discriminator,
    cut_patches,
    follow_flow,
    match_colour,
    optical_flow,
    part_lips,
    picture_loss,
    roughness,
    sum_abs,
)
from cdrl_cli.training.loop import Loss, Task, Update
from cdrl_cli.training.motion_losses import part_closed_lips
from cdrl_cli.training.optimiser import MovingAverage, Optimiser
from cdrl_cli.training.picture_supervision import picture_losses
from cdrl_cli.training.recipes import GeneratorConfig
from cdrl_cli.training.requests import Edits, RequestSampler, change_expressions
from cdrl_cli.training.supervision import Supervision

AVERAGE_DECAY = 0.995
"""Decay of the moving average of the renderer's weights, per step."""

_SPEECH = np.flatnonzero(SHARES == 0)[1:].tolist()
_STIFF = torch.tensor(
    [
        25.0 if name.startswith("mouth") and "Smile" not in name and "Frown" not in name else 1.0
        for name in EXPRESSION_NAMES
    ]
)
"""Guides part lips for the sake of an emotion: what they ask of them counts so much more."""

TREMBLE = 0.03
"""Standard deviation of the noise on the coefficients that the renderer is told in training."""


class GeneratorTask(Task):
    """The renderer, the discriminator it learns against, and the motion editor, fine-tuned.

    Args:
        config: The recipe.
        clips: Learned from.
        chain: The differentiable generator.
        editor: A trained motion editor; fine-tuned with the renderer.
        supervision: Frozen encoders.
        device: Where networks and pictures are.
    """

    has_parts = True

    def __init__(
        self,
        config: GeneratorConfig,
        clips: Sequence[FaceClip],
        chain: Chain,
        editor: MotionEditor | NedEditor,
        supervision: Supervision,
        *,
        device: torch.device,
    ) -> None:
        schedule, editing = config.schedule, config.editing
        self.config, self.device = config, device
        # It reads its references once, where the networks are now.
        self._requests = RequestSampler(clips, supervision.emotion)
        self.chain, self.frozen = chain.to(device), supervision.to(device)
        self.generator = torch.Generator().manual_seed(schedule.seed)
        self.rng = step_rng(schedule.seed, 0)
        self.sampler = FaceSampler(clips, self.rng)
        with torch.random.fork_rng():
            torch.manual_seed(schedule.seed)
            self.renderer = RendererNet(config.model)
            self.discriminator = Discriminator()
        self.renderer.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.discriminator.to(device)
        self.editor = editor.to(device).train()
        self._before = copy.deepcopy(editor).requires_grad_(requires_grad=False).eval()
        self._average = MovingAverage.of(self.renderer, decay=AVERAGE_DECAY)
        self.price = LikenessPrice()
        self._editing_from = round(schedule.steps * editing.begins)
        editing_steps = max(1, schedule.steps - self._editing_from)
        self._optimiser = _optimise(
            self.renderer,
            schedule.learning_rate,
            schedule.steps,
            decay=schedule.weight_decay,
            clip=5.0,
        )
        self._motion_optimiser = _optimise(
            self.editor, editing.motion_rate, editing_steps, clip=1.0
        )
        self._drawing_optimiser = _optimise(
            self.renderer.drawings, editing.drawing_rate, editing_steps
        )
        self._critic = Optimiser(
            self.discriminator,
            learning_rate=config.loss.discriminator_rate,
            steps=None,
            betas=(0.5, 0.99),
        )
        self._rendering, self._editing = GradientBalance(), GradientBalance()

    @property
    def average(self) -> RendererNet:
        """The renderer, averaged over the steps."""
        network = self._average.average.module
        assert isinstance(network, RendererNet)
        return network

    @property
    def parts(self) -> dict[str, Stateful]:
        """See :class:`~cdrl_cli.training.loop.Task`."""
        return {
            "renderer": self.renderer,
            "editor": self.editor,
            "discriminator": self.discriminator,
            "optimiser": self._optimiser,
            "motion optimiser": self._motion_optimiser,
            "drawing optimiser": self._drawing_optimiser,
            "critic": self._critic,
            "rendering balance": self._rendering,
            "editing balance": self._editing,
            "price": self.price,
        }

    @property
    def product(self) -> RendererNet:
        """The averaged renderer."""
        return self.average

    @property
    def averages(self) -> dict[str, MovingAverage]:
        """See :class:`~cdrl_cli.training.loop.Task`."""
        return {"renderer": self._average}

    def updates(self, step: int) -> Iterator[Update]:
        """See :class:`~cdrl_cli.training.loop.Task`."""
        rng = step_rng(self.config.schedule.seed, step, self.part)
        updates = self._draw_updates(step)
        while True:
            # Other parts of the step draw between two updates of this one.
            self.rng = self.sampler.rng = rng
            update = next(updates, None)
            if update is None:
                return
            yield update

    def _draw_updates(self, step: int) -> Iterator[Update]:
        edits = step >= self._editing_from
        pairs = self.config.sampling.pairs // (1 + edits)
        yield from self._render_updates(pairs, ramp=self._ramp(step, since=0))
        if edits:
            yield from self.edit_updates(ramp=self._ramp(step, since=self._editing_from))

    def _render_updates(self, count: int, *, ramp: float) -> Iterator[Update]:
        """Reenactment of so many pairs."""
        pairs = [self.sampler.draw_pair() for _ in range(count)]
        light = Light.draw(count, self.rng)
        batch = FaceBatch.of([one for one, _ in pairs], self.device).relit(light)
        wanted = FaceBatch.of([other for _, other in pairs], self.device).relit(light)
        moved, mask = self.chain.warp_flow(
            (wanted.landmarks - batch.landmarks)[..., :2],
            batch.landmarks,
            batch.owner,
            batch.inside_px,
        )
        asked = torch.stack([_shown(other) for _, (other, _) in pairs]).to(self.device)
        # The landmarker's coefficients tremble; what follows them to the letter trembles too.
        tremble = TREMBLE * torch.from_numpy(self.rng.normal(size=(2, count, COEFFICIENTS))).to(
            self.device, torch.float32
        )
        condition = torch.cat(
            [
                batch.expression + tremble[0],
                wanted.expression - batch.expression + tremble[1],
                asked,
            ],
            dim=1,
        )
        out = self.chain.render(
            self.renderer, batch.image.contiguous(memory_format=torch.channels_last), moved, mask,
            condition,
        )  # fmt: skip
        target = match_colour(wanted.image, out.warped.detach(), mask)
        seen_flow = optical_flow(out.warped.detach() * mask, target * mask)
        weights = self.config.loss
        picture = picture_loss(out.image, target, mask)
        natural = self._look_real(out.image, batch.landmarks)
        on_image = [
            Loss("picture", picture, weights.picture),
            Loss("adversarial", natural, weights.adversarial * ramp),
        ]
        plain = [
            Loss("flow", follow_flow(out.finer, seen_flow, mask), weights.flow),
            Loss("sparse", sum_abs(out.colour) + 0.01 * sum_abs(out.finer), weights.sparse),
            Loss("smooth", roughness(out.colour) + 0.5 * roughness(out.finer), weights.smooth),
            Loss("lips", part_lips(out.finer, batch.landmarks), weights.lips),
        ]
        # What the core alone would leave.
        measures = {
            "warp": picture_loss(out.warped.detach(), target, mask),
            "still": follow_flow(torch.zeros_like(out.finer), seen_flow, mask),
        }
        losses = self._rendering.weigh(on_image, out.image) + plain
        yield Update(losses, [self._optimiser], measures)
        yield self._critic_update(out.image.detach(), target, batch.landmarks)

    def edit_updates(self, *, ramp: float) -> Iterator[Update]:
        """Edits of some moments, as the frozen encoders and guides see them.

        Args:
            ramp: Factor of the losses on the picture, 0..1.
        """
        frozen, weights, guided = self.frozen, self.config.loss, self.config.editing.guided_pixels
        count = self.config.sampling.edits
        edits = Edits(
            [self.sampler.draw_moments() for _ in range(count)],
            [self._requests.draw(self.rng) for _ in range(count)],
        )
        crops = [crop for moments in edits.moments for crop in moments]
        light = Light.draw(len(crops), self.rng)
        batch = FaceBatch.of(crops, self.device).relit(light)
        shift, before, trembling = change_expressions(edits, self.editor, self._before)
        moved, mask = self.chain.warp_flow(
            self.chain.displace(shift, batch.crop_from_head, batch.landmarks),
            batch.landmarks,
            batch.owner,
            batch.inside_px,
        )
        asked = edits.per_crop(edits.asked).to(self.device)
        condition = torch.cat([batch.expression, shift, asked], dim=1)
        network = self.renderer if guided else self.average
        # Edits change nothing of it but the drawings: slopes of the other weights would be waste.
        network.requires_grad_(requires_grad=False)
        network.drawings.requires_grad_(guided)
        out = self.chain.render(network, batch.image, moved, mask, condition)
        with torch.no_grad():
            was = frozen.reader(batch.image)
        change = frozen.reader(out.image) - was
        image = out.image
        on_image = self._image_losses(image, batch, edits, change, shift)
        on_image = [replace(loss, weight=loss.weight * ramp) for loss in on_image]
        length = (shift.square().sum(dim=1) + 1e-6).sqrt()
        most = edits.per_crop(edits.intensities).to(self.device) * self.config.editing.largest_shift
        strayed = (_STIFF.to(self.device) * (shift - before).square()).mean()
        asked_loss = frozen.request_loss(batch.expression + shift, edits)
        plain = [
            Loss("motion", strayed, weights.motion),
            Loss("size", functional.relu(length - most).square().mean(), weights.size),
            Loss("steady", trembling, weights.steady),
            Loss("closure", part_closed_lips(batch.expression, shift), weights.closure),
            Loss("asked", asked_loss, weights.asked),
        ]
        of_person, measures = self._person_losses(image, batch)
        plain += of_person
        if guided:
            plain.append(Loss("drawn", self.renderer.drawings.roughness(), weights.drawn))
        optimisers = [self._motion_optimiser]
        if guided:
            optimisers.append(self._drawing_optimiser)
        yield Update(self._editing.weigh(on_image, image) + plain, optimisers, measures)
        if measures:
            self.price.follow(self.config.editing.alike - measures["alike"])
        if guided:
            network.requires_grad_(requires_grad=True)
            yield self._critic_update(image.detach(), batch.image, batch.landmarks)

    def _image_losses(
        self,
        image: Float[Tensor, "crops 3 256 256"],
        batch: FaceBatch,
        edits: Edits,
        change: Float[Tensor, "crops 52"],
        shift: Float[Tensor, "crops 52"],
    ) -> list[Loss]:
        """What frozen networks see in edited pictures; ``change`` is what is read of ``shift``."""
        frozen, weights = self.frozen, self.config.loss
        losses = []
        if frozen.guides:
            guide = frozen.guide_loss(image, batch.landmarks, edits, self.rng)
            losses.append(Loss("guide", guide, weights.guide))
        scale = frozen.reader.scale
        speech = ((change - shift)[:, _SPEECH] / scale[_SPEECH]).square().mean()
        losses += [
            Loss("natural", self._look_real(image, batch.landmarks), weights.natural),
            Loss("keep", speech, weights.keep),
        ]
        if weights.emotion:
            felt = frozen.emotion_loss(batch.expression + change, edits)
            losses.append(Loss("emotion", felt, weights.emotion))
        if weights.content:
            said = frozen.content_loss(image, batch, edits, self.chain.mouth)
            losses.append(Loss("content", said, weights.content))
        if frozen.pictures is not None:
            losses += picture_losses(frozen.pictures, image, batch.image, edits, weights)
        return losses

    def _person_losses(
        self, image: Float[Tensor, "crops 3 256 256"], batch: FaceBatch
    ) -> tuple[list[Loss], dict[str, float]]:
        """What holds an edit to the person, and how alike they are; nothing where nobody looks."""
        if self.frozen.likeness is None:
            return [], {}
        alike = self.frozen.alikeness(batch, image)
        unlike = functional.relu(self.config.editing.least_alike - alike).square().mean()
        weights, price = self.config.loss, self.price.value
        losses = [
            Loss("identity", unlike, weights.identity),
            Loss("likeness", 1 - alike.mean(), weights.likeness * price),
        ]
        return losses, {"alike": float(alike.detach().mean()), "price": price}

    def _look_real(
        self, image: Float[Tensor, "batch 3 256 256"], landmarks: Float[Tensor, "batch 478 3"]
    ) -> Float[Tensor, ""]:
        self.discriminator.requires_grad_(requires_grad=False)
        judged = self.discriminator(cut_patches(image, landmarks, self.rng))
        self.discriminator.requires_grad_(requires_grad=True)
        return (judged - 1).square().mean()

    def _critic_update(
        self,
        image: Float[Tensor, "batch 3 256 256"],
        real: Float[Tensor, "batch 3 256 256"],
        landmarks: Float[Tensor, "batch 478 3"],
    ) -> Update:
        """Tell real from made (LSGAN, Mao et al. 2017)."""
        told = self.discriminator(cut_patches(real, landmarks, self.rng))
        fooled = self.discriminator(cut_patches(image, landmarks, self.rng))
        loss = (told - 1).square().mean() + fooled.square().mean()
        return Update([Loss("discriminator", loss)], [self._critic])

    def _ramp(self, step: int, *, since: int) -> float:
        """How far what is new counts: 0..1 over the first sixth of the steps since it began."""
        return min(1.0, (step - since) / max(1, (self.config.schedule.steps - since) // 6))


def _optimise(
    network: nn.Module, rate: float, steps: int, *, decay: float = 0.0, clip: float | None = None
) -> Optimiser:
    return Optimiser(
        network,
        learning_rate=rate,
        steps=steps,
        weight_decay=decay,
        betas=(0.9, 0.99),
        rising=0.1,
        clip=clip,
    )


def _shown(clip: FaceClip) -> Float[Tensor, " 7"]:
    asked = torch.zeros(len(Emotion))
    emotion = clip.clip.emotion
    if emotion not in (None, Emotion.NEUTRAL) and clip.clip.label_certain:
        asked[emotion.class_index] = 1.0
    return asked
