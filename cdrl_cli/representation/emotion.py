"""CERL: what a face feels, as a unit vector that an emotion's name shares.

The paper (section 3.3) puts a head on CLIP image features. Here the input is the expression
coefficients of a clip, as differences from a neutral face: they carry the emotion, hardly the
person, and the generator's own output can be read in the same way, differentiably.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from cdrl_cli.face.landmarks import COEFFICIENTS


@dataclass(frozen=True, slots=True)
class EmotionEncoderConfig:
    """Size of the encoder."""

    width: int = 96
    """Features of a frame."""
    dimension: int = 64
    """Length of the embedding."""
    dropout: float = 0.3


class EmotionEncoder(nn.Module):
    """Frames of coefficients to one unit embedding.

    One head for all emotions: with a head per emotion the contrast is won without looking at
    the input.
    """

    scale: Tensor

    def __init__(self, config: EmotionEncoderConfig | None = None) -> None:
        super().__init__()
        self.config = config or EmotionEncoderConfig()
        width = self.config.width
        self.register_buffer("scale", torch.ones(COEFFICIENTS))
        self.frame = nn.Sequential(
            nn.Linear(COEFFICIENTS, width), nn.GELU(), nn.Dropout(self.config.dropout)
        )
        self.head = nn.Sequential(
            nn.Linear(2 * width, width),
            nn.GELU(),
            nn.Dropout(self.config.dropout),
            nn.Linear(width, self.config.dimension),
        )

    def forward(
        self, differences: Float[Tensor, "batch frames 52"]
    ) -> Float[Tensor, "batch dimension"]:
        """Embed clips.

        Args:
            differences: Coefficients minus a neutral face's: the person's own where it is known,
                else the neutral prior's.

        Returns:
            Unit vectors.
        """
        features = self.frame(differences / self.scale)
        # Mean: what the face does all the time; spread: how much it moves while doing it.
        # Not std(): its slope at a still picture, where the spread is 0, is infinite.
        spread = (features.var(dim=1, correction=0) + 1e-6).sqrt()
        pooled = torch.cat([features.mean(dim=1), spread], dim=1)
        return functional.normalize(self.head(pooled), dim=1)
