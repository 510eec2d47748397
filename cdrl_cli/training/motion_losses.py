"""What the motion editor is measured by while it learns, through frozen representations."""

import copy
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from cdrl_cli.array_types import Float
from cdrl_cli.checkpoints.trained import ContentModels, EmotionModels
from cdrl_cli.data.motions import MotionBatch
from cdrl_cli.emotion import Emotion
from cdrl_cli.face.blendshapes import EXPRESSION_NAMES, MOUTH_COEFFICIENTS, SHARES
from cdrl_cli.generator.motion_network import MotionEditor, Observed
from cdrl_cli.representation.losses import direction_loss
from cdrl_cli.training.loop import Loss
from cdrl_cli.training.recipes import MotionLossConfig

EMBEDDING_NOISE = 0.1
"""Length of the noise that embeddings get: no reference is exactly like one learned from."""

CLOSED = 0.05
"""Opening of the jaw (jawOpen minus mouthClose) under which lips count as closed."""

_NEAR_NEUTRAL = 0.5
"""L2 between a window's mean and the person's neutral under which it should come back to itself."""

_FELT = np.flatnonzero(SHARES > 0).tolist()
_LIPS = [
    i
    for i, name in enumerate(EXPRESSION_NAMES)
    if name.startswith(("mouthLowerDown", "mouthUpperUp", "mouthFunnel"))
]
_JAW_OPEN, _MOUTH_CLOSE = (EXPRESSION_NAMES.index(name) for name in ("jawOpen", "mouthClose"))


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


@dataclass(frozen=True, slots=True)
class FrozenReaders:
    """The trained representations that the losses look through; steps do not change them."""

    emotion: EmotionModels
    content: ContentModels

    def to(self, device: torch.device) -> "FrozenReaders":
        """A copy on a device; the original stays where it is."""
        emotion = replace(
            self.emotion,
            encoder=copy.deepcopy(self.emotion.encoder).to(device),
            labels=self.emotion.labels.to(device),
        )
        content = replace(self.content, content=copy.deepcopy(self.content.content).to(device))
        return FrozenReaders(emotion, content)


def motion_losses(
    editor: MotionEditor,
    discriminator: Discriminator,
    batch: MotionBatch,
    frozen: FrozenReaders,
    *,
    noise: Float[Tensor, "batch dimension"],
    spread: Float[Tensor, "7 52"],
    weights: MotionLossConfig,
) -> list[Loss]:
    """Every term of the loss.

    Args:
        editor: Learns.
        discriminator: Learns as well, against it.
        batch: Windows.
        frozen: CERL and CCRL.
        noise: Standard normal; added to the embeddings, at length :data:`EMBEDDING_NOISE`.
        spread: How much each channel moves in real takes of an emotion: standard deviation over
            time.
        weights: Of the terms.
    """
    emotion = frozen.emotion
    whole = torch.ones(len(batch.source), device=batch.source.device)
    embedding = batch.embedding + EMBEDDING_NOISE * noise / noise.shape[1] ** 0.5
    embedding = nn.functional.normalize(embedding, dim=1)
    observed = Observed(batch.difference[:, None], batch.observed[:, None], editor.neutral_high)
    output = editor(batch.source, embedding, whole, observed)
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
    judged = functional_call(
        discriminator,
        {name: one.detach() for name, one in discriminator.named_parameters()},
        (output, batch.labels),
    )
    told = discriminator(batch.real, batch.real_labels)
    fooled = discriminator(output.detach(), batch.labels)
    adversarial = (judged - 1).square().mean() + (told - 1).square().mean() + fooled.square().mean()
    content = content_distance(output, batch.source, frozen.content)
    tremble = (change[:, 2:] - 2 * change[:, 1:-1] + change[:, :-2]).square().mean()
    return [
        Loss("follow", (batch.target_weight * apart).mean(), weights.follow),
        Loss("typical", level, weights.typical),
        Loss("emotion", felt, weights.emotion),
        Loss("content", content, weights.content),
        Loss("adversarial", adversarial, weights.adversarial),
        Loss("cycle", returned, weights.cycle),
        Loss("closure", part_closed_lips(batch.source, change), weights.closure),
        Loss("spread", (moves - spread[batch.labels])[:, _FELT].square().mean(), weights.spread),
        Loss("smooth", tremble, weights.smooth),
    ]


def part_closed_lips(
    source: Float[Tensor, "*some 52"], change: Float[Tensor, "*some 52"]
) -> Float[Tensor, ""]:
    """How far a change of the coefficients moves lips that are closed in the source, squared."""
    opening = source[..., _JAW_OPEN] - source[..., _MOUTH_CLOSE]
    closed = torch.exp(-opening.clamp(min=0) / CLOSED)
    return (closed[..., None] * change[..., _LIPS]).square().mean()


def content_distance(
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


def _mean_of(values: Float[Tensor, " batch"], chosen: Tensor) -> Float[Tensor, ""]:
    return (values * chosen).sum() / chosen.sum().clamp(min=1)
