"""The emotion that an edit is asked for, read from a clip, an image, a label or words.

Whatever it is given in, it becomes a :class:`~cdrl_cli.generator.condition.ConditionTrack`. It is
read with models that are loaded once, and before an edit opens its output.

A reference asks for its own change: its expression minus its person's neutral one, which is given
by another picture or estimated. What it is called (:attr:`Condition.reading`) decides only what the
skin shows beside the movement, and what people are told.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from cdrl_cli.array_types import Float
from cdrl_cli.checkpoints.models import Models
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import NoFaceError, UsageError, WeightsError
from cdrl_cli.face.blendshapes import IS_SMILE, SHARES
from cdrl_cli.face.stream import FaceStream, FaceTrack, Sighting, collect_face, open_faces
from cdrl_cli.generator.condition import Condition, ConditionTrack
from cdrl_cli.generator.motion import find_expressive
from cdrl_cli.generator.pace import read_pace, typical_pace
from cdrl_cli.prefetch import prefetch
from cdrl_cli.representation.evidence import Evidence
from cdrl_cli.representation.expression_nets import ExpressionNets
from cdrl_cli.weight_set import WeightSet

REFERENCE_SECONDS = 60
"""Length of a reference that is read, from where its reading starts, seconds."""

REFERENCE_STEP = Fraction(1, 10)
"""Time between two frames of a reference that are read, seconds."""

FOLLOW_WINDOW_S = 0.6
"""Length of each window in which a reference that is followed is read, seconds."""

FOLLOW_STEP_S = 0.2
"""Time from one window of a followed reference to the next, seconds. It is shorter than the window,
so that the emotion moves smoothly."""

REFERENCE_FACE_SHARE = 0.1
"""Share of the frames read that must show a face for a reference to count as one, 0..1: a cloud
passes for a face now and then."""

OBSERVED_SHARE = 0.3
"""Share of a reference's edit that shows its own change, 0..1. In the rest the motion editor shows
what it has learned of the emotion that is read, at that share: coefficients hardly know sadness,
fear and a wrinkled nose. The own change is shown in full, whatever the share."""

DECISION = 2.0
"""Power of the probabilities that were read of a reference, before an edit goes by them: 1 would
mix its emotions as they were read, more leans to the likeliest."""

LEAST_OBSERVED = 0.1
"""The same where nearly all of the own change contradicts what the reference reads as."""

MAX_NORMALISING = 3.0
"""Largest factor by which ``normalise`` strengthens a weak reference: beyond it noise is shown."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A clip or an image that shows an emotion, and which part of it counts."""

    path: Path
    """The clip or image."""
    neutral: Path | None = None
    """Another clip or image of the same person, neutral; None where it is to be estimated."""
    face: int = 1
    """Which of its faces, from 1, by size in each frame: 1 is the largest."""
    start: Fraction | None = None
    """Seconds on its clock from which on it is read; None from the beginning."""
    end: Fraction | None = None
    """Seconds on its clock up to which it is read; None to the end."""
    follow: bool = False
    """The emotion varies as over the reference; else one emotion, of its more expressive half."""
    named: str | None = None
    """What the emotion is called, a label or words: then the reference only shows how it looks."""
    normalise: bool = False
    """Bring the change to the typical strength of its emotion, however weakly it is shown."""

    def __post_init__(self) -> None:
        if self.face < 1:
            raise UsageError(f"the reference's face {self.face} is not 1 or more")
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise UsageError(
                f"the reference's start, {float(self.start):g} s, is not before its end, "
                f"{float(self.end):g} s"
            )


def read_reference(reference: Reference, models: Models) -> ConditionTrack:
    """The emotion that a clip or an image shows.

    Args:
        reference: What to read.
        models: Read it.

    Raises:
        NoFaceError: If no face was found in it, or in the neutral picture.
        UnreadableInputError: If one of them cannot be decoded.
        WeightsError: If the emotion is named by words and the sentence encoder is missing.
    """
    shown = read_track(reference, models)
    if reference.neutral is None:
        own, rest = None, estimate_rest(shown, models)
    else:
        own = rest = _read_rest(reference.neutral, models)
    named = None if reference.named is None else read_named_emotion(reference.named, models)

    def conclude(part: FaceTrack) -> Condition:
        condition = condition_of_face(part, models, rest=rest, own_neutral=own)
        if named is not None:
            called = named.conditions[0]
            condition = replace(condition, embedding=called.embedding, likelihood=called.likelihood)
        condition = _settle(condition, models)
        return _normalise(condition, models) if reference.normalise else condition

    if not reference.follow:
        half = shown.where(find_expressive(shown.expressions, rest))
        pace = read_pace(shown.time_s, SHARES * (shown.expressions - rest))
        return ConditionTrack(np.zeros(1), (conclude(half),), pace)
    since_s = shown.time_s - shown.time_s[0]
    moments_s = np.arange(0.0, since_s[-1] + FOLLOW_STEP_S, FOLLOW_STEP_S)
    near = np.abs(since_s - moments_s[:, None]) <= FOLLOW_WINDOW_S / 2
    seen = near.any(axis=1)
    return ConditionTrack(
        moments_s[seen], tuple(conclude(shown.where(inside)) for inside in near[seen])
    )


