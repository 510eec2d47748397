"""What an edit would do, how long it would take and how much room it needs; nothing is written.

Some short stretches are edited for that, and thrown away: how fast a machine is, how many faces
there are and how large their pictures come out is measured, not guessed.
"""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final

from cdrl_cli.checkpoints.models import Models, load_models
from cdrl_cli.conditions import read_conditions
from cdrl_cli.edit_options import EditOptions
from cdrl_cli.edited_row import Conditions
from cdrl_cli.editing import check_edit, choose_splice
from cdrl_cli.errors import UsageError
from cdrl_cli.face.person import Person
from cdrl_cli.face.stream import open_faces
from cdrl_cli.face.tracking import WARM_UP_S, TrackedFrame
from cdrl_cli.face_editor import FaceEditor, read_people
from cdrl_cli.media import open_video, probe_video
from cdrl_cli.media.encoding import EncoderSetting, Encoding
from cdrl_cli.media.frames import VideoInfo
from cdrl_cli.media.segments import SegmentEncoder, count_finished
from cdrl_cli.media.splicing import Splice
from cdrl_cli.media.timeline import Part, Timeline, read_timeline
from cdrl_cli.prefetch import prefetch, work_ahead
from cdrl_cli.resuming import NO_SEGMENTS, edit_key, part_into_segments
from cdrl_cli.target import Measured, meet_targets, warn_of_targets

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
    targets: tuple[Measured | None, ...] = ()
    """For each row, the intensity that was found for its target; None for a row without one."""


@dataclass(frozen=True, slots=True)
class _Extent:
    """Which frames an edit is about, by what is known of them without decoding."""

    frames: int
    """Of the clip."""
    first: Fraction
    """When the first one is shown, seconds."""
    frame_s: Fraction
    """Mean time between two, seconds."""
    timeline: Timeline | None
    """None where the times of the packets are not in order: then the counts are about right."""

    @classmethod
    def of(cls, info: VideoInfo, timeline: Timeline | None) -> "_Extent":
        """Of a clip, by its packets, or else by what the file says of itself.

        Raises:
            UsageError: If neither says how many frames there are.
        """
        if timeline is not None:
            shown = timeline.shown
            first = timeline.time(int(shown[0]))
            span = timeline.time(int(shown[-1])) - first
            return cls(len(shown), first, span / max(len(shown) - 1, 1), timeline)
        count = info.frame_count or round((info.duration or 0) * (info.frame_rate or 0))
        if not count or not info.duration:
            raise UsageError(
                f"{info.path}: does not say how long it is: only an edit can say what it does"
            )
        return cls(count, Fraction(0), info.duration / count, None)

    def number_at(self, time: Fraction) -> int:
        """How many frames are shown before a time."""
        if self.timeline is not None:
            return self.timeline.number_at(time)
        return min(max(ceil((time - self.first) / self.frame_s), 0), self.frames)

    def time(self, number: int) -> Fraction:
        """When the frame with a number is shown, seconds."""
        if self.timeline is not None:
            return self.timeline.time(int(self.timeline.shown[number]))
        return self.first + number * self.frame_s


