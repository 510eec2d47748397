"""Motion: learn how a talking face moves when it feels, on coefficients only."""

import copy
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from cdrl_cli.array_types import Float
from cdrl_cli.checkpoints.trained import ContentModels, EmotionModels
from cdrl_cli.data.motions import (
    OBSERVED_SHARE,
    AlignedTakes,
    MotionSampler,
    MotionTake,
    align_takes,
    typical_differences,
)
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UsageError
from cdrl_cli.face.blendshapes import RHYTHM
from cdrl_cli.generator.motion import NeutralPrior, pick_expressive
from cdrl_cli.generator.motion_network import MotionEditor, Observed
from cdrl_cli.generator.ned_network import NedEditor
from cdrl_cli.representation.text_prior import make_phrases
from cdrl_cli.training.checkpoint import Stateful, digest_data, run_facts
from cdrl_cli.training.loop import Task, Trainer, Update, Validation, open_device
from cdrl_cli.training.motion_losses import Discriminator, FrozenReaders, motion_losses
from cdrl_cli.training.ned import NedTask
from cdrl_cli.training.optimiser import Optimiser
from cdrl_cli.training.recipes import MotionTrainingConfig
from cdrl_cli.training.split import is_learned_from, is_validation

ASKING_EVERY = 8
"""Of the clips that are learned from, one in so many is a reference in validation."""


@dataclass(frozen=True, slots=True)
class MotionResult:
    """What a run brought."""

    editor: MotionEditor | NedEditor
    steps: int
    best_step: int
    score: float
    """On the validation person at that step (:func:`score_edits`)."""
    facts: dict[str, str]


class MotionTask(Task):
    """The motion editor, and the discriminator that it learns against.

    Args:
        config: The recipe.
        learning: Takes to learn from.
        validation: Takes of people to validate on.
        neutral: How neutral faces look.
        frozen: CERL and CCRL.
        device: Where networks and batches are.
        begin: An editor that is learned already: only its pace is, with references alone.
    """

    has_parts = True

    def __init__(
        self,
        config: MotionTrainingConfig,
        learning: Sequence[MotionTake],
        validation: Sequence[AlignedTakes],
        neutral: NeutralPrior,
        frozen: FrozenReaders,
        *,
        device: torch.device,
        begin: MotionEditor | None = None,
    ) -> None:
        schedule = config.schedule
        self._config, self._device = config, device
        self._pairs = validation
        self.generator = torch.Generator().manual_seed(schedule.seed)
        spread = _measure_spread(learning)
        scale = 0.03 + spread.mean(dim=0)
        with torch.random.fork_rng():
            torch.manual_seed(schedule.seed)
            self.editor = MotionEditor(config.model) if begin is None else copy.deepcopy(begin)
            self.discriminator = Discriminator(scale)
        if begin is None:
            self.editor.neutral_high.copy_(torch.from_numpy(neutral.high))
            self.editor.scale.copy_(scale[RHYTHM])
        else:
            self.editor.train().requires_grad_(requires_grad=False)
            self.editor.pace.requires_grad_(requires_grad=True)
        references = _read_references(learning, frozen.emotion, neutral)
        self._asking = {one: shown[::ASKING_EVERY] for one, shown in references.items()}
        self._sampler = new_sampler(
            config,
            learning,
            references,
            frozen.emotion,
            generator=self.generator,
            observed_share=OBSERVED_SHARE if begin is None else 1.0,
        )
        self._networks = nn.ModuleList([self.editor, self.discriminator]).to(device)
        self._frozen, self._spread = frozen.to(device), spread.to(device)
        self._optimiser = Optimiser(
            self._networks,
            learning_rate=schedule.learning_rate,
            steps=schedule.steps,
            weight_decay=schedule.weight_decay,
        )

    @property
    def parts(self) -> dict[str, Stateful]:
        """See :class:`~cdrl_cli.training.loop.Task`."""
        return {"networks": self._networks, "optimiser": self._optimiser}

    @property
    def product(self) -> MotionEditor:
        """The editor."""
        return self.editor

    def updates(self, step: int) -> Iterator[Update]:  # noqa: ARG002 - every step is alike
        """See :class:`~cdrl_cli.training.loop.Task`."""
        batch = self._sampler.draw(self._config.sampling.windows)
        noise = torch.randn(batch.embedding.shape, generator=self.generator)
        yield Update(
            motion_losses(
                self.editor,
                self.discriminator,
                batch.to(self._device),
                self._frozen,
                noise=noise.to(self._device),
                spread=self._spread,
                weights=self._config.loss,
            ),
            [self._optimiser],
        )

    def validate(self) -> Validation:
        """See :class:`~cdrl_cli.training.loop.Task`."""
        score = score_edits(self.editor, self._frozen.emotion, self._pairs, self._asking)
        return Validation(score - score_pace(self.editor, self._frozen.emotion, self._pairs))


def new_sampler(
    config: MotionTrainingConfig,
    learning: Sequence[MotionTake],
    references: Mapping[Emotion, Sequence[tuple[np.ndarray, np.ndarray]]],
    emotion: EmotionModels,
    *,
    generator: torch.Generator,
    observed_share: float = OBSERVED_SHARE,
) -> MotionSampler:
    """What draws the batches of either backbone.

    Args:
        config: The recipe.
        learning: Takes to learn from.
        references: Of them, embeddings and what each shows, by emotion.
        emotion: CERL, which knows the names.
        generator: Randomness.
        observed_share: Of the windows that a reference asks with its own change.
    """
    return MotionSampler(
        learning,
        typical_differences(learning, strength=config.loss.strength),
        references,
        _read_names(emotion),
        frames=config.sampling.frames,
        generator=generator,
        observed_share=observed_share,
    )


