"""The intensity at which an emotion is read as surely as was asked for, found by measurement.

Some frames are edited at one intensity after the other, and read as a reference is read
(:class:`~cdrl_cli.representation.evidence.EvidenceModel`): by this package's own reader, not by a
judge of another kind.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
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
from cdrl_cli.face.tracking import DETECTION_SIDE_PX, WARM_UP_S, TrackedFrame, find_faces
from cdrl_cli.face_editor import FaceEditor
from cdrl_cli.generator.condition import ConditionTrack
from cdrl_cli.limits import MAX_INTENSITY
from cdrl_cli.reference import gather_evidence
from cdrl_cli.representation.evidence import Evidence, EvidenceMean
from cdrl_cli.schedule import Schedule, ScheduleRow

SAMPLES = 12
"""Most frames that are edited and read, spread over all that a row edits."""

SAMPLE_STEP_S = 0.4
"""Least time between two of them, seconds."""

READ_THROUGH_S = 27
"""Length of a stretch that is read from its beginning to its end, seconds; in a longer one each
sample is sought. Both take about as long: tracking looks at 2.25 s before a sample."""

PATIENCE_S = 2
"""Time behind the place of a sample within which a frame that is edited is looked for, seconds."""

COARSE = (0.0, 0.5, 1.0, 1.5, MAX_INTENSITY)
"""Intensities that are tried first."""

HALVINGS = 3
"""How often the step of them is halved around the target: to .06 of an intensity."""

MIXED = 0.25
"""Where either half of the samples would choose intensities that are further apart than this, the
moods of the clip are mixed, and that is said."""


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
    intensity_range: tuple[float, float]
    """What would have been chosen by either half of the samples alone, lower first: how much the
    choice depends on the frames that were read. One that reached the target at no intensity that
    was tried counts as the highest of these."""

    @property
    def warnings(self) -> Iterator[str]:
        """What is to be said: a target out of reach or met already, or mixed moods."""
        if self.reached < self.target:
            yield (
                f"{self.emotion} is read with {self.reached:.0%} at most, at intensity "
                f"{self.intensity:g}; {self.target:.0%} was asked for"
            )
            return
        if self.intensity == 0:
            yield f"{self.emotion} is read with {self.reached:.0%} as it is: nothing is changed"
        low, high = self.intensity_range
        if high - low > MIXED:
            yield (
                f"the clip's moods are mixed: intensity {self.intensity:g} was found for "
                f"{self.emotion}, and either half of the frames read would give {low:.2g} and "
                f"{high:.2g}; a schedule gives each part its own"
            )


def warn_of_targets(plan: Schedule, found: Sequence[Measured | None]) -> Iterator[str]:
    """What is to be said of the targets of a plan; names the row where it has several.

    Args:
        plan: What was asked for.
        found: For each of its rows; nothing where it has no targets.
    """
    for place, one in enumerate(found):
        which = f"{plan.describe(place)}: " if len(plan.rows) > 1 else ""
        yield from (f"{which}{line}" for line in (one.warnings if one else ()))


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
        NoFaceError: If no face is found that a row could edit.
    """
    rows = options.plan.rows
    found = tuple(
        None
        if row.target_emotion is None or track is None
        else _measure(source, options, models, row=row, track=track, people=people)
        for row, track in zip(rows, conditions, strict=True)
    )
    return with_intensities(
        options, [None if one is None else one.intensity for one in found]
    ), found


def with_intensities(options: EditOptions, found: Sequence[float | None]) -> EditOptions:
    """The same edit with the intensities that were found for its targets.

    Args:
        options: What to do.
        found: For each row; None for one that has no target.
    """
    chosen = tuple(
        row if one is None else replace(row, intensity=one, target_emotion=None)
        for row, one in zip(options.plan.rows, found, strict=True)
    )
    if options.schedule is not None:
        return replace(options, schedule=replace(options.schedule, rows=chosen))
    return replace(options, intensity=chosen[0].intensity, target_emotion=None)


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
    measure = _Measure(source, options, models, row, track, people)
    samples = list(measure.samples())
    if not samples:
        raise NoFaceError(
            f"{source}: no face to measure on where the edit is to be",
            hint="--intensity instead of --target-emotion says how strong it is to be",
        )
    target = row.target_emotion
    read = _Readings(measure, samples, emotion)
    intensity, reached = find_intensity(read.of_all, target)
    halves = sorted(_first_reaching(read.of_some(half), target) for half in (0, 1))
    return Measured(emotion, target, reached, intensity, (halves[0], halves[1]))


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


def _first_reaching(readings: Sequence[tuple[float, float]], target: float) -> float:
    """The least intensity that reaches a target, by some readings and what lies between them.

    Args:
        readings: Intensities that rise, and the likelihood at each.
        target: What to reach.

    Returns:
        The last intensity where none reaches it.
    """
    for (low, less), (high, more) in pairwise([(0.0, -np.inf), *readings]):
        if more >= target:
            share = 1.0 if less == -np.inf else (target - less) / (more - less)
            return float(low + share * (high - low))
    return readings[-1][0]


