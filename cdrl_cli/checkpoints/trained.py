"""Networks that training makes, in files: what it writes, and reads again as torch modules.

An edit reads none of this: see :mod:`cdrl_cli.checkpoints.models`.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from cdrl_cli.array_types import Float, Float32, UInt8
from cdrl_cli.checkpoints.export import (
    export_network,
    load_exported,
    read_exported,
    read_tensors,
    write_tensors,
)
from cdrl_cli.checkpoints.files import (
    join_parts,
    open_appearance,
    pack_array,
    part_of,
    read_space,
    reading,
)
from cdrl_cli.checkpoints.load import find_weights
from cdrl_cli.checkpoints.motion_files import load_motion, read_motion, write_motion
from cdrl_cli.checkpoints.priors import RANDOM, open_xlsr_prior
from cdrl_cli.errors import UsageError
from cdrl_cli.face.alignment import CROP_SIZE
from cdrl_cli.generator.skin import SEEN_SIZE
from cdrl_cli.generator.skin_network import CHANNELS as SKIN_CHANNELS
from cdrl_cli.generator.skin_network import SkinModel
from cdrl_cli.generator.unet import CHANNELS, CONDITION, RendererAtHalf, RendererNet
from cdrl_cli.representation.appearance import SIDE, AppearanceReader
from cdrl_cli.representation.audio_prior import LogMelPrior, SpeechPrior, WhisperPrior
from cdrl_cli.representation.ccrl import ContentConfig, ContentEncoder, SpeechEncoder
from cdrl_cli.representation.cerl import EmotionConfig, EmotionEncoder, JointSpace, PromptTower
from cdrl_cli.representation.emotion_reader import EmotionReader, EmotionSpace
from cdrl_cli.representation.xlsr import RandomXlsrPrior, XlsrPrior
from cdrl_cli.weight_set import WeightSet

__all__ = [
    "ContentModels",
    "EmotionModels",
    "load_content",
    "load_emotion",
    "load_motion",
    "open_prior",
    "read_content",
    "read_emotion",
    "read_motion",
    "write_appearance",
    "write_content",
    "write_emotion",
    "write_motion",
    "write_renderer",
    "write_skin",
]


@dataclass(frozen=True, slots=True)
class EmotionModels:
    """Faces and words in one space."""

    encoder: EmotionEncoder
    tower: PromptTower
    labels: Float[Tensor, "7 dimension"]
    """Unit embeddings of the labels, in the order of :class:`Emotion`."""
    phrases: tuple[str, ...]
    phrase_embeddings: Float[Tensor, "phrases dimension"]
    neutral: Float32[np.ndarray, " features"]
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
        return torch.from_numpy(self.reader.embed(expressions, neutral, faces))

    @property
    def reader(self) -> EmotionReader:
        """Reads clips as an edit does, with the network as it is in torch."""
        return EmotionReader(self._encode, self.space, self.appearance)

    @property
    def space(self) -> EmotionSpace:
        """What is known beside the networks, as an edit has it."""
        return EmotionSpace(
            labels=self.labels.numpy(force=True),
            neutral=self.neutral,
            temperature=self.temperature,
            phrases=self.phrases,
            phrase_embeddings=self.phrase_embeddings.numpy(force=True),
            identities=self.identities,
        )

    def _encode(
        self, differences: Float32[np.ndarray, "frames 52"]
    ) -> Float32[np.ndarray, " dimension"]:
        with torch.inference_mode():
            return self.encoder(torch.from_numpy(differences)[None])[0].numpy()

    def likelihoods(self, embedding: Float[Tensor, " dimension"]) -> Float[Tensor, " 7"]:
        """Probability of each label, in the order of :class:`Emotion`; with a slope."""
        return torch.softmax(self.labels @ embedding / self.temperature, dim=0)


def load_emotion(weight_set: WeightSet | str = WeightSet.PERMISSIVE) -> EmotionModels:
    """The embedded encoder and prompts, and the reader of appearance.

    Raises:
        UsageError: If there is no such set.
        WeightsError: If a file is missing or damaged.
    """
    models = read_emotion(find_weights(WeightSet.parse(weight_set).entry("cerl")))
    return replace(models, appearance=open_appearance(find_weights("appearance")))


def read_emotion(path: Path) -> EmotionModels:
    """Models from a file that :func:`write_emotion` wrote; frozen, in evaluation mode.

    Raises:
        WeightsError: If it is no such file.
    """
    with reading(path, "emotion encoder"):
        tensors, facts = read_exported(path)
        config, space = EmotionConfig(**json.loads(facts["config"])), read_space(facts)
        tower = PromptTower(config.dimension, config.sentence_features)
        joint = JointSpace(EmotionEncoder(config), tower)
        load_exported(joint, tensors, but=["tower.context"])
        joint.requires_grad_(requires_grad=False).eval()
        return EmotionModels(
            encoder=joint.encoder,
            tower=joint.tower,
            labels=torch.from_numpy(space.labels),
            phrases=space.phrases,
            phrase_embeddings=torch.from_numpy(space.phrase_embeddings),
            neutral=space.neutral,
            identities=space.identities,
            temperature=space.temperature,
        )


def write_emotion(path: Path, models: EmotionModels, *, facts: Mapping[str, str]) -> None:
    """Write the models.

    Args:
        path: ``cerl-….onnx``.
        models: What was learned.
        facts: Recipe, licence class, commit, data digest and the like.
    """
    described = {
        "config": json.dumps(asdict(models.encoder.config)),
        "labels": pack_array(models.space.labels),
        "neutral": pack_array(models.neutral),
        "temperature": str(models.temperature),
        "phrases": json.dumps(models.phrases),
        "phrase_embeddings": pack_array(models.space.phrase_embeddings),
        "identities": json.dumps(sorted(models.identities)),
    }
    export_network(
        path,
        JointSpace(models.encoder, models.tower),
        (
            torch.zeros(2, 3, models.encoder.config.features),
            torch.zeros(2, models.encoder.config.sentence_features),
        ),
        inputs=["differences", "sentences"],
        outputs=["faces", "words"],
        dynamic={"differences": {0: "clips", 1: "frames"}, "sentences": {0: "sentences"}},
        facts={**facts, **described},
    )


def write_appearance(
    path: Path,
    network: nn.Module,
    usual: Float32[np.ndarray, " 7"],
    *,
    facts: Mapping[str, str],
) -> None:
    """Write the reader of appearance, its network in half precision.

    Args:
        path: ``appearance.onnx``.
        network: The expression net of face-api: pictures to logits
            (:data:`~cdrl_cli.representation.appearance.ExpressionNetwork`).
        usual: What it says of everybody.
        facts: Sources, licence, data digest and the like.
    """
    export_network(
        path,
        network,
        [torch.zeros(2, 3, SIDE, SIDE)],
        inputs=["pictures"],
        outputs=["logits"],
        dynamic={"pictures": {0: "looks"}},
        facts={**facts, "usual": pack_array(usual)},
        half=True,
    )


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


def open_prior(name: str, *, xlsr: str = "weights") -> SpeechPrior:
    """What hears speech, by name.

    Args:
        name: ``log-mel``, ``whisper`` or ``xlsr-53``.
        xlsr: Where the weights of XLSR-53 are (:class:`~cdrl_cli.checkpoints.priors.PriorConfig`).

    Raises:
        UsageError: If no prior has that name.
        WeightsError: If its weights are missing.
    """
    if name == LogMelPrior.name:
        return LogMelPrior()
    if name == XlsrPrior.name:
        return open_xlsr_prior(xlsr)
    if name == RandomXlsrPrior.name:
        return open_xlsr_prior(RANDOM)
    if name != WhisperPrior.name:
        known = (LogMelPrior.name, WhisperPrior.name, XlsrPrior.name)
        raise UsageError(f"no speech prior '{name}'", hint=f"one of: {', '.join(known)}")
    find_weights("speech-config")
    return WhisperPrior(find_weights("speech-model").parent)


def write_renderer(path: Path, network: RendererNet, *, facts: Mapping[str, str]) -> None:
    """Write a renderer, as it is asked at half the crop's side; it appears when it is whole.

    Args:
        path: ``renderer-….onnx``.
        network: What was learned.
        facts: Recipe, licence class, commit, data digest and the like.
    """
    export_network(
        path,
        RendererAtHalf.of(network),
        (torch.zeros(1, CHANNELS, CROP_SIZE // 2, CROP_SIZE // 2), torch.ones(1, CONDITION)),
        inputs=["picture", "condition"],
        outputs=["flow", "colour"],
        facts=facts,
    )


def write_skin(path: Path, model: SkinModel, *, facts: Mapping[str, str]) -> None:
    """Write what is known of light and creases; it appears under its name when whole.

    Args:
        path: ``skin-….onnx``.
        model: What was learned.
        facts: Recipe, licence class, commit, data digest and the like.
    """
    export_network(
        path,
        model,
        (torch.zeros(1, SKIN_CHANNELS - 1, SEEN_SIZE, SEEN_SIZE), torch.ones(1, CONDITION)),
        inputs=["picture", "condition"],
        outputs=["shade"],
        facts=facts,
        half=True,
    )
