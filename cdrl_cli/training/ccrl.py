"""CCRL: learn what a mouth says from what is heard, and from the same words in other emotions."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from cdrl_cli.array_types import Float
from cdrl_cli.data.pairs import Batch, TakePair, draw_batch, pair_takes
from cdrl_cli.data.takes import Take, Windows
from cdrl_cli.errors import UsageError
from cdrl_cli.metrics.retrieval import found_first
from cdrl_cli.representation.ccrl import VIEWS, ContentEncoder, SpeechEncoder
from cdrl_cli.training.ccrl_augment import augment
from cdrl_cli.training.ccrl_losses import ccrl_losses, encode_windows, published_loss
from cdrl_cli.training.checkpoint import Stateful, digest_data, run_facts
from cdrl_cli.training.loop import Loss, Task, Trainer, Update, Validation, open_device
from cdrl_cli.training.optimiser import MovingAverage, Optimiser, kept_network
from cdrl_cli.training.recipes import CcrlConfig
from cdrl_cli.training.split import is_learned_from, is_validation

CANDIDATES = 10
"""Windows of one validation clip among which the right speech is to be found: chance is .10."""

FIRST_TEMPERATURE = 0.07
"""Temperature that the contrast begins with; learned from there if the recipe says so."""

LOWEST_TEMPERATURE = 0.02
"""Temperature below which the contrast does not fall while it is learned."""

Look = Callable[[Float[Tensor, "batch frames ..."]], Float[Tensor, "batch frames ..."]]
"""Pictures to what an encoder takes of them."""


@dataclass(frozen=True, slots=True)
class CcrlResult:
    """What a run brought."""

    content: ContentEncoder
    speech: SpeechEncoder
    steps: int
    """Done when it ended."""
    best_step: int
    """Whose weights these are."""
    score: float
    """Mean top-1 over the views and validation clips, at that step."""
    identities: frozenset[str]
    """People learned from."""
    sentences: frozenset[str]
    """Sentences learned from."""
    facts: dict[str, str]
    """For the weight file."""


class CcrlNetworks(nn.Module):
    """Everything that CCRL learns: both encoders, and the temperature of their contrast.

    Args:
        content: Of mouths.
        speech: Of voices.
        learns_temperature: Else it stays at :data:`FIRST_TEMPERATURE`.
    """

    def __init__(
        self, content: ContentEncoder, speech: SpeechEncoder, *, learns_temperature: bool
    ) -> None:
        super().__init__()
        self.content, self.speech = content, speech
        self.log_temperature = nn.Parameter(
            torch.tensor(FIRST_TEMPERATURE).log(), learns_temperature
        )


class CcrlTask(Task):
    """Both encoders and the temperature of their losses.

    Args:
        config: The recipe.
        learning: Takes to learn from.
        validation: Takes of people to validate on.
        device: Where networks and batches are.
        look: What is made of a batch's pictures before they are encoded: a picture prior's maps.
    """

    has_parts = True

    def __init__(
        self,
        config: CcrlConfig,
        learning: Sequence[Take],
        validation: Sequence[Take],
        *,
        device: torch.device,
        look: Look | None = None,
    ) -> None:
        schedule = config.schedule
        self._config, self._device, self._look = config, device, look
        self._learning, self._validation = learning, validation
        self._pairs = pair_takes(learning) if config.sampling.emotion_aware else []
        if config.loss.contrast == "published" and not self._pairs:
            raise UsageError(
                'loss.contrast = "published" needs the same words in two emotions, '
                "and nobody says any"
            )
        self.generator = torch.Generator().manual_seed(schedule.seed)
        self.content, self.speech = _new_encoders(config, learning)
        self._networks = CcrlNetworks(
            self.content, self.speech, learns_temperature=config.loss.learned_temperature
        ).to(device)
        self._optimiser = Optimiser(
            self._networks,
            learning_rate=schedule.learning_rate,
            steps=schedule.steps,
            weight_decay=schedule.weight_decay,
        )
        self._average = MovingAverage.of_schedule(self._networks, schedule.average_decay)

    @property
    def parts(self) -> dict[str, Stateful]:
        """See :class:`~cdrl_cli.training.loop.Task`."""
        return {"networks": self._networks, "optimiser": self._optimiser}

    @property
    def averages(self) -> dict[str, MovingAverage]:
        """See :class:`~cdrl_cli.training.loop.Task`."""
        return self._average

    @property
    def product(self) -> CcrlNetworks:
        """Both encoders, and the temperature; averaged over the steps where the recipe says so."""
        product = kept_network(self._networks, self._average)
        assert isinstance(product, CcrlNetworks)
        return product

    def updates(self, step: int) -> Iterator[Update]:  # noqa: ARG002 - every step is alike
        """See :class:`~cdrl_cli.training.loop.Task`."""
        batch = self._draw(self._learning, self._pairs, self.generator)
        heard = draw_sound(batch.windows, self.generator)
        windows = augment(
            Windows.of(heard, self._config.model.frames),
            coefficient_scale=self.content.coefficient_scale.cpu(),
            speech_scale=self.speech.scale.cpu(),
            generator=self.generator,
        )
        windows = self._see(windows)
        if self._config.loss.contrast == "published":
            loss = Loss("published", published_loss(self.content, windows, batch))
            yield Update([loss], [self._optimiser])
            return
        temperature = self._networks.log_temperature.exp().clamp(min=LOWEST_TEMPERATURE)
        losses = ccrl_losses(
            encode_windows(self.content, windows, self.generator),
            self.speech(windows.speech),
            batch,
            temperature=temperature,
            config=self._config.loss,
        )
        yield Update(losses, [self._optimiser], {"temperature": temperature.detach()})

    def validate(self) -> Validation:
        """See :class:`~cdrl_cli.training.loop.Task`."""
        kept = self.product
        if self._config.loss.contrast == "published":
            return self._validate_published(kept.content)
        accuracies = measure_accuracy(kept.content, kept.speech, self._validation, look=self._look)
        return Validation(float(np.mean(list(accuracies.values()))), accuracies)

    def _validate_published(self, content: ContentEncoder) -> Validation:
        """By the loss itself, which knows no voices; on the same moments each time."""
        again = torch.Generator().manual_seed(0)
        batch = self._draw(self._validation, pair_takes(self._validation), again)
        windows = self._see(Windows.of(batch.windows, self._config.model.frames))
        was_training = content.training
        with torch.inference_mode():
            loss = float(published_loss(content.eval(), windows, batch))
        content.train(was_training)
        return Validation(1 - loss / 2, {"published": loss})

    def _draw(
        self, takes: Sequence[Take], pairs: Sequence[TakePair], generator: torch.Generator
    ) -> Batch:
        sampling = self._config.sampling
        return draw_batch(
            takes,
            pairs,
            count=sampling.takes,
            windows=sampling.windows,
            frames=self._config.model.frames,
            generator=generator,
        )

    def _see(self, windows: Windows) -> Windows:
        """The windows on the device, their pictures as the encoder takes them."""
        windows = windows.to(self._device)
        return windows if self._look is None else replace(windows, crops=self._look(windows.crops))


def train_ccrl(
    config: CcrlConfig,
    takes: Sequence[Take],
    *,
    run: Path,
    resume: bool = False,
    device: str = "cpu",
    look: Look | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> CcrlResult:
    """Train both encoders.

    Args:
        config: The recipe.
        takes: All; the recipe says which are learned from.
        run: Folder of the checkpoint (``last.pt``) and the log (``log.jsonl``).
        resume: Continue from the checkpoint there.
        device: ``cpu`` or ``cuda``.
        look: What is made of a batch's pictures before they are encoded; on that device.
        progress: Called with (steps done, steps in all).

    Raises:
        UsageError: If nothing is left to learn from or to validate on, or there is no such device.
    """
    frames = config.model.frames
    roomy = [take for take in takes if take.has_speech and len(take.starts(frames))]
    learning = [take for take in roomy if is_learned_from(take.clip, config.data)]
    validation = [take for take in roomy if is_validation(take.clip, config.data)]
    if not learning or not validation:
        raise UsageError(f"{len(learning)} clips to learn from, {len(validation)} to validate on")
    task = CcrlTask(config, learning, validation, device=open_device(device), look=look)
    facts = run_facts(config, digest_data(_arrays(learning)))
    outcome = Trainer(run, task, config.schedule, facts, resume=resume, progress=progress).fit()
    kept = task.product.cpu()
    return CcrlResult(
        content=kept.content,
        speech=kept.speech,
        steps=outcome.steps,
        best_step=outcome.best_step,
        score=outcome.score,
        identities=frozenset(take.clip.identity for take in learning),
        sentences=frozenset(take.clip.sentence or "" for take in learning),
        facts=facts.describe("spfem train ccrl")
        | {"best_step": str(outcome.best_step), "clips": str(len(learning))},
    )


def draw_sound(
    windows: Sequence[tuple[Take, int]], generator: torch.Generator
) -> list[tuple[Take, int]]:
    """The same windows, each heard in one of its take's versions."""
    heard = []
    for take, start in windows:
        versions = take.versions
        chosen = int(torch.randint(len(versions), (), generator=generator)) if take.noisy else 0
        heard.append((versions[chosen], start))
    return heard


