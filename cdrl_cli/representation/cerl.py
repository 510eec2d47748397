"""CERL: what a face feels, as a unit vector that an emotion's name shares.

The paper (section 3.3) puts a head on CLIP image features. Here the input is the expression
coefficients of a clip, as differences from a neutral face: they carry the emotion, hardly the
person, and the generator's own output can be read in the same way, differentiably.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from cdrl_cli.array_types import Float, Int
from cdrl_cli.emotion import Emotion
from cdrl_cli.face.blendshapes import COEFFICIENTS
from cdrl_cli.representation.text_prior import SENTENCE_FEATURES


@dataclass(frozen=True, slots=True)
class EmotionConfig:
    """Size of the encoder."""

    width: int = 64
    dimension: int = 64
    """Length of the embedding."""
    dropout: float = 0.4
    features: int = COEFFICIENTS
    """Of a frame: its coefficients, or those of a picture prior."""
    sentence_features: int = SENTENCE_FEATURES
    """Of the language prior."""
    heads: Literal["shared", "one-each"] = "shared"
    """One head for all emotions, or the paper's one for each, which only ever sees its own emotion
    in training: its contrast is won on noise."""


class EmotionEncoder(nn.Module):
    """Frames of coefficients to one unit embedding.

    Pooled over time before the first layer: what the face does all the time (mean) and how much
    it moves while doing it (spread). One head for all emotions: with a head per emotion the
    contrast is won without looking at the input.
    """

    mean_scale: Tensor
    spread_scale: Tensor
    spread_mean: Tensor

    def __init__(self, config: EmotionConfig | None = None) -> None:
        super().__init__()
        self.config = config or EmotionConfig()
        for name, value in (("mean_scale", 1.0), ("spread_scale", 1.0), ("spread_mean", 0.0)):
            self.register_buffer(name, torch.full((self.config.features,), value))
        if self.config.heads == "shared":
            self.head = self._new_head()
        else:
            self.heads = nn.ModuleList(self._new_head() for _ in Emotion)

    def _new_head(self) -> nn.Sequential:
        width, dropout = self.config.width, self.config.dropout
        return nn.Sequential(
            nn.Dropout(dropout / 2),
            nn.Linear(2 * self.config.features, width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(width, self.config.dimension),
        )

    def forward(
        self,
        differences: Float[Tensor, "batch frames features"],
        labels: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch dimension"]:
        """Embed clips.

        Args:
            differences: Features of each frame minus a neutral face's: the person's own where it
                is known, else the neutral prior's.
            labels: Class of each, whose head is taken where each emotion has one; None: the mean
                over the heads.

        Returns:
            Unit vectors.
        """
        # Not std(): its slope at a still picture, where the spread is 0, is infinite.
        spread = (differences.var(dim=1, correction=0) + 1e-8).sqrt()
        pooled = torch.cat(
            [
                differences.mean(dim=1) / self.mean_scale,
                (spread - self.spread_mean) / self.spread_scale,
            ],
            dim=1,
        )
        return functional.normalize(self._embed(pooled, labels), dim=1)

    def _embed(
        self, pooled: Float[Tensor, "batch pooled"], labels: Int[Tensor, " batch"] | None
    ) -> Float[Tensor, "batch dimension"]:
        if self.config.heads == "shared":
            embedded: Tensor = self.head(pooled)
            return embedded
        each = torch.stack([head(pooled) for head in self.heads], dim=1)
        if labels is None:
            return each.mean(dim=1)
        return each[torch.arange(len(each), device=each.device), labels]


class PromptTower(nn.Module):
    """CERL's text side: frozen sentence features to unit embeddings, with learned prompt parts.

    Differs from the paper, which learns eight context tokens per emotion in front of a fixed
    sentence inside CLIP: here the learned part of an emotion is added to its sentence's features,
    so that it needs no gradient through the sentence encoder.
    """

    def __init__(self, dimension: int, features: int = SENTENCE_FEATURES) -> None:
        super().__init__()
        self.project = nn.Linear(features, dimension, bias=False)
        self.context = nn.Parameter(torch.zeros(len(Emotion), features))

    def forward(
        self,
        sentences: Float[Tensor, "batch sentence"],
        emotions: Tensor | None = None,
    ) -> Float[Tensor, "batch dimension"]:
        """Embed sentences.

        Args:
            sentences: Features of a :class:`SentenceEncoder`.
            emotions: Class index of each, to add its learned part; None for free text.
        """
        if emotions is not None:
            sentences = sentences + self.context[emotions]
        return functional.normalize(self.project(sentences), dim=1)


class JointSpace(nn.Module):
    """Both sides of CERL at use, as they are exported: one graph, either batch may be empty.

    Args:
        encoder: Of faces.
        tower: Of sentences.
    """

    def __init__(self, encoder: EmotionEncoder, tower: PromptTower) -> None:
        super().__init__()
        self.encoder, self.tower = encoder, tower

    def forward(
        self,
        differences: Float[Tensor, "clips frames features"],
        sentences: Float[Tensor, "sentences sentence"],
    ) -> tuple[Float[Tensor, "clips dimension"], Float[Tensor, "sentences dimension"]]:
        """Unit vectors of faces (:class:`EmotionEncoder`) and sentences (:class:`PromptTower`)."""
        return self.encoder(differences), self.tower(sentences)
