"""The models of an edit, built from verified files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from safetensors.numpy import load_file

from cdrl_cli.checkpoints.load import WEIGHT_SETS, find_weights, name_in_set
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import WeightsError
from cdrl_cli.face.head import HeadModel
from cdrl_cli.face.landmarks import Landmarker
from cdrl_cli.generator.motion import (
    SHARES,
    Condition,
    DifferenceMotion,
    LearnedMotion,
    Motion,
    NeutralPrior,
)
from cdrl_cli.generator.renderer import ExpressionBasis, Renderer, WarpRenderer
from cdrl_cli.geometry.mesh import FaceMesh


@dataclass(frozen=True, slots=True)
class Models:
    """All that an edit runs on; load once, edit many clips."""

    weight_set: str
    landmarker_file: Path
    head: HeadModel
    neutral: NeutralPrior
    motion: Motion
    renderer: Renderer
    differences: Float[np.ndarray, "7 52"]
    """Coefficients of each emotion minus neutral, in the order of :class:`Emotion`."""
    labels: Float[np.ndarray, "7 dimension"]
    """CERL's embedding of each label, in the same order."""

    def open_landmarker(self, *, max_faces: int = 4) -> Landmarker:
        """A landmarker for one clip."""
        return Landmarker(self.landmarker_file, max_faces=max_faces)

    def emotion_condition(self, emotion: Emotion) -> Condition:
        """The condition that a label sets."""
        return Condition(self.differences[emotion.class_index], self.labels[emotion.class_index])

    def read_conditions(self, shown: Sequence[Float[np.ndarray, "_ 52"]]) -> tuple[Condition, ...]:
        """The conditions that faces set: each is a clip's coefficients, or a part of one."""
        # Imported here: a label needs no torch.
        from cdrl_cli.checkpoints.emotion import load_emotion

        emotions = load_emotion(self.weight_set)
        return tuple(
            Condition(
                SHARES * (one.mean(axis=0) - self.neutral.mean),
                emotions.embed(one.astype(np.float32)).numpy(),
            )
            for one in shown
        )

    def text_condition(self, words: str) -> Condition:
        """The condition that a sentence sets.

        Its CERL embedding; the difference is between the labels', by how likely CERL takes each.

        Raises:
            WeightsError: If the sentence encoder has not been downloaded.
        """
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
        return Condition(difference, embedding.numpy())


def load_models(weight_set: str = WEIGHT_SETS[0], *, core: bool = False) -> Models:
    """Verify and load the embedded weights.

    Args:
        weight_set: ``permissive`` or ``research`` (see ``weights/README.md``).
        core: The geometric core alone: fixed rules instead of the learned motion.

    Raises:
        WeightsError: If a file is missing or damaged.
        UsageError: If there is no such set.
    """
    numbers = load_file(find_weights(name_in_set("core", weight_set)))
    mesh = FaceMesh(numbers["triangles"], numbers["oval"])
    neutral = NeutralPrior(numbers["neutral_mean"], numbers["neutral_high"])
    motion: Motion = DifferenceMotion(neutral)
    if not core:
        motion = LearnedMotion(load_file(find_weights(name_in_set("motion", weight_set))))
    return Models(
        weight_set=weight_set,
        landmarker_file=find_weights("face-landmarker"),
        head=HeadModel(numbers["canonical_xyz"], numbers["rigidity"]),
        neutral=neutral,
        motion=motion,
        renderer=WarpRenderer(ExpressionBasis(numbers["basis"]), mesh),
        differences=numbers["differences"],
        labels=load_file(find_weights(name_in_set("cerl", weight_set)))["labels"],
    )
