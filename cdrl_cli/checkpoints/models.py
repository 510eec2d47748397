"""The models of an edit, built from verified files."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8
from safetensors import safe_open
from safetensors.numpy import load_file

from cdrl_cli.checkpoints.appearance import read_appearance
from cdrl_cli.checkpoints.arrays import part_of
from cdrl_cli.checkpoints.load import WEIGHT_SETS, find_weights, name_in_set
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import WeightsError
from cdrl_cli.face.head import HeadModel
from cdrl_cli.face.landmarks import Landmarker
from cdrl_cli.generator.folds import FoldMaps
from cdrl_cli.generator.motion import (
    SHARES,
    Condition,
    DifferenceMotion,
    LearnedMotion,
    Motion,
    NeutralPrior,
)
from cdrl_cli.generator.renderer import (
    ExpressionBasis,
    LearnedRenderer,
    Renderer,
    WarpRenderer,
)
from cdrl_cli.geometry.mesh import FaceMesh
from cdrl_cli.nn.onnx import open_network
from cdrl_cli.representation.reading import EmotionReader


@dataclass(frozen=True, slots=True)
class Looks:
    """A face, looked at several times."""

    expressions: Float32[np.ndarray, "looks 52"]
    faces: UInt8[np.ndarray, "looks side side 3"]
    """Aligned crops, sRGB."""

    def where(self, chosen: Bool[np.ndarray, " looks"]) -> "Looks":
        """Some of the looks."""
        return Looks(self.expressions[chosen], self.faces[chosen])


@dataclass(frozen=True, slots=True)
class Models:
    """All that an edit runs on; load once, edit many clips."""

    weight_set: str
    landmarker_file: Path
    head: HeadModel
    mesh: FaceMesh
    basis: ExpressionBasis
    neutral: NeutralPrior
    motion: Motion
    renderer: Renderer
    differences: Float[np.ndarray, "7 52"]
    """Coefficients of each emotion minus neutral, in the order of :class:`Emotion`."""
    labels: Float[np.ndarray, "7 dimension"]
    """CERL's embedding of each label, in the same order."""
    temperature: float
    """Turns cosines with them into likelihoods."""

    def open_landmarker(self, *, max_faces: int = 4) -> Landmarker:
        """A landmarker for one clip."""
        return Landmarker(self.landmarker_file, max_faces=max_faces)

    def emotion_condition(self, emotion: Emotion) -> Condition:
        """The condition that a label sets."""
        return self._condition(
            self.differences[emotion.class_index], self.labels[emotion.class_index]
        )

    def read_conditions(self, looks: Sequence[Looks]) -> tuple[Condition, ...]:
        """The conditions that faces set, each by what was seen of a clip or of a part of one.

        What CERL reads is settled before it is asked for: see :meth:`_recall`.
        """
        cerl = load_file(find_weights(name_in_set("cerl", self.weight_set)))
        reader = EmotionReader(
            part_of(cerl, "encoder"),
            cerl["labels"],
            cerl["neutral"],
            self.temperature,
            read_appearance(find_weights("appearance")),
        )
        conditions = []
        for one in looks:
            difference = SHARES * (one.expressions.mean(axis=0) - self.neutral.mean)
            reading = self._likelihoods(reader.embed(one.expressions, faces=one.faces))
            conditions.append(
                replace(self._condition(difference, self._recall(reading)), reading=reading)
            )
        return tuple(conditions)

    def text_condition(self, words: str) -> Condition:
        """The condition that a sentence sets.

        Its CERL embedding; the difference is between the labels', by how likely CERL takes each.

        Raises:
            WeightsError: If the sentence encoder has not been downloaded.
        """
        # Imported here: neither a label nor a reference needs torch.
        from cdrl_cli.checkpoints.emotion import load_emotion, open_sentence_encoder

        try:
            encoder = open_sentence_encoder()
        except WeightsError as error:
            labels = ", ".join(Emotion)
            raise WeightsError(
                f"{words!r} is none of {labels}; other words need weights that are not here",
                hint=error.hint,
            ) from error
        emotions = load_emotion(self.weight_set)
        embedding = emotions.embed_text(words, encoder)
        shares = emotions.probabilities(embedding)
        difference = np.array([shares[emotion] for emotion in Emotion]) @ self.differences
        return self._condition(difference, embedding.numpy())

    def _condition(
        self, difference: Float[np.ndarray, " 52"], embedding: Float[np.ndarray, " dimension"]
    ) -> Condition:
        reading = self._likelihoods(embedding)
        likelihood = reading.copy()
        likelihood[Emotion.NEUTRAL.class_index] = 0
        return Condition(difference, embedding, likelihood, reading)

    def _recall(self, reading: Float[np.ndarray, " 7"]) -> Float[np.ndarray, " dimension"]:
        r"""What a clip shows, as the language prior knows it: :math:`T^\top softmax(T v / \tau)`.

        One step of retrieval from an associative memory of the labels :math:`T` (Ramsauer et al.
        2021). A clip's embedding lies well beside all of them, where the editor learned little;
        and doubt between anger and disgust is no mixture of the two.
        """
        recalled = reading @ self.labels
        return np.asarray(recalled / np.linalg.norm(recalled))

    def _likelihoods(self, embedding: Float[np.ndarray, " dimension"]) -> Float[np.ndarray, " 7"]:
        cosines = self.labels @ embedding / self.temperature
        likelihood = np.exp(cosines - cosines.max())
        return np.asarray(likelihood / likelihood.sum())


