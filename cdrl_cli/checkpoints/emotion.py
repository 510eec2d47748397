"""The emotion representation in files: encoder, prompt tower, labels, phrases."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from cdrl_cli.checkpoints.appearance import read_appearance
from cdrl_cli.checkpoints.arrays import join_parts, part_of, reading
from cdrl_cli.checkpoints.load import WEIGHT_SETS, find_weights, name_in_set
from cdrl_cli.checkpoints.tensors import read_tensors, write_tensors
from cdrl_cli.emotion import Emotion
from cdrl_cli.representation.appearance import AppearanceReader
from cdrl_cli.representation.emotion import EmotionConfig, EmotionEncoder
from cdrl_cli.representation.prior import PromptTower, SentenceEncoder
from cdrl_cli.representation.reading import EmotionReader


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
        """What a clip shows, as a unit vector: :meth:`EmotionReader.embed`."""
        reader = EmotionReader(
            {name: value.numpy(force=True) for name, value in self.encoder.state_dict().items()},
            self.labels.numpy(force=True),
            self.neutral,
            self.temperature,
            self.appearance,
        )
        return torch.from_numpy(reader.embed(expressions, neutral, faces))

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
