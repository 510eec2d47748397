"""The generator, learned: the renderer from pairs of frames, through it the motion editor by CDRL.

The renderer learns by reenactment: a frame is moved to the expression of another of the same
person, preferably from a take with another emotion, and must look like it. Once it does, moments of
clips are edited to an emotion, and frozen encoders look at them
(:mod:`cdrl_cli.training.supervision`).

Differs from the paper: a patch discriminator keeps the output photographic, and what encoders and
nets ask for goes through the renderer to the motion editor, not into the renderer: asked for pixels
they take bruises for disgust and eyes squeezed shut for joy.
"""

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from cdrl_cli.checkpoints.content import load_content
from cdrl_cli.checkpoints.emotion import load_emotion
from cdrl_cli.checkpoints.load import find_weights
from cdrl_cli.checkpoints.models import load_models
from cdrl_cli.data.clips import read_index, read_london
from cdrl_cli.data.faces import FaceBatch, FaceClip, FaceSampler, Light, join_clip
from cdrl_cli.data.prepared import PreparedClip
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UsageError
from cdrl_cli.face.landmarks import COEFFICIENTS, EXPRESSION_NAMES
from cdrl_cli.generator.motion import SHARES
from cdrl_cli.generator.motion_network import MotionEditor
from cdrl_cli.generator.unet import RendererNet, UNetConfig
from cdrl_cli.training.chain import Chain, Geometry
from cdrl_cli.training.checkpoint import (
    Stateful,
    digest_data,
    resume,
    run_facts,
    save_checkpoint,
)
from cdrl_cli.training.config import RendererTrainingConfig
from cdrl_cli.training.guides import open_guides
from cdrl_cli.training.likeness import Likeness
from cdrl_cli.training.log import Log
from cdrl_cli.training.losses import (
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
from cdrl_cli.training.motion import part_closed_lips
from cdrl_cli.training.prepare import prepare_clips, prepare_crops
from cdrl_cli.training.reader import Reader, train_reader
from cdrl_cli.training.split import is_learned_from
from cdrl_cli.training.supervision import Moments, Request, RequestSampler, Supervision

CALIBRATION_STEPS = 40
"""Steps over which the terms' gradients are measured before their weights are fixed."""

_SPEECH = np.flatnonzero(SHARES == 0)[1:].tolist()
_STIFF = torch.tensor(
    [
        25.0 if name.startswith("mouth") and "Smile" not in name and "Frown" not in name else 1.0
        for name in EXPRESSION_NAMES
    ]
)
"""Guides part lips for the sake of an emotion: what they ask of them counts so much more."""

_TERMS = (
    "picture", "warp", "adversarial", "flow", "still", "sparse", "smooth", "lips",
    "guide", "natural", "keep", "emotion", "content", "motion", "size", "steady", "closure",
    "asked", "identity",
)  # fmt: skip

TREMBLE = 0.03
"""Noise on the coefficients that the renderer is told, so that it does not follow theirs."""


@dataclass(frozen=True, slots=True)
class GeneratorResult:
    """What a run brought."""

    renderer: RendererNet
    editor: MotionEditor
    steps: int
    facts: dict[str, str]


class GeneratorTraining:
    """One run of training.

    Args:
        config: The recipe.
        clips: Learned from.
        chain: The differentiable generator.
        editor: A trained motion editor; fine-tuned with the renderer.
        supervision: Frozen encoders.
        run: Folder of the checkpoint and the log.
        going_on: Continue from the checkpoint there.
    """

    def __init__(
        self,
        config: RendererTrainingConfig,
        clips: Sequence[FaceClip],
        chain: Chain,
        editor: MotionEditor,
        supervision: Supervision,
        *,
        run: Path,
        going_on: bool = False,
    ) -> None:
        schedule = config.schedule
        torch.set_num_threads(schedule.threads)
        self.config, self.chain, self.frozen = config, chain, supervision
        with torch.random.fork_rng():
            torch.manual_seed(schedule.seed)
            self.renderer = RendererNet(UNetConfig(config.model.widths))
            self.discriminator = Discriminator()
        self.renderer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.editor = editor.train()
        self._before = copy.deepcopy(editor).requires_grad_(requires_grad=False).eval()
        self.average = copy.deepcopy(self.renderer).requires_grad_(requires_grad=False)
        self._editing_from = round(schedule.steps * config.model.editing_from)
        self._optimiser, self._rate = _optimise(
            self.renderer, schedule.learning_rate, schedule.steps, schedule.weight_decay
        )
        self._motion_optimiser, self._motion_rate = _optimise(
            self.editor, config.model.motion_rate, max(1, schedule.steps - self._editing_from), 0.0
        )
        self._critic = torch.optim.AdamW(
            self.discriminator.parameters(), config.model.critic_rate, betas=(0.5, 0.99)
        )
        self.generator = torch.Generator().manual_seed(schedule.seed)
        self.rng = np.random.default_rng(schedule.seed)
        self.sampler = FaceSampler(clips, self.rng)
        self.scales: dict[str, float] = {}
        self.step = 0
        self._facts = run_facts(config, digest_data(one.expression for one in clips))
        self._parts: dict[str, Stateful] = {
            "renderer": self.renderer,
            "editor": self.editor,
            "average": self.average,
            "discriminator": self.discriminator,
            "optimiser": self._optimiser,
            "critic": self._critic,
            "rate": self._rate,
            "motion_optimiser": self._motion_optimiser,
            "motion_rate": self._motion_rate,
        }
        self._checkpoint = run / "last.pt"
        if going_on:
            self.step, notes = resume(
                self._checkpoint, self._facts, parts=self._parts, generator=self.generator
            )
            self.scales = {name: float(value) for name, value in notes.items()}
        self._log = Log(run / "log.csv", since=self.step)
        self._rows: list[dict[str, float]] = []
        self._requests = RequestSampler(clips, supervision.emotion)

    def train(self, *, progress: Callable[[int, int], None] | None = None) -> GeneratorResult:
        """Take all steps."""
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
        facts = self._facts.describe("spfem train renderer") | {"steps": str(self.step)}
        return GeneratorResult(self.average.eval(), self.editor.eval(), self.step, facts)

    def save(self) -> None:
        """Write the checkpoint."""
        save_checkpoint(
            self._checkpoint,
            self._facts,
            step=self.step,
            parts=self._parts,
            generator=self.generator,
            notes=dict(self.scales),
        )

    def learn(self) -> dict[str, float]:
        """One step; returns each term's value."""
        # Of the step alone, so that a run that was cut goes on as if it had not been.
        self.rng = self.sampler.rng = np.random.default_rng((self.config.schedule.seed, self.step))
        edits = self.step >= self._editing_from
        values = self._learn_to_render(self.config.sampling.pairs // (1 + edits))
        if edits:
            values |= self._learn_to_edit()
        self.step += 1
        return values

    def _learn_to_render(self, count: int) -> dict[str, float]:
        """Reenactment of so many pairs."""
        pairs = [self.sampler.draw_pair() for _ in range(count)]
        light = Light.draw(count, self.rng)
        batch = FaceBatch.of([one for one, _ in pairs]).relit(light)
        wanted = FaceBatch.of([other for _, other in pairs]).relit(light)
        moved, mask = self.chain.warp_flow(
            (wanted.landmarks - batch.landmarks)[..., :2],
            batch.landmarks,
            batch.owner,
            batch.inside_px,
        )
        asked = torch.stack([_shown(other) for _, (other, _) in pairs])
        # Coefficients tremble; what follows them to the letter trembles too.
        tremble = TREMBLE * torch.from_numpy(self.rng.normal(size=(2, count, COEFFICIENTS))).float()
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
        image_terms = {
            "picture": picture_loss(out.image, target, mask),
            "adversarial": self._look_real(out.image, batch.landmarks),
        }
        plain = {
            "flow": follow_flow(out.finer, seen_flow, mask),
            "sparse": sum_abs(out.colour) + 0.01 * sum_abs(out.finer),
            "smooth": roughness(out.colour) + 0.5 * roughness(out.finer),
            "lips": part_lips(out.finer, batch.landmarks),
        }
        total = self._combine(image_terms, plain, out.image, since=0)
        self._optimiser.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.renderer.parameters(), 5.0)
        self._optimiser.step()
        self._rate.step()
        self._criticise(out.image.detach(), target, batch)
        keep = min(0.995, self.step / (self.step + 10))
        with torch.no_grad():
            for mean, now in zip(
                self.average.parameters(), self.renderer.parameters(), strict=True
            ):
                mean.lerp_(now, 1 - keep)
        values = {name: float(term.detach()) for name, term in (image_terms | plain).items()}
        # What the core alone would leave.
        values["warp"] = float(picture_loss(out.warped, target, mask).detach())
        values["still"] = float(follow_flow(torch.zeros_like(out.finer), seen_flow, mask))
        return values

    def _learn_to_edit(self) -> dict[str, float]:
        """An edit of some moments, as the frozen encoders and guides see it."""
        frozen, weights = self.frozen, self.config.loss
        moments = self.sampler.draw_moments()
        request = self._requests.draw(self.rng)
        batch = FaceBatch.of(moments).relit(Light.draw(len(moments), self.rng))
        shift, before, trembling = self._shift(moments, request)
        moved, mask = self.chain.warp_flow(
            self.chain.displace(shift, batch.crop_from_head, batch.landmarks),
            batch.landmarks,
            batch.owner,
            batch.inside_px,
        )
        condition = torch.cat(
            [batch.expression, shift, request.asked.expand(len(moments), -1)], dim=1
        )
        out = self.chain.render(self.average, batch.image, moved, mask, condition)
        with torch.no_grad():
            was = frozen.reader(batch.image)
        change = frozen.reader(out.image) - was
        image_terms = {
            "guide": frozen.guide_loss(out.image, batch.landmarks, request.emotion, self.rng),
            "natural": self._look_real(out.image, batch.landmarks),
        }
        if weights.emotion:
            shown = batch.expression + change
            image_terms["emotion"] = frozen.emotion_loss(shown, moments, request)
        if weights.content:
            image_terms["content"] = frozen.content_loss(
                out.image, batch, moments, self.chain.mouth
            )
        scale = frozen.reader.scale
        image_terms["keep"] = ((change - shift)[:, _SPEECH] / scale[_SPEECH]).square().mean()
        length = (shift.square().sum(dim=1) + 1e-6).sqrt()
        plain = {
            "motion": (_STIFF * (shift - before).square()).mean(),
            "size": functional.relu(length - request.intensity * self.config.model.largest_shift)
            .square()
            .mean(),
            "steady": trembling,
            "closure": part_closed_lips(batch.expression, shift),
            "asked": frozen.request_loss(batch.expression + shift, moments, request),
            "identity": frozen.identity_loss(batch, out.image, alike=self.config.model.alike),
        }
        total = self._combine(image_terms, plain, out.image, since=self._editing_from)
        self._motion_optimiser.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.editor.parameters(), 1.0)
        self._motion_optimiser.step()
        self._motion_rate.step()
        return {name: float(term.detach()) for name, term in (image_terms | plain).items()}

    def _shift(
        self, moments: Moments, request: Request
    ) -> tuple[Float[Tensor, "moments 52"], Float[Tensor, "moments 52"], Float[Tensor, ""]]:
        """What the editor changes now, what it would have before, and how its change trembles."""
        intensity = torch.tensor([request.intensity])
        found: list[list[Tensor]] = [[], []]
        edited: dict[int, list[Tensor]] = {}
        trembling = []
        for clip, i in moments:
            if id(clip) not in edited:
                source = torch.from_numpy(clip.expression)[None]
                edited[id(clip)] = [
                    (editor(source, request.embedding[None], intensity) - source)[0]
                    for editor in (self.editor, self._before)
                ]
                trembling.append(
                    edited[id(clip)][0].diff(n=2, dim=0).square().sum() / len(source[0])
                )
            for row, change in zip(found, edited[id(clip)], strict=True):
                row.append(change[clip.place[i]])
        return torch.stack(found[0]), torch.stack(found[1]), torch.stack(trembling).mean()

    def _look_real(
        self, image: Float[Tensor, "batch 3 256 256"], landmarks: Float[Tensor, "batch 478 3"]
    ) -> Float[Tensor, ""]:
        self.discriminator.requires_grad_(requires_grad=False)
        judged = self.discriminator(cut_patches(image, landmarks, self.rng))
        self.discriminator.requires_grad_(requires_grad=True)
        return (judged - 1).square().mean()

    def _criticise(
        self,
        image: Float[Tensor, "batch 3 256 256"],
        target: Float[Tensor, "pairs 3 256 256"],
        batch: FaceBatch,
    ) -> None:
        real = torch.cat([target, batch.image[len(target) :]])
        told = self.discriminator(cut_patches(real, batch.landmarks, self.rng))
        fooled = self.discriminator(cut_patches(image, batch.landmarks, self.rng))
        loss = (told - 1).square().mean() + fooled.square().mean()
        self._critic.zero_grad()
        loss.backward()
        self._critic.step()

    def _combine(
        self,
        image_terms: Mapping[str, Float[Tensor, ""]],
        plain: Mapping[str, Float[Tensor, ""]],
        image: Float[Tensor, "batch 3 256 256"],
        *,
        since: int,
    ) -> Float[Tensor, ""]:
        """One loss: terms on the picture balanced by the length of their gradient on it.

        The lengths are measured over the first steps and then stay: a term that is satisfied must
        be able to fall silent.
        """
        weights = self.config.loss
        step = self.step - since
        ramp = min(1.0, step / max(1, (self.config.schedule.steps - since) // 6))
        total = image.new_zeros(())
        for name, term in image_terms.items():
            if step < CALIBRATION_STEPS:
                (slope,) = torch.autograd.grad(term, image, retain_graph=True)
                length = float(slope.norm())
                self.scales[name] = self.scales.get(name, 0.0) + length / CALIBRATION_STEPS
                known = self.scales[name] * CALIBRATION_STEPS / (step + 1)
            else:
                known = self.scales[name]
            weight = getattr(weights, name) * (1.0 if name == "picture" else ramp)
            total = total + weight * term / max(known, 1e-8)
        for name, term in plain.items():
            total = total + getattr(weights, name) * term
        return total

    def _note(self) -> None:
        row = {}
        for name in _TERMS:
            found = [one[name] for one in self._rows if name in one]
            row[name] = float(np.mean(found)) if found else ""
        self._rows.clear()
        self._log.write(step=self.step, **row)


def _optimise(
    network: nn.Module, rate: float, steps: int, decay: float
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    optimiser = torch.optim.AdamW(network.parameters(), rate, betas=(0.9, 0.99), weight_decay=decay)
    return optimiser, torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, steps, pct_start=0.1)


def _shown(clip: FaceClip) -> Float[Tensor, " 7"]:
    asked = torch.zeros(len(Emotion))
    emotion = clip.clip.emotion
    if emotion not in (None, Emotion.NEUTRAL) and clip.clip.label_certain:
        asked[emotion.class_index] = 1.0
    return asked


def prepare_training(
    config: RendererTrainingConfig,
    data: Path,
    cache: Path,
    editor: MotionEditor,
    *,
    run: Path,
    going_on: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> GeneratorTraining:
    """A run over a folder of clips: crops, geometry, the reader, the frozen encoders.

    Args:
        config: The recipe.
        data: Folder with ``index.csv``.
        cache: Of prepared clips; crops are kept beside them.
        editor: A trained motion editor.
        run: Folder of the checkpoint, the log and the reader.
        going_on: Continue from the checkpoint there.
        progress: Called with (clips done, clips in all).

    Raises:
        UsageError: If no clip is left to learn from.
        WeightsError: If a frozen part is missing, or the guides or SFace are.
    """
    licence = config.data.licence
    models, guides = load_models(licence, core=True), open_guides()
    clips = [
        clip
        for clip in (*read_index(data), *read_london(data / "london"))
        if is_learned_from(clip, config.data) and "full frame" not in clip.dataset
    ]
    prepared = list(prepare_clips(clips, models, cache, progress=progress))
    if not prepared:
        raise UsageError(f"{data}: no clip to learn from")
    mesh, faces = models.mesh, []
    for one, crops in zip(prepared, prepare_crops(prepared, models, cache / "crops"), strict=True):
        drawn = [Geometry.of(points, mesh) for points in crops.landmarks_xyz]
        faces.append(join_clip(one, crops, [(each.owner, each.inside_px) for each in drawn]))
    reader = _find_reader(run / "reader.pt", prepared, config)
    return GeneratorTraining(
        config,
        faces,
        Chain(mesh, models.head.canonical_xyz, models.basis.displacement),
        editor,
        Supervision(
            load_emotion(licence),
            load_content(licence),
            reader,
            Likeness(find_weights("identity")),
            guides,
        ),
        run=run,
        going_on=going_on,
    )


def _find_reader(
    path: Path, prepared: Sequence[PreparedClip], config: RendererTrainingConfig
) -> Reader:
    """The reader of this run, trained if there is none."""
    if path.exists():
        reader = Reader()
        reader.load_state_dict(torch.load(path, weights_only=True))
        return reader.requires_grad_(requires_grad=False).eval()
    torch.set_num_threads(config.schedule.threads)
    reader, _ = train_reader(prepared, steps=config.model.reader_steps, seed=config.schedule.seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(reader.state_dict(), path)
    return reader
