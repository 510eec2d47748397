"""Motion: learn how a talking face moves when it feels, on coefficients only."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from cdrl_cli.checkpoints.trained import ContentModels, EmotionModels
from cdrl_cli.data.motions import (
    AlignedTakes,
    MotionBatch,
    MotionSampler,
    MotionTake,
    align_takes,
    typical_differences,
)
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UsageError
from cdrl_cli.face.blendshapes import EXPRESSION_NAMES, MOUTH_COEFFICIENTS, RHYTHM, SHARES
from cdrl_cli.generator.motion import NeutralPrior, pick_expressive
from cdrl_cli.generator.motion_network import MotionConfig, MotionEditor
from cdrl_cli.representation.losses import direction_loss
from cdrl_cli.representation.text_prior import make_phrases
from cdrl_cli.training.checkpoint import digest_data, run_facts
from cdrl_cli.training.config import MotionTrainingConfig
from cdrl_cli.training.run import Run
from cdrl_cli.training.split import is_learned_from, is_validation

EMBEDDING_NOISE = 0.1
"""Length of the noise that embeddings get: no reference is exactly like one learned from."""

ASKING_EVERY = 8
"""Of the clips that are learned from, one in so many is a reference in validation."""

CLOSED = 0.05
"""Opening of the jaw (jawOpen minus mouthClose) under which lips count as closed."""

_FELT = np.flatnonzero(SHARES > 0).tolist()
_LIPS = [
    i
    for i, name in enumerate(EXPRESSION_NAMES)
    if name.startswith(("mouthLowerDown", "mouthUpperUp", "mouthFunnel"))
]
_JAW_OPEN, _MOUTH_CLOSE = (EXPRESSION_NAMES.index(name) for name in ("jawOpen", "mouthClose"))


@dataclass(frozen=True, slots=True)
class MotionResult:
    """What a run brought."""

    editor: MotionEditor
    steps: int
    best_step: int
    score: float
    """On the validation person at that step (:func:`score_edits`)."""
    facts: dict[str, str]


class Discriminator(nn.Module):
    """Windows of motion to how real they look, for an emotion."""

    def __init__(self, scale: Float[Tensor, " 52"], width: int = 48) -> None:
        super().__init__()
        self.register_buffer("scale", scale)
        self.layers = nn.Sequential(
            nn.Conv1d(len(scale), width, 5, stride=2),
            nn.LeakyReLU(0.2),
            nn.Conv1d(width, width, 5, stride=2),
            nn.LeakyReLU(0.2),
        )
        self.real = nn.Conv1d(width, 1, 1)
        self.label = nn.Embedding(len(Emotion), width)

    def forward(
        self, motion: Float[Tensor, "batch frames 52"], labels: Tensor
    ) -> Float[Tensor, "batch places"]:
        """1 where it looks real, 0 where it does not (LSGAN, Mao et al. 2017)."""
        centred = (motion - motion.mean(dim=1, keepdim=True)) / self.get_buffer("scale")
        seen = self.layers(centred.transpose(1, 2))
        return self.real(seen)[:, 0] + (seen * self.label(labels)[:, :, None]).mean(dim=1)


class _Networks(nn.Module):
    """Everything that learns."""

    def __init__(self, config: MotionTrainingConfig, scale: Float[Tensor, " 52"]) -> None:
        super().__init__()
        model = config.model
        self.editor = MotionEditor(MotionConfig(width=model.width, hidden=model.hidden))
        self.discriminator = Discriminator(scale)


@dataclass(frozen=True, slots=True)
class _Frozen:
    """What the losses look through."""

    emotion: EmotionModels
    content: ContentModels
    spread: Float[Tensor, "7 52"]
    """How much each channel moves in real takes of an emotion: standard deviation over time."""


def train_motion(
    config: MotionTrainingConfig,
    takes: Sequence[MotionTake],
    neutral: NeutralPrior,
    emotion: EmotionModels,
    content: ContentModels,
    *,
    run: Path,
    going_on: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> MotionResult:
    """Train the motion editor.

    Args:
        config: The recipe.
        takes: All; the recipe says which are learned from.
        neutral: How neutral faces look.
        emotion: CERL, frozen: conditions, and whether the output shows them.
        content: CCRL, frozen: whether the output's mouth says the same.
        run: Folder of the checkpoint (``last.pt``) and the log (``log.csv``).
        going_on: Continue from the checkpoint there.
        progress: Called with (steps done, steps in all).

    Raises:
        UsageError: If nothing is left to learn from or to validate on.
    """
    learning = [one for one in takes if is_learned_from(one.clip, config.data)]
    validation = [one for one in takes if is_validation(one.clip, config.data)]
    frames = config.sampling.frames
    pairs = align_takes(validation)
    if not any(len(one.expression) >= frames for one in learning) or not pairs:
        raise UsageError(f"{len(learning)} clips to learn from, {len(pairs)} pairs to validate on")

    schedule = config.schedule
    torch.set_num_threads(schedule.threads)
    generator = torch.Generator().manual_seed(schedule.seed)
    spread = _measure_spread(learning)
    with torch.random.fork_rng():
        torch.manual_seed(schedule.seed)
        networks = _Networks(config, 0.03 + spread.mean(dim=0))
    networks.editor.neutral_high.copy_(torch.from_numpy(neutral.high))
    networks.editor.scale.copy_(0.03 + spread.mean(dim=0)[RHYTHM])
    frozen = _Frozen(emotion, content, spread)
    typical = typical_differences(learning, strength=config.loss.strength)
    references = _read_references(learning, emotion, neutral)
    asking = {one: shown[::ASKING_EVERY] for one, shown in references.items()}
    sampler = MotionSampler(
        learning,
        typical,
        references,
        _read_names(emotion),
        frames=frames,
        generator=generator,
    )

    torch.manual_seed(schedule.seed)
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
        batch = sampler.draw(config.sampling.windows)
        terms = motion_terms(networks, batch, frozen, generator)
        loss = torch.stack([getattr(config.loss, name) * term for name, term in terms.items()])
        training.learn(loss.sum())
        if training.is_validation_due:
            score = score_edits(networks.editor, emotion, pairs, asking)
            losses = {name: term.item() for name, term in terms.items()}
            training.note(score, validation=score, loss=loss.sum().item(), **losses)
        training.tick()

    training.finish()
    return MotionResult(
        editor=networks.editor,
        steps=training.step,
        best_step=training.best_step,
        score=training.score,
        facts=training.describe("spfem train motion")
        | {
            "clips": str(len(learning)),
            "people": str(len({one.clip.identity for one in learning})),
        },
    )


def motion_terms(
    networks: _Networks, batch: MotionBatch, frozen: _Frozen, generator: torch.Generator
) -> dict[str, Float[Tensor, ""]]:
    """Every term of the loss, unweighted, by its name in the recipe."""
    editor, emotion = networks.editor, frozen.emotion
    whole = torch.ones(len(batch.source))
    noise = torch.randn(batch.embedding.shape, generator=generator)
    embedding = batch.embedding + EMBEDDING_NOISE * noise / noise.shape[1] ** 0.5
    embedding = nn.functional.normalize(embedding, dim=1)
    output = editor(batch.source, embedding, whole)
    change = output - batch.source

    # The mean is the typical one's, so what is followed is how the real one moves about its mean.
    about = [x - x.mean(dim=1, keepdim=True) for x in (output, batch.target)]
    apart = (about[0] - about[1])[..., _FELT].square().mean(dim=(1, 2))
    level = (output.mean(dim=1) - batch.level)[:, _FELT].square().mean()

    shown = emotion.encoder(output - batch.neutral[:, None])
    still = emotion.encoder(torch.zeros_like(output[:1]))
    moved = batch.labels != Emotion.NEUTRAL.class_index
    felt = direction_loss((shown - still)[moved], (batch.embedding - still)[moved])

    neutral_name = emotion.labels[Emotion.NEUTRAL.class_index].expand_as(embedding)
    calm = (batch.neutral - batch.source.mean(dim=1)).norm(dim=1) < _NEAR_NEUTRAL
    back = editor(output, neutral_name, whole)
    returned = _mean_of((back - batch.source)[..., _FELT].square().mean(dim=(1, 2)), calm)

    moves = (output.var(dim=1) + 1e-6).sqrt()
    wanted = frozen.spread[batch.labels]
    judged = functional_call(
        networks.discriminator,
        {name: one.detach() for name, one in networks.discriminator.named_parameters()},
        (output, batch.labels),
    )
    told = networks.discriminator(batch.real, batch.real_labels)
    fooled = networks.discriminator(output.detach(), batch.labels)
    return {
        "follow": (batch.target_weight * apart).mean(),
        "typical": level,
        "emotion": felt,
        "content": _content_distance(output, batch.source, frozen.content),
        "adversarial": (
            (judged - 1).square().mean() + (told - 1).square().mean() + fooled.square().mean()
        ),
        "cycle": returned,
        "closure": part_closed_lips(batch.source, change),
        "spread": (moves - wanted)[:, _FELT].square().mean(),
        "smooth": (change[:, 2:] - 2 * change[:, 1:-1] + change[:, :-2]).square().mean(),
    }


def part_closed_lips(
    source: Float[Tensor, "*some 52"], change: Float[Tensor, "*some 52"]
) -> Float[Tensor, ""]:
    """How far a change of the coefficients moves lips that are closed in the source, squared."""
    opening = source[..., _JAW_OPEN] - source[..., _MOUTH_CLOSE]
    closed = torch.exp(-opening.clamp(min=0) / CLOSED)
    return (closed[..., None] * change[..., _LIPS]).square().mean()


def score_edits(
    editor: MotionEditor,
    emotion: EmotionModels,
    pairs: Sequence[AlignedTakes],
    references: Mapping[Emotion, Sequence[tuple[np.ndarray, np.ndarray]]],
) -> float:
    """How well neutral clips take on the emotions of their counterparts.

    The mean probability that CERL gives the emotion asked for, by label and by other people's
    clips, and half the cosine between the mean change and the real one.
    """
    shares, cosines = [], []
    for pair in pairs:
        source, real = pair.neutral, pair.emotional
        label = real.emotion.class_index
        asked = [emotion.labels[label]]
        asked += [torch.from_numpy(one) for one, _ in references.get(real.emotion, ())]
        calm = torch.from_numpy(source.expression).expand(len(asked), -1, -1)
        with torch.inference_mode():
            output = editor(calm, torch.stack(asked), torch.ones(len(asked)))
            shown = emotion.encoder(output - torch.from_numpy(source.neutral))
            likely = torch.softmax(shown @ emotion.labels.T / emotion.temperature, dim=1)[:, label]
        shares.append((likely[0] + likely[1:].mean()) / 2 if len(likely) > 1 else likely[0])
        change = (output - calm).mean(dim=1).numpy()
        lengths = np.linalg.norm(change, axis=1) * np.linalg.norm(real.difference)
        cosines.append(np.mean(change @ real.difference / np.maximum(lengths, 1e-9)))
    return float(np.mean(shares) + np.mean(cosines) / 2)


def _content_distance(
    output: Float[Tensor, "batch frames 52"],
    source: Float[Tensor, "batch frames 52"],
    content: ContentModels,
) -> Float[Tensor, ""]:
    """1 - cosine of the codes of the mouths, by their coefficients, over the middle window."""
    frames = content.content.config.frames
    start = max(0, (source.shape[1] - frames) // 2)
    said, meant = (
        content.content(None, one[:, start : start + frames, MOUTH_COEFFICIENTS])
        for one in (output, source)
    )
    return (1 - nn.functional.cosine_similarity(said, meant.detach(), dim=1)).mean()


def _measure_spread(takes: Sequence[MotionTake]) -> Float[Tensor, "7 52"]:
    """Standard deviation over time: mean over an emotion's clips, over all where there are none."""
    found: dict[Emotion, list[np.ndarray]] = defaultdict(list)
    for one in takes:
        found[one.emotion].append(one.expression.std(axis=0))
    over_all = [spread for one in found.values() for spread in one]
    rows = [np.mean(found.get(emotion) or over_all, axis=0) for emotion in Emotion]
    return torch.from_numpy(np.stack(rows)).float()


