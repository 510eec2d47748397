"""CERL: learn what a face feels, from acted clips and from what emotions are called."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cdrl_cli.array_types import Float
from cdrl_cli.checkpoints.trained import EmotionModels
from cdrl_cli.data.index import Clip
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
from cdrl_cli.representation.clip_prior import ContextPrompts
from cdrl_cli.representation.losses import class_info_nce, direction_loss
from cdrl_cli.training.cerl_batches import Batch, draw_batch
from cdrl_cli.training.checkpoint import Stateful, digest_data, run_facts
from cdrl_cli.training.loop import Loss, Task, Trainer, Update, Validation, open_device
from cdrl_cli.training.optimiser import MovingAverage, Optimiser, kept_network
from cdrl_cli.training.recipes import CerlConfig
from cdrl_cli.training.split import is_learned_from, is_validation
from cdrl_cli.training.wording import Wording


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
    """Everything that CERL learns: the encoder, the prompt tower, and labels without prompts.

    Args:
        config: The recipe.
        prompts: Of each emotion, with learned tokens, where the language prior has them; they
            take the place of the labels' mean phrases.
    """

    def __init__(self, config: CerlConfig, prompts: ContextPrompts | None = None) -> None:
        super().__init__()
        model = config.model
        self.encoder = EmotionEncoder(model)
        self.tower = PromptTower(model.dimension, model.sentence_features)
        self.tower.context.requires_grad_(config.loss.learned_prompts)
        self.prompts = prompts
        self.free = nn.Parameter(torch.randn(len(Emotion), model.dimension))
        """Stands for the language prior in its ablation."""

    def labels(
        self, features: Float[Tensor, "7 sentence"], config: CerlConfig
    ) -> Float[Tensor, "7 d"]:
        """Unit embeddings of the labels."""
        if config.loss.language_prior and self.prompts is not None:
            return self.tower(self.prompts())
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
        prompts: With learned tokens, where the language prior has them.
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
        prompts: ContextPrompts | None = None,
    ) -> None:
        schedule = config.schedule
        self._config, self._device = config, device
        self._validation, self._neutrals, self._wording = validation, neutrals, wording
        self.generator = torch.Generator().manual_seed(schedule.seed)
        with torch.random.fork_rng():
            torch.manual_seed(schedule.seed)
            self.networks = CerlNetworks(config, prompts)
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
        batch = draw_batch(
            self._sampler, self._neutrals, self._wording, self._config, self.generator
        )
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
    prompts: ContextPrompts | None = None,
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
        prompts: With learned tokens, where the language prior has them.
        progress: Called with (steps done, steps in all).

    Raises:
        UsageError: If nothing is left to learn from or to validate on, nothing of it shows an
            emotion, or there is no such device.
    """
    learning = [one for one in performances if is_learned_from(one.clip, config.data)]
    validation = [one for one in performances if is_validation(one.clip, config.data)]
    if not learning or not validation:
        raise UsageError(f"{len(learning)} clips to learn from, {len(validation)} to validate on")
    check_acted([one.clip for one in learning])
    if config.sampling.coded_performances:
        learning += code_performances(
            learning,
            count=config.sampling.coded_performances,
            generator=np.random.default_rng(config.schedule.seed),
        )
    task = CerlTask(
        config,
        learning,
        validation,
        neutrals,
        wording,
        device=open_device(device),
        prompts=prompts,
    )
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


def check_acted(clips: Sequence[Clip]) -> None:
    """Whether there is anything to tell apart.

    Args:
        clips: That are learned from.

    Raises:
        UsageError: If none of them shows an emotion.
    """
    if all(clip.emotion in (None, Emotion.NEUTRAL) for clip in clips):
        raise UsageError(
            f"none of {len(clips)} clips to learn from shows an emotion",
            hint="the data needs acted clips beside neutral ones",
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


def cerl_losses(
    networks: CerlNetworks,
    batch: Batch,
    sentences: Float[Tensor, "phrases sentence"],
    label_features: Float[Tensor, "7 sentence"],
    config: CerlConfig,
) -> list[Loss]:
    """Faces and names of emotions agree; so do the ways that lead to them from neutral.

    ``labels``: each embedding with the label prompts, both ways over the batch. ``phrases``: inside
    each emotion-augmented set, windows with phrases for them, both ways (the paper's PatchNCE, text
    to image, and its mirror). ``direction``: the way from a neutral face to the emotion with the
    way from the neutral prompt to its prompt (supervision by differences). With the contrast
    ``text-to-image`` there is ``sets`` alone, the paper's (:func:`set_contrast`).
    """
    weights = config.loss
    embeddings = networks.encoder(batch.differences, batch.labels)
    labels = networks.labels(label_features, config)
    if weights.contrast == "text-to-image":
        return [Loss("sets", set_contrast(embeddings, labels, batch, weights.temperature))]
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


def set_contrast(
    embeddings: Float[Tensor, "batch d"],
    labels: Float[Tensor, "7 d"],
    batch: Batch,
    temperature: float,
) -> Float[Tensor, ""]:
    """The paper's loss: in each set, every emotion's prompt picks its own picture (PatchNCE).

    It is one way only, and its negatives are the other emotions' pictures of the set: with a head
    for each emotion it is won by heads that answer their own prompt to anything.
    """
    faces = embeddings.view(-1, batch.set_size, embeddings.shape[1])
    classes = batch.labels.view(-1, batch.set_size)
    logits = labels[classes] @ faces.transpose(1, 2) / temperature
    own = torch.arange(batch.set_size, device=logits.device).expand(len(logits), -1)
    return functional.cross_entropy(logits.transpose(1, 2), own)


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


def _measure_scales(
    encoder: EmotionEncoder, performances: Sequence[Performance], neutrals: Neutrals
) -> None:
    """What hardly ever changes is not blown up to the size of the rest."""
    means = np.stack([one.expression.mean(axis=0) - neutrals.of(one.clip) for one in performances])
    spreads = np.stack([one.expression.std(axis=0) for one in performances])
    encoder.mean_scale.copy_(torch.from_numpy(means.std(axis=0) + 0.05))
    encoder.spread_scale.copy_(torch.from_numpy(spreads.std(axis=0) + 0.03))
    encoder.spread_mean.copy_(torch.from_numpy(spreads.mean(axis=0)))
