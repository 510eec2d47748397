"""CERL: learn what a face feels, from acted clips and from what emotions are called."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor, nn
from torch.nn import functional

from cdrl_cli.checkpoints.trained import EmotionModels
from cdrl_cli.data.performances import (
    CODED,
    Neutrals,
    Performance,
    SetSampler,
    code_performances,
)
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UsageError
from cdrl_cli.representation.cerl import EmotionEncoder, PromptTower
from cdrl_cli.representation.losses import class_info_nce, direction_loss
from cdrl_cli.training.checkpoint import Stateful, digest_data, run_facts
from cdrl_cli.training.loop import Loss, Task, Trainer, Update, Validation, open_device
from cdrl_cli.training.optimiser import MovingAverage, Optimiser, kept_network
from cdrl_cli.training.recipes import CerlConfig
from cdrl_cli.training.split import is_learned_from, is_validation
from cdrl_cli.training.wording import Wording

OWN_NEUTRAL_SHARE = 0.7
"""Share of the windows measured from the person's own neutral face; the others are measured from
the neutral prior, because a reference rarely brings a neutral clip."""

STRENGTH_SPREAD = 0.3
"""Largest share by which augmentation makes a window's expression stronger or weaker."""

NOISE = 0.05
"""Standard deviation of the noise that augmentation adds to a window's coefficients."""


@dataclass(frozen=True, slots=True)
class CerlResult:
    """What a run brought."""

    models: EmotionModels
    steps: int
    best_step: int
    score: float
    """Accuracy on the validation clips at that step, nearest label."""
    facts: dict[str, str]


class CerlNetworks(nn.Module):
    """Everything that CERL learns: the encoder, the prompt tower, and labels without prompts."""

    def __init__(self, config: CerlConfig) -> None:
        super().__init__()
        model = config.model
        self.encoder = EmotionEncoder(model)
        self.tower = PromptTower(model.dimension)
        self.free = nn.Parameter(torch.randn(len(Emotion), model.dimension))
        """Stands for the language prior in its ablation."""

    def labels(self, features: Float[Tensor, "7 384"], config: CerlConfig) -> Float[Tensor, "7 d"]:
        """Unit embeddings of the labels."""
        if config.loss.language_prior:
            return self.tower(features, torch.arange(len(Emotion), device=features.device))
        return functional.normalize(self.free, dim=1)


class CerlTask(Task):
    """The emotion encoder and the prompt tower.

    Args:
        config: The recipe.
        learning: Performances to learn from.
        validation: Performances of people to validate on.
        neutrals: What expressions are measured from.
        wording: What emotions are called.
        device: Where networks and batches are.
    """

    has_parts = True

    def __init__(
        self,
        config: CerlConfig,
        learning: Sequence[Performance],
        validation: Sequence[Performance],
        neutrals: Neutrals,
        wording: Wording,
        *,
        device: torch.device,
    ) -> None:
        schedule = config.schedule
        self._config, self._device = config, device
        self._validation, self._neutrals, self._wording = validation, neutrals, wording
        self.generator = torch.Generator().manual_seed(schedule.seed)
        with torch.random.fork_rng():
            torch.manual_seed(schedule.seed)
            self.networks = CerlNetworks(config)
        _measure_scales(self.networks.encoder, learning, neutrals)
        self.networks.to(device)
        self._sampler = SetSampler(learning, self.generator)
        self._sentences = torch.from_numpy(wording.features).to(device)
        self._label_features = wording.label_features().to(device)
        self._optimiser = Optimiser(
            self.networks,
            learning_rate=schedule.learning_rate,
            steps=schedule.steps,
            weight_decay=schedule.weight_decay,
        )
        self._average = MovingAverage.of_schedule(self.networks, schedule.average_decay)

    @property
    def averages(self) -> dict[str, MovingAverage]:
        """See :class:`~cdrl_cli.training.loop.Task`."""
        return self._average

    @property
    def parts(self) -> dict[str, Stateful]:
        """See :class:`~cdrl_cli.training.loop.Task`."""
        return {"networks": self.networks, "optimiser": self._optimiser}

    @property
    def product(self) -> "CerlNetworks":
        """Encoder, tower and free labels; averaged over the steps where the recipe says so."""
        product = kept_network(self.networks, self._average)
        assert isinstance(product, CerlNetworks)
        return product

    def updates(self, step: int) -> Iterator[Update]:  # noqa: ARG002 - every step is alike
        """See :class:`~cdrl_cli.training.loop.Task`."""
        batch = _draw(self._sampler, self._neutrals, self._wording, self._config, self.generator)
        self.networks.train()
        losses = cerl_losses(
            self.networks,
            batch.to(self._device),
            self._sentences,
            self._label_features,
            self._config,
        )
        yield Update(losses, [self._optimiser])

    def validate(self) -> Validation:
        """See :class:`~cdrl_cli.training.loop.Task`."""
        networks = self.product.eval()
        labels = networks.labels(self._label_features, self._config).detach()
        share = accuracy(networks.encoder, labels, self._validation, self._neutrals)
        return Validation(share, {"accuracy": share})