@dataclass(slots=True)
class _Trial:
    """Some frames edited and thrown away, and what was measured over them."""

    source: Path
    options: EditOptions
    models: Models
    conditions: Conditions
    people: Mapping[Path, Person]
    extent: _Extent
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
        for begin, count in _stretches(first, last):
            if perf_counter() - began > PATIENCE_S:
                break
            self._edit(self.extent.time(begin), count)

    def _edit(self, begin: Fraction, count: int) -> None:
        stream_index = self.options.video_stream
        with (
            TemporaryDirectory(prefix="spfem-") as folder,
            open_faces(self.source, self.models, video_stream=stream_index) as stream,
        ):
            first = stream.video.first_time
            editor = FaceEditor(
                self.models,
                self.options,
                self.conditions,
                stream,
                people=self.people,
                began=first,
            )
            path = Path(folder) / "trial"
            tracked = stream.tracked_from(max(begin - WARM_UP_S, first))
            near = (one for one in tracked if one.frame.time >= begin)
            began: float | None = None
            with (
                SegmentEncoder(path, self.setting) as encoder,
                prefetch(islice(near, count)) as followed,
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


def _stretches(first: int, last: int) -> Iterator[tuple[int, int]]:
    """First frame and length of some short stretches of a range, or of all of it if it is short."""
    few = len(PLACES) * TRIED_FRAMES
    if last - first <= few:
        begins, length = ([first] if first < last else []), few
    else:
        begins, length = [first + int(place * (last - first)) for place in PLACES], TRIED_FRAMES
    for begin in begins:
        yield begin, min(length, last - begin)


def _part(timeline: Timeline, begin: int, count: int) -> Part:
    """Some frames of a clip, from the one with a number on."""
    shown = timeline.shown
    end = timeline.time(int(shown[begin + count])) if begin + count < len(shown) else None
    return timeline.part(timeline.time(int(shown[begin])), end)


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
    for begin, count in _stretches(0, len(timeline.shown)):
        part = _part(timeline, begin, count)
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
    source: Path | str,
    output: Path | str,
    options: EditOptions,
    *,
    models: Models | None = None,
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
        UsageError: If the options do not go together, or nothing says how long the source is.
        WeightsError: If weights are missing or damaged.
    """
    began = perf_counter()
    source, output = Path(source), Path(output)
    check_edit(source, output, options)
    models = models or load_models()
    conditions = read_conditions(options, models)
    people = read_people(options, models)
    options, targets = meet_targets(source, options, models, conditions, people)
    info = probe_video(source, stream=options.video_stream)
    splice, notes = choose_splice(options, info, output)
    timeline = splice.timeline if splice else read_timeline(source, stream=options.video_stream)
    extent = _Extent.of(info, timeline)
    begun_s = perf_counter() - began
    start, end = options.plan.span
    first = extent.number_at(start) if start is not None else 0
    last = extent.number_at(end) if end is not None else extent.frames
    params = splice.x264_params if splice else ""
    encoding = Encoding(output, options.codec, options.crf, options.preset, x264_params=params)
    setting = EncoderSetting.choose(info, encoding)
    trial = _Trial(source, options, models, conditions, people, extent, setting)
    trial.run(first, last)
    encoded = extent.frames - (splice.copied if splice else 0)
    parts = None
    done = 0
    if options.resume and timeline is None:
        notes += (NO_SEGMENTS,)
    elif options.resume and timeline is not None:
        parts = part_into_segments(timeline, splice.part if splice else timeline.whole)
        done = count_finished(output, edit_key(source, options, models, setting))
    left = encoded if not parts else round(encoded * (len(parts) - done) / len(parts))
    video, rest = _sizes(source, extent, splice, trial, encoded)
    size = rest + video
    return EditPlan(
        source=source,
        output=output,
        start=start,
        end=end,
        duration_s=float(info.duration or 0),
        frames=extent.frames,
        frames_in_range=max(last - first, 0),
        encoded_frames=encoded,
        copied_frames=extent.frames - encoded,
        tried_frames=trial.frames,
        edited_frames=trial.edited_frames,
        faces=trial.faces,
        segments=len(parts) if parts else None,
        segments_done=done,
        elapsed_s=begun_s + left * trial.busy_s / max(trial.timed_frames, 1),
        output_bytes=size,
        disk_bytes=size + (round(video * left / max(encoded, 1)) if parts else 0),
        disk_free_bytes=free_bytes(output),
        warnings=(*notes, *warn_of_targets(options.plan, targets)),
        targets=targets,
    )


def free_bytes(output: Path) -> int:
    """Room on the disk of an output, bytes."""
    return shutil.disk_usage(output.resolve().parent).free


def _sizes(
    source: Path, extent: _Extent, splice: Splice | None, trial: _Trial, encoded: int
) -> tuple[int, int]:
    """About the bytes of the output's video, and of all else in it."""
    total, timeline = source.stat().st_size, extent.timeline
    video = total if timeline is None else timeline.size
    per_frame = trial.size / trial.frames if trial.frames else video / extent.frames
    kept = video * (extent.frames - encoded) / extent.frames if splice else 0
    return round(encoded * per_frame + kept), max(total - video, 0)
