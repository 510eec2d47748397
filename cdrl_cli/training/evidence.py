"""Fit what an edit concludes from the evidence of a face: its neutral face, and what it shows.

Closed-form or convex, minutes of work; finding faces takes longer and is cached. Clips and pictures
are read exactly as an edit reads a reference. How good the fits are is measured on people who are
left out, ten parts in turn.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

from cdrl_cli.array_types import Bool, Float, Int
from cdrl_cli.checkpoints.models import Models
from cdrl_cli.data.index import Clip
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UsageError
from cdrl_cli.face.blendshapes import IS_SMILE, SHARES
from cdrl_cli.face.stream import FaceTrack
from cdrl_cli.metrics.over_emotions import mean_over_emotions
from cdrl_cli.representation.evidence import Evidence, EvidenceModel, opinions
from cdrl_cli.training.acted_faces import read_acted_faces
from cdrl_cli.training.config import DataConfig

PARTS = 10
"""Parts that people are divided into to measure the fits on people who are left out."""


@dataclass(frozen=True, slots=True)
class EvidenceConfig:
    """How the fits are regularised."""

    axes: int = 40
    """Principal axes of face shapes that are kept."""
    neutral_ridge: float = 30.0
    """Penalty of the neutral estimate's weights; the larger, the nearer to the mean face."""
    logit_ridge: float = 400.0
    """Penalty of what is added to the nets' logits."""
    adds_to_nets: bool = True
    """Whether anything is learned beside the nets; else only how far they are trusted."""
    still_weight: float = 0.3
    """Weight of all stills together, against 1 for all clips."""


@dataclass(frozen=True, slots=True)
class EvidenceRecipe:
    """Recipe of what is concluded from evidence."""

    data: DataConfig = field(default_factory=DataConfig)
    fit: EvidenceConfig = field(default_factory=EvidenceConfig)


@dataclass(frozen=True, slots=True)
class Seen:
    """One clip or still, as an edit reads it."""

    clip: Clip
    shown: Evidence
    """Of its more expressive half; of a still, of itself."""
    mean: Float[np.ndarray, " 52"]
    """Coefficients over all frames."""
    is_still: bool


