"""CCRL: learn what a mouth says from what is heard, and from the same words in other emotions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from cdrl_cli.data.pairs import Batch, draw_batch, pair_takes
from cdrl_cli.data.takes import Take, Windows
from cdrl_cli.errors import UsageError
from cdrl_cli.face.blendshapes import COUNTERPARTS, MOUTH_COEFFICIENTS
from cdrl_cli.metrics.retrieval import found_first
from cdrl_cli.representation.ccrl import VIEWS, ContentConfig, ContentEncoder, SpeechEncoder
from cdrl_cli.representation.losses import symmetric_info_nce
from cdrl_cli.training.checkpoint import digest_data, run_facts
from cdrl_cli.training.config import CcrlConfig, ContentLossConfig
from cdrl_cli.training.run import Run
from cdrl_cli.training.split import is_learned_from, is_validation

CANDIDATES = 10
"""Windows of one clip among which the right speech is to be found."""

FIRST_TEMPERATURE = 0.07
LOWEST_TEMPERATURE = 0.02

MIRRORED, BLURRED = 0.5, 0.25
"""Shares of the windows that augmentation does this to."""


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


def train_ccrl(
    config: CcrlConfig,
    takes: Sequence[Take],
    *,
    run: Path,
    going_on: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> CcrlResult:
    """Train both encoders.

    Args:
        config: The recipe.
        takes: All; the recipe says which are learned from.
        run: Folder of the checkpoint (``last.pt``) and the log (``log.csv``).
        going_on: Continue from the checkpoint there.
        progress: Called with (steps done, steps in all).

    Raises:
        UsageError: If nothing is left to learn from or to validate on.
    """
    frames, schedule = config.model.frames, config.schedule
    roomy = [take for take in takes if take.has_speech and len(take.starts(frames))]
    learning = [take for take in roomy if is_learned_from(take.clip, config.data)]
    validation = [take for take in roomy if is_validation(take.clip, config.data)]
    if not learning or not validation:
        raise UsageError(f"{len(learning)} clips to learn from, {len(validation)} to validate on")
    pairs = pair_takes(learning) if config.sampling.emotion_aware else []

    torch.set_num_threads(schedule.threads)
    generator = torch.Generator().manual_seed(schedule.seed)
    content, speech = _new_encoders(config, learning)
    temperature = nn.ParameterDict(
        {
            "log": nn.Parameter(
                torch.tensor(FIRST_TEMPERATURE).log(), config.loss.learned_temperature
            )
        }
    )
    networks = nn.ModuleList([content, speech, temperature])
    training = Run(
        run,
        networks,
        schedule,
        facts=run_facts(config, digest_data(_arrays(learning))),
        generator=generator,
        going_on=going_on,
        progress=progress,
    )
    while not training.is_over:
        batch = draw_batch(
            learning,
            pairs,
            count=config.sampling.takes,
            windows=config.sampling.windows,
            frames=frames,
            generator=generator,
        )
        heard = draw_sound(batch.windows, generator)
        windows = augment(Windows.of(heard, frames), content, speech, generator)
        tau = temperature["log"].exp().clamp(min=LOWEST_TEMPERATURE)
        loss = ccrl_loss(
            encode_windows(content, windows, generator),
            speech(windows.speech),
            batch,
            temperature=tau,
            config=config.loss,
        )
        training.learn(loss)
        if training.is_validation_due:
            scores = validate(content, speech, validation)
            score = float(np.mean(list(scores.values())))
            training.note(score, loss=loss.item(), temperature=tau.item(), **scores)
        training.tick()

    training.finish()
    return CcrlResult(
        content=content,
        speech=speech,
        steps=training.step,
        best_step=training.best_step,
        score=training.score,
        identities=frozenset(take.clip.identity for take in learning),
        sentences=frozenset(take.clip.sentence or "" for take in learning),
        facts=training.describe("spfem train ccrl") | {"clips": str(len(learning))},
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
    order = torch.randperm(len(crops), generator=generator)
    told, alone = order.tensor_split(2)
    parts = (
        content.encode_views(crops[told], coefficients[told], windows.speech[told]),
        content.encode_views(crops[alone], coefficients[alone]),
    )
    return {view: torch.cat([part[view] for part in parts])[order.argsort()] for view in VIEWS}


def ccrl_loss(
    codes: dict[str, Float[Tensor, "batch d"]],
    heard: Float[Tensor, "batch d"],
    batch: Batch,
    *,
    temperature: float | Float[Tensor, ""],
    config: ContentLossConfig,
) -> Float[Tensor, ""]:
    """Mouth and voice of the same moment agree, and so do the mouths of the same words.

    Three terms for each view, the first two InfoNCE both ways. Content codes against speech
    codes: the negatives of a voice are other frames of the same take ("same audio, other frame":
    the paper's loss, without them, can be won by the audio alone). Neutral against emotional
    moments of the same words: the negatives are other frames of that same emotional take, as in
    the paper's sampling. Where negatives come from other takes too, emotion and person help to
    exclude them, and the codes learn both. Last, the mean code of a take's windows is to be
    short: what a whole take has in common is not content, but emotion, person and camera.

    Differs from the paper (one positive and one negative cosine, clamped), whose gradient ends
    as soon as a negative is orthogonal.

    Args:
        codes: Content codes by view.
        heard: Speech codes.
        batch: What belongs together.
        temperature: Of both terms.
        config: Which negatives, and the weights of the second and third term.
    """
    neutral, emotional = torch.from_numpy(batch.counterparts).T
    take = torch.from_numpy(batch.take_of) if config.negatives == "take" else None
    pair = None if take is None else take[emotional]
    member = functional.one_hot(torch.from_numpy(batch.take_of)).to(heard.dtype)
    share = member.T / member.sum(dim=0)[:, None]
    terms = []
    for seen in codes.values():
        terms.append(config.constant_weight * (share @ seen).square().sum(dim=1).mean())
        terms.append(symmetric_info_nce(seen, heard, temperature=temperature, groups=take))
        if config.emotion_weight and len(neutral):
            same_words = symmetric_info_nce(
                seen[neutral], seen[emotional], temperature=temperature, groups=pair
            )
            terms.append(config.emotion_weight * same_words)
    return torch.stack(terms).sum() / len(codes)


def validate(
    content: ContentEncoder, speech: SpeechEncoder, takes: Sequence[Take]
) -> dict[str, float]:
    """Top-1 of :data:`CANDIDATES` windows of the same clip, by view, mean over clips."""
    hits: dict[str, list[float]] = {view: [] for view in VIEWS}
    frames = content.config.frames
    with torch.inference_mode():
        for take in takes:
            windows = Windows.spread(take, frames, CANDIDATES)
            if len(windows.crops) < CANDIDATES:
                continue
            heard = speech(windows.speech)
            codes = content.encode_views(windows.crops, windows.coefficients)
            for view, seen in codes.items():
                hits[view].append(found_first(seen, heard).float().mean().item())
    return {view: float(np.mean(values)) for view, values in hits.items()}


def augment(
    windows: Windows, content: ContentEncoder, speech: SpeechEncoder, generator: torch.Generator
) -> Windows:
    """The same moments under other light, framing, cameras, faces and microphones.

    What is drawn for a window holds for all its frames, except noise.

    Args:
        windows: As recorded.
        content: Knows how much coefficients vary.
        speech: Knows how much features vary.
        generator: Randomness.
    """

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    count = len(windows.crops)
    mirrored = torch.rand(count, generator=generator) < MIRRORED
    crops = torch.where(mirrored[:, None, None, None], windows.crops.flip(3), windows.crops)
    coefficients = torch.where(
        mirrored[:, None, None], windows.coefficients[..., _MIRROR], windows.coefficients
    )

    crops = crops * (1 + 0.2 * normal(count, 1, 1, 1)) + 0.2 * normal(count, 1, 1, 1)
    crops = _move(crops, generator) + 0.05 * normal(*crops.shape)
    gain = 1 + 0.15 * normal(count, 1, coefficients.shape[2])
    noise = 0.1 * content.coefficient_scale * normal(*coefficients.shape)
    # A louder voice or another microphone shifts the features of a whole window.
    hiss = normal(*windows.speech.shape) + normal(count, 1, windows.speech.shape[2])
    return Windows(crops, coefficients * gain + noise, windows.speech + 0.2 * speech.scale * hiss)


def _move(
    crops: Float[Tensor, "batch frames side side"], generator: torch.Generator
) -> Float[Tensor, "batch frames side side"]:
    """Shift by up to 2 pixels, zoom and turn a little; every other window also loses detail."""
    count = len(crops)
    turn, zoom = 0.08 * torch.randn(2, count, generator=generator)
    shift = (torch.rand(count, 2, generator=generator) - 0.5) * 8 / crops.shape[-1]
    cosine, sine = (1 + zoom) * turn.cos(), (1 + zoom) * turn.sin()
    rows = torch.stack([cosine, -sine, shift[:, 0], sine, cosine, shift[:, 1]], dim=1)
    grid = functional.affine_grid(rows.view(count, 2, 3), [*crops.shape], align_corners=False)
    moved = functional.grid_sample(crops, grid, padding_mode="border", align_corners=False)
    coarse = functional.interpolate(
        functional.avg_pool2d(moved, 2), scale_factor=2.0, mode="bilinear", align_corners=False
    )
    blurred = torch.rand(count, 1, 1, 1, generator=generator) < BLURRED
    return torch.where(blurred, coarse, moved)


def _new_encoders(
    config: CcrlConfig, takes: Sequence[Take]
) -> tuple[ContentEncoder, SpeechEncoder]:
    """Encoders with random weights and the data's scales."""
    speech_frames = np.concatenate([take.speech for take in takes])
    motion = np.concatenate([take.coefficients - take.coefficients.mean(axis=0) for take in takes])
    sizes = ContentConfig(
        frames=config.model.frames,
        speech_features=speech_frames.shape[1],
        width=config.model.width,
        dimension=config.model.dimension,
        attention=config.model.attention,
    )
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


_MIRROR = [MOUTH_COEFFICIENTS.index(COUNTERPARTS[index]) for index in MOUTH_COEFFICIENTS]
"""For each mouth coefficient, the one that a mirror turns it into."""
