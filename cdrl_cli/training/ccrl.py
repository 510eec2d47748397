"""CCRL: learn what a mouth says from what is heard, and from the same words in other emotions."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from cdrl_cli.data.pairs import Batch, draw_batch, pair_takes
from cdrl_cli.data.takes import Take, Windows
from cdrl_cli.errors import UsageError
from cdrl_cli.metrics.retrieval import found_first
from cdrl_cli.representation.ccrl import VIEWS, ContentEncoder, SpeechEncoder
from cdrl_cli.representation.losses import symmetric_info_nce
from cdrl_cli.training.ccrl_augment import augment
from cdrl_cli.training.checkpoint import Stateful, digest_data, run_facts
from cdrl_cli.training.loop import Loss, Task, Trainer, Update, Validation, open_device
from cdrl_cli.training.optimiser import MovingAverage, Optimiser, kept_network
from cdrl_cli.training.recipes import CcrlConfig, ContentLossConfig
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
        sampling, frames = self._config.sampling, self._config.model.frames
        batch = draw_batch(
            self._learning,
            self._pairs,
            count=sampling.takes,
            windows=sampling.windows,
            frames=frames,
            generator=self.generator,
        )
        heard = draw_sound(batch.windows, self.generator)
        windows = augment(
            Windows.of(heard, frames),
            coefficient_scale=self.content.coefficient_scale.cpu(),
            speech_scale=self.speech.scale.cpu(),
            generator=self.generator,
        ).to(self._device)
        if self._look is not None:
            windows = replace(windows, crops=self._look(windows.crops))
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
        accuracies = measure_accuracy(kept.content, kept.speech, self._validation, look=self._look)
        return Validation(float(np.mean(list(accuracies.values()))), accuracies)


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


def encode_windows(
    content: ContentEncoder, windows: Windows, generator: torch.Generator
) -> dict[str, Float[Tensor, "batch dimension"]]:
    """Content codes by view; an encoder that attends to audio is given that of half the windows.

    The other half is what it meets inside the generator, where there is no sound.
    """
    crops, coefficients = windows.crops, windows.coefficients
    if content.attention is None:
        return content.encode_views(crops, coefficients)
    order = torch.randperm(len(crops), generator=generator).to(crops.device)
    told, alone = order.tensor_split(2)
    parts = (
        content.encode_views(crops[told], coefficients[told], windows.speech[told]),
        content.encode_views(crops[alone], coefficients[alone]),
    )
    return {view: torch.cat([part[view] for part in parts])[order.argsort()] for view in VIEWS}


def ccrl_losses(
    codes: dict[str, Float[Tensor, "batch d"]],
    heard: Float[Tensor, "batch d"],
    batch: Batch,
    *,
    temperature: float | Float[Tensor, ""],
    config: ContentLossConfig,
) -> list[Loss]:
    """Mouth and voice of the same moment agree, and so do the mouths of the same words.

    Each term is the mean over the views. ``speech``, InfoNCE both ways: content codes against
    speech codes; the negatives of a voice are other frames of the same take ("same audio, other
    frame": the paper's loss, without them, can be won by the audio alone). ``words``, likewise:
    neutral against emotional moments of the same words; the negatives are other frames of that
    same emotional take, as in the paper's sampling. Where negatives come from other takes too,
    emotion and person help to exclude them, and the codes learn both. ``constant``: the mean code
    of a take's windows is to be short, for what a whole take has in common is not content, but
    emotion, person and camera.

    Differs from the paper (one positive and one negative cosine, clamped), whose gradient ends
    as soon as a negative is orthogonal.

    Args:
        codes: Content codes by view.
        heard: Speech codes.
        batch: What belongs together.
        temperature: Of both contrasts.
        config: Which negatives, and the weights.
    """
    neutral, emotional = torch.from_numpy(batch.counterparts).to(heard.device).T
    take_of = torch.from_numpy(batch.take_of).to(heard.device)
    take = take_of if config.negatives == "take" else None
    pair = None if take is None else take[emotional]
    member = functional.one_hot(take_of).to(heard.dtype)
    share = member.T / member.sum(dim=0)[:, None]

    def mean(terms: Iterable[Float[Tensor, ""]]) -> Float[Tensor, ""]:
        return torch.stack(list(terms)).mean()

    views = codes.values()
    speech = (symmetric_info_nce(v, heard, temperature=temperature, groups=take) for v in views)
    constant = ((share @ view).square().sum(dim=1).mean() for view in views)
    losses = [
        Loss("speech", mean(speech)),
        Loss("constant", mean(constant), config.constant_weight),
    ]
    if config.emotion_weight and len(neutral):
        words = (
            symmetric_info_nce(v[neutral], v[emotional], temperature=temperature, groups=pair)
            for v in views
        )
        losses.append(Loss("words", mean(words), config.emotion_weight))
    return losses


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
