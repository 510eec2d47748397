"""CERL: learn what a face feels, from acted clips and from what emotions are called."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
from cdrl_cli.representation.cerl import EmotionConfig, EmotionEncoder
from cdrl_cli.representation.losses import class_info_nce, direction_loss
from cdrl_cli.representation.text_prior import Phrase, PromptTower, SentenceEncoder, make_phrases
from cdrl_cli.training.checkpoint import digest_data, run_facts
from cdrl_cli.training.config import CerlConfig
from cdrl_cli.training.run import Run
from cdrl_cli.training.split import is_learned_from, is_validation

OWN_NEUTRAL_SHARE = 0.7
"""Of the windows are measured from the person's own neutral: the reference rarely brings one."""

STRENGTH_SPREAD = 0.3
NOISE = 0.05
"""Augmentation: windows are made stronger or weaker by up to the first, and noised."""


@dataclass(frozen=True, slots=True)
class Wording:
    """Every way to name an emotion, as the sentence encoder reads it."""

    phrases: tuple[Phrase, ...]
    features: Float32[np.ndarray, "phrases 384"]

    def label_features(self) -> Float[Tensor, "7 384"]:
        """Mean over the plain phrases of each emotion, of unit length."""
        plain = [
            np.mean(
                [
                    features
                    for phrase, features in zip(self.phrases, self.features, strict=True)
                    if phrase.emotion is emotion and phrase.strength == 1
                ],
                axis=0,
            )
            for emotion in Emotion
        ]
        return functional.normalize(torch.from_numpy(np.stack(plain)), dim=1)


@dataclass(frozen=True, slots=True)
class CerlResult:
    """What a run brought."""

    models: EmotionModels
    steps: int
    best_step: int
    score: float
    """Accuracy on the validation clips at that step, nearest label."""
    facts: dict[str, str]


class _Networks(nn.Module):
    """Everything that learns."""

    def __init__(self, config: CerlConfig) -> None:
        super().__init__()
        model = config.model
        self.encoder = EmotionEncoder(EmotionConfig(model.width, model.dimension, model.dropout))
        self.tower = PromptTower(model.dimension)
        self.free = nn.Parameter(torch.randn(len(Emotion), model.dimension))
        """Stands for the language prior in its ablation."""

    def labels(self, features: Float[Tensor, "7 384"], config: CerlConfig) -> Float[Tensor, "7 d"]:
        """Unit embeddings of the labels."""
        if config.loss.language_prior:
            return self.tower(features, torch.arange(len(Emotion)))
        return functional.normalize(self.free, dim=1)


def train_cerl(
    config: CerlConfig,
    performances: Sequence[Performance],
    neutrals: Neutrals,
    wording: Wording,
    *,
    run: Path,
    going_on: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> CerlResult:
    """Train the emotion encoder and the prompt tower.

    Args:
        config: The recipe.
        performances: All; the recipe says which are learned from.
        neutrals: What expressions are measured from.
        wording: What emotions are called.
        run: Folder of the checkpoint (``last.pt``) and the log (``log.csv``).
        going_on: Continue from the checkpoint there.
        progress: Called with (steps done, steps in all).

    Raises:
        UsageError: If nothing is left to learn from or to validate on.
    """
    learning = [one for one in performances if is_learned_from(one.clip, config.data)]
    validation = [one for one in performances if is_validation(one.clip, config.data)]
    if not learning or not validation:
        raise UsageError(f"{len(learning)} clips to learn from, {len(validation)} to validate on")

    schedule = config.schedule
    learning += code_performances(
        learning,
        count=config.sampling.coded_performances,
        generator=np.random.default_rng(schedule.seed),
    )
    torch.set_num_threads(schedule.threads)
    generator = torch.Generator().manual_seed(schedule.seed)
    with torch.random.fork_rng():
        torch.manual_seed(schedule.seed)
        networks = _Networks(config)
    _measure_scales(networks.encoder, learning, neutrals)
    sampler = SetSampler(learning, generator)
    sentences = torch.from_numpy(wording.features)
    label_features = wording.label_features()

    torch.manual_seed(schedule.seed)  # of dropout
    training = Run(
        run,
        networks,
        schedule,
        facts=run_facts(config, digest_data(one.expression for one in learning)),
        generator=generator,
        going_on=going_on,
        progress=progress,
    )
    while not training.is_over:
        batch = _draw(sampler, neutrals, wording, config, generator)
        networks.train()
        loss = cerl_loss(networks, batch, sentences, label_features, config)
        training.learn(loss)
        if training.is_validation_due:
            networks.eval()
            labels = networks.labels(label_features, config).detach()
            score = accuracy(networks.encoder, labels, validation, neutrals)
            training.note(score, loss=loss.item(), accuracy=score)
        training.tick()

    training.finish()
    return CerlResult(
        models=_models(networks, label_features, wording, neutrals, learning, config),
        steps=training.step,
        best_step=training.best_step,
        score=training.score,
        facts=training.describe("spfem train cerl")
        | {
            "clips": str(sum(one.clip.dataset != CODED for one in learning)),
            "people": str(len({one.clip.identity for one in learning})),
        },
    )


def read_wording(encoder: SentenceEncoder) -> Wording:
    """Every phrase of the language prior, read."""
    phrases = make_phrases()
    return Wording(phrases, encoder.encode([phrase.text for phrase in phrases]))


def _models(  # noqa: PLR0917 - all that a file of weights holds
    networks: "_Networks",
    label_features: Float[Tensor, "7 384"],
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
            labels=networks.labels(label_features, config).clone(),
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


def cerl_loss(
    networks: _Networks,
    batch: Batch,
    sentences: Float[Tensor, "phrases 384"],
    label_features: Float[Tensor, "7 384"],
    config: CerlConfig,
) -> Float[Tensor, ""]:
    """Faces and names of emotions agree; so do the ways that lead to them from neutral.

    Three terms: each embedding with the label prompts, both ways over the batch; inside each
    emotion-augmented set, windows with phrases for them, both ways (the paper's PatchNCE, text to
    image, and its mirror); and the way from a neutral face to the emotion with the way from the
    neutral prompt to its prompt (supervision by differences).
    """
    tau = config.loss.temperature
    embeddings = networks.encoder(batch.differences)
    labels = networks.labels(label_features, config)
    loss = class_info_nce(embeddings, labels, batch.labels, temperature=tau)
    if config.loss.language_prior and config.loss.phrase_weight:
        phrases = networks.tower(sentences[batch.phrases])
        loss = loss + config.loss.phrase_weight * _set_contrast(embeddings, phrases, batch, tau)
    if config.sampling.differences and config.loss.direction_weight:
        moved = batch.labels != Emotion.NEUTRAL.class_index
        still = networks.encoder(torch.zeros_like(batch.differences[:1]))
        ways = labels - labels[Emotion.NEUTRAL.class_index]
        aligned = direction_loss((embeddings - still)[moved], ways[batch.labels[moved]])
        loss = loss + config.loss.direction_weight * aligned
    return loss


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
                differences = torch.from_numpy(one.expression - neutral).float()
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
    own = torch.arange(batch.set_size).expand(len(logits), -1)
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
