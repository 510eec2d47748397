"""The emotion representation in files: encoder, prompt tower, labels, phrases; and appearance."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor
from torch.nn import functional

from cdrl_cli.checkpoints.load import WEIGHT_SETS, find_weights, name_in_set
from cdrl_cli.checkpoints.tensors import join_parts, part_of, read_tensors, reading, write_tensors
from cdrl_cli.emotion import Emotion
from cdrl_cli.representation.appearance import AppearanceReader
from cdrl_cli.representation.emotion import EmotionConfig, EmotionEncoder
from cdrl_cli.representation.prior import PromptTower, SentenceEncoder

APPEARANCE_SHARE = 0.5
"""Of the evidence in the pixels that is believed, beside all of that in the coefficients."""

LOOKS = 16
"""Frames of a clip, spread over it, whose pixels are looked at; a look takes some 10 ms."""


@dataclass(frozen=True, slots=True)
class EmotionModels:
    """Faces and words in one space."""

    encoder: EmotionEncoder
    tower: PromptTower
    labels: Float[Tensor, "7 dimension"]
    """Unit embeddings of the labels, in the order of :class:`Emotion`."""
    phrases: tuple[str, ...]
    phrase_embeddings: Float[Tensor, "phrases dimension"]
    neutral: Float32[np.ndarray, " 52"]
    """The neutral prior that expressions are measured from where nobody's own is known."""
    identities: frozenset[str]
    """Who was learned from: nobody that a proof may use."""
    temperature: float
    """Of the contrast it was trained with: turns similarities into probabilities."""
    appearance: AppearanceReader | None = None
    """Reads pixels; None where only coefficients are read, as in training."""

    def embed(
        self,
        expressions: Float32[np.ndarray, "frames 52"],
        neutral: Float32[np.ndarray, " 52"] | None = None,
        faces: UInt8[np.ndarray, "looks side side 3"] | None = None,
    ) -> Float[Tensor, " dimension"]:
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
        differences = expressions - (self.neutral if neutral is None else neutral)
        with torch.inference_mode():
            embedding: Tensor = self.encoder(torch.from_numpy(differences).float()[None])[0]
            if faces is None or self.appearance is None or not len(faces):
                return embedding
            looks = np.unique(np.linspace(0, len(faces) - 1, LOOKS).round().astype(int))
            evidence = self.appearance(torch.from_numpy(faces[looks]))
            gain = self.temperature * APPEARANCE_SHARE * evidence
            return functional.normalize(embedding + torch.linalg.pinv(self.labels) @ gain, dim=0)

    def embed_text(self, sentence: str, encoder: SentenceEncoder) -> Float[Tensor, " dimension"]:
        """What a sentence names, as a unit vector in the same space."""
        with torch.inference_mode():
            return self.tower(torch.from_numpy(encoder.encode([sentence])))[0]

    def likelihoods(self, embedding: Float[Tensor, " dimension"]) -> Float[Tensor, " 7"]:
        """How likely each label is, in class order."""
        return torch.softmax(self.labels @ embedding / self.temperature, dim=0)

    def probabilities(self, embedding: Float[Tensor, " dimension"]) -> dict[Emotion, float]:
        """The same by label."""
        return dict(zip(Emotion, self.likelihoods(embedding).tolist(), strict=True))

    def nearest_phrases(
        self, embedding: Float[Tensor, " dimension"], *, count: int = 5
    ) -> list[tuple[str, float]]:
        """The phrases that lie nearest, with their cosine."""
        cosines = self.phrase_embeddings @ embedding
        best = cosines.argsort(descending=True)[:count]
        return [(self.phrases[i], float(cosines[i])) for i in best.tolist()]


def load_emotion(weight_set: str = WEIGHT_SETS[0]) -> EmotionModels:
    """The embedded encoder and prompts, and the reader of appearance.

    Raises:
        UsageError: If there is no such set.
        WeightsError: If a file is missing or damaged.
    """
    models = read_emotion(find_weights(name_in_set("cerl", weight_set)))
    return replace(models, appearance=read_appearance(find_weights("appearance")))


def open_sentence_encoder() -> SentenceEncoder:
    """The frozen sentence encoder.

    Raises:
        WeightsError: If it has not been downloaded.
    """
    return SentenceEncoder(find_weights("text-encoder"), find_weights("text-tokenizer"))


def read_emotion(path: Path) -> EmotionModels:
    """Models from a file that :func:`write_emotion` wrote; frozen, in evaluation mode.

    Raises:
        WeightsError: If it is no such file.
    """
    with reading(path, "emotion encoder"):
        tensors, facts = read_tensors(path)
        config = EmotionConfig(**json.loads(facts["config"]))
        models = EmotionModels(
            encoder=EmotionEncoder(config),
            tower=PromptTower(config.dimension),
            labels=tensors["labels"],
            phrases=tuple(json.loads(facts["phrases"])),
            phrase_embeddings=tensors["phrase_embeddings"],
            neutral=tensors["neutral"].numpy(),
            identities=frozenset(json.loads(facts["identities"])),
            temperature=float(facts["temperature"]),
        )
        for part, network in (("encoder", models.encoder), ("tower", models.tower)):
            network.load_state_dict(part_of(tensors, part))
            network.requires_grad_(requires_grad=False).eval()
        return models


def write_emotion(path: Path, models: EmotionModels, *, facts: Mapping[str, str]) -> None:
    """Write the models.

    Args:
        path: ``cerl-….safetensors``.
        models: What was learned.
        facts: Recipe, licence class, commit, data digest and the like.
    """
    tensors = join_parts(
        {"encoder": models.encoder.state_dict(), "tower": models.tower.state_dict()}
    )
    tensors |= {
        "labels": models.labels,
        "phrase_embeddings": models.phrase_embeddings,
        "neutral": torch.from_numpy(models.neutral),
    }
    described = {
        "config": json.dumps(asdict(models.encoder.config)),
        "phrases": json.dumps(models.phrases),
        "identities": json.dumps(sorted(models.identities)),
        "temperature": str(models.temperature),
    }
    write_tensors(path, tensors, {**facts, **described})


def read_appearance(path: Path) -> AppearanceReader:
    """A reader from a file that :func:`write_appearance` wrote; frozen, in evaluation mode.

    Raises:
        WeightsError: If it is no such file.
    """
    with reading(path, "reader of appearance"):
        tensors = {name: tensor.float() for name, tensor in read_tensors(path)[0].items()}
        usual = tensors.pop("usual")
        reader = AppearanceReader(tensors)
        reader.usual.copy_(usual)
        return reader.requires_grad_(requires_grad=False).eval()


def write_appearance(path: Path, reader: AppearanceReader, *, facts: Mapping[str, str]) -> None:
    """Write the reader, its net in half precision.

    Args:
        path: ``appearance.safetensors``.
        reader: The net, and what it usually says.
        facts: Sources, licence, data digest and the like.
    """
    tensors = {name: tensor.half() for name, tensor in reader.net.weights.items()}
    write_tensors(path, {**tensors, "usual": reader.usual}, facts)
