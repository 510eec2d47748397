"""Networks that training makes, in files: what it writes, and reads again as torch modules.

An edit reads none of this: see :mod:`cdrl_cli.checkpoints.models`.
"""

import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from safetensors import safe_open
from torch import Tensor

from cdrl_cli.checkpoints.files import join_parts, part_of, read_appearance, reading, write_arrays
from cdrl_cli.checkpoints.load import find_weights
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UsageError
from cdrl_cli.face.alignment import CROP_SIZE
from cdrl_cli.generator.motion_network import MotionConfig, MotionEditor
from cdrl_cli.generator.unet import CHANNELS, CONDITION, RendererNet
from cdrl_cli.representation.appearance import AppearanceReader
from cdrl_cli.representation.audio_prior import LogMelPrior, SpeechPrior, WhisperPrior
from cdrl_cli.representation.ccrl import ContentConfig, ContentEncoder, SpeechEncoder
from cdrl_cli.representation.cerl import EmotionConfig, EmotionEncoder
from cdrl_cli.representation.reading import EmotionReader
from cdrl_cli.representation.text_prior import PromptTower, SentenceEncoder
from cdrl_cli.weight_set import WeightSet


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


def load_emotion(weight_set: WeightSet | str = WeightSet.PERMISSIVE) -> EmotionModels:
    """The embedded encoder and prompts, and the reader of appearance.

    Raises:
        UsageError: If there is no such set.
        WeightsError: If a file is missing or damaged.
    """
    models = read_emotion(find_weights(WeightSet.parse(weight_set).entry("cerl")))
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


@dataclass(frozen=True, slots=True)
class ContentModels:
    """A mouth's code and a voice's code, in one space."""

    content: ContentEncoder
    speech: SpeechEncoder
    prior: str
    """Name of what the speech encoder listens through (:func:`open_prior`)."""
    identities: frozenset[str] = frozenset()
    """People learned from: a proof needs others."""
    sentences: frozenset[str] = frozenset()
    """Sentences learned from."""


def load_content(weight_set: WeightSet | str = WeightSet.PERMISSIVE) -> ContentModels:
    """The embedded encoders, ready for use; they need no prior to encode mouths.

    Raises:
        UsageError: If there is no such set.
        WeightsError: If the file is missing or damaged.
    """
    return read_content(find_weights(WeightSet.parse(weight_set).entry("ccrl")))


def read_content(path: Path) -> ContentModels:
    """Encoders from a file that :func:`write_content` wrote; frozen, in evaluation mode.

    Raises:
        WeightsError: If it is no such file.
    """
    with reading(path, "content encoders"):
        tensors, facts = read_tensors(path)
        config = ContentConfig(**json.loads(facts["config"]))
        models = ContentModels(
            ContentEncoder(config),
            SpeechEncoder(config),
            facts["prior"],
            frozenset(json.loads(facts["identities"])),
            frozenset(json.loads(facts["sentences"])),
        )
        for part, network in (("content", models.content), ("speech", models.speech)):
            network.load_state_dict(part_of(tensors, part))
            network.requires_grad_(requires_grad=False).eval()
        return models


def write_content(path: Path, models: ContentModels, *, facts: Mapping[str, str]) -> None:
    """Write both encoders, half precision.

    Args:
        path: ``ccrl-….safetensors``.
        models: What was learned, and from whom.
        facts: Recipe, licence class, commit, data digest and the like.
    """
    tensors = join_parts(
        {"content": models.content.state_dict(), "speech": models.speech.state_dict()}
    )
    own = {
        "config": json.dumps(asdict(models.content.config)),
        "prior": models.prior,
        "identities": json.dumps(sorted(models.identities)),
        "sentences": json.dumps(sorted(models.sentences)),
    }
    write_tensors(path, {name: t.half() for name, t in tensors.items()}, {**facts, **own})


def open_prior(name: str) -> SpeechPrior:
    """What hears speech, by name.

    Raises:
        UsageError: If no prior has that name.
        WeightsError: If its weights are missing.
    """
    if name == LogMelPrior.name:
        return LogMelPrior()
    if name != WhisperPrior.name:
        raise UsageError(
            f"no speech prior '{name}'", hint=f"one of: {LogMelPrior.name}, {WhisperPrior.name}"
        )
    find_weights("speech-config")
    return WhisperPrior(find_weights("speech-model").parent)


def load_motion(weight_set: WeightSet | str = WeightSet.PERMISSIVE) -> MotionEditor:
    """The embedded editor.

    Raises:
        UsageError: If there is no such set.
        WeightsError: If the file is missing or damaged.
    """
    return read_motion(find_weights(WeightSet.parse(weight_set).entry("motion")))


def read_motion(path: Path) -> MotionEditor:
    """An editor from a file that :func:`write_motion` wrote, in evaluation mode.

    Raises:
        WeightsError: If it is no such file.
    """
    with reading(path, "motion editor"):
        tensors, facts = read_tensors(path)
        editor = MotionEditor(MotionConfig(**json.loads(facts["config"])))
        editor.load_state_dict(tensors)
        return editor.eval()


def write_motion(path: Path, editor: MotionEditor, *, facts: Mapping[str, str]) -> None:
    """Write an editor.

    Args:
        path: ``motion-….safetensors``.
        editor: What was learned.
        facts: Recipe, licence class, commit, data digest and the like.
    """
    config = json.dumps(asdict(editor.config))
    write_tensors(path, editor.state_dict(), {**facts, "config": config})


def write_renderer(path: Path, network: RendererNet, *, facts: Mapping[str, str]) -> None:
    """Write a renderer; it appears under its name when whole.

    Args:
        path: ``renderer-….onnx``.
        network: What was learned.
        facts: Recipe, licence class, commit, data digest and the like.
    """
    example: tuple[Any, ...] = (
        torch.zeros(1, CHANNELS, CROP_SIZE, CROP_SIZE),
        torch.ones(1, CONDITION),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own: it uses what torch has deprecated
        program = torch.onnx.export(
            network.float().eval(),
            example,
            input_names=["picture", "condition"],
            output_names=["flow", "colour"],
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    for key, value in facts.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(model.SerializeToString())
    part.replace(path)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """What :func:`write_tensors` wrote: tensors, and facts."""
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118 - not a dict


def write_tensors(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, str]) -> None:
    """Write a file, and its folder if need be; it appears under its name when whole."""
    write_arrays(path, {name: one.numpy(force=True) for name, one in tensors.items()}, facts)
