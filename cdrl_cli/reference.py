"""The emotion that an edit is asked for, read from a clip, an image, a label or words.

Whatever it is given in, it becomes a :class:`~cdrl_cli.generator.condition.ConditionTrack`. It is
read with models that are loaded once, and before an edit opens its output.
"""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import Float

from cdrl_cli.checkpoints.models import Models
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import NoFaceError, WeightsError
from cdrl_cli.face.blendshapes import SHARES
from cdrl_cli.face.stream import FaceStream, FaceTrack, Sighting, collect_face, open_faces
from cdrl_cli.generator.condition import Condition, ConditionTrack
from cdrl_cli.generator.motion import find_expressive

REFERENCE_SECONDS = 60
"""Length of a reference that is read, from its beginning, seconds."""

REFERENCE_STEP = Fraction(1, 10)
"""Time between two frames of a reference that are read, seconds."""

FOLLOW_WINDOW_S = 1.5
"""Length of each window in which a reference that is followed is read, seconds."""

FOLLOW_STEP_S = 0.5
"""Time from one window of a followed reference to the next, seconds. It is shorter than the window,
so that the emotion moves smoothly."""

REFERENCE_FACE_SHARE = 0.1
"""Share of the frames read that must show a face for a reference to count as one, 0..1: a cloud
passes for a face now and then."""


def read_reference(path: Path, models: Models, *, follow: bool = False) -> ConditionTrack:
    """The emotion that a clip or an image shows.

    Args:
        path: The clip or image; its largest face counts.
        models: Read it.
        follow: As it varies over the clip; else one emotion, of the more expressive half of what
            is shown: acted clips begin and end near neutral.

    Raises:
        NoFaceError: If no face was found in it.
        UnreadableInputError: If it cannot be decoded.
    """
    with open_faces(path, models) as stream:
        looked: list[float] = []
        shown = collect_face(stream, _sight_largest(stream, looked))
    if shown is None or len(shown.time_s) <= REFERENCE_FACE_SHARE * len(looked):
        raise NoFaceError(
            f"{path}: no face in the reference",
            hint="give a clip or image that shows one face, large and turned to the camera",
        )
    if not follow:
        half = shown.where(find_expressive(shown.expressions, models.neutral.mean))
        return ConditionTrack(np.zeros(1), (condition_of_face(half, models),))
    since_s = shown.time_s - looked[0]
    moments_s = np.arange(0.0, since_s[-1] + FOLLOW_STEP_S, FOLLOW_STEP_S)
    near = np.abs(since_s - moments_s[:, None]) <= FOLLOW_WINDOW_S / 2
    seen = near.any(axis=1)
    conditions = [condition_of_face(shown.where(inside), models) for inside in near[seen]]
    return ConditionTrack(moments_s[seen], tuple(conditions))


def read_named_emotion(words: str, models: Models) -> ConditionTrack:
    """The emotion that a label or other words name.

    Raises:
        WeightsError: If other words than labels are given and the sentence encoder is missing.
    """
    label = Emotion.parse(words)
    condition = condition_of_label(label, models) if label else condition_of_words(words, models)
    return ConditionTrack(np.zeros(1), (condition,))


def condition_of_label(emotion: Emotion, models: Models) -> Condition:
    """The condition that a label sets."""
    index = emotion.class_index
    return _condition(models.differences[index], models.cerl.space.labels[index], models)


def condition_of_face(shown: FaceTrack, models: Models) -> Condition:
    """The condition that a face sets by what it shows.

    What CERL reads is settled before the generator is asked for it: see :func:`_recall`.
    """
    difference = SHARES * (shown.expressions.mean(axis=0) - models.neutral.mean)
    embedding = models.emotion_reader.embed(shown.expressions, faces=shown.crops)
    reading = models.cerl.space.likelihoods(embedding)
    return replace(_condition(difference, _recall(reading, models), models), reading=reading)


def condition_of_words(words: str, models: Models) -> Condition:
    """The condition that a sentence sets.

    Its CERL embedding; the difference is between the labels', by how likely CERL takes each.

    Raises:
        WeightsError: If the sentence encoder has not been downloaded.
    """
    try:
        embedding = models.embed_words(words)
    except WeightsError as error:
        labels = ", ".join(Emotion)
        raise WeightsError(
            f"{words!r} is none of {labels}; other words need weights that are not here",
            hint=error.hint,
        ) from error
    shares = models.cerl.space.likelihoods(embedding)
    return _condition(shares @ models.differences, embedding, models)


def _sight_largest(stream: FaceStream, looked: list[float]) -> Iterator[Sighting]:
    """The largest face of each frame read; notes the times of all frames read, seconds."""
    for frame, faces in stream.sampled(step_s=REFERENCE_STEP, length_s=REFERENCE_SECONDS):
        looked.append(float(frame.time))
        for face in faces[:1]:
            yield Sighting(frame, face)


def _condition(
    difference: Float[np.ndarray, " 52"],
    embedding: Float[np.ndarray, " dimension"],
    models: Models,
) -> Condition:
    reading = models.cerl.space.likelihoods(embedding)
    likelihood = reading.copy()
    likelihood[Emotion.NEUTRAL.class_index] = 0
    return Condition(difference, embedding, likelihood, reading)


def _recall(reading: Float[np.ndarray, " 7"], models: Models) -> Float[np.ndarray, " dimension"]:
    r"""What a clip shows, as the language prior knows it: :math:`T^\top softmax(T v / \tau)`.

    One step of retrieval from an associative memory of the labels :math:`T` (Ramsauer et al.
    2021). A clip's embedding lies well beside all of them, where the editor learned little;
    and doubt between anger and disgust is no mixture of the two.
    """
    recalled = reading @ models.cerl.space.labels
    return np.asarray(recalled / np.linalg.norm(recalled))
