"""The generator, learned: the renderer from pairs of frames, through it the motion editor by CDRL.

The renderer learns by reenactment: a frame is moved to the expression of another of the same
person, preferably from a take with another emotion, and must look like it. Once it does, moments of
clips are edited to an emotion, which has no real target: frozen encoders look at the pixels (paper,
section 3.4), CERL whether the emotion has arrived, CCRL whether the mouth says the same.

Differs from the paper: two published emotion nets look too, SFace holds the edit to the person, a
patch discriminator keeps the output photographic, and what encoders and nets ask for goes through
the renderer to the motion editor, not into the renderer: asked for pixels they take bruises for
disgust and eyes squeezed shut for joy.
"""

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from cdrl_cli.checkpoints.content import ContentModels, load_content
from cdrl_cli.checkpoints.emotion import EmotionModels, load_emotion
from cdrl_cli.checkpoints.load import find_weights
from cdrl_cli.checkpoints.models import load_models
from cdrl_cli.data.clips import read_index, read_london
from cdrl_cli.data.faces import FaceBatch, FaceClip, FaceSampler, Light, join_clip
from cdrl_cli.data.prepared import PreparedClip
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UsageError
from cdrl_cli.face.alignment import CROP_SIZE
from cdrl_cli.face.landmarks import COEFFICIENTS, EXPRESSION_NAMES, MESH_LANDMARKS
from cdrl_cli.generator.lips import INNER_PAIRS
from cdrl_cli.generator.motion import SHARES
from cdrl_cli.generator.motion_network import MotionEditor
from cdrl_cli.generator.unet import MAX_FLOW_PX, RendererNet, UNetConfig
from cdrl_cli.representation.content import CROP_SIDE, MOUTH_COEFFICIENTS
from cdrl_cli.training.chain import Chain, Geometry
from cdrl_cli.training.checkpoint import (
    Stateful,
    digest_data,
    resume,
    run_facts,
    save_checkpoint,
)
from cdrl_cli.training.config import RendererTrainingConfig
from cdrl_cli.training.guides import Guide, luma, open_guides
from cdrl_cli.training.likeness import Likeness, template_grids
from cdrl_cli.training.log import Log
from cdrl_cli.training.motion import part_closed_lips
from cdrl_cli.training.prepare import MOUTH_REACH_PX, prepare_clips, prepare_crops
from cdrl_cli.training.reader import Reader, train_reader
from cdrl_cli.training.split import is_learned_from

CLIP_SHARE = 0.5
"""Of the edits ask as a reference does, where a clip is read rightly; the others as a label."""

CALIBRATION_STEPS = 40
"""Steps over which the terms' gradients are measured before their weights are fixed."""

_EMOTIONS = [emotion for emotion in Emotion if emotion is not Emotion.NEUTRAL]
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
_SURE = 0.9
"""A guide that is as sure asks for no more."""

FLOW_SOFTNESS_PX = 2.5
"""Blur of the optical flow that the finer flow learns from."""

TREMBLE = 0.03
"""Noise on the coefficients that the renderer is told, so that it does not follow theirs."""


@dataclass(frozen=True, slots=True)
class Supervision:
    """All that is frozen."""

    emotion: EmotionModels
    content: ContentModels
    reader: Reader
    likeness: Likeness
    guides: Sequence[tuple[Guide, Mapping[Emotion, float]]]
    """Each with how far it is to be trusted about an emotion, 0..1."""