class _Readings:
    """What is read of samples, at one intensity after the other.

    Args:
        measure: Edits them.
        samples: At least one.
        emotion: What is read for.
    """

    def __init__(self, measure: "_Measure", samples: Sequence["_Sample"], emotion: Emotion) -> None:
        self._measure = measure
        self._samples = samples
        self._emotion = emotion
        self._seen: dict[float, list[Evidence | None]] = {}

    def of_all(self, intensity: float) -> float:
        """Likelihood of the emotion at an intensity, on all samples together, 0..1."""
        if intensity not in self._seen:
            self._seen[intensity] = list(self._measure.look(self._samples, intensity))
        return self._read(self._seen[intensity])

    def of_some(self, first: int) -> list[tuple[float, float]]:
        """Each intensity tried, rising, and the likelihood on every other sample from one on."""
        return [
            (intensity, self._read(seen[min(first, len(seen) - 1) :: 2]))
            for intensity, seen in sorted(self._seen.items())
        ]

    def _read(self, seen: Sequence[Evidence | None]) -> float:
        mean = EvidenceMean()
        for one in seen:
            if one is not None:
                mean.add(one)
        if mean.value is None:
            return 0.0
        reading = self._measure.models.evidence.read(mean.value)
        return float(reading[self._emotion.class_index])


def _emotion_of(row: ScheduleRow, track: ConditionTrack) -> Emotion:
    """The label that a target speaks of: the one that is named, or the likeliest asked for."""
    label = Emotion.parse(row.emotion or "")
    if label is not None:
        return label
    likelihood = np.mean([one.likelihood for one in track.conditions], axis=0)
    return list(Emotion)[int(likelihood.argmax())]


@dataclass(frozen=True, slots=True)
class _Sample:
    """A frame that a row edits."""

    stream: FaceStream
    editor: FaceEditor
    """Has met the face."""
    tracked: TrackedFrame
    face: Face
    """The one that is edited first."""


@dataclass(frozen=True, slots=True)
class _Measure:
    """Edits samples of what a row edits, and reads them."""

    source: Path
    options: EditOptions
    models: Models
    row: ScheduleRow
    track: ConditionTrack
    people: dict[Path, Person]

    def samples(self) -> Iterator[_Sample]:
        """Frames that the row edits, over all of its time."""
        with open_faces(self.source, self.models, video_stream=self.options.video_stream) as stream:
            first = stream.video.first_time
            start = first if self.row.start is None else self.row.start
            length = stream.video.info.duration
            ends = [None if length is None else first + length, self.row.end]
            end = min((one for one in ends if one is not None), default=None)
            # Numbers count a clip's faces from its beginning.
            is_numbered = isinstance(self.row.face, int)
            if end is None or is_numbered or end - start <= READ_THROUGH_S:
                span = READ_THROUGH_S if end is None else end - start
                from_start = None if is_numbered else self.row.start
                tracked = stream.tracked(start=from_start, end=self.row.end)
                yield from self._read_through(stream, tracked, start, span)
                return
        share = (end - start) / SAMPLES
        for place in range(SAMPLES):
            yield from self._sought(start + (place + Fraction(1, 2)) * share)

    def _read_through(
        self,
        stream: FaceStream,
        frames: Iterator[TrackedFrame],
        start: Fraction,
        span: Fraction | int,
    ) -> Iterator[_Sample]:
        """Frames of a reading of a stretch, some time apart."""
        editor = self._editor(stream, 1.0)
        step_s = max(SAMPLE_STEP_S, float(span) / SAMPLES)
        due_s = float(start) + min(step_s / 2, SAMPLE_STEP_S, float(span) / 2)
        taken = 0
        for tracked in frames:
            time_s = float(tracked.frame.time)
            if time_s < start:
                continue
            if taken == SAMPLES:
                return
            editor.look(tracked)
            if time_s >= due_s and (sample := self._edited(stream, editor, tracked)):
                due_s = time_s + step_s
                taken += 1
                yield sample

    def _sought(self, place: Fraction) -> Iterator[_Sample]:
        """The first frame from a place on that is edited, if there is one soon."""
        with open_faces(self.source, self.models, video_stream=self.options.video_stream) as stream:
            editor = self._editor(stream, 1.0)
            begin = max(place - WARM_UP_S, stream.video.first_time)
            for tracked in stream.tracked_from(begin):
                if tracked.frame.time > place + PATIENCE_S:
                    return
                editor.look(tracked)
                if tracked.frame.time < place:
                    continue
                if sample := self._edited(stream, editor, tracked):
                    yield sample
                    return

    def _edited(
        self, stream: FaceStream, editor: FaceEditor, tracked: TrackedFrame
    ) -> _Sample | None:
        editor.begin(tracked)  # nothing is rendered
        if not editor.last_edited:
            return None
        return _Sample(stream, editor, tracked, editor.last_edited[0].face)

    def _editor(self, stream: FaceStream, intensity: float) -> FaceEditor:
        row = replace(self.row, target_emotion=None, intensity=intensity)
        asked = EditOptions(schedule=Schedule((row,)), video_stream=self.options.video_stream)
        return FaceEditor(
            self.models,
            asked,
            (self.track,),
            stream,
            began=stream.video.first_time,
            people=self.people,
        )

    def look(self, samples: Sequence[_Sample], intensity: float) -> Iterator[Evidence | None]:
        """What is seen of each sample at an intensity; None where no face is found then."""
        aspect = float(samples[0].stream.video.info.sample_aspect)
        landmarker = self.models.open_landmarker()
        editors: dict[FaceEditor, FaceEditor] = {}
        for sample in samples:
            if sample.editor not in editors:
                # What was found out about a face does not depend on the intensity.
                editor = editors[sample.editor] = self._editor(sample.stream, intensity)
                editor.know(sample.editor, {n: n for n in sample.editor.numbers_edited})
            frame = editors[sample.editor].edit(sample.tracked)
            faces = find_faces(frame.picture(DETECTION_SIDE_PX), frame, landmarker, aspect)
            if not faces:
                yield None
                continue
            shown = Sighting(frame, min(faces, key=sample.face.distance_px))
            track = collect_face(sample.stream, [shown])
            yield None if track is None else gather_evidence(track, self.models.nets)
