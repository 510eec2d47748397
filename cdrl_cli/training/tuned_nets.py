"""The two published expression nets, tuned on the faces of the data: what reads a reference.

Both were learned from pictures of the web and hardly know fear and anger as actors show them. They
go on learning here from close-ups as an edit reads them, clips and photographs, every emotion
alike; a compound emotion counts for both that it is made of. What is kept lies half way between the
published weights and the tuned ones, which reads pictures of another kind better than either
(Wortsman et al. 2022, "Robust fine-tuning of zero-shot models"). How sharp its answers are is
fitted on people who are not learned from, behind the evidence that an edit adds to them
(temperature scaling, Guo et al. 2017).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cdrl_cli.array_types import Float, Float32, UInt8
from cdrl_cli.checkpoints.models import Models
from cdrl_cli.data.datasets.photos import emotion_shares
from cdrl_cli.data.index import Clip
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UsageError
from cdrl_cli.face.stream import FaceTrack
from cdrl_cli.metrics.over_emotions import mean_over_emotions
from cdrl_cli.representation.evidence import Evidence, EvidenceModel
from cdrl_cli.representation.expression_nets import COLOUR_SIDE, GREY_SIDE, LOOKS
from cdrl_cli.training.acted_faces import read_acted_faces
from cdrl_cli.training.checkpoint import Stateful, digest_data, run_facts, step_rng
from cdrl_cli.training.config import DataConfig, ScheduleConfig
from cdrl_cli.training.loop import Loss, Task, Trainer, Update, open_device
from cdrl_cli.training.optimiser import Optimiser
from cdrl_cli.training.published import BothNets
from cdrl_cli.training.teachers.emotion import luma

TUNED_SHARE = 0.5
"""How far from the published weights to the tuned ones those that are kept lie, 0..1."""

SHARPNESSES = np.geomspace(0.5, 3.0, 25)
"""Factors of the nets' logits that are tried on people who are not learned from."""


@dataclass(frozen=True, slots=True)
class NetsRecipe:
    """Recipe of the tuned expression nets."""

    data: DataConfig = field(default_factory=DataConfig)
    schedule: ScheduleConfig = field(
        default_factory=lambda: ScheduleConfig(steps=650, learning_rate=1e-3, weight_decay=1e-3)
    )
    batch: int = 32
    """Close-ups a step."""
    smoothing: float = 0.05
    """Share of a label that is spread over all emotions."""
    counted: dict[str, float] = field(default_factory=dict)
    """How often a clip or picture of a data set is drawn, against 1 for the others."""

    def __post_init__(self) -> None:
        if self.batch < 1 or not 0 <= self.smoothing < 1:
            raise UsageError(f"batch must be 1 or more and smoothing in 0..1, got {self}")


@dataclass(frozen=True, slots=True)
class Look:
    """A clip or picture of a face whose emotion is known, as the nets see it."""

    clip: Clip
    shares: Float32[np.ndarray, " 7"]
    """Of each emotion, 1 in all."""
    close_ups: UInt8[np.ndarray, "looks 112 112 3"]
    """Of its more expressive half."""
    expression: Float[np.ndarray, " 52"]
    shape: Float[np.ndarray, "478 3"]
    """Means over that half; see :class:`~cdrl_cli.representation.evidence.Evidence`."""