class Discriminator(nn.Module):
    """Patches of 96 px to how real they look (LSGAN, Mao et al. 2017)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 32, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(32, 64, 4, 2, 1),
            nn.GroupNorm(8, 64),
            nn.LeakyReLU(0.2),
            nn.Conv2d(64, 96, 4, 2, 1),
            nn.GroupNorm(8, 96),
            nn.LeakyReLU(0.2),
            nn.Conv2d(96, 1, 3, 1, 1),
        )

    def forward(self, patches: Float[Tensor, "batch 3 96 96"]) -> Float[Tensor, "batch 1 12 12"]:
        """1 where it looks real, 0 where it does not."""
        return self.layers(2 * patches - 1)


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
        self._embeddings = _clip_embeddings(clips, supervision.emotion)

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
            "picture": _picture_loss(out.image, target, mask),
            "adversarial": self._look_real(out.image, batch.landmarks),
        }
        plain = {
            "flow": _follow(out.finer, seen_flow, mask),
            "sparse": _sum_abs(out.colour) + 0.01 * _sum_abs(out.finer),
            "smooth": _roughness(out.colour) + 0.5 * _roughness(out.finer),
            "lips": _lip_parting(out.finer, batch.landmarks),
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
        values["warp"] = float(_picture_loss(out.warped, target, mask).detach())
        values["still"] = float(_follow(torch.zeros_like(out.finer), seen_flow, mask))
        return values

    def _learn_to_edit(self) -> dict[str, float]:
        """An edit of some moments, as the frozen encoders and guides see it."""
        moments = self.sampler.draw_moments()
        request = self._draw_request()
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
            was = self.frozen.reader(batch.image)
        change = self.frozen.reader(out.image) - was
        image_terms = self._supervise(out.image, batch, change, moments=moments, request=request)
        scale = self.frozen.reader.scale
        image_terms["keep"] = ((change - shift)[:, _SPEECH] / scale[_SPEECH]).square().mean()
        length = (shift.square().sum(dim=1) + 1e-6).sqrt()
        plain = {
            "motion": (_STIFF * (shift - before).square()).mean(),
            "size": functional.relu(length - request.intensity * self.config.model.largest_shift)
            .square()
            .mean(),
            "steady": trembling,
            "closure": part_closed_lips(batch.expression, shift),
            "asked": self._read_request(batch.expression + shift, moments, request),
            "identity": self._estrange(batch, out.image),
        }
        total = self._combine(image_terms, plain, out.image, since=self._editing_from)
        self._motion_optimiser.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.editor.parameters(), 1.0)
        self._motion_optimiser.step()
        self._motion_rate.step()
        return {name: float(term.detach()) for name, term in (image_terms | plain).items()}

    def _read_request(
        self,
        expression: Float[Tensor, "moments 52"],
        moments: Sequence[tuple[FaceClip, int]],
        request: "_Request",
    ) -> Float[Tensor, ""]:
        """How hardly the frozen CERL reads the emotion from the coefficients asked for.

        Guides do not know all emotions alike: left alone they turn anger into disgust.
        """
        emotion = self.frozen.emotion
        shown = expression - torch.from_numpy(emotion.neutral)
        together = shown[None] if _is_one_clip(moments) else shown[:, None]
        likely = (emotion.encoder(together) @ emotion.labels.T / emotion.temperature).log_softmax(1)
        return -likely[:, request.emotion.class_index].mean()

    def _estrange(
        self, batch: FaceBatch, edited: Float[Tensor, "moments 3 256 256"]
    ) -> Float[Tensor, ""]:
        """How far faces fall below the likeness that is asked for, squared."""
        where = template_grids(batch.landmarks)
        with torch.no_grad():
            was = self.frozen.likeness(batch.image, where)
        alike = (self.frozen.likeness(edited, where) * was).sum(dim=1)
        return functional.relu(self.config.model.alike - alike).square().mean()

    def _shift(
        self, moments: Sequence[tuple[FaceClip, int]], request: "_Request"
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

    def _draw_request(self) -> "_Request":
        emotion = _EMOTIONS[int(self.rng.integers(len(_EMOTIONS)))]
        label = self.frozen.emotion.labels[emotion.class_index]
        read = self._embeddings.get(emotion, [])
        from_clip = read and self.rng.random() < CLIP_SHARE
        embedding = read[int(self.rng.integers(len(read)))] if from_clip else label
        intensity = float(self.rng.uniform(0.7, 1.2))
        return _Request(
            emotion,
            embedding,
            intensity,
            ask(self.frozen.emotion, embedding) * intensity,
        )

    def _supervise(
        self,
        edited: Float[Tensor, "moments 3 256 256"],
        batch: FaceBatch,
        change: Float[Tensor, "moments 52"],
        *,
        moments: Sequence[tuple[FaceClip, int]],
        request: "_Request",
    ) -> dict[str, Float[Tensor, ""]]:
        frozen, weights = self.frozen, self.config.loss
        terms: dict[str, Float[Tensor, ""]] = {}
        faces = _tight_crops(edited, batch.landmarks, self.rng)
        index = request.emotion.class_index
        sure: Tensor = edited.new_zeros(())
        for guide, trust in frozen.guides:
            likely = functional.log_softmax(guide(faces), dim=1)[:, index]
            sure = sure - trust[request.emotion] * likely.clamp(max=float(np.log(_SURE))).mean()
        terms["guide"] = sure
        terms["natural"] = self._look_real(edited, batch.landmarks)
        if weights.emotion:
            neutral = torch.from_numpy(frozen.emotion.neutral)
            shown = batch.expression + change - neutral
            # Moments of one clip are one performance; stills are one each.
            together = shown[None] if _is_one_clip(moments) else shown[:, None]
            seen = frozen.emotion.encoder(together)
            terms["emotion"] = (1 - seen @ request.embedding).mean()
        if weights.content:
            terms["content"] = (
                self._content_distance(edited, batch, moments)
                if _is_one_clip(moments)
                else 0 * edited.sum()
            )
        return terms

    def _content_distance(
        self,
        image: Float[Tensor, "moments 3 256 256"],
        batch: FaceBatch,
        moments: Sequence[tuple[FaceClip, int]],
    ) -> Float[Tensor, ""]:
        """1 - cosine of the codes of the mouth before and after, over the second around."""
        content = self.frozen.content.content
        frames = content.config.frames
        clip = moments[0][0]
        places = clip.place[[i for _, i in moments]]
        start = int((places[0] + places[-1] + 1) // 2 - frames // 2)
        start = min(max(start, 0), len(clip.expression) - frames)
        window = slice(start, start + frames)
        pose, mouth = batch.crop_from_head, self.chain.mouth
        changed = cut_mouths(image, pose, mouth) - cut_mouths(batch.image, pose, mouth)
        # What changed at the moments rendered is carried over those between them.
        share = _hat_weights(places - start, frames)
        carried = torch.einsum("fm,mhw->fhw", share, changed)
        was = torch.from_numpy(clip.mouth[window]).float() / 127.5 - 1
        motion = torch.from_numpy(clip.expression[window][:, MOUTH_COEFFICIENTS])
        said = content.encode_views((was + 2 * carried)[None], motion[None])
        with torch.no_grad():
            meant = content.encode_views(was[None], motion[None])
        return torch.stack([1 - (said[v] * meant[v]).sum() for v in ("crops", "both")]).mean()

    def _look_real(
        self, image: Float[Tensor, "batch 3 256 256"], landmarks: Float[Tensor, "batch 478 3"]
    ) -> Float[Tensor, ""]:
        self.discriminator.requires_grad_(requires_grad=False)
        judged = self.discriminator(_patches(image, landmarks, self.rng))
        self.discriminator.requires_grad_(requires_grad=True)
        return (judged - 1).square().mean()

    def _criticise(
        self,
        image: Float[Tensor, "batch 3 256 256"],
        target: Float[Tensor, "pairs 3 256 256"],
        batch: FaceBatch,
    ) -> None:
        real = torch.cat([target, batch.image[len(target) :]])
        told = self.discriminator(_patches(real, batch.landmarks, self.rng))
        fooled = self.discriminator(_patches(image, batch.landmarks, self.rng))
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


@dataclass(frozen=True, slots=True)
class _Request:
    """The edit that some moments are asked for."""

    emotion: Emotion
    embedding: Float[Tensor, " 64"]
    intensity: float
    asked: Float[Tensor, " 7"]


def ask(emotion: EmotionModels, embedding: Float[Tensor, " 64"]) -> Float[Tensor, " 7"]:
    """How an embedding is put to the renderer: the likelihood of each emotion, 0 for neutral."""
    likely = emotion.likelihoods(embedding).clone()
    likely[Emotion.NEUTRAL.class_index] = 0
    return likely


def _is_one_clip(moments: Sequence[tuple[FaceClip, int]]) -> bool:
    return all(clip is moments[0][0] for clip, _ in moments)


def _shown(clip: FaceClip) -> Float[Tensor, " 7"]:
    asked = torch.zeros(len(Emotion))
    emotion = clip.clip.emotion
    if emotion not in (None, Emotion.NEUTRAL) and clip.clip.label_certain:
        asked[emotion.class_index] = 1.0
    return asked


def _clip_embeddings(
    clips: Sequence[FaceClip], emotion: EmotionModels
) -> dict[Emotion, list[Float[Tensor, " 64"]]]:
    """Of acted clips that CERL reads as what they were meant to be."""
    found: dict[Emotion, list[Tensor]] = {}
    for one in clips:
        meant = one.clip.emotion
        if meant in (None, Emotion.NEUTRAL):
            continue
        embedding = emotion.embed(one.expression).clone()
        if int((emotion.labels @ embedding).argmax()) == meant.class_index:
            found.setdefault(meant, []).append(embedding)
    return found


def cut_mouths(
    image: Float[Tensor, "batch 3 256 256"],
    crop_from_head: Float[Tensor, "batch 3 4"],
    mouth: Float[Tensor, " 3"],
) -> Float[Tensor, "batch 32 32"]:
    """Luma around the mouth, 0..1, as prepared clips hold it.

    Args:
        image: Crops.
        crop_from_head: Their poses.
        mouth: Where the canonical face has it, head space.
    """
    middle = crop_from_head[:, :2, :3] @ mouth + crop_from_head[:, :2, 3]
    return _cut(luma(image), middle, torch.full((len(image),), float(MOUTH_REACH_PX)), CROP_SIDE)[
        :, 0
    ]


def _cut(
    image: Float[Tensor, "batch c 256 256"],
    middle: Float[Tensor, "batch 2"],
    reach: Float[Tensor, " batch"],
    side: int,
) -> Float[Tensor, "batch c side side"]:
    """Squares around points, shrunk by area as far as that matters."""
    steps = (torch.arange(2 * side) + 0.5) / side - 1
    gx = middle[:, 0, None] + reach[:, None] * steps
    gy = middle[:, 1, None] + reach[:, None] * steps
    scale = 2 / (CROP_SIZE - 1)
    grid = torch.stack(
        [
            (gx[:, None, :] * scale - 1).expand(-1, 2 * side, -1),
            (gy[:, :, None] * scale - 1).expand(-1, -1, 2 * side),
        ],
        dim=3,
    )
    cut = functional.grid_sample(image, grid, padding_mode="border", align_corners=True)
    return functional.avg_pool2d(cut, 2)


def _tight_crops(
    image: Float[Tensor, "batch 3 256 256"],
    landmarks: Float[Tensor, "batch 478 3"],
    rng: np.random.Generator,
) -> Float[Tensor, "batch 3 112 112"]:
    """Squares around the face, a little off, in another light: what a guide sees."""
    low = landmarks[:, :MESH_LANDMARKS, :2].amin(dim=1)
    high = landmarks[:, :MESH_LANDMARKS, :2].amax(dim=1)
    count = len(image)
    jitter = torch.from_numpy(rng.normal(0, 1, (count, 3))).float()
    reach = (high - low).amax(dim=1) / 2 * (1.08 + 0.06 * jitter[:, 2])
    middle = (low + high) / 2 + 3.0 * jitter[:, :2]
    cut = _cut(image, middle, reach, 112)
    gain = torch.from_numpy(rng.uniform(0.85, 1.15, (count, 1, 1, 1))).float()
    noise = torch.from_numpy(rng.normal(0, 0.02, cut.shape)).float()
    if rng.integers(2):
        cut = cut.flip(3)
    return (cut * gain + noise).clamp(0, 1)


def _patches(
    image: Float[Tensor, "batch 3 256 256"],
    landmarks: Float[Tensor, "batch 478 3"],
    rng: np.random.Generator,
) -> Float[Tensor, "batch 3 96 96"]:
    """A part of each face."""
    cut = []
    for one, points in zip(image, landmarks, strict=True):
        x, y = points[int(rng.integers(MESH_LANDMARKS)), :2].tolist()
        left = int(np.clip(x - 48 + rng.integers(-16, 17), 0, CROP_SIZE - 96))
        top = int(np.clip(y - 48 + rng.integers(-16, 17), 0, CROP_SIZE - 96))
        cut.append(one[:, top : top + 96, left : left + 96])
    return torch.stack(cut)


def _picture_loss(
    image: Float[Tensor, "batch 3 256 256"],
    target: Float[Tensor, "batch 3 256 256"],
    mask: Float[Tensor, "batch 1 256 256"],
) -> Float[Tensor, ""]:
    """L1 over the face, of colours, of edges, and of what is left at a quarter of the size."""
    error = (image - target) * mask
    area = mask.mean()
    small = functional.avg_pool2d(error, 4)
    edges = (error[..., 1:] - error[..., :-1]).abs().mean() + (
        error[..., 1:, :] - error[..., :-1, :]
    ).abs().mean()
    return (error.abs().mean() + small.abs().mean() + edges) / area


def match_colour(
    target: Float[Tensor, "batch 3 256 256"],
    like: Float[Tensor, "batch 3 256 256"],
    mask: Float[Tensor, "batch 1 256 256"],
) -> Float[Tensor, "batch 3 256 256"]:
    """The target in the source's light: means of the faces made equal, so none is learned."""
    area = mask.sum(dim=(2, 3), keepdim=True)
    apart = ((like - target) * mask).sum(dim=(2, 3), keepdim=True) / area
    return (target + apart).clamp(0, 1)