def _read_references(
    takes: Sequence[MotionTake], emotion: EmotionModels, neutral: NeutralPrior
) -> dict[Emotion, list[tuple[np.ndarray, np.ndarray]]]:
    """Embeddings of clips as an edit reads a reference, and what each shows."""
    references: dict[Emotion, list[tuple[np.ndarray, np.ndarray]]] = defaultdict(list)
    for one in takes:
        half = pick_expressive(one.expression, neutral.mean)
        for measured_from in (None, one.neutral):
            embedding = emotion.embed(half.astype(np.float32), measured_from).numpy()
            references[one.emotion].append((embedding, one.difference))
    return references


def _read_names(emotion: EmotionModels) -> dict[Emotion, list[np.ndarray]]:
    """Embeddings of each label, as often as of words for it."""
    meant = {phrase.text: phrase.emotion for phrase in make_phrases()}
    names: dict[Emotion, list[np.ndarray]] = defaultdict(list)
    for text, embedding in zip(emotion.phrases, emotion.phrase_embeddings, strict=True):
        if text in meant:
            names[meant[text]].append(embedding.numpy())
    for one in Emotion:
        names[one] += [emotion.labels[one.class_index].numpy()] * max(1, len(names[one]))
    return names


def _mean_of(values: Float[Tensor, " batch"], chosen: Tensor) -> Float[Tensor, ""]:
    return (values * chosen).sum() / chosen.sum().clamp(min=1)


_NEAR_NEUTRAL = 0.5
"""L2 between a window's mean and the person's neutral under which it should come back to itself."""
