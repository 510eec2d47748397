"""Does the content code say what is spoken, follow the mouth, and keep the emotion to itself?"""

from collections.abc import Container, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cdrl_cli.array_types import Float, Int
from cdrl_cli.checkpoints.trained import ContentModels
from cdrl_cli.data.takes import Take, Windows
from cdrl_cli.emotion import Emotion
from cdrl_cli.metrics.bootstrap import Interval, bootstrap, bootstrap_mean
from cdrl_cli.metrics.linear_probe import balanced_accuracy, probe_across_people
from cdrl_cli.metrics.retrieval import found_first
from cdrl_cli.representation.ccrl import VIEWS, ContentEncoder

CANDIDATES = 10
"""Windows of one clip among which the right one is to be found: chance is .10."""

CODE_EVERY = 3
"""Frames between the windows whose codes are averaged over a clip."""


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Top-1 of :data:`CANDIDATES` windows of the same clip, mean over clips."""

    view: str
    """What the content encoder sees: one of :data:`VIEWS`."""
    speech_of_mouth: Interval
    """The right speech is found for a mouth."""
    mouth_of_speech: Interval
    """The right mouth is found for speech: other images under the same audio are told apart."""


@dataclass(frozen=True, slots=True)
class Readability:
    """How well a linear reader, fitted to other people, reads the emotion of a clip."""

    features: str
    """What is read: codes of one of :data:`VIEWS`, or ``raw coefficients``, for comparison."""
    accuracy: Interval
    """Balanced over the emotions."""
    chance: float


@dataclass(frozen=True, slots=True)
class Following:
    """What moves the code: flaw 2 of the paper's objective was that the audio alone did."""

    unlike_frames: Interval
    """Cosine of the codes of different moments of one clip, which is to be low: 1 would be a
    code that does not follow the image."""
    own: Interval
    """Cosine of a mouth's code and its own speech's."""
    other_image: Interval
    """The same with another image of the clip under the same audio."""


@dataclass(frozen=True, slots=True)
class AudioLeak:
    """What a content encoder repeats of the audio that it is given: the flaw of the objective.

    One that does not listen repeats nothing: ``told`` and ``each`` are its retrieval, ``kept`` is 1
    and ``still`` chance.
    """

    view: str
    """What the content encoder sees beside the audio: ``crops`` or ``both``."""
    told: Interval
    """Top-1 of finding the right speech, which the encoder is given: what a leak makes easy."""
    each: Interval
    """Top-1 when the encoder is given each candidate in turn, so that being told helps none."""
    kept: Interval
    """Cosine of an image's code under its own and under another moment's audio: 1 is no leak."""
    drawn: Interval
    """Share of other moments' audio under which the image's code is nearer to that audio's code
    than to its own speech's. Without a leak these are mere mistakes."""
    still: Interval
    """Top-1 of finding the speech that the encoder is given, when the mouth does not move."""


def unknown_people(models: ContentModels, takes: Sequence[Take]) -> list[Take]:
    """Takes of people that the encoders never learned from."""
    return [take for take in takes if take.clip.identity not in models.identities]


def unknown_sentences(models: ContentModels, takes: Sequence[Take]) -> list[Take]:
    """Takes of known people who say what the encoders never learned from."""
    return [
        take
        for take in takes
        if take.clip.identity in models.identities
        and (take.clip.sentence or "") not in models.sentences
    ]


def measure_retrieval(models: ContentModels, takes: Sequence[Take]) -> list[Retrieval]:
    """One row a view; clips without sound, or too short for the candidates, are left out."""
    forth: dict[str, list[float]] = {view: [] for view in VIEWS}
    back: dict[str, list[float]] = {view: [] for view in VIEWS}
    for windows in _candidates(models, takes):
        with torch.inference_mode():
            heard = models.speech(windows.speech)
            codes = models.content.encode_views(windows.crops, windows.coefficients)
            for view, seen in codes.items():
                forth[view].append(found_first(seen, heard).float().mean().item())
                back[view].append(found_first(heard, seen).float().mean().item())
    return [Retrieval(view, _mean(forth[view]), _mean(back[view])) for view in VIEWS]


def measure_following(
    models: ContentModels, takes: Sequence[Take], *, view: str = "crops"
) -> Following:
    """Cosines within clips; the content encoder is given no audio (:func:`measure_leak`)."""
    unlike, own, other = [], [], []
    for windows in _candidates(models, takes):
        with torch.inference_mode():
            heard = models.speech(windows.speech)
            seen = models.content.encode_views(windows.crops, windows.coefficients)[view]
        apart = ~torch.eye(len(seen), dtype=torch.bool)
        likeness = seen @ heard.T
        own.append(likeness.diagonal().mean().item())
        other.append(likeness[apart].mean().item())
        unlike.append((seen @ seen.T)[apart].mean().item())
    return Following(_mean(unlike), _mean(own), _mean(other))


