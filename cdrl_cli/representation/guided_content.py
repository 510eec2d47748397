r"""The paper's own content code: audio says where to look, and the code is what is seen there.

Section 3.2, as published: four residual blocks over ArcFace's map give keys and values, a
convolution over time and a linear layer over speech features give queries, and

.. math:: A = \operatorname{softmax}(q^\top k / \sqrt{HW}), \qquad R_c = v A^\top.

It exists to be measured against. Positives share their audio and negatives do not, so the loss
(:func:`guided_cosine_loss`) falls without a look at the picture; a test shows it. What is learned
by default is :class:`~cdrl_cli.representation.ccrl.ContentEncoder`, whose code cannot know the
audio.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from cdrl_cli.representation.arcface import MAP_CHANNELS

SPEECH_WIDTH = 512
"""Length that a linear layer brings a moment's speech features to (the paper's section 4.1)."""


@dataclass(frozen=True, slots=True)
class GuidedConfig:
    """Sizes, and how attention is scaled."""

    channels: int = MAP_CHANNELS
    places: int = 28
    """Rows and columns of the map."""
    blocks: int = 4
    speech_features: int = 1024
    """Of a moment."""
    scale: Literal["places", "channels"] = "places"
    """Attention's logits are divided by the root of the number of places, as published for
    training, or of channels, as the published code does at use; trained with one and used with the
    other, attention is sharper or flatter than was learned."""


class GuidedContent(nn.Module):
    """Maps and speech of the same moments to content codes, a map each."""

    def __init__(self, config: GuidedConfig | None = None) -> None:
        super().__init__()
        self.config = config or GuidedConfig()
        channels, places = self.config.channels, self.config.places**2
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, channels, 3, padding=1),
                nn.BatchNorm2d(channels),
                nn.ReLU(),
                nn.Conv2d(channels, channels, 3, padding=1),
                nn.BatchNorm2d(channels),
            )
            for _ in range(self.config.blocks)
        )
        self.key = nn.Conv2d(channels, channels, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.speech = nn.Linear(self.config.speech_features, SPEECH_WIDTH)
        self.over_time = nn.Conv1d(SPEECH_WIDTH, channels, 3, padding=1)
        self.query = nn.Linear(1, places)
        self.position = nn.Parameter(0.02 * torch.randn(channels, places))

    def forward(
        self,
        maps: Float[Tensor, "batch channels h w"],
        speech: Float[Tensor, "batch frames features"],
    ) -> Float[Tensor, "batch channels places"]:
        """Content codes.

        Args:
            maps: Of ArcFace, of each window's middle frame.
            speech: The window's.
        """
        for block in self.blocks:
            maps = functional.relu(maps + block(maps))
        keys, values = self.key(maps).flatten(2), self.value(maps).flatten(2)
        heard = self.over_time(self.speech(speech).transpose(1, 2)).mean(dim=2, keepdim=True)
        queries = self.query(heard) + self.position
        size = self.config.places**2 if self.config.scale == "places" else self.config.channels
        where = (queries.transpose(1, 2) @ keys / size**0.5).softmax(dim=2)
        return values @ where.transpose(1, 2)


def guided_cosine_loss(
    anchor: Float[Tensor, "batch channels places"],
    positive: Float[Tensor, "batch channels places"],
    negative: Float[Tensor, "batch channels places"],
) -> Float[Tensor, ""]:
    """The paper's loss: the cosine to the positive is to be 1, to the negative at most 0.

    Cosines of each place's channels, clamped at 0, mean over places and batch. The gradient of a
    negative ends as soon as it is orthogonal.
    """
    near = functional.cosine_similarity(anchor, positive, dim=1).clamp(min=0)
    far = functional.cosine_similarity(anchor, negative, dim=1).clamp(min=0)
    return 1 - near.mean() + far.mean()