def read_named_emotion(words: str, models: Models, way: int | None = None) -> ConditionTrack:
    """The emotion that a label or other words name.

    Args:
        words: A label of :class:`~cdrl_cli.emotion.Emotion`, or others.
        models: Say what they mean.
        way: In which of its usual ways it is acted, from 1; None for all that the motion editor has
            learned of it.

    Raises:
        UsageError: If so many ways are not known of it.
        WeightsError: If other words than labels are given and the sentence encoder is missing.
    """
    label = Emotion.parse(words)
    condition = condition_of_label(label, models) if label else condition_of_words(words, models)
    if way is not None:
        condition = _act(condition, way, models)
    return ConditionTrack(np.zeros(1), (condition,), typical_pace)


def condition_of_label(emotion: Emotion, models: Models) -> Condition:
    """The condition that a label sets."""
    index = emotion.class_index
    return _condition(models.differences[index], models.cerl.space.labels[index], models)


def condition_of_face(
    shown: FaceTrack,
    models: Models,
    *,
    rest: Float[np.ndarray, " 52"],
    own_neutral: Float[np.ndarray, " 52"] | None = None,
) -> Condition:
    """The condition that a face sets by what it shows.

    Args:
        shown: Frames that show it.
        models: Read it.
        rest: Coefficients of the person's neutral face, known or estimated.
        own_neutral: The same where they are known.
    """
    reading = models.evidence.read(gather_evidence(shown, models.nets), own_neutral)
    likelihood = _decide(reading)
    return Condition(
        difference=SHARES * (shown.expressions.mean(axis=0) - rest),
        embedding=_recall(likelihood, reading[Emotion.NEUTRAL.class_index], models),
        likelihood=likelihood,
        reading=reading,
        observed=OBSERVED_SHARE,
    )


def estimate_rest(shown: FaceTrack, models: Models) -> Float[np.ndarray, " 52"]:
    """Coefficients of a person's neutral face, estimated from a clip that may show an emotion.

    Args:
        shown: The whole clip; its more expressive half counts, as in the fit of the estimate.
        models: Estimate it.
    """
    half = shown.where(find_expressive(shown.expressions, models.evidence.neutral))
    return models.evidence.estimate_neutral(gather_evidence(half, models.nets))


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
        label = Emotion.meant_by(words)
        meant = f"write {label}, or for other words: " if label else ""
        raise WeightsError(
            f"{words!r} is none of {labels}; other words need weights that are not here",
            hint=f"{meant}{error.hint}",
        ) from error
    shares = models.cerl.space.likelihoods(embedding)
    return _condition(shares @ models.differences, embedding, models)


def read_track(reference: Reference, models: Models) -> FaceTrack:
    """The chosen face of the chosen part."""
    with open_faces(reference.path, models) as stream:
        looked: list[float] = []
        # One thread finds the face, this one cuts it out.
        with prefetch(_sight(stream, reference, looked)) as sightings:
            shown = collect_face(stream, sightings)
    if shown is None or len(shown.time_s) <= REFERENCE_FACE_SHARE * len(looked):
        which = f"no face {reference.face}" if reference.face > 1 else "no face"
        part = " between its start and end" if reference.start or reference.end else ""
        raise NoFaceError(
            f"{reference.path}: {which} in the reference{part}",
            hint="give a clip or image that shows one face, large and turned to the camera",
        )
    return shown


def _sight(stream: FaceStream, reference: Reference, looked: list[float]) -> Iterator[Sighting]:
    """The chosen face of each frame read; notes the times of all frames read, seconds."""
    start, end = reference.start or Fraction(0), reference.end
    length = REFERENCE_SECONDS + int(start)
    for frame, faces in stream.sampled(step_s=REFERENCE_STEP, length_s=length):
        if frame.time < start and reference.start is not None:
            continue
        if end is not None and frame.time > end:
            return
        looked.append(float(frame.time))
        for face in faces[reference.face - 1 : reference.face]:
            yield Sighting(frame, face)


def _read_rest(path: Path, models: Models) -> Float[np.ndarray, " 52"]:
    """Mean coefficients of a neutral clip or image."""
    shown = read_track(Reference(path), models)
    mean: Float[np.ndarray, " 52"] = shown.expressions.mean(axis=0, dtype=float)
    return mean


