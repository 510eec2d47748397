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
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from cdrl_cli.checkpoints.load import find_weights
from cdrl_cli.checkpoints.models import load_models
from cdrl_cli.checkpoints.trained import load_content, load_emotion
from cdrl_cli.data.clips import read_index, read_london
from cdrl_cli.data.faces import FaceBatch, FaceClip, FaceSampler, Light, join_clip
from cdrl_cli.data.packs import read_pack
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UsageError
from cdrl_cli.face.blendshapes import COEFFICIENTS, EXPRESSION_NAMES, SHARES
from cdrl_cli.generator.motion_network import MotionEditor
from cdrl_cli.generator.unet import RendererNet, UNetConfig
from cdrl_cli.geometry.mesh import FaceMesh
from cdrl_cli.training.chain import Chain, Geometry, Rendered
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
from cdrl_cli.training.supervision import Edits, RequestSampler, Supervision, is_one_clip

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
    "asked", "identity", "likeness", "alike", "price", "drawn",
)  # fmt: skip

PRICE_RATE = 2.0
"""How fast the price of likeness follows what is missing of it: logarithm per cosine and step."""

PRICES = (1.0, 1e5)
"""It stays between."""

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
        device: Where networks and pictures are.
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
        device: torch.device | str = "cpu",
    ) -> None:
        schedule = config.schedule
        torch.set_num_threads(schedule.threads)
        self.config, self.device = config, torch.device(device)
        # It reads its references once, where the networks are now.
        self._requests = RequestSampler(clips, supervision.emotion)
        self.chain, self.frozen = chain.to(device), supervision.to(device)
        with torch.random.fork_rng():
            torch.manual_seed(schedule.seed)
            self.renderer = RendererNet(UNetConfig(config.model.widths))
            self.discriminator = Discriminator()
        self.renderer.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.discriminator.to(device)
        self.editor = editor.to(device).train()
        self._before = copy.deepcopy(editor).requires_grad_(requires_grad=False).eval()
        self.average = copy.deepcopy(self.renderer).requires_grad_(requires_grad=False)
        self._editing_from = round(schedule.steps * config.model.editing_from)
        self._optimiser, self._rate = _optimise(
            self.renderer, schedule.learning_rate, schedule.steps, schedule.weight_decay
        )
        self._motion_optimiser, self._motion_rate = _optimise(
            self.editor, config.model.motion_rate, max(1, schedule.steps - self._editing_from), 0.0
        )
        self._drawing_optimiser, self._drawing_rate = _optimise(
            self.renderer.drawings,
            config.model.drawing_rate,
            max(1, schedule.steps - self._editing_from),
            0.0,
        )
        self._critic = torch.optim.AdamW(
            self.discriminator.parameters(), config.model.critic_rate, betas=(0.5, 0.99)
        )
        self.generator = torch.Generator().manual_seed(schedule.seed)
        self.rng = np.random.default_rng(schedule.seed)
        self.sampler = FaceSampler(clips, self.rng)
        self.scales: dict[str, float] = {}
        self.price = 100.0
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
            "drawing_optimiser": self._drawing_optimiser,
            "drawing_rate": self._drawing_rate,
        }
        self._checkpoint = run / "last.pt"
        if going_on:
            self.step, notes = resume(
                self._checkpoint, self._facts, parts=self._parts, generator=self.generator
            )
            self.price = float(notes.pop("price"))
            self.scales = {name: float(value) for name, value in notes.items()}
        self._log = Log(run / "log.csv", since=self.step)
        self._rows: list[dict[str, float]] = []

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
            notes={**self.scales, "price": self.price},
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
        batch = FaceBatch.of([one for one, _ in pairs], self.device).relit(light)
        wanted = FaceBatch.of([other for _, other in pairs], self.device).relit(light)
        moved, mask = self.chain.warp_flow(
            (wanted.landmarks - batch.landmarks)[..., :2],
            batch.landmarks,
            batch.owner,
            batch.inside_px,
        )
        asked = torch.stack([_shown(other) for _, (other, _) in pairs]).to(self.device)
        # Coefficients tremble; what follows them to the letter trembles too.
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
        image_terms = {
            "picture": picture_loss(out.image, target, mask),
            "adversarial": self._look_real(out.image, batch.landmarks),
        }
        plain = {
            "flow": follow_flow(out.finer, seen_flow, mask),
            **_restrain(out, batch.landmarks),
        }
        total = self._combine(image_terms, plain, out.image, since=0)
        self._optimiser.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.renderer.parameters(), 5.0)
        self._optimiser.step()
        self._rate.step()
        self._criticise(out.image.detach(), target, batch.landmarks)
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
        """Edits of some moments, as the frozen encoders and guides see them."""
        frozen, weights, guided = self.frozen, self.config.loss, self.config.model.guided_pixels
        count = self.config.sampling.edits
        edits = Edits(
            [self.sampler.draw_moments() for _ in range(count)],
            [self._requests.draw(self.rng) for _ in range(count)],
        )
        crops = [crop for moments in edits.moments for crop in moments]
        light = Light.draw(len(crops), self.rng)
        batch = FaceBatch.of(crops, self.device).relit(light)
        shift, before, trembling = self._shift(edits)
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
        image_terms = {
            "guide": frozen.guide_loss(out.image, batch.landmarks, edits, self.rng),
            "natural": self._look_real(out.image, batch.landmarks),
        }
        if weights.emotion:
            image_terms["emotion"] = frozen.emotion_loss(batch.expression + change, edits)
        if weights.content:
            image_terms["content"] = frozen.content_loss(out.image, batch, edits, self.chain.mouth)
        scale = frozen.reader.scale
        image_terms["keep"] = ((change - shift)[:, _SPEECH] / scale[_SPEECH]).square().mean()
        length = (shift.square().sum(dim=1) + 1e-6).sqrt()
        most = edits.per_crop(edits.intensities).to(self.device) * self.config.model.largest_shift
        alike = frozen.alikeness(batch, out.image)
        plain = {
            "motion": (_STIFF.to(self.device) * (shift - before).square()).mean(),
            "size": functional.relu(length - most).square().mean(),
            "steady": trembling,
            "closure": part_closed_lips(batch.expression, shift),
            "asked": frozen.request_loss(batch.expression + shift, edits),
            "identity": functional.relu(self.config.model.least_alike - alike).square().mean(),
            "likeness": self.price * (1 - alike.mean()),
        }
        if guided:
            plain["drawn"] = self.renderer.drawings.roughness()
        total = self._combine(image_terms, plain, out.image, since=self._editing_from)
        self._motion_optimiser.zero_grad()
        self._drawing_optimiser.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.editor.parameters(), 1.0)
        self._motion_optimiser.step()
        self._motion_rate.step()
        if guided:
            network.requires_grad_(requires_grad=True)
            self._drawing_optimiser.step()
            self._drawing_rate.step()
            self._criticise(out.image.detach(), batch.image, batch.landmarks)
        likeness = float(alike.detach().mean())
        missing = self.config.model.alike - likeness
        self.price = float(np.clip(self.price * np.exp(PRICE_RATE * missing), *PRICES))
        values = {name: float(term.detach()) for name, term in (image_terms | plain).items()}
        return values | {"alike": likeness, "price": self.price}

    def _shift(
        self, edits: Edits
    ) -> tuple[Float[Tensor, "crops 52"], Float[Tensor, "crops 52"], Float[Tensor, ""]]:
        """What the editor changes now, what it would have before, and how its change trembles."""
        sources: list[np.ndarray] = []
        rows: list[int] = []
        places: list[tuple[int, int]] = []
        for row, moments in enumerate(edits.moments):
            of_one = is_one_clip(moments)
            for clip, i in moments:
                if not of_one or not rows or rows[-1] != row:
                    sources.append(clip.expression)
                    rows.append(row)
                places.append((len(sources) - 1, int(clip.place[i])))
        longest = max(map(len, sources))
        # The editor repeats a clip's last frame beyond its end, so what is added changes nothing.
        padded = [np.pad(one, ((0, longest - len(one)), (0, 0)), "edge") for one in sources]
        source = torch.from_numpy(np.stack(padded)).to(self.device)
        embedding = edits.embeddings[rows].to(self.device)
        intensity = edits.intensities[rows].to(self.device)
        now, before = (
            editor(source, embedding, intensity) - source for editor in (self.editor, self._before)
        )
        lengths = torch.tensor([len(one) for one in sources], device=self.device)
        inside = torch.arange(longest, device=self.device) < lengths[:, None]
        jolts = (now.diff(n=2, dim=1).square().sum(dim=2) * inside[:, 2:]).sum(dim=1) / lengths
        where = tuple(torch.tensor(places, device=self.device).T)
        return now[where], before[where], jolts.mean()

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
        real: Float[Tensor, "batch 3 256 256"],
        landmarks: Float[Tensor, "batch 478 3"],
    ) -> None:
        told = self.discriminator(cut_patches(real, landmarks, self.rng))
        fooled = self.discriminator(cut_patches(image, landmarks, self.rng))
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