def train_motion(
    config: MotionTrainingConfig,
    takes: Sequence[MotionTake],
    neutral: NeutralPrior,
    emotion: EmotionModels,
    content: ContentModels,
    *,
    run: Path,
    resume: bool = False,
    device: str = "cpu",
    begin: MotionEditor | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> MotionResult:
    """Train the motion editor.

    Args:
        config: The recipe.
        takes: All; the recipe says which are learned from.
        neutral: How neutral faces look.
        emotion: CERL, frozen: conditions, and whether the output shows them.
        content: CCRL, frozen: whether the output's mouth says the same.
        run: Folder of the checkpoint (``last.pt``) and the log (``log.jsonl``).
        resume: Continue from the checkpoint there.
        device: ``cpu`` or ``cuda``.
        begin: An editor that is learned already; then only its pace is learned.
        progress: Called with (steps done, steps in all).

    Raises:
        UsageError: If nothing is left to learn from or to validate on, or there is no such device.
    """
    learning = [one for one in takes if is_learned_from(one.clip, config.data)]
    validation = align_takes([one for one in takes if is_validation(one.clip, config.data)])
    frames = config.sampling.frames
    if frames < content.content.config.frames:
        raise UsageError(
            f"windows of {frames} frames are shorter than the content encoder's, "
            f"{content.content.config.frames}",
            hint="raise sampling.frames",
        )
    if not any(len(one.expression) >= frames for one in learning) or not validation:
        raise UsageError(
            f"{len(learning)} clips to learn from, {len(validation)} pairs to validate on"
        )
    frozen = FrozenReaders(emotion, content)
    task: MotionTask | NedTask
    if config.backbone == "ned":
        generator = torch.Generator().manual_seed(config.schedule.seed)
        references = _read_references(learning, emotion, neutral)
        sampler = new_sampler(config, learning, references, emotion, generator=generator)
        task = NedTask(
            config,
            sampler,
            validation,
            frozen,
            generator=generator,
            spread=0.03 + _measure_spread(learning).mean(dim=0),
            device=open_device(device),
        )
    else:
        task = MotionTask(
            config,
            learning,
            validation,
            neutral,
            frozen,
            device=open_device(device),
            begin=begin,
        )
    facts = run_facts(config, digest_data(one.expression for one in learning))
    outcome = Trainer(run, task, config.schedule, facts, resume=resume, progress=progress).fit()
    return MotionResult(
        editor=task.editor.cpu(),
        steps=outcome.steps,
        best_step=outcome.best_step,
        score=outcome.score,
        facts=facts.describe("spfem train motion")
        | {
            "best_step": str(outcome.best_step),
            "clips": str(len(learning)),
            "people": str(len({one.clip.identity for one in learning})),
        },
    )


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
    device = emotion.labels.device
    shares, cosines = [], []
    for pair in pairs:
        source, real = pair.neutral, pair.emotional
        label = real.emotion.class_index
        asked = [emotion.labels[label]]
        asked += [torch.from_numpy(one).to(device) for one, _ in references.get(real.emotion, ())]
        calm = torch.from_numpy(source.expression).to(device).expand(len(asked), -1, -1)
        with torch.inference_mode():
            output = editor(calm, torch.stack(asked), torch.ones(len(asked), device=device))
            shown = emotion.encoder(output - torch.from_numpy(source.neutral).to(device))
            likely = torch.softmax(shown @ emotion.labels.T / emotion.temperature, dim=1)[:, label]
        likely = likely.cpu()
        shares.append((likely[0] + likely[1:].mean()) / 2 if len(likely) > 1 else likely[0])
        change = (output - calm).mean(dim=1).cpu().numpy()
        lengths = np.linalg.norm(change, axis=1) * np.linalg.norm(real.difference)
        cosines.append(np.mean(change @ real.difference / np.maximum(lengths, 1e-9)))
    return float(np.mean(shares) + np.mean(cosines) / 2)


def score_pace(
    editor: MotionEditor, emotion: EmotionModels, pairs: Sequence[AlignedTakes]
) -> float:
    """How far edits by a person's own takes are from those takes, moment by moment, 0 or more.

    The mean over pairs of the distance between the change that is shown and the real one, each less
    its mean over time, relative to the real one's length: 1 is a change that never moves.
    """
    device = emotion.labels.device
    apart = []
    for pair in pairs:
        calm = torch.from_numpy(pair.neutral.expression).to(device)[None]
        shown = torch.from_numpy(pair.emotional.difference).float().to(device)
        observed = Observed(shown, torch.ones(1, device=device), editor.neutral_high)
        label = emotion.labels[pair.emotional.emotion.class_index][None]
        with torch.inference_mode():
            change = (editor(calm, label, torch.ones(1, device=device), observed) - calm)[0]
        real = torch.from_numpy(pair.change).to(device)[: len(change)] * editor.shares
        one, other = (values - values.mean(dim=0) for values in (change[: len(real)], real))
        apart.append(float((one - other).norm() / other.norm().clamp(min=1e-6)))
    return float(np.mean(apart))


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
