"""The generator, learned: the renderer from pairs of frames, and with the motion editor from CDRL.

Half of each batch is reenactment: a frame is moved to the expression of another of the same
person, preferably from a take with another emotion, and must look like it. The other half has no
real target: moments of a clip are edited to an emotion by the motion editor, and frozen encoders
look at the pixels (paper, section 3.4): CERL whether the emotion has arrived, CCRL whether the
mouth says the same. Differs from the paper: two published emotion nets look too, and a patch
discriminator keeps what all of them ask for photographic.
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

from cdrl_cli.checkpoints.content import ContentModels, load_content
from cdrl_cli.checkpoints.emotion import EmotionModels, load_emotion
from cdrl_cli.checkpoints.models import load_models
from cdrl_cli.data.clips import read_index, read_london
from cdrl_cli.data.faces import MOMENTS, FaceBatch, FaceClip, FaceSampler, Light, join_clip
from cdrl_cli.data.prepared import PreparedClip
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UsageError
from cdrl_cli.face.alignment import CROP_SIZE
from cdrl_cli.face.landmarks import MESH_LANDMARKS
from cdrl_cli.generator.lips import INNER_PAIRS
from cdrl_cli.generator.motion import SHARES
from cdrl_cli.generator.motion_network import MotionEditor
from cdrl_cli.generator.unet import RendererNet, UNetConfig
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
from cdrl_cli.training.guides import Guide, open_guides
from cdrl_cli.training.log import Log
from cdrl_cli.training.prepare import MOUTH_REACH_PX, prepare_clips, prepare_crops
from cdrl_cli.training.reader import Reader, train_reader
from cdrl_cli.training.split import is_learned_from

CLIP_SHARE = 0.5
"""Of the edits ask as a reference does, where a clip is read rightly; the others as a label."""

CALIBRATION_STEPS = 40
"""Steps over which the terms' gradients are measured before their weights are fixed."""

_EMOTIONS = [emotion for emotion in Emotion if emotion is not Emotion.NEUTRAL]
_SPEECH = np.flatnonzero(SHARES == 0)[1:].tolist()
_SURE = 0.9
"""A guide that is as sure asks for no more."""