def see(
    clips: Sequence[Clip],
    models: Models,
    cache: Path,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> list[Seen]:
    """Read clips and stills, or take them from the cache; those without a face are left out."""

    def describe(track: FaceTrack, half: FaceTrack) -> dict[str, np.ndarray]:
        return {
            # Tuned nets know these very faces: they would seem surer than they are of others.
            "judged": models.published_nets(half.close_ups),
            "mean": track.expressions.mean(axis=0, dtype=float),
        }

    seen = []
    read = read_acted_faces(clips, models, cache, describe, progress=progress)
    for clip, arrays in zip(clips, read, strict=True):
        if arrays is not None:
            shown = Evidence(arrays["expression"], arrays["shape"], arrays["judged"])
            seen.append(Seen(clip, shown, arrays["mean"], bool(arrays["frames"] == 1)))
    return seen


@dataclass(frozen=True, slots=True)
class Measured:
    """How good a fit is on people who were left out."""

    read: dict[str, float]
    """By data set: share of clips read rightly, each emotion alike."""
    cosine: dict[str, tuple[float, float]]
    """By data set: cosine of the estimated change with the real one, from the mean neutral face and
    from the estimated one; each emotion alike."""
    explained: dict[str, float]
    """By data set: share of the neutral faces' variance about their mean that is explained."""

    def describe(self) -> str:
        """One line a data set, for people."""
        lines = [f"{name}: read rightly {share:.2f}" for name, share in self.read.items()]
        for name, (by_mean, by_estimate) in self.cosine.items():
            lines.append(
                f"{name}: change from the mean face {by_mean:.2f}, from the estimated one "
                f"{by_estimate:.2f}; neutral faces explained {self.explained[name]:.2f}"
            )
        return "\n".join(lines)


def fit_evidence(
    seen: Sequence[Seen], neutral: Float[np.ndarray, " 52"], config: EvidenceConfig
) -> tuple[EvidenceModel, Measured]:
    """Fit both conclusions to all people, and measure them on people who are left out.

    Args:
        seen: What to learn from.
        neutral: Coefficients of the mean neutral face.
        config: How the fits are regularised.

    Raises:
        UsageError: If nobody's neutral face is among it.
    """
    table = _Table.of(seen, neutral)
    if not table.has_rest.any():
        raise UsageError("nobody's neutral face is among the clips: there is nothing to fit")
    everybody = np.ones(len(seen), bool)
    model = _fit(table, everybody, neutral, config)
    rests, read = np.zeros_like(table.expression), np.zeros((len(seen), len(Emotion)))
    people = sorted(set(table.identity))
    order = np.random.default_rng(0).permutation(len(people)) % PARTS
    part = np.array([order[people.index(one)] for one in table.identity])
    for number in range(PARTS):
        partial = _fit(table, part != number, neutral, config)
        for i in np.flatnonzero(part == number).tolist():
            rests[i] = partial.estimate_neutral(seen[i].shown)
            read[i] = partial.read(seen[i].shown)
    return model, _measure(table, rests, read, neutral)


@dataclass(frozen=True, slots=True)
class _Table:
    """What was seen, by columns."""

    expression: Float[np.ndarray, "rows 52"]
    shape: Float[np.ndarray, "rows 1434"]
    judged: Float[np.ndarray, "rows 2 7"]
    rest: Float[np.ndarray, "rows 52"]
    """Neutral coefficients of the person; the mean ones where they are not known."""
    has_rest: Bool[np.ndarray, " rows"]
    label: Int[np.ndarray, " rows"]
    """Class index; -1 where no emotion is sure."""
    identity: tuple[str, ...]
    dataset: tuple[str, ...]
    is_still: Bool[np.ndarray, " rows"]

    @classmethod
    def of(cls, seen: Sequence[Seen], neutral: Float[np.ndarray, " 52"]) -> "_Table":
        known = find_rests(seen)
        return cls(
            expression=np.stack([one.shown.expression for one in seen]),
            shape=np.stack([one.shown.shape.ravel() for one in seen]).astype(float),
            judged=np.stack([np.asarray(one.shown.judged) for one in seen]),
            rest=np.stack([known.get(one.clip.identity, neutral) for one in seen]),
            has_rest=np.array([one.clip.identity in known for one in seen]),
            label=np.array([_label(one.clip) for one in seen]),
            identity=tuple(one.clip.identity for one in seen),
            dataset=tuple(one.clip.dataset for one in seen),
            is_still=np.array([one.is_still for one in seen]),
        )


def find_rests(seen: Sequence[Seen]) -> dict[str, Float[np.ndarray, " 52"]]:
    """By identity, the mean coefficients of each person's neutral clips and stills."""
    rests: dict[str, list[np.ndarray]] = {}
    for one in seen:
        if one.clip.emotion is Emotion.NEUTRAL:
            rests.setdefault(one.clip.identity, []).append(one.mean)
    return {name: np.mean(values, axis=0) for name, values in rests.items()}


def _label(clip: Clip) -> int:
    sure = clip.emotion is not None and (clip.label_certain or clip.emotion is Emotion.NEUTRAL)
    return clip.emotion.class_index if sure and clip.emotion is not None else -1


def _fit(
    table: _Table,
    chosen: Bool[np.ndarray, " rows"],
    neutral: Float[np.ndarray, " 52"],
    config: EvidenceConfig,
) -> EvidenceModel:
    mean = table.shape[chosen].mean(axis=0)
    apart = table.shape[chosen] - mean
    _, sizes, axes = np.linalg.svd(apart[:: max(1, len(apart) // 1500)], full_matrices=False)
    kept = min(config.axes, len(sizes))
    spread = sizes[:kept, None] / np.sqrt(len(apart[:: max(1, len(apart) // 1500)]))
    bare = EvidenceModel(
        neutral=neutral,
        shape_mean=mean.reshape(-1, 3),
        shape_axes=axes[:kept] / np.maximum(spread, 1e-9),
        neutral_weights=np.zeros((0, 52)),
        logit_weights=np.zeros((0, len(Emotion))),
        trust=1.0,
    )
    features = np.stack([bare.features(one) for one in _rows(table)])
    told_by_nets = np.stack([opinions(one) for one in table.judged])
    weights, trust = _fit_logits(table, chosen, features, told_by_nets, config)
    share = np.exp(trust * (told_by_nets - told_by_nets.max(axis=1, keepdims=True)))
    share = share / share.sum(axis=1, keepdims=True) - 1 / len(Emotion)
    told = np.concatenate([features, share], axis=1)
    return EvidenceModel(
        neutral=neutral,
        shape_mean=bare.shape_mean,
        shape_axes=bare.shape_axes,
        neutral_weights=_fit_rests(table, chosen, told, neutral, config),
        logit_weights=weights,
        trust=trust,
    )


def _rows(table: _Table) -> list[Evidence]:
    return [
        Evidence(expression, shape.reshape(-1, 3), judged)
        for expression, shape, judged in zip(
            table.expression, table.shape, table.judged, strict=True
        )
    ]


def _fit_rests(
    table: _Table,
    chosen: Bool[np.ndarray, " rows"],
    told: Float[np.ndarray, "rows features"],
    neutral: Float[np.ndarray, " 52"],
    config: EvidenceConfig,
) -> Float[np.ndarray, "features 52"]:
    """Ridge regression of people's neutral faces; the mean face is not penalised."""
    rows = chosen & table.has_rest
    clips = rows & ~table.is_still
    weights = np.ones(len(rows))
    if clips.any():
        stills = max(int((rows & table.is_still).sum()), 1)
        weights[table.is_still] = config.still_weight * clips.sum() / stills
        weights *= _per_dataset(table, clips)
    features, missing = told[rows] * weights[rows, None], (table.rest - neutral)[rows]
    penalty = config.neutral_ridge * np.eye(told.shape[1])
    penalty[0, 0] = 1e-6
    return np.linalg.solve(features.T @ told[rows] + penalty, features.T @ missing)


def _per_dataset(table: _Table, clips: Bool[np.ndarray, " rows"]) -> Float[np.ndarray, " rows"]:
    """A factor for clips, so that small data sets count for more: up to three times."""
    names = np.array(table.dataset)
    largest = max(int((clips & (names == name)).sum()) for name in set(names[clips]))
    factor = np.ones(len(names))
    for name in set(names[clips]):
        own = clips & (names == name)
        factor[own] = min(3.0, largest / own.sum())
    return factor


def _fit_logits(
    table: _Table,
    chosen: Bool[np.ndarray, " rows"],
    features: Float[np.ndarray, "rows features"],
    told_by_nets: Float[np.ndarray, "rows 7"],
    config: EvidenceConfig,
) -> tuple[Float[np.ndarray, "features 7"], float]:
    """Logistic regression beside the nets: each emotion counts alike, in clips and in stills.

    Smiles are left to the nets: bared teeth and lips that grief presses wide count as smiles in the
    coefficients, and pixels know better.
    """
    features = features.copy()
    features[:, 1 + np.flatnonzero(IS_SMILE)] = 0  # behind the constant; so they weigh nothing
    rows = chosen & (table.label >= 0)
    counted = np.zeros(len(rows))
    for still in (True, False):
        for emotion in range(len(Emotion)):
            group = rows & (table.is_still == still) & (table.label == emotion)
            counted[group] = 1 / max(int(group.sum()), 1)
    counted *= _per_dataset(table, rows & ~table.is_still) if (rows & ~table.is_still).any() else 1
    x, told, label, count = (
        torch.from_numpy(values[rows]) for values in (features, told_by_nets, table.label, counted)
    )
    weights = torch.zeros(features.shape[1], len(Emotion), dtype=x.dtype, requires_grad=True)
    trust = torch.full((1,), 0.4, dtype=x.dtype, requires_grad=True)
    learned = [weights, trust] if config.adds_to_nets else [trust]
    optimiser = torch.optim.LBFGS(learned, max_iter=40, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        nats = nn.functional.cross_entropy(trust * told + x @ weights, label, reduction="none")
        total = (count * nats).sum() / count.sum()
        total = total + config.logit_ridge * weights.square().sum() / 600
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return weights.detach().numpy(), float(trust.detach())


def _measure(
    table: _Table,
    rests: Float[np.ndarray, "rows 52"],
    read: Float[np.ndarray, "rows 7"],
    neutral: Float[np.ndarray, " 52"],
) -> Measured:
    names, right = np.array(table.dataset), read.argmax(axis=1) == table.label
    felt = SHARES == 1
    real = (table.expression - table.rest)[:, felt]
    guessed = {
        "mean": (table.expression - neutral)[:, felt],
        "estimated": (table.expression - rests)[:, felt],
    }
    accuracy, cosines, explained = {}, {}, {}
    for name in sorted(set(table.dataset)):
        here = (names == name) & (table.label >= 0)
        if here.any():
            accuracy[name] = mean_over_emotions(right[here].astype(float), table.label[here])
        acted = here & table.has_rest & (table.label != Emotion.NEUTRAL.class_index)
        if acted.any():
            by_mean, by_estimate = (
                mean_over_emotions(_cosines(one, real)[acted], table.label[acted])
                for one in guessed.values()
            )
            cosines[name] = (by_mean, by_estimate)
            left = np.square((rests - table.rest)[acted][:, felt]).sum()
            explained[name] = 1 - left / np.square((neutral - table.rest)[acted][:, felt]).sum()
    return Measured(accuracy, cosines, explained)


def _cosines(
    one: Float[np.ndarray, "rows n"], other: Float[np.ndarray, "rows n"]
) -> Float[np.ndarray, " rows"]:
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return (one * other).sum(axis=1) / np.maximum(lengths, 1e-9)
