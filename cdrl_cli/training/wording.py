"""Every way to name an emotion, as a frozen encoder of sentences reads it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cdrl_cli.array_types import Float, Float32
from cdrl_cli.emotion import Emotion
from cdrl_cli.representation.text_prior import Phrase, make_phrases


@dataclass(frozen=True, slots=True)
class Wording:
    """Every way to name an emotion, as the sentence encoder reads it."""

    phrases: tuple[Phrase, ...]
    features: Float32[np.ndarray, "phrases sentence"]

    def label_features(self) -> Float[Tensor, "7 sentence"]:
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


@runtime_checkable
class EncodesSentences(Protocol):
    """A frozen encoder of sentences."""

    def encode(self, sentences: Sequence[str]) -> Float32[np.ndarray, "sentences sentence"]:
        """What sentences mean, one row each."""
        ...


def read_wording(encoder: EncodesSentences, *, plain: bool = False) -> Wording:
    """Every phrase of the language prior, read.

    Args:
        encoder: Reads them.
        plain: Only the words themselves: no degrees, no sentence around them.
    """
    phrases = make_phrases()
    if plain:
        phrases = tuple(one for one in phrases if one.is_plain and one.strength == 1)
    return Wording(phrases, encoder.encode([phrase.text for phrase in phrases]))