def optical_flow(
    image: Float[Tensor, "batch 3 256 256"], target: Float[Tensor, "batch 3 256 256"]
) -> Float[Tensor, "batch 2 256 256"]:
    """For each pixel of the target, where it lies in the image, minus its own place; pixels.

    Dense inverse search (Kroeger et al. 2016), softened. It sees what landmarks pass over: oblique
    brows, a raised cheek.
    """
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [
        (255 * one[:, 0]).round().clamp(0, 255).byte().numpy()
        for one in (luma(target), luma(image))
    ]
    flows = [
        cv2.GaussianBlur(search.calc(to, come, None), (0, 0), FLOW_SOFTNESS_PX)  # type: ignore[call-overload]
        for to, come in zip(*grey, strict=True)
    ]
    return torch.from_numpy(np.stack(flows)).permute(0, 3, 1, 2)


def _follow(
    flow: Float[Tensor, "batch 2 256 256"],
    seen: Float[Tensor, "batch 2 256 256"],
    mask: Float[Tensor, "batch 1 256 256"],
) -> Float[Tensor, ""]:
    """How far the finer flow is from the one that is seen, squared; slopes of length 1 at 1 px."""
    apart = (flow - seen.clamp(-MAX_FLOW_PX, MAX_FLOW_PX)) * mask
    return apart.square().sum() / (2 * apart.numel() ** 0.5)