def _restrain(
    out: Rendered, landmarks: Float[Tensor, "batch 478 3"]
) -> dict[str, Float[Tensor, ""]]:
    """What is not needed is not touched."""
    return {
        "sparse": sum_abs(out.colour) + 0.01 * sum_abs(out.finer),
        "smooth": roughness(out.colour) + 0.5 * roughness(out.finer),
        "lips": part_lips(out.finer, landmarks),
    }


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


def find_device(name: str) -> torch.device:
    """Where a run may be.

    Args:
        name: ``cpu`` or ``cuda``.

    Raises:
        UsageError: If torch finds no such device.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("torch finds no GPU here", hint="--device cpu; spfem doctor says more")
    return torch.device(name)


def gather_faces(
    config: RendererTrainingConfig,
    data: Path,
    cache: Path,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> list[FaceClip]:
    """The faces of a folder of clips that a recipe may learn from: crops and geometry.

    Args:
        config: The recipe.
        data: Folder with ``index.csv``.
        cache: Of prepared clips; crops are kept beside them.
        progress: Called with (clips done, clips in all).

    Raises:
        UsageError: If no clip is left to learn from.
    """
    models = load_models(config.data.licence, core=True)
    clips = [
        clip
        for clip in (*read_index(data), *read_london(data / "london"))
        if is_learned_from(clip, config.data) and "full frame" not in clip.dataset
    ]
    prepared = list(prepare_clips(clips, models, cache, progress=progress))
    if not prepared:
        raise UsageError(f"{data}: no clip to learn from")
    return [
        join_clip(
            one, crops, [draw_geometry(points, models.mesh) for points in crops.landmarks_xyz]
        )
        for one, crops in zip(
            prepared, prepare_crops(prepared, models, cache / "crops"), strict=True
        )
    ]


def unpack_faces(config: RendererTrainingConfig, pack: Path) -> list[FaceClip]:
    """The same from a pack (:mod:`cdrl_cli.data.packs`).

    Raises:
        UnreadableInputError: If the file is no pack.
        UsageError: If no clip is left to learn from.
    """
    faces = read_pack(
        pack,
        partial(draw_geometry, mesh=load_models(config.data.licence, core=True).mesh),
        wanted=partial(is_learned_from, data=config.data),
    )
    if not faces:
        raise UsageError(f"{pack}: no clip to learn from")
    return faces


def prepare_training(
    config: RendererTrainingConfig,
    faces: Sequence[FaceClip],
    editor: MotionEditor,
    *,
    run: Path,
    going_on: bool = False,
    device: torch.device | str = "cpu",
) -> GeneratorTraining:
    """A run over faces: the differentiable generator, the reader, the frozen encoders.

    Args:
        config: The recipe.
        faces: Of :func:`gather_faces` or :func:`unpack_faces`.
        editor: A trained motion editor.
        run: Folder of the checkpoint, the log and the reader.
        going_on: Continue from the checkpoint there.
        device: Where networks and pictures are.

    Raises:
        WeightsError: If a frozen part is missing, or the guides or SFace are.
    """
    licence = config.data.licence
    models, guides = load_models(licence, core=True), open_guides()
    return GeneratorTraining(
        config,
        faces,
        Chain(models.mesh, models.head.canonical_xyz, models.basis.displacement),
        editor,
        Supervision(
            load_emotion(licence),
            load_content(licence),
            _find_reader(run / "reader.pt", faces, config),
            Likeness(find_weights("identity")),
            guides,
        ),
        run=run,
        going_on=going_on,
        device=device,
    )


def draw_geometry(
    landmarks_xyz: Float[np.ndarray, "478 3"], mesh: FaceMesh
) -> tuple[np.ndarray, np.ndarray]:
    """Owner and depth of a crop's pixels."""
    drawn = Geometry.of(landmarks_xyz, mesh)
    return drawn.owner, drawn.inside_px


def _find_reader(path: Path, faces: Sequence[FaceClip], config: RendererTrainingConfig) -> Reader:
    """The reader of this run, trained if there is none."""
    if path.exists():
        reader = Reader()
        reader.load_state_dict(torch.load(path, weights_only=True))
        return reader.requires_grad_(requires_grad=False).eval()
    torch.set_num_threads(config.schedule.threads)
    shown = [(one.crops.image, one.crops.expression) for one in faces]
    reader, _ = train_reader(shown, steps=config.model.reader_steps, seed=config.schedule.seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(reader.state_dict(), path)
    return reader