def load_models(
    weight_set: str = WEIGHT_SETS[0], *, core: bool = False, generator: Path | None = None
) -> Models:
    """Verify and load the embedded weights.

    Args:
        weight_set: ``permissive`` or ``research`` (see ``weights/README.md``).
        core: The geometric core alone: fixed rules instead of learned networks.
        generator: A folder that ``spfem train renderer`` wrote, instead of the embedded networks.

    Raises:
        WeightsError: If a file is missing or damaged.
        UsageError: If there is no such set.
    """
    numbers = load_file(find_weights(name_in_set("core", weight_set)))
    mesh = FaceMesh(numbers["triangles"], numbers["oval"])
    neutral = NeutralPrior(numbers["neutral_mean"], numbers["neutral_high"])
    basis = ExpressionBasis(numbers["basis"])
    warp = WarpRenderer(basis, mesh, numbers["canonical_xyz"])
    labels, temperature = _read_labels(find_weights(name_in_set("cerl", weight_set)))
    motion: Motion = DifferenceMotion(neutral)
    renderer: Renderer = warp
    if not core:
        embedded = (name_in_set("motion", weight_set), name_in_set("renderer", weight_set))
        files = [
            generator / name if generator else find_weights(entry)
            for entry, name in zip(embedded, GENERATOR_FILES, strict=True)
        ]
        for file in files:
            if not file.exists():
                raise WeightsError(
                    f"{file}: no such file", hint="spfem train renderer writes it: -o FOLDER"
                )
        motion = LearnedMotion(load_file(files[0]))
        renderer = LearnedRenderer(
            warp, FoldMaps.draw(numbers["canonical_xyz"]), open_network(files[1])
        )
    return Models(
        weight_set=weight_set,
        landmarker_file=find_weights("face-landmarker"),
        head=HeadModel(numbers["canonical_xyz"], numbers["rigidity"]),
        mesh=mesh,
        basis=basis,
        neutral=neutral,
        motion=motion,
        renderer=renderer,
        differences=numbers["differences"],
        labels=labels,
        temperature=temperature,
    )


GENERATOR_FILES = ("motion.safetensors", "renderer.onnx")
"""What ``spfem train renderer`` writes into a folder."""


def _read_labels(path: Path) -> tuple[Float[np.ndarray, "7 dimension"], float]:
    """CERL's embeddings of the labels, and its temperature."""
    with safe_open(path, framework="numpy") as file:
        return file.get_tensor("labels"), float(file.metadata()["temperature"])