def gather_evidence(shown: FaceTrack, nets: ExpressionNets | None = None) -> Evidence:
    """What is seen of a face, over all its frames in the mean.

    Args:
        shown: The frames.
        nets: Look at the pixels; None: nothing does.
    """
    return Evidence(
        expression=shown.expressions.mean(axis=0, dtype=float),
        shape=shown.shapes.mean(axis=0, dtype=float),
        judged=nets(shown.close_ups) if nets and len(shown.close_ups) else None,
    )


def _settle(condition: Condition, models: Models) -> Condition:
    """The change, without what contradicts the emotion that is read.

    A grieving mouth, pressed wide, is read as a smile by the coefficients; pixels and shape know
    better. What points against the typical change of the emotion is taken back, as surely as that
    emotion is told from the next likely one. So are smiles, as far as joy is not read: bared teeth
    pass for one, and an edit, which leaves the lips to speech, would show the smile without the
    teeth. What is taken back is left to what the motion editor has learned of the emotion.
    """
    typical = models.differences[int(condition.likelihood.argmax())]
    most, second = np.sort(condition.likelihood)[[-1, -2]]
    felt = float(condition.likelihood.sum())
    surely = felt * float(most / max(most + second, 1e-9))
    kept = np.where(typical * condition.difference < 0, 1 - surely, 1.0)
    joy = float(condition.likelihood[Emotion.HAPPY.class_index]) / max(felt, 1e-9)
    smiling = (condition.difference > 0) & IS_SMILE
    kept = np.where(smiling, np.minimum(kept, min(1.0, 2 * joy)), kept)
    settled = replace(condition, difference=kept * condition.difference)
    left = settled.strength / condition.strength if condition.strength else 1.0
    return replace(settled, observed=max(OBSERVED_SHARE * left, LEAST_OBSERVED))


def _act(condition: Condition, way: int, models: Models) -> Condition:
    """The same emotion, as if a reference had been seen that acts it in one of the usual ways."""
    emotion = tuple(Emotion)[int(condition.likelihood.argmax())]
    known = models.evidence.ways_of(emotion)
    if not 1 <= way <= len(known):
        less = f"take at most {len(known)}" if len(known) else "leave the way out"
        more = ", or take --weights research, which know more"
        raise UsageError(
            f"way {way} of {emotion} is asked for, and these weights know {len(known)}",
            hint=less + more * (models.weight_set is WeightSet.PERMISSIVE),
        )
    difference = condition.likelihood.sum() * known[way - 1]
    return replace(condition, difference=difference, observed=OBSERVED_SHARE)


def _normalise(condition: Condition, models: Models) -> Condition:
    """The same change at the typical strength of its emotion."""
    typical = condition.likelihood @ np.linalg.norm(models.differences, axis=1)
    asked = max(float(condition.likelihood.sum()), 1e-6)
    factor = min(float(typical) / asked / max(condition.strength, 1e-6), MAX_NORMALISING)
    return replace(condition, difference=factor * condition.difference)


def _condition(
    difference: Float[np.ndarray, " 52"],
    embedding: Float[np.ndarray, " dimension"],
    models: Models,
) -> Condition:
    reading = models.cerl.space.likelihoods(embedding)
    likelihood = reading.copy()
    likelihood[Emotion.NEUTRAL.class_index] = 0
    return Condition(difference, embedding, likelihood, reading)


def _decide(reading: Float[np.ndarray, " 7"]) -> Float[np.ndarray, " 7"]:
    """Likelihood that an edit goes by: nearer to the likeliest emotion than what was read.

    A face that is by a third disgusted, because the reader doubts its anger, is judged to be
    neither. Two emotions that are read alike stay alike, and so does how likely any is.
    """
    felt = reading.copy()
    felt[Emotion.NEUTRAL.class_index] = 0
    decided: Float[np.ndarray, " 7"] = felt**DECISION
    return decided * (felt.sum() / max(float(decided.sum()), 1e-12))


def _recall(
    likelihood: Float[np.ndarray, " 7"], neutral: float, models: Models
) -> Float[np.ndarray, " dimension"]:
    r"""What a clip shows, as the language prior knows it: :math:`T^\top p`, a unit vector.

    One step of retrieval from an associative memory of the labels :math:`T` (Ramsauer et al.
    2021), by the probabilities :math:`p`.

    Args:
        likelihood: Of each emotion, 0 for neutral.
        neutral: Likelihood of none.
        models: Know the labels.
    """
    probabilities = likelihood.copy()
    probabilities[Emotion.NEUTRAL.class_index] = neutral
    recalled = probabilities @ models.cerl.space.labels
    return np.asarray(recalled / np.linalg.norm(recalled))
