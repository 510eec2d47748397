"""What an edit would do, how long it would take and how much room it needs; nothing is written.

Some short stretches are edited for that, and thrown away: how fast a machine is, how many faces
there are and how large their pictures come out is measured, not guessed.
"""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final

from cdrl_cli.checkpoints.models import Models, load_models
from cdrl_cli.edit_options import EditOptions
from cdrl_cli.edited_row import Conditions
from cdrl_cli.editing import check_edit, choose_splice, read_conditions
from cdrl_cli.errors import UsageError
from cdrl_cli.face.person import Person
from cdrl_cli.face.stream import open_faces
from cdrl_cli.face.tracking import TrackedFrame, part_to_read
from cdrl_cli.face_editor import FaceEditor, read_people
from cdrl_cli.media import open_video, probe_video
from cdrl_cli.media.encoding import EncoderSetting, Encoding
from cdrl_cli.media.segments import SegmentEncoder, count_finished
from cdrl_cli.media.splicing import Splice
from cdrl_cli.media.timeline import Part, Timeline, read_timeline
from cdrl_cli.prefetch import prefetch, work_ahead
from cdrl_cli.resuming import edit_key, part_into_segments

PLACES: Final = (Fraction(1, 6), Fraction(1, 2), Fraction(5, 6))
"""Where the stretches that are tried begin, by the length of what is edited."""

TRIED_FRAMES: Final = 25
"""Frames of each of them, at most."""

PATIENCE_S: Final = 10.0
"""No other stretch is begun behind so much time, seconds."""


@dataclass(frozen=True, slots=True)
class EditPlan:
    """What an edit would do."""

    source: Path
    output: Path
    start: Fraction | None
    """Where the edit begins, seconds; None at the first frame."""
    end: Fraction | None
    """Where it ends, seconds; None behind the last frame."""
    duration_s: float
    frames: int
    """Frames of the output."""
    frames_in_range: int
    """Of these, frames from the edit's start to its end."""
    encoded_frames: int
    """Frames that are encoded; the others are copied as packets."""
    copied_frames: int
    tried_frames: int
    """Frames that were edited on trial."""
    edited_frames: int
    """Of these, frames in which a face was changed."""
    faces: int
    """Faces in the frame of them that shows most."""
    segments: int | None
    """Segments that the edit is kept in; None without ``--resume``, or where it cannot be."""
    segments_done: int
    """Of these, segments that are there already."""
    elapsed_s: float
    """About how long the edit would take from now on, seconds."""
    output_bytes: int
    """About the size of the output."""
    disk_bytes: int
    """About the room that is needed beside the output while the edit runs, its file included."""
    disk_free_bytes: int
    warnings: tuple[str, ...]


@dataclass(slots=True)
class _Trial:
    """Some frames edited and thrown away, and what was measured over them."""

    source: Path
    options: EditOptions
    models: Models
    conditions: Conditions
    people: Mapping[Path, Person]
    timeline: Timeline
    setting: EncoderSetting
    frames: int = 0
    edited_frames: int = 0
    faces: int = 0
    size: int = 0
    timed_frames: int = 0
    busy_s: float = 0.0

    def run(self, first: int, last: int) -> None:
        """Edit some of the frames with these numbers, the last one excluded."""
        began = perf_counter()
        for part in _stretches(self.timeline, first, last):
            if perf_counter() - began > PATIENCE_S:
                break
            self._edit(part)

    def _edit(self, part: Part) -> None:
        begin, end = part.begin, part.end
        read = part_to_read(self.timeline, part, start=begin, end=end)
        stream_index = self.options.video_stream
        with (
            TemporaryDirectory(prefix="spfem-") as folder,
            open_faces(self.source, self.models, video_stream=stream_index) as stream,
        ):
            first = self.timeline.time(int(self.timeline.shown[0]))
            editor = FaceEditor(
                self.models,
                self.options,
                self.conditions,
                stream,
                people=self.people,
                began=first,
            )
            path = Path(folder) / "trial"
            tracked = stream.tracked(start=begin, end=end, part=read)
            near = (one for one in tracked if one.frame.time >= begin)
            began: float | None = None
            with (
                SegmentEncoder(path, self.setting) as encoder,
                prefetch(islice(near, self.timeline.count(part))) as followed,
                work_ahead(
                    map(editor.begin, self._counting_faces(followed)),
                    workers=self.models.renderers,
                ) as edited,
            ):
                for frame in edited:
                    encoder.write(frame)
                    # The first frame waits for what is tracked before it.
                    began = began or perf_counter()
            self.busy_s += perf_counter() - (began or perf_counter())
            self.timed_frames += max(editor.frames - 1, 0)
            self.frames += editor.frames
            self.edited_frames += editor.edited_frames
            self.size += path.stat().st_size

    def _counting_faces(self, followed: Iterable[TrackedFrame]) -> Iterator[TrackedFrame]:
        for one in followed:
            self.faces = max(self.faces, len(one.faces))
            yield one