def look_at(
    clips: Sequence[tuple[Clip, tuple[Emotion, ...]]],
    models: Models,
    cache: Path,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> list[Look]:
    """Read clips and pictures, or take them from the cache; those without a face are left out.

    Args:
        clips: Each with the emotions that it shows together.
        models: Read faces.
        cache: Folder of what was read.
        progress: Called with (done, in all).
    """

    def describe(_: FaceTrack, half: FaceTrack) -> dict[str, np.ndarray]:
        chosen = np.unique(np.linspace(0, len(half.close_ups) - 1, LOOKS).round().astype(int))
        return {"close_ups": half.close_ups[chosen]}

    read = read_acted_faces([clip for clip, _ in clips], models, cache, describe, progress=progress)
    return [
        Look(clip, _shares(emotions), arrays["close_ups"], arrays["expression"], arrays["shape"])
        for (clip, emotions), arrays in zip(clips, read, strict=True)
        if arrays is not None
    ]


def _shares(emotions: tuple[Emotion, ...]) -> Float32[np.ndarray, " 7"]:
    shares = emotion_shares(emotions)
    shares[Emotion.NEUTRAL.class_index] = float(emotions == (Emotion.NEUTRAL,))
    return shares


class NetsTask(Task):
    """Both nets, each learning for itself from the same close-ups.

    Args:
        recipe: The recipe.
        looks: What is learned from; at least one of every emotion.
        nets: The published nets; changed in place.
        device: Where nets and batches are.

    Raises:
        UsageError: If an emotion is shown by nobody.
    """

    def __init__(
        self,
        recipe: NetsRecipe,
        looks: Sequence[Look],
        nets: BothNets,
        *,
        device: torch.device | None = None,
    ) -> None:
        self._recipe, self._looks = recipe, looks
        self._device = device or torch.device("cpu")
        counted = np.array([recipe.counted.get(one.clip.dataset, 1.0) for one in looks])
        shown = np.stack([one.shares for one in looks]) * counted[:, None]
        missing = [emotion for emotion in Emotion if not shown[:, emotion.class_index].any()]
        if missing:
            raise UsageError(f"nobody in the data is {missing[0]}: there is nothing to learn from")
        self._chance = shown / shown.sum(axis=0)
        self.generator = torch.Generator().manual_seed(recipe.schedule.seed)
        # Not in training mode: the statistics that mini-Xception normalises by stay.
        self._nets = nets.requires_grad_(requires_grad=True).eval().to(self._device)
        self._optimisers = {
            name: Optimiser(
                net,
                learning_rate=recipe.schedule.learning_rate,
                steps=recipe.schedule.steps,
                weight_decay=recipe.schedule.weight_decay,
                rising=0.06,
            )
            for name, net in (("face-api", nets.face_api), ("mini-xception", nets.xception))
        }

    @property
    def parts(self) -> dict[str, Stateful]:
        """See :class:`~cdrl_cli.training.loop.Task`."""
        return {"nets": self._nets, **self._optimisers}

    @property
    def product(self) -> BothNets:
        """Both nets, with their last weights."""
        return self._nets

    def updates(self, step: int) -> Iterator[Update]:
        """See :class:`~cdrl_cli.training.loop.Task`."""
        pictures, shares = self._draw(step_rng(self._recipe.schedule.seed, step))
        told = read_pictures(self._nets, pictures)
        smooth = self._recipe.smoothing
        wanted = (1 - smooth) * shares + smooth / len(Emotion)
        nats = -(wanted[:, None] * told).sum(dim=2).mean(dim=0)
        losses = [Loss(name, own) for name, own in zip(self._optimisers, nats, strict=True)]
        yield Update(losses, list(self._optimisers.values()))

    def _draw(
        self, rng: np.random.Generator
    ) -> tuple[Float[Tensor, "batch 3 112 112"], Float[Tensor, "batch 7"]]:
        """Close-ups, every emotion as often as any, and their labels."""
        rows = [
            rng.choice(len(self._looks), p=self._chance[:, rng.integers(len(Emotion))])
            for _ in range(self._recipe.batch)
        ]
        pictures = []
        for row in rows:
            close_ups = self._looks[row].close_ups
            pictures.append(close_ups[rng.integers(len(close_ups))])
        shown = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
        shares = torch.from_numpy(np.stack([self._looks[row].shares for row in rows]))
        return vary(shown, rng).to(self._device), shares.to(self._device)


def read_pictures(
    nets: BothNets, pictures: Float[Tensor, "batch 3 112 112"]
) -> Float[Tensor, "batch 2 7"]:
    """Log probabilities of both nets; close-ups in sRGB 0..1."""
    small = functional.interpolate(
        pictures, (GREY_SIDE, GREY_SIDE), mode="bilinear", antialias=True, align_corners=False
    )
    told: Tensor = nets(pictures, luma(small))
    return told


def vary(
    pictures: Float[Tensor, "batch 3 112 112"], rng: np.random.Generator
) -> Float[Tensor, "batch 3 112 112"]:
    """The same faces, otherwise cut and lit: mirrored, turned, moved, blurred, brighter, noisy.

    Args:
        pictures: sRGB 0..1.
        rng: Draws.
    """
    count = len(pictures)

    def draw(low: float, high: float, *shape: int) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, (count, *shape))).float()

    turned, size = draw(-0.15, 0.15), draw(0.9, 1.12)
    flip = torch.from_numpy(rng.choice([-1.0, 1.0], count)).float()
    cut = torch.zeros(count, 2, 3)
    cut[:, 0, 0], cut[:, 0, 1] = turned.cos() * size * flip, -turned.sin() * size
    cut[:, 1, 0], cut[:, 1, 1] = turned.sin() * size * flip, turned.cos() * size
    cut[:, :, 2] = draw(-0.07, 0.07, 2)
    grid = functional.affine_grid(cut, list(pictures.shape), align_corners=False)
    seen = functional.grid_sample(pictures, grid, padding_mode="reflection", align_corners=False)
    if rng.random() < 1 / 3:
        side = int(rng.integers(40, 90))
        small = functional.interpolate(seen, (side, side), mode="bilinear", antialias=True)
        seen = functional.interpolate(small, (COLOUR_SIDE, COLOUR_SIDE), mode="bilinear")
    seen = (seen.clamp(0, 1) + 1e-4) ** (2 ** draw(-0.6, 0.6, 1, 1, 1))
    mean = seen.mean(dim=(1, 2, 3), keepdim=True)
    seen = (seen - mean) * draw(0.7, 1.3, 1, 1, 1) + mean * draw(0.75, 1.25, 1, 1, 1)
    grey = seen.mean(dim=1, keepdim=True)
    seen = grey + (seen - grey) * draw(0.0, 1.3, 1, 1, 1)
    noise = torch.from_numpy(rng.standard_normal(seen.shape, np.float32))
    seen = seen * (1 + draw(-0.05, 0.05, 3, 1, 1)) + draw(0.0, 0.02, 1, 1, 1) * noise
    return seen.clamp(0, 1)