def measure_leak(models: ContentModels, takes: Sequence[Take]) -> list[AudioLeak]:
    """One row a view of pixels: each image of a clip under each of its moments' audio."""
    clips: dict[str, list[dict[str, float]]] = {"crops": [], "both": []}
    for windows in _candidates(models, takes):
        count, frames = windows.crops.shape[:2]
        middle = slice(frames // 2, frames // 2 + 1)
        still_crops = windows.crops[:, middle].expand_as(windows.crops)
        still_mouth = windows.coefficients[:, middle].expand_as(windows.coefficients)
        with torch.inference_mode():
            heard = models.speech(windows.speech)
            still = models.content.encode_views(still_crops, still_mouth, windows.speech)
            crossed = models.content.encode_views(
                windows.crops.repeat_interleave(count, dim=0),
                windows.coefficients.repeat_interleave(count, dim=0),
                windows.speech.repeat(count, 1, 1),
            )
        for view, measured in clips.items():
            found_still = found_first(still[view], heard).float().mean().item()
            crossing = _compare(crossed[view].view(count, count, -1), heard)
            measured.append(crossing | {"still": found_still})
    names = ("told", "each", "kept", "drawn", "still")
    return [
        AudioLeak(view, **{name: _mean([one[name] for one in measured]) for name in names})
        for view, measured in clips.items()
    ]


def measure_readability(
    models: ContentModels, takes: Sequence[Take], *, asked: Container[str] | None = None
) -> list[Readability]:
    """One row a view and one for raw coefficients, a clip at a time; sound is not needed.

    The reader is a logistic model, fitted for each person to all others (leave one person out).

    Args:
        models: The encoders.
        takes: The reader's examples, and the clips that it is to read.
        asked: People whose clips are read, if not all; for a proof, those of
            :func:`unknown_people`.
    """
    labelled = [
        take
        for take in takes
        if take.clip.emotion is not None and len(take.starts(models.content.config.frames))
    ]
    labels = np.array([_class_of(take.clip.emotion) for take in labelled])
    people = [take.clip.identity for take in labelled]
    codes = [mean_codes(models.content, take) for take in labelled]
    features = {view: np.stack([code[view] for code in codes]) for view in VIEWS}
    features["raw coefficients"] = np.stack([take.coefficients.mean(axis=0) for take in labelled])

    known = [i for i, person in enumerate(people) if asked is None or person in asked]
    true = labels[known]
    rows = []
    for name, values in features.items():
        read = probe_across_people(values, labels, people, asked=asked)[known]
        accuracy = bootstrap(
            len(true),
            lambda drawn, read=read: balanced_accuracy(read[drawn], true[drawn]),  # type: ignore[misc]
            generator=np.random.default_rng(0),
        )
        rows.append(Readability(name, accuracy, 1 / len(np.unique(true))))
    return rows


def measure_window_readability(
    models: ContentModels, takes: Sequence[Take], *, asked: Container[str] | None = None
) -> list[Readability]:
    """:func:`measure_readability` of single windows: one row a view.

    A clip's mean code tells its pace: a mean over more, or slower, windows lies elsewhere. Windows
    have one length, and clips have :data:`CANDIDATES` of them each at most. The interval is over
    clips, whose windows are no independent witnesses.
    """
    frames = models.content.config.frames
    labelled = [t for t in takes if t.clip.emotion is not None and len(t.starts(frames))]
    windows = [Windows.spread(take, frames, CANDIDATES) for take in labelled]
    with torch.inference_mode():
        codes = [models.content.encode_views(w.crops, w.coefficients) for w in windows]
    clip_of = np.repeat(np.arange(len(labelled)), [len(one.crops) for one in windows])
    true = np.array([_class_of(take.clip.emotion) for take in labelled])[clip_of]
    people = [labelled[clip].clip.identity for clip in clip_of]
    known = np.array([asked is None or person in asked for person in people])
    places = [np.flatnonzero(known & (clip_of == clip)) for clip in np.unique(clip_of[known])]
    rows = []
    for view in VIEWS:
        features = np.concatenate([code[view].numpy() for code in codes])
        read = probe_across_people(features, true, people, asked=asked)

        def score(drawn: Int[np.ndarray, " clips"], read: Int[np.ndarray, " all"] = read) -> float:
            chosen = np.concatenate([places[clip] for clip in drawn])
            return balanced_accuracy(read[chosen], true[chosen])

        accuracy = bootstrap(len(places), score, generator=np.random.default_rng(0))
        chance = 1 / len(np.unique(true[known]))
        rows.append(Readability(f"one window's {view}", accuracy, chance))
    return rows


def _compare(
    seen: Float[Tensor, "images sounds dim"], heard: Float[Tensor, "sounds dim"]
) -> dict[str, float]:
    """All of a clip's :class:`AudioLeak` but ``still``."""
    own = seen.diagonal().T
    apart = ~torch.eye(len(seen), dtype=torch.bool)
    with_own_speech = torch.einsum("ijd,id->ij", seen, heard)
    with_given_speech = torch.einsum("ijd,jd->ij", seen, heard)
    matched = with_given_speech.diagonal()
    best_other = with_given_speech.masked_fill(~apart, -torch.inf).amax(dim=1)
    return {
        "told": found_first(own, heard).float().mean().item(),
        "each": (matched > best_other).float().mean().item(),
        "kept": torch.einsum("ijd,id->ij", seen, own)[apart].mean().item(),
        "drawn": (with_given_speech > with_own_speech)[apart].float().mean().item(),
    }


def _candidates(models: ContentModels, takes: Sequence[Take]) -> list[Windows]:
    frames = models.content.config.frames
    heard = [take for take in takes if take.has_speech and len(take.starts(frames)) >= CANDIDATES]
    return [Windows.spread(take, frames, CANDIDATES) for take in heard]


def _mean(values: list[float]) -> Interval:
    return bootstrap_mean(np.array(values), generator=np.random.default_rng(0))


def _class_of(emotion: Emotion | None) -> int:
    assert emotion is not None
    return emotion.class_index


def mean_codes(content: ContentEncoder, take: Take) -> dict[str, Float[np.ndarray, " dimension"]]:
    """A clip's mean content code, by view; not a unit vector."""
    frames = content.config.frames
    chosen = [(take, int(start)) for start in take.starts(frames)[::CODE_EVERY]]
    windows = Windows.of(chosen, frames)
    with torch.inference_mode():
        codes = content.encode_views(windows.crops, windows.coefficients)
    return {view: seen.mean(dim=0).numpy() for view, seen in codes.items()}