def train_cerl(
    config: CerlConfig,
    performances: Sequence[Performance],
    neutrals: Neutrals,
    wording: Wording,
    *,
    run: Path,
    resume: bool = False,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> CerlResult:
    """Train the emotion encoder and the prompt tower.

    Args:
        config: The recipe.
        performances: All; the recipe says which are learned from.
        neutrals: What expressions are measured from.
        wording: What emotions are called.
        run: Folder of the checkpoint (``last.pt``) and the log (``log.jsonl``).
        resume: Continue from the checkpoint there.
        device: ``cpu`` or ``cuda``.
        progress: Called with (steps done, steps in all).

    Raises:
        UsageError: If nothing is left to learn from or to validate on, or there is no such device.
    """
    learning = [one for one in performances if is_learned_from(one.clip, config.data)]
    validation = [one for one in performances if is_validation(one.clip, config.data)]
    if not learning or not validation:
        raise UsageError(f"{len(learning)} clips to learn from, {len(validation)} to validate on")
    learning += code_performances(
        learning,
        count=config.sampling.coded_performances,
        generator=np.random.default_rng(config.schedule.seed),
    )
    task = CerlTask(config, learning, validation, neutrals, wording, device=open_device(device))
    facts = run_facts(config, digest_data(one.expression for one in learning))
    outcome = Trainer(run, task, config.schedule, facts, resume=resume, progress=progress).fit()
    networks = task.product.cpu()
    return CerlResult(
        models=_models(networks, wording, neutrals, learning, config),
        steps=outcome.steps,
        best_step=outcome.best_step,
        score=outcome.score,
        facts=facts.describe("spfem train cerl")
        | {
            "best_step": str(outcome.best_step),
            "clips": str(sum(one.clip.dataset != CODED for one in learning)),
            "people": str(len({one.clip.identity for one in learning})),
        },
    )


def _models(
    networks: CerlNetworks,
    wording: Wording,
    neutrals: Neutrals,
    learning: Sequence[Performance],
    config: CerlConfig,
) -> EmotionModels:
    plain = [i for i, phrase in enumerate(wording.phrases) if phrase.is_plain]
    with torch.no_grad():
        return EmotionModels(
            encoder=networks.encoder,
            tower=networks.tower,
            labels=networks.labels(wording.label_features(), config).clone(),
            phrases=tuple(wording.phrases[i].text for i in plain),
            phrase_embeddings=networks.tower(torch.from_numpy(wording.features[plain])),
            neutral=neutrals.prior,
            identities=frozenset(one.clip.identity for one in learning),
            temperature=config.loss.temperature,
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows of several sets, set after set."""

    differences: Float[Tensor, "batch frames 52"]
    labels: Int[Tensor, " batch"]
    phrases: Int[Tensor, " batch"]
    """Index of a phrase that fits the window, by emotion and strength."""
    set_size: int

    def to(self, device: torch.device) -> "Batch":
        """The same on a device."""
        return replace(
            self,
            differences=self.differences.to(device),
            labels=self.labels.to(device),
            phrases=self.phrases.to(device),
        )


def cerl_losses(
    networks: CerlNetworks,
    batch: Batch,
    sentences: Float[Tensor, "phrases 384"],
    label_features: Float[Tensor, "7 384"],
    config: CerlConfig,
) -> list[Loss]:
    """Faces and names of emotions agree; so do the ways that lead to them from neutral.

    ``labels``: each embedding with the label prompts, both ways over the batch. ``phrases``: inside
    each emotion-augmented set, windows with phrases for them, both ways (the paper's PatchNCE, text
    to image, and its mirror). ``direction``: the way from a neutral face to the emotion with the
    way from the neutral prompt to its prompt (supervision by differences).
    """
    weights = config.loss
    embeddings = networks.encoder(batch.differences)
    labels = networks.labels(label_features, config)
    agreed = class_info_nce(embeddings, labels, batch.labels, temperature=weights.temperature)
    losses = [Loss("labels", agreed)]
    if weights.language_prior and weights.phrase_weight:
        phrases = networks.tower(sentences[batch.phrases])
        contrast = _set_contrast(embeddings, phrases, batch, weights.temperature)
        losses.append(Loss("phrases", contrast, weights.phrase_weight))
    if config.sampling.differences and weights.direction_weight:
        moved = batch.labels != Emotion.NEUTRAL.class_index
        still = networks.encoder(torch.zeros_like(batch.differences[:1]))
        ways = labels - labels[Emotion.NEUTRAL.class_index]
        aligned = direction_loss((embeddings - still)[moved], ways[batch.labels[moved]])
        losses.append(Loss("direction", aligned, weights.direction_weight))
    return losses


def accuracy(
    encoder: EmotionEncoder,
    labels: Float[Tensor, "7 dimension"],
    performances: Sequence[Performance],
    neutrals: Neutrals,
) -> float:
    """Share of clips whose embedding lies nearest to their label's, own neutral and prior alike."""
    hits = []
    with torch.inference_mode():
        for one in performances:
            for neutral in (neutrals.of(one.clip), neutrals.prior):
                differences = torch.from_numpy(one.expression - neutral).float().to(labels.device)
                nearest = int((encoder(differences[None]) @ labels.T).argmax())
                hits.append(nearest == one.label)
    return float(np.mean(hits))


def _set_contrast(
    embeddings: Float[Tensor, "batch d"],
    phrases: Float[Tensor, "batch d"],
    batch: Batch,
    temperature: float,
) -> Float[Tensor, ""]:
    shape = (-1, batch.set_size, embeddings.shape[1])
    faces, names = embeddings.view(shape), phrases.view(shape)
    logits = faces @ names.transpose(1, 2) / temperature
    own = torch.arange(batch.set_size, device=logits.device).expand(len(logits), -1)
    forth = functional.cross_entropy(logits, own)
    return (forth + functional.cross_entropy(logits.transpose(1, 2), own)) / 2


def _draw(
    sampler: SetSampler,
    neutrals: Neutrals,
    wording: Wording,
    config: CerlConfig,
    generator: torch.Generator,
) -> Batch:
    sampling = config.sampling
    sets = [sampler.draw_set() for _ in range(sampling.sets)]
    drawn = [one for members in sets for one in members]
    if not sampling.emotion_augmented:
        drawn = sampler.draw_any(len(drawn))
    by_emotion = _phrases_by_emotion(wording)
    windows, phrases = [], []
    for one in drawn:
        choices = by_emotion[one.label]
        phrase = choices[int(torch.randint(len(choices), (1,), generator=generator))]
        own, spread = torch.rand(2, generator=generator).tolist()
        from_own = sampling.differences and own < OWN_NEUTRAL_SHARE
        neutral = neutrals.of(one.clip) if from_own else neutrals.prior
        strength = wording.phrases[phrase].strength * (1 + STRENGTH_SPREAD * (2 * spread - 1))
        window = _cut(one.expression, sampling.frames, generator) - neutral
        windows.append(window * (strength if one.label != Emotion.NEUTRAL.class_index else 1.0))
        phrases.append(phrase)
    differences = torch.from_numpy(np.stack(windows)).float()
    # Noise that holds for a whole window: what remains of the person after the subtraction.
    noise = torch.randn(len(drawn), 1, differences.shape[2], generator=generator)
    return Batch(
        differences=differences + NOISE * noise,
        labels=torch.tensor([one.label for one in drawn]),
        phrases=torch.tensor(phrases),
        set_size=len(sets[0]),
    )


def _phrases_by_emotion(wording: Wording) -> list[list[int]]:
    return [
        [index for index, phrase in enumerate(wording.phrases) if phrase.emotion is emotion]
        for emotion in Emotion
    ]


def _cut(
    expression: Float32[np.ndarray, "all 52"], frames: int, generator: torch.Generator
) -> Float32[np.ndarray, "frames 52"]:
    """So many successive frames from anywhere; a shorter clip repeats its own, in order."""
    count = len(expression)
    if count <= frames:
        return expression[np.linspace(0, count - 1, frames).round().astype(int)]
    start = int(torch.randint(count - frames + 1, (1,), generator=generator))
    return expression[start : start + frames]


def _measure_scales(
    encoder: EmotionEncoder, performances: Sequence[Performance], neutrals: Neutrals
) -> None:
    """What hardly ever changes is not blown up to the size of the rest."""
    means = np.stack([one.expression.mean(axis=0) - neutrals.of(one.clip) for one in performances])
    spreads = np.stack([one.expression.std(axis=0) for one in performances])
    encoder.mean_scale.copy_(torch.from_numpy(means.std(axis=0) + 0.05))
    encoder.spread_scale.copy_(torch.from_numpy(spreads.std(axis=0) + 0.03))
    encoder.spread_mean.copy_(torch.from_numpy(spreads.mean(axis=0)))