@dataclass(frozen=True, slots=True)
class NetsResult:
    """What a run brought."""

    nets: BothNets
    """With the fitted sharpness."""
    steps: int
    read: float
    """Share read rightly of the people who are not learned from, each emotion alike, as an edit
    reads them; NaN without such people."""
    facts: dict[str, str]


def tune_nets(
    recipe: NetsRecipe,
    looks: Sequence[Look],
    proof: Sequence[Look],
    nets: BothNets,
    evidence: EvidenceModel,
    *,
    run: Path,
    resume: bool = False,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> NetsResult:
    """Tune both nets and fit how sharp their answers are.

    Args:
        recipe: The recipe.
        looks: What is learned from.
        proof: Of people who are not; they say how sharp.
        nets: The published nets.
        evidence: What an edit reads beside the nets.
        run: Folder of the checkpoint and the log.
        resume: Continue from the checkpoint there.
        device: ``cpu`` or ``cuda``.
        progress: Called with (steps done, steps in all).
    """
    published = {name: value.clone() for name, value in nets.state_dict().items()}
    task = NetsTask(recipe, looks, nets, device=open_device(device))
    digest = digest_data([one.close_ups for one in looks] + [one.shares for one in looks])
    facts = run_facts(recipe, digest)
    trainer = Trainer(run, task, recipe.schedule, facts, resume=resume, progress=progress)
    outcome = trainer.fit()
    tuned = task.product.cpu().eval()
    mixed = {
        name: published[name].lerp(value, TUNED_SHARE) if value.is_floating_point() else value
        for name, value in tuned.state_dict().items()
    }
    tuned.load_state_dict(mixed)
    tuned.sharpness, read = fit_sharpness(tuned, proof, evidence)
    described = facts.describe("spfem train nets") | {
        "steps": str(outcome.steps),
        "sharpness": f"{tuned.sharpness:.2f}",
    }
    return NetsResult(tuned, outcome.steps, read, described)


def fit_sharpness(
    nets: BothNets, proof: Sequence[Look], evidence: EvidenceModel
) -> tuple[float, float]:
    """The factor of the logits at which readings are likeliest right, and the share that is right.

    Each emotion counts alike; 1 and NaN where there is nobody to ask.
    """
    plain = [one for one in proof if one.shares.max() == 1]
    if not plain:
        return 1.0, float("nan")
    label = np.array([one.shares.argmax() for one in plain])
    judged = []
    with torch.inference_mode():
        for one in plain:
            pictures = torch.from_numpy(one.close_ups).permute(0, 3, 1, 2).float() / 255
            judged.append(read_pictures(nets, pictures))
    best = (-np.inf, 1.0, 0.0)
    for sharpness in SHARPNESSES:
        read = np.stack(
            [
                evidence.read(Evidence(one.expression, one.shape, _sharpen(told, sharpness)))
                for one, told in zip(plain, judged, strict=True)
            ]
        )
        nats = mean_over_emotions(np.log(read[np.arange(len(read)), label]), label)
        right = mean_over_emotions((read.argmax(axis=1) == label).astype(float), label)
        best = max(best, (nats, float(sharpness), right))
    return best[1], best[2]


def _sharpen(told: Float[Tensor, "looks 2 7"], sharpness: float) -> Float[np.ndarray, "2 7"]:
    sharper: Float[np.ndarray, "2 7"] = (
        torch.log_softmax(sharpness * told, dim=-1).mean(dim=0).double().numpy()
    )
    return sharper
