"""The intensity at which an emotion is read as surely as was asked for, found by measurement.

Some frames are edited at one intensity after the other, and read as a reference is read
(:class:`~cdrl_cli.representation.evidence.EvidenceModel`): by this package's own reader, not by a
judge of another kind.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cdrl_cli.checkpoints.models import Models
from cdrl_cli.edit_options import EditOptions
from cdrl_cli.edited_row import Conditions
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import NoFaceError
from cdrl_cli.face.landmarks import Face
from cdrl_cli.face.person import Person
from cdrl_cli.face.stream import FaceStream, Sighting, collect_face, open_faces
from cdrl_cli.face.tracking import DETECTION_SIDE_PX, TrackedFrame, find_faces
from cdrl_cli.face_editor import FaceEditor
from cdrl_cli.generator.condition import ConditionTrack
from cdrl_cli.generator.motion import MAX_INTENSITY
from cdrl_cli.reference import gather_evidence
from cdrl_cli.schedule import Schedule, ScheduleRow

SAMPLES = 8
"""Most frames that are edited and read."""

SAMPLED_S = 10
"""Length of the stretch from a row's start on that they are taken from, seconds."""

SAMPLE_STEP_S = 0.4
"""Least time between two of them, seconds."""

COARSE = (0.0, 0.5, 1.0, 1.5, MAX_INTENSITY)
"""Intensities that are tried first."""

HALVINGS = 3
"""How often the step of them is halved around the target: to .06 of an intensity."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found for a row that has a target."""

    emotion: Emotion
    """What was read for."""
    target: float
    """Likelihood asked for, 0..1."""
    reached: float
    """Likelihood with which it is read at the intensity chosen, 0..1."""
    intensity: float
    """The least one that reaches the target; the best one where none does."""


def meet_targets(
    source: Path,
    options: EditOptions,
    models: Models,
    conditions: Conditions,
    people: dict[Path, Person],
) -> tuple[EditOptions, tuple[Measured | None, ...]]:
    """Find the intensities of all rows that have a target.

    Args:
        source: The clip.
        options: What to do.
        models: Edit and read.
        conditions: What each row of the plan asks for.
        people: Who is in the photos of the plan.

    Returns:
        The options with the intensities found, and what was found for each row.

    Raises:
        NoFaceError: If a row's first seconds show no face that it could edit.
    """
    rows = options.plan.rows
    found = tuple(
        None
        if row.target_emotion is None or track is None
        else _measure(source, options, models, row=row, track=track, people=people)
        for row, track in zip(rows, conditions, strict=True)
    )
    if not any(found):
        return options, found
    chosen = tuple(
        row if one is None else replace(row, intensity=one.intensity, target_emotion=None)
        for row, one in zip(rows, found, strict=True)
    )
    if options.schedule is not None:
        return replace(options, schedule=Schedule(chosen)), found
    return replace(options, intensity=chosen[0].intensity, target_emotion=None), found


def _measure(
    source: Path,
    options: EditOptions,
    models: Models,
    *,
    row: ScheduleRow,
    track: ConditionTrack,
    people: dict[Path, Person],
) -> Measured:
    assert row.target_emotion is not None
    emotion = _emotion_of(row, track)
    whole = replace(row, target_emotion=None, intensity=1.0)

    with open_faces(source, models, video_stream=options.video_stream) as stream:

        def editor(intensity: float) -> FaceEditor:
            one = Schedule((replace(whole, intensity=intensity),))
            asked = EditOptions(schedule=one, video_stream=options.video_stream)
            return FaceEditor(models, asked, (track,), stream, people=people)

        samples = list(_sample(stream, editor(1.0), row))
        if not samples:
            raise NoFaceError(
                f"{source}: no face to measure on in the first {SAMPLED_S} s of the edit",
                hint="--intensity instead of --target-emotion says how strong it is to be",
            )

        def read(intensity: float) -> float:
            return _read(stream, models, editor(intensity), samples, emotion)

        intensity, reached = find_intensity(read, row.target_emotion)
    return Measured(emotion, row.target_emotion, reached, intensity)


def find_intensity(read: Callable[[float], float], target: float) -> tuple[float, float]:
    """The least intensity at which a reading reaches a target, and the reading there.

    Args:
        read: Likelihood at an intensity, 0..1; grows with it, for the most part.
        target: What to reach.

    Returns:
        The best intensity of those tried where none reaches it.
    """
    tried: dict[float, float] = {}
    for intensity in COARSE:
        tried[intensity] = read(intensity)
        if tried[intensity] >= target:
            break
    else:
        best = max(tried, key=lambda one: tried[one])
        return best, tried[best]
    low, high = max((one for one in tried if one < intensity), default=0.0), intensity
    for _ in range(HALVINGS if high > low else 0):
        middle = (low + high) / 2
        tried[middle] = read(middle)
        low, high = (low, middle) if tried[middle] >= target else (middle, high)
    return high, tried[high]


def _emotion_of(row: ScheduleRow, track: ConditionTrack) -> Emotion:
    """The label that a target speaks of: the one that is named, or the likeliest asked for."""
    label = Emotion.parse(row.emotion or "")
    if label is not None:
        return label
    likelihood = np.mean([one.likelihood for one in track.conditions], axis=0)
    return list(Emotion)[int(likelihood.argmax())]


def _sample(
    stream: FaceStream, editor: FaceEditor, row: ScheduleRow
) -> Iterator[tuple[TrackedFrame, Face]]:
    """Frames that the row edits, some time apart, and the face that it edits there first."""
    until_s = last_s = None
    start = None if isinstance(row.face, int) else row.start
    taken = 0
    for tracked in stream.tracked(start=start, end=row.end):
        if row.start is not None and tracked.frame.time < row.start:
            continue
        time_s = float(tracked.frame.time)
        until_s = time_s + SAMPLED_S if until_s is None else until_s
        if time_s > until_s or taken == SAMPLES:
            return
        editor.edit(tracked)
        if editor.last_edited and (last_s is None or time_s - last_s >= SAMPLE_STEP_S):
            last_s, taken = time_s, taken + 1
            yield tracked, editor.last_edited[0].face


def _read(
    stream: FaceStream,
    models: Models,
    editor: FaceEditor,
    samples: list[tuple[TrackedFrame, Face]],
    emotion: Emotion,
) -> float:
    """Likelihood of an emotion on edited frames, all of them together."""
    aspect = float(stream.video.info.sample_aspect)
    sightings = []
    landmarker = models.open_landmarker()
    for tracked, face in samples:
        frame = editor.edit(tracked)
        faces = find_faces(frame.picture(DETECTION_SIDE_PX), frame, landmarker, aspect)
        if faces:
            sightings.append(Sighting(frame, min(faces, key=face.distance_px)))
    shown = collect_face(stream, sightings)
    if shown is None:
        return 0.0
    reading = models.evidence.read(gather_evidence(shown, models))
    return float(reading[emotion.class_index])