@dataclass(frozen=True, slots=True)
class Supervision:
    """All that is frozen."""

    emotion: EmotionModels
    content: ContentModels
    reader: Reader
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
        self._optimiser = torch.optim.AdamW(
            [
                {"params": list(self.renderer.parameters())},
                {"params": list(self.editor.parameters())},
            ],
            schedule.learning_rate,
            betas=(0.9, 0.99),
            weight_decay=schedule.weight_decay,
        )
        self._rate = torch.optim.lr_scheduler.OneCycleLR(
            self._optimiser,
            [schedule.learning_rate, config.model.motion_rate],
            schedule.steps,
            pct_start=0.1,
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
        facts = {
            "recipe": "spfem train renderer",
            "licence_class": self.config.data.licence,
            "commit": self._facts.commit,
            "data_digest": self._facts.data_digest,
            "steps": str(self.step),
        }
        return GeneratorResult(self.average.eval(), self.finished_editor(), self.step, facts)

    def finished_editor(self) -> MotionEditor:
        """The motion editor as it is shipped: part of its fine-tuning, and calibrated."""
        share = self.config.model.motion_share
        editor = copy.deepcopy(self._before)
        with torch.no_grad():
            for weight, tuned in zip(editor.parameters(), self.editor.parameters(), strict=True):
                weight.lerp_(tuned, share)
            editor.gain.fill_(self.config.model.motion_gain)
        return editor.requires_grad_(requires_grad=True).eval()

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
        pairs = [self.sampler.draw_pair() for _ in range(self.config.sampling.pairs)]
        moments = self.sampler.draw_moments()
        request = self._draw_request()
        light = Light.draw(len(pairs) + len(moments), self.rng)
        batch = FaceBatch.of([one for one, _ in pairs] + moments).relit(light)
        wanted = FaceBatch.of([other for _, other in pairs]).relit(light)
        count = len(pairs)

        shift, before = self._shift(moments, request)
        displacement = torch.cat(
            [
                (wanted.landmarks - batch.landmarks[:count])[..., :2],
                self.chain.displace(shift, batch.crop_from_head[count:], batch.landmarks[count:]),
            ]
        )
        moved, mask = self.chain.warp_flow(
            displacement, batch.landmarks, batch.owner, batch.inside_px
        )
        shifts = torch.cat([wanted.expression - batch.expression[:count], shift])
        asked = torch.stack(
            [*(_shown(other) for (_, _), (other, _) in pairs), *[request.asked] * MOMENTS]
        )
        condition = torch.cat([batch.expression, shifts, asked], dim=1)
        out = self.chain.render(
            self.renderer, batch.image.contiguous(memory_format=torch.channels_last), moved, mask,
            condition,
        )  # fmt: skip
        # Encoders and guides may bend an edited face, not paint it: colours learn from real pairs
        # alone. Asked for disgust, paint would be bruises around the eyes.
        unpainted = (out.image - out.colour)[count:] + out.colour[count:].detach()
        image = torch.cat([out.image[:count], unpainted])
        target = _match_colour(wanted.image, out.warped[:count].detach(), mask[:count])

        image_terms = {
            "picture": _picture_loss(image[:count], target, mask[:count]),
            **self._supervise(
                image[count:], batch, moments=moments, shift=shift, request=request, count=count
            ),
            "adversarial": self._look_real(image, batch.landmarks),
        }
        plain = {
            "sparse": _sum_abs(out.colour) + 0.01 * _sum_abs(out.finer),
            "smooth": _roughness(out.colour) + 0.5 * _roughness(out.finer),
            "lips": _lip_parting(out.finer, batch.landmarks),
            "motion": (shift - before).square().mean()
            if shift.requires_grad
            else out.finer.sum() * 0,
        }
        total = self._combine(image_terms, plain, image)
        self._optimiser.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.renderer.parameters(), 5.0)
        nn.utils.clip_grad_norm_(self.editor.parameters(), 1.0)
        self._optimiser.step()
        self._rate.step()
        self._criticise(image.detach(), target, batch)
        self.step += 1
        keep = min(0.995, self.step / (self.step + 10))
        with torch.no_grad():
            for mean, now in zip(
                self.average.parameters(), self.renderer.parameters(), strict=True
            ):
                mean.lerp_(now, 1 - keep)
        values = {name: float(term.detach()) for name, term in (image_terms | plain).items()}
        values["warp"] = float(_picture_loss(out.warped[:count], target, mask[:count]).detach())
        return values

    def _shift(
        self, moments: Sequence[tuple[FaceClip, int]], request: "_Request"
    ) -> tuple[Float[Tensor, "moments 52"], Float[Tensor, "moments 52"]]:
        """What the editor changes now, and what it would have before the fine-tuning."""
        intensity = torch.tensor([request.intensity])
        found: list[list[Tensor]] = [[], []]
        edited: dict[int, list[Tensor]] = {}
        for clip, i in moments:
            if id(clip) not in edited:
                source = torch.from_numpy(clip.expression)[None]
                edited[id(clip)] = [
                    (editor(source, request.embedding[None], intensity) - source)[0]
                    for editor in (self.editor, self._before)
                ]
            for row, change in zip(found, edited[id(clip)], strict=True):
                row.append(change[clip.place[i]])
        return torch.stack(found[0]), torch.stack(found[1])

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
        *,
        moments: Sequence[tuple[FaceClip, int]],
        shift: Float[Tensor, "moments 52"],
        request: "_Request",
        count: int,
    ) -> dict[str, Float[Tensor, ""]]:
        frozen, weights = self.frozen, self.config.loss
        terms: dict[str, Float[Tensor, ""]] = {}
        source = batch.image[count:]
        faces = _tight_crops(edited, batch.landmarks[count:], self.rng)
        index = request.emotion.class_index
        sure: Tensor = edited.new_zeros(())
        for guide, trust in frozen.guides:
            likely = functional.log_softmax(guide(faces), dim=1)[:, index]
            sure = sure - trust[request.emotion] * likely.clamp(max=float(np.log(_SURE))).mean()
        terms["guide"] = sure
        with torch.no_grad():
            was = frozen.reader(source)
        change = frozen.reader(edited) - was
        scale = frozen.reader.scale
        terms["keep"] = ((change - shift)[:, _SPEECH] / scale[_SPEECH]).square().mean() + 0.1 * (
            (change - shift) / scale
        ).square().clamp(max=9).mean()
        if weights.emotion:
            neutral = torch.from_numpy(frozen.emotion.neutral)
            shown = batch.expression[count:] + change - neutral
            # Moments of one clip are one performance; stills are one each.
            together = shown[None] if _is_one_clip(moments) else shown[:, None]
            seen = frozen.emotion.encoder(together)
            terms["emotion"] = (1 - seen @ request.embedding).mean()
        if weights.content:
            terms["content"] = (
                self._content_distance(edited, batch, moments, count)
                if _is_one_clip(moments)
                else 0 * edited.sum()
            )
        return terms

    def _content_distance(
        self,
        image: Float[Tensor, "moments 3 256 256"],
        batch: FaceBatch,
        moments: Sequence[tuple[FaceClip, int]],
        count: int,
    ) -> Float[Tensor, ""]:
        """1 - cosine of the codes of the mouth before and after, over the second around."""
        content = self.frozen.content.content
        frames = content.config.frames
        clip = moments[0][0]
        places = clip.place[[i for _, i in moments]]
        start = int((places[0] + places[-1] + 1) // 2 - frames // 2)
        start = min(max(start, 0), len(clip.expression) - frames)
        window = slice(start, start + frames)
        pose = batch.crop_from_head[count:]
        mouth = self.chain.mouth
        changed = cut_mouths(image, pose, mouth) - cut_mouths(batch.image[count:], pose, mouth)
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
    ) -> Float[Tensor, ""]:
        """One loss: terms on the picture balanced by the length of their gradient on it.

        The lengths are measured over the first steps and then stay: a term that is satisfied must
        be able to fall silent.
        """
        weights = self.config.loss
        calibrating = self.step < CALIBRATION_STEPS
        ramp = min(1.0, self.step / max(1, self.config.schedule.steps // 6))
        total = image.new_zeros(())
        for name, term in image_terms.items():
            if calibrating:
                (slope,) = torch.autograd.grad(term, image, retain_graph=True)
                length = float(slope.norm())
                self.scales[name] = self.scales.get(name, 0.0) + length / CALIBRATION_STEPS
                known = self.scales[name] * CALIBRATION_STEPS / (self.step + 1)
            else:
                known = self.scales[name]
            weight = getattr(weights, name) * (1.0 if name == "picture" else ramp)
            total = total + weight * term / max(known, 1e-8)
        for name, term in plain.items():
            total = total + getattr(weights, name) * term
        return total

    def _note(self) -> None:
        names = list(self._rows[0])
        row = {name: float(np.mean([one[name] for one in self._rows])) for name in names}
        self._rows.clear()
        self._log.write(step=self.step, **row)


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
    return _cut(_luma(image), middle, torch.full((len(image),), float(MOUTH_REACH_PX)), CROP_SIDE)[
        :, 0
    ]


def _luma(image: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch 1 h w"]:
    return (image * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)


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


def _match_colour(
    target: Float[Tensor, "batch 3 256 256"],
    like: Float[Tensor, "batch 3 256 256"],
    mask: Float[Tensor, "batch 1 256 256"],
) -> Float[Tensor, "batch 3 256 256"]:
    """The target in the source's light: means of the faces made equal, so none is learned."""
    area = mask.sum(dim=(2, 3), keepdim=True)
    apart = ((like - target) * mask).sum(dim=(2, 3), keepdim=True) / area
    return (target + apart).clamp(0, 1)


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
        WeightsError: If a frozen part is missing.
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
        Supervision(load_emotion(licence), load_content(licence), reader, guides),
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
