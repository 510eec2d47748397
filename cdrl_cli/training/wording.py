"""Every way to name an emotion, as a frozen encoder of sentences reads it."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor
from torch.nn import functional

from cdrl_cli.emotion import Emotion
from cdrl_cli.representation.text_prior import Phrase, SentenceEncoder, make_phrases


@dataclass(frozen=True, slots=True)
class Wording:
    """Every way to name an emotion, as the sentence encoder reads it."""

    phrases: tuple[Phrase, ...]
    features: Float32[np.ndarray, "phrases 384"]

    def label_features(self) -> Float[Tensor, "7 384"]:
        """Mean over the plain phrases of each emotion, of unit length."""
        plain = [
            np.mean(
                [
                    features
                    for phrase, features in zip(self.phrases, self.features, strict=True)
                    if phrase.emotion is emotion and phrase.strength == 1
                ],
                axis=0,
            )
            for emotion in Emotion
        ]
        return functional.normalize(torch.from_numpy(np.stack(plain)), dim=1)


def read_wording(encoder: SentenceEncoder) -> Wording:
    """Every phrase of the language prior, read."""
    phrases = make_phrases()
    return Wording(phrases, encoder.encode([phrase.text for phrase in phrases]))