def _stretches(timeline: Timeline, first: int, last: int) -> Iterator[Part]:
    """Some short parts of the frames with some numbers, or all of them where they are few."""
    few = len(PLACES) * TRIED_FRAMES
    if last - first <= few:
        begins, length = ([first] if first < last else []), few
    else:
        begins, length = [first + int(place * (last - first)) for place in PLACES], TRIED_FRAMES
    for begin in begins:
        end = min(begin + length, last)
        shown = timeline.shown
        yield timeline.part(
            timeline.time(int(shown[begin])),
            timeline.time(int(shown[end])) if end < len(shown) else None,
        )


def room_for_segments(source: Path, output: Path, options: EditOptions) -> tuple[int, int] | None:
    """About the room that an edit in segments needs beside its output, and what is free, bytes.

    Some short stretches are encoded for that, unedited, and thrown away.

    Args:
        source: The clip.
        output: Where the result goes.
        options: What is done.

    Returns:
        None where the edit cannot be parted into segments.

    Raises:
        UnreadableInputError: If the source cannot be decoded.
        OutputError: If the output could not be written.
        PolicyError: If the output exists, or is the source or the reference.
    """
    check_edit(source, output, options)
    timeline = read_timeline(source, stream=options.video_stream)
    if timeline is None:
        return None
    info = probe_video(source, stream=options.video_stream)
    encoding = Encoding(output, options.codec, options.crf, options.preset)
    setting = EncoderSetting.choose(info, encoding)
    frames, size = 0, 0
    for part in _stretches(timeline, 0, len(timeline.shown)):
        with (
            TemporaryDirectory(prefix="spfem-") as folder,
            open_video(source, stream=options.video_stream) as video,
        ):
            path = Path(folder) / "trial"
            with SegmentEncoder(path, setting) as encoder:
                for frame in video.frames_of(part):
                    encoder.write(frame)
                    frames += 1
            size += path.stat().st_size
    encoded = round(size / max(frames, 1) * len(timeline.shown))
    rest = max(source.stat().st_size - timeline.size, 0)
    return 2 * encoded + rest, free_bytes(output)


def plan_edit(
    source: Path, output: Path, options: EditOptions, *, models: Models | None = None
) -> EditPlan:
    """Say what an edit would do; writes nothing beside the output.

    Args:
        source: The clip.
        output: Where the result would go.
        options: What would be done.
        models: Loaded before; None loads the embedded default.

    Raises:
        NoFaceError: If the reference shows no face.
        UnreadableInputError: If source or reference cannot be decoded.
        PolicyError: If the output exists, or is the source or the reference.
        OutputError: If the output could not be written.
        UsageError: If the options do not go together, or the source's times are not in order.
        WeightsError: If weights are missing or damaged.
    """
    began = perf_counter()
    check_edit(source, output, options)
    models = models or load_models()
    conditions = read_conditions(options, models)
    info = probe_video(source, stream=options.video_stream)
    splice, notes = choose_splice(options, info, output)
    timeline = splice.timeline if splice else read_timeline(source, stream=options.video_stream)
    if timeline is None:
        raise UsageError(
            f"{source}: its pictures' times are not in order: only an edit can say what it does"
        )
    begun_s = perf_counter() - began
    start, end = options.plan.span
    first = timeline.number_at(start) if start is not None else 0
    last = timeline.number_at(end) if end is not None else len(timeline.shown)
    encoding = Encoding(output, options.codec, options.crf, options.preset)
    setting = EncoderSetting.choose(info, encoding)
    people = read_people(options, models)
    trial = _Trial(source, options, models, conditions, people, timeline, setting)
    trial.run(first, last)
    encoded = len(timeline.shown) - (splice.copied if splice else 0)
    parts = None
    done = 0
    if options.resume:
        parts = part_into_segments(timeline, splice.part if splice else timeline.whole)
        done = count_finished(output, edit_key(source, options, models))
    left = encoded if not parts else round(encoded * (len(parts) - done) / len(parts))
    video = _video_bytes(timeline, splice, trial, encoded)
    size = max(source.stat().st_size - timeline.size, 0) + video
    return EditPlan(
        source=source,
        output=output,
        start=start,
        end=end,
        duration_s=float(info.duration or 0),
        frames=len(timeline.shown),
        frames_in_range=max(last - first, 0),
        encoded_frames=encoded,
        copied_frames=len(timeline.shown) - encoded,
        tried_frames=trial.frames,
        edited_frames=trial.edited_frames,
        faces=trial.faces,
        segments=len(parts) if parts else None,
        segments_done=done,
        elapsed_s=begun_s + left * trial.busy_s / max(trial.timed_frames, 1),
        output_bytes=size,
        disk_bytes=size + (round(video * left / max(encoded, 1)) if parts else 0),
        disk_free_bytes=free_bytes(output),
        warnings=notes,
    )


def free_bytes(output: Path) -> int:
    """Room on the disk of an output, bytes."""
    return shutil.disk_usage(output.resolve().parent).free


def _video_bytes(timeline: Timeline, splice: Splice | None, trial: _Trial, encoded: int) -> int:
    """About the size of the output's video."""
    copied = len(timeline.shown) - encoded
    per_frame = trial.size / trial.frames if trial.frames else timeline.size / len(timeline.shown)
    kept = timeline.size * copied / len(timeline.shown) if splice else 0
    return round(encoded * per_frame + kept)
