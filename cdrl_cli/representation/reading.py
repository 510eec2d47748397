"""What a clip shows, as an edit reads it: in numpy, so that no edit waits for torch.

Equal, but for the last bits of sums, to what the trained
:class:`~cdrl_cli.representation.cerl.EmotionEncoder` says.
"""

from collections.abc import Mapping
from math import erf, sqrt

import numpy as np
from jaxtyping import Float32, UInt8

from cdrl_cli.representation.appearance import AppearanceReader

APPEARANCE_SHARE = 0.5
"""Of the evidence in the pixels that is believed, beside all of that in the coefficients."""

LOOKS = 16
"""Frames of a clip, spread over it, whose pixels are looked at; a look takes some 10 ms."""


class EmotionReader:
    """Reads the emotion of a clip.

    Args:
        encoder: State of an :class:`~cdrl_cli.representation.cerl.EmotionEncoder`, by name.
        labels: Unit embeddings of the labels, in the order of :class:`~cdrl_cli.emotion.Emotion`.
        neutral: What expressions are measured from where the person's own face is not known.
        temperature: Of the contrast that the encoder was trained with.
        appearance: Reads pixels; None where only coefficients are read.
    """

    def __init__(
        self,
        encoder: Mapping[str, Float32[np.ndarray, "..."]],
        labels: Float32[np.ndarray, "7 dimension"],
        neutral: Float32[np.ndarray, " 52"],
        temperature: float,
        appearance: AppearanceReader | None = None,
    ) -> None:
        self._encoder = encoder
        self._labels = labels
        self._neutral = neutral
        self._temperature = temperature
        self._appearance = appearance

    def embed(
        self,
        expressions: Float32[np.ndarray, "frames 52"],
        neutral: Float32[np.ndarray, " 52"] | None = None,
        faces: UInt8[np.ndarray, "looks side side 3"] | None = None,
    ) -> Float32[np.ndarray, " dimension"]:
        r"""What a clip shows, as a unit vector.

        With pixels, the embedding :math:`v` of the coefficients moves so that each label
        :math:`t_k` gains what they speak for it, :math:`\ell_k` nats: the shortest such move is

        .. math:: v' \propto v + T^{+} \, \tau \beta \ell

        with the labels :math:`T`, the temperature :math:`\tau` and :math:`\beta`
        = :data:`APPEARANCE_SHARE`: a product of experts (Hinton 2002) inside the one space.

        Args:
            expressions: Its coefficients.
            neutral: The person's own neutral face, if known.
            faces: Aligned crops of the same clip, sRGB; as many as there are, at most
                :data:`LOOKS` are looked at. They help most where ``neutral`` is not known.
        """
        embedding = self._encode(expressions - (self._neutral if neutral is None else neutral))
        if faces is None or self._appearance is None or not len(faces):
            return embedding
        looks = np.unique(np.linspace(0, len(faces) - 1, LOOKS).round().astype(int))
        gain = self._temperature * APPEARANCE_SHARE * self._appearance(faces[looks])
        return _unit(embedding + np.linalg.pinv(self._labels) @ gain)

    def _encode(
        self, differences: Float32[np.ndarray, "frames 52"]
    ) -> Float32[np.ndarray, " dimension"]:
        spread = np.sqrt(differences.var(axis=0) + np.float32(1e-8))
        mean = differences.mean(axis=0) / self._encoder["mean_scale"]
        spread = (spread - self._encoder["spread_mean"]) / self._encoder["spread_scale"]
        hidden = self._linear("head.1", np.concatenate([mean, spread]))
        gelu = np.array([0.5 * x * (1 + erf(x / sqrt(2))) for x in hidden.tolist()], np.float32)
        return _unit(self._linear("head.4", gelu))

    def _linear(self, name: str, values: Float32[np.ndarray, " n"]) -> Float32[np.ndarray, " m"]:
        return self._encoder[f"{name}.weight"] @ values + self._encoder[f"{name}.bias"]


def _unit(vector: Float32[np.ndarray, " dimension"]) -> Float32[np.ndarray, " dimension"]:
    return np.asarray(vector / np.linalg.norm(vector), np.float32)