def measure_accuracy(
    content: ContentEncoder,
    speech: SpeechEncoder,
    takes: Sequence[Take],
    *,
    look: Look | None = None,
) -> dict[str, float]:
    """Top-1 of :data:`CANDIDATES` windows of the same clip, by view, mean over clips."""
    hits: dict[str, list[float]] = {view: [] for view in VIEWS}
    frames, device = content.config.frames, content.coefficient_scale.device
    with torch.inference_mode():
        for take in takes:
            windows = Windows.spread(take, frames, CANDIDATES).to(device)
            if len(windows.crops) < CANDIDATES:
                continue
            heard = speech(windows.speech)
            crops = windows.crops if look is None else look(windows.crops)
            codes = content.encode_views(crops, windows.coefficients)
            for view, seen in codes.items():
                hits[view].append(found_first(seen, heard).float().mean().item())
    return {view: float(np.mean(values)) for view, values in hits.items()}


def _new_encoders(
    config: CcrlConfig, takes: Sequence[Take]
) -> tuple[ContentEncoder, SpeechEncoder]:
    """Encoders with random weights and the data's scales."""
    speech_frames = np.concatenate([take.speech for take in takes])
    motion = np.concatenate([take.coefficients - take.coefficients.mean(axis=0) for take in takes])
    sizes = replace(config.model, speech_features=speech_frames.shape[1])
    with torch.random.fork_rng():
        torch.manual_seed(config.schedule.seed)
        content, speech = ContentEncoder(sizes), SpeechEncoder(sizes)
    # What hardly ever moves is not blown up to the size of the rest.
    content.coefficient_scale.copy_(torch.from_numpy(motion.std(axis=0) + 0.03))
    for listening in (speech, content.attention):
        if listening is not None:
            listening.mean.copy_(torch.from_numpy(speech_frames.mean(axis=0)))
            listening.scale.copy_(torch.from_numpy(speech_frames.std(axis=0) + 1e-3))
    return content, speech


def _arrays(takes: Sequence[Take]) -> list[np.ndarray]:
    return [
        array
        for take in takes
        for array in (take.crops, take.coefficients, take.speech, take.seen, *take.noisy)
    ]
