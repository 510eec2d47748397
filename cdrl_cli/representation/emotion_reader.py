"""Reads the emotion of a clip by CERL, as an edit does: by ONNX Runtime, without torch.

The networks are those of :mod:`cdrl_cli.representation.cerl`, exported.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from cdrl_cli.array_types import Float, Float32, UInt8
from cdrl_cli.emotion import Emotion
from cdrl_cli.representation.appearance import AppearanceReader
from cdrl_cli.representation.text_prior import SENTENCE_FEATURES

APPEARANCE_SHARE = 0.5
"""Weight of the evidence in the pixels, 0..1, beside 1 for the evidence in the coefficients."""

LOOKS = 16
"""Most frames of a clip, spread over it, whose pixels are read."""


@dataclass(frozen=True, slots=True)
class EmotionSpace:
    """What is known of CERL's space beside its networks."""

    labels: Float32[np.ndarray, "7 dimension"]
    """Unit embeddings of the labels, in the order of :class:`~cdrl_cli.emotion.Emotion`."""
    neutral: Float32[np.ndarray, " features"]
    """Coefficients that expressions are measured from where the person's own are not known."""
    temperature: float
    """Of the contrast that the networks were trained with: cosines over it are logits."""
    phrases: tuple[str, ...]
    """Some ways to name an emotion."""
    phrase_embeddings: Float32[np.ndarray, "phrases dimension"]
    """Their unit embeddings."""
    identities: frozenset[str]
    """Who was learned from: nobody that a proof may use."""

    def likelihoods(self, embedding: Float[np.ndarray, " dimension"]) -> Float[np.ndarray, " 7"]:
        """Probability of each label, in the order of :class:`~cdrl_cli.emotion.Emotion`."""
        logits = self.labels @ embedding / self.temperature
        likelihood = np.exp(logits - logits.max())
        return np.asarray(likelihood / likelihood.sum())

    def probabilities(self, embedding: Float[np.ndarray, " dimension"]) -> dict[Emotion, float]:
        """Probability of each label, by label."""
        return dict(zip(Emotion, self.likelihoods(embedding).tolist(), strict=True))

    def agree(
        self,
        embedding: Float[np.ndarray, " dimension"],
        likelihoods: Float[np.ndarray, " 7"],
    ) -> Float[np.ndarray, " dimension"]:
        r"""The nearest embedding that reads as the probabilities say, made a unit vector.

        The shortest move that gives each label the logit it lacks,
        :math:`v' \propto v + T^{+} \, \tau (\log p - \log \hat p)`, with the labels :math:`T`, the
        temperature :math:`\tau` and what the embedding reads as by itself, :math:`\hat p`.

        Args:
            embedding: Unit vector.
            likelihoods: Of each label, above 0, in the order of :class:`~cdrl_cli.emotion.Emotion`.
        """
        missing = np.log(likelihoods) - np.log(self.likelihoods(embedding))
        moved = embedding + np.linalg.pinv(self.labels) @ (self.temperature * missing)
        return np.asarray(moved / np.linalg.norm(moved))

    def nearest_phrases(
        self, embedding: Float[np.ndarray, " dimension"], *, count: int = 5
    ) -> list[tuple[str, float]]:
        """The phrases that lie nearest, with their cosine."""
        cosines = self.phrase_embeddings @ embedding
        best = (-cosines).argsort(kind="stable")[:count]
        return [(self.phrases[i], float(cosines[i])) for i in best.tolist()]


class EmotionNetwork:
    """The exported networks of CERL: faces and sentences to unit vectors of one space.

    Args:
        session: Of the file; one graph with a batch of faces and a batch of sentences, either of
            which may be empty.
        space: What the file's metadata says of the space.
    """

    def __init__(self, session: Any, space: EmotionSpace) -> None:
        self._session = session
        self.space = space

    def embed_face(
        self, differences: Float32[np.ndarray, "frames 52"]
    ) -> Float32[np.ndarray, " dimension"]:
        """The unit vector of a face's coefficients minus those of a neutral face."""
        nothing = np.zeros((0, SENTENCE_FEATURES), np.float32)
        given = {"differences": differences[None].astype(np.float32), "sentences": nothing}
        return np.asarray(self._session.run(["faces"], given)[0][0])

    def embed_sentence(
        self, features: Float32[np.ndarray, " features"]
    ) -> Float32[np.ndarray, " dimension"]:
        """The unit vector of a sentence's features (:class:`SentenceEncoder`)."""
        nothing = np.zeros((0, 1, len(self.space.neutral)), np.float32)
        given = {"differences": nothing, "sentences": features[None]}
        return np.asarray(self._session.run(["words"], given)[0][0])


FaceEncoder = Callable[[Float32[np.ndarray, "frames 52"]], Float32[np.ndarray, " dimension"]]
"""Coefficients minus a neutral face's to a unit vector."""


class EmotionReader:
    """Reads the emotion of a clip.

    Args:
        encode: CERL's encoder of faces.
        space: What is known of its space.
        appearance: Reads pixels; None where only coefficients are read.
    """

    def __init__(
        self, encode: FaceEncoder, space: EmotionSpace, appearance: AppearanceReader | None = None
    ) -> None:
        self._encode = encode
        self._appearance = appearance
        self.space = space

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
        own = self.space.neutral if neutral is None else neutral
        embedding = self._encode(expressions - own)
        if faces is None or self._appearance is None or not len(faces):
            return embedding
        looks = np.unique(np.linspace(0, len(faces) - 1, LOOKS).round().astype(int))
        gain = self.space.temperature * APPEARANCE_SHARE * self._appearance(faces[looks])
        return _unit(embedding + np.linalg.pinv(self.space.labels) @ gain)


def _unit(vector: Float32[np.ndarray, " dimension"]) -> Float32[np.ndarray, " dimension"]:
    return np.asarray(vector / np.linalg.norm(vector), np.float32)