def _roughness(flow: Float[Tensor, "batch c 256 256"]) -> Float[Tensor, ""]:
    return _sum_abs(flow[..., 1:] - flow[..., :-1]) + _sum_abs(flow[..., 1:, :] - flow[..., :-1, :])


def _sum_abs(values: Float[Tensor, "..."]) -> Float[Tensor, ""]:
    """L1, scaled so that its slope has length 1 as that of the balanced terms."""
    return values.abs().sum() / values.numel() ** 0.5


def _lip_parting(
    flow: Float[Tensor, "batch 2 256 256"], landmarks: Float[Tensor, "batch 478 3"]
) -> Float[Tensor, ""]:
    """What the finer flow does to the opening of the mouth, crop pixels, squared."""
    scale = 2 / (CROP_SIZE - 1)
    upper, lower = (
        functional.grid_sample(flow, landmarks[:, side, None, :2] * scale - 1, align_corners=True)[
            ..., 0
        ]
        for side in INNER_PAIRS.T
    )
    return (upper - lower)[:, 1].square().mean()


def _hat_weights(places: np.ndarray, frames: int) -> Float[Tensor, "frames moments"]:
    """How much of each moment's change each frame has: linear between, held beyond."""
    grid = np.arange(frames)
    eye = np.eye(len(places))
    return torch.from_numpy(np.stack([np.interp(grid, places, row) for row in eye], axis=1)).float()


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
