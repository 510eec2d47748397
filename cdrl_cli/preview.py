"""What edits would make of a few moments of a clip, without making the edits.

A frame of an edit depends on what tracking remembers around it, not on the whole clip. So each
moment is sought, what tracking remembers is read, and the one frame is edited by the editor that
:func:`~cdrl_cli.editing.edit_video` runs. What an edit finds out about a face where it first meets
it is found out there too, at the beginning of the part that is edited, as far as the moment looks
like the same shot. A face that is asked for by its number is the exception: numbers count the faces
of a clip from its beginning, so the clip is read from there.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from threading import Lock
from typing import Final

from cdrl_cli.checkpoints.models import Models
from cdrl_cli.conditions import read_conditions
from cdrl_cli.edit_options import EditOptions
from cdrl_cli.edited_row import Conditions
from cdrl_cli.errors import NoFaceError, UsageError
from cdrl_cli.face.stream import FaceStream, open_faces
from cdrl_cli.face.tracking import WARM_UP_S, TrackedFace, TrackedFrame, is_cut
from cdrl_cli.face_editor import NOTHING_ASKED, FaceEditor, read_people
from cdrl_cli.media import open_video, probe_video
from cdrl_cli.media.frames import VideoFrame, VideoInfo
from cdrl_cli.notation import clock, quote
from cdrl_cli.target import Measured, meet_targets

MEETING_S: Final = 2
"""Seconds from the beginning of an edit within which it is to meet the face first."""

AT_ONCE: Final = 2
"""Moments that are sought and followed at once; they are edited one after the other."""

PLACES: Final = (Fraction(1, 2), Fraction(1, 5), Fraction(4, 5))
"""Where in its share of the clip a moment is looked for, one after the other, 0..1: in the middle,
and elsewhere if no face there can be edited."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One frame of a clip, as it is and as edits would show it."""

    source: VideoFrame
    edited: tuple[VideoFrame, ...]
    """What each edit makes of it; ``source`` itself where an edit leaves it alone."""
    untouched: tuple[str | None, ...]
    """Why each edit leaves it alone, in words; None where it does not."""
    face_xyxy: tuple[float, float, float, float] | None
    """The box around the landmarks of the face that is edited first; of the largest one where none
    is edited; None without a face. Square pixels of the frame."""

    @property
    def time(self) -> Fraction:
        """Presentation time of the frame, seconds on the clip's clock."""
        return self.source.time


def preview_edits(
    source: Path | str,
    edits: Sequence[EditOptions],
    models: Models,
    *,
    times: Sequence[Fraction] = (),
    moments: int = 3,
) -> Iterator[Moment]:
    """Show what edits would make of some moments of a clip; writes nothing.

    The frames are those that :func:`~cdrl_cli.editing.edit_video` hands to the encoder: bit by bit
    where tracking starts as in the edit (a moment in the first 2.25 seconds of the clip, or a face
    by its number), and else but for a shade, as landmarks depend a little on the frames before.
    In shots after the first, an edit by a reference or with ``neutralise`` first meets the face
    where the shot begins, and the preview at the moment itself: there the two may differ more.

    Args:
        source: The clip.
        edits: What to do, one or more ways; all of the same stream of pictures. The intensity for
            a ``target_emotion`` is found over all that is edited, as an edit finds it.
        models: Loaded before.
        times: The moments, seconds on the clip's clock: for each, the first frame shown then or
            later.
        moments: How many are chosen, spread over the part that is edited, where none are given.

    Yields:
        Each moment as soon as it is there, in order of time.

    Raises:
        NoFaceError: If the reference shows no face.
        UnreadableInputError: If source or reference cannot be decoded.
        UsageError: If there is no frame at a time, or the clip's length is not known and no times
            are given.
        ValueError: If there is no edit.
        WeightsError: If weights are missing or damaged.
    """
    if not edits:
        raise ValueError("there is no edit to show")
    source = Path(source)
    edits = [each for each, _ in find_intensities(source, edits, models)]
    tracks = _read_conditions(edits, models)
    info = probe_video(source, stream=edits[0].video_stream)
    preview = _Preview(source, edits, tracks, models)
    if any(each.plan.names_numbers for each in edits):
        wanted = [places[0] for places in _places(info, edits, times, moments)]
        yield from preview.from_beginning(wanted)
        return
    preview.meet()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(preview.find, _places(info, edits, times, moments))


def find_intensities(
    source: Path, edits: Sequence[EditOptions], models: Models
) -> list[tuple[EditOptions, tuple[Measured | None, ...]]]:
    """Each edit with the intensities for its targets, as the edit would find them.

    Args:
        source: The clip.
        edits: What to do, one or more ways.
        models: Loaded before.

    Returns:
        For each edit, it without targets, and what was found for each of its rows; nothing for an
        edit that has none.

    Raises:
        NoFaceError: If there is no face to measure on.
    """
    found: list[tuple[EditOptions, tuple[Measured | None, ...]]] = []
    for each in edits:
        if all(row.target_emotion is None for row in each.plan.rows):
            found.append((each, ()))
            continue
        track, people = read_conditions(each, models), read_people(each, models)
        found.append(meet_targets(source, each, models, track, people))
    return found


def check_edited(source: Path, moments: Sequence[Moment]) -> None:
    """Refuse a preview that shows no edit at all.

    Raises:
        NoFaceError: If no edit changes any of the moments for another reason than its intensity.
    """
    reasons = [reason for moment in moments for reason in moment.untouched]
    if all(reasons) and any(reason != NOTHING_ASKED for reason in reasons):
        where = ", ".join(clock(moment.time) for moment in moments)
        raise NoFaceError(
            f"{source}: no face can be edited at {where} ({reasons[0]})",
            hint=f"spfem probe {quote(source)} shows when one can; --at TIME shows that moment",
        )


def _read_conditions(edits: Sequence[EditOptions], models: Models) -> list[Conditions]:
    """What each edit asks for; read once where only the intensity differs."""
    known: list[tuple[EditOptions, Conditions]] = []
    found = []
    for each in edits:
        key = each if each.schedule is not None else replace(each, intensity=1.0)
        track = next((track for other, track in known if other == key), None)
        if track is None:
            track = read_conditions(key, models)
            known.append((key, track))
        found.append(track)
    return found


def _places(
    info: VideoInfo, edits: Sequence[EditOptions], times: Sequence[Fraction], moments: int
) -> list[list[Fraction]]:
    """The times to try for each moment, best first."""
    if times:
        return [[time] for time in sorted(times)]
    if info.frame_count == 1:
        return [[Fraction(0)]]
    spans = [each.plan.span for each in edits]
    start = min(begin or Fraction(0) for begin, _ in spans)
    ends = [info.duration if end is None else end for _, end in spans]
    end = None if None in ends else max(each for each in ends if each is not None)
    if end is None:
        raise UsageError(
            f"{info.path}: does not say how long it is", hint="--at TIME names the moments"
        )
    if info.duration is not None:
        end = min(end, info.duration)
    if start >= end:
        raise UsageError(
            f"{info.path}: the edit begins at {clock(start)}, and the clip ends at {clock(end)}"
        )
    share = (end - start) / moments
    return [[start + (one + place) * share for place in PLACES] for one in range(moments)]


class _Preview:
    """Makes the moments of one clip.

    Args:
        source: The clip.
        edits: What to do.
        tracks: The emotion that each edit asks for.
        models: What they run on.
    """

    def __init__(
        self,
        source: Path,
        edits: Sequence[EditOptions],
        tracks: Sequence[Conditions],
        models: Models,
    ) -> None:
        self._source = source
        self._edits = edits
        self._tracks = tracks
        self._models = models
        self._people = [read_people(each, models) for each in edits]
        self._met: _Meeting | None = None
        self._editing = Lock()

    def meet(self) -> None:
        """Find out about faces what the edits find out where they first meet them."""
        self._met = self._meet()

    def find(self, places: Sequence[Fraction]) -> Moment:
        """The first of some moments that shows an edit; the first one where none does."""
        moments = []
        for place in places:
            moments.append(self.at(place if len(places) == 1 else self._cheapest(place, places)))
            if not all(moments[-1].untouched):
                return moments[-1]
        return moments[0]

    def _cheapest(self, place: Fraction, places: Sequence[Fraction]) -> Fraction:
        """A moment near a place for which nothing has to be decoded that is not looked at.

        It is one for which tracking begins at a key frame, no further away than the places are.
        """
        begin = place - WARM_UP_S
        with open_video(self._source, stream=self._stream) as video:
            key = video.seek(begin) if begin > video.first_time else None
        if key is None or begin - key > abs(places[1] - places[0]):
            return place
        return key + WARM_UP_S

    def at(self, time: Fraction) -> Moment:
        """The moment at a time, which is sought."""
        assert self._met is not None, "meet first"
        with open_faces(self._source, self._models, video_stream=self._stream) as stream:
            editors = self._open_editors(stream)
            for near in _neighbours(stream.tracked_from(self._begin(stream, time))):
                if near.now.frame.time >= time:
                    with self._editing:
                        self._met.tell(editors, near.now)
                        return _edit(editors, near)
                for editor in editors:
                    editor.look(near.now)
        raise self._no_frame(time)

    def from_beginning(self, times: Sequence[Fraction]) -> Iterator[Moment]:
        """The moments at some times, in a reading from the clip's beginning."""
        waiting = list(times)
        with open_faces(self._source, self._models, video_stream=self._stream) as stream:
            editors = self._open_editors(stream)
            for near in _neighbours(stream.tracked()):
                for editor in editors:
                    editor.look(near.now)
                    if editor.meets_faces and not editor.numbers_edited:
                        editor.begin(near.now)  # nothing is rendered
                while waiting and near.now.frame.time >= waiting[0]:
                    waiting.pop(0)
                    yield _edit(editors, near)
                if not waiting:
                    return
        raise self._no_frame(waiting[0])

    def _meet(self) -> "_Meeting":
        """Edit from the beginning of the edit until every edit has met its face."""
        with open_faces(self._source, self._models, video_stream=self._stream) as stream:
            editors = self._open_editors(stream)
            starts = [each.plan.span[0] for each in self._edits]
            begin = min(stream.video.first_time if one is None else one for one in starts)
            curious = [editor for editor in editors if editor.meets_faces]
            if not curious:
                return _Meeting(editors, None)
            for tracked in stream.tracked_from(self._begin(stream, begin)):
                if tracked.frame.time > begin + MEETING_S:
                    break
                for editor in curious:
                    editor.begin(tracked)  # nothing is rendered
                if all(editor.numbers_edited for editor in curious):
                    return _Meeting(editors, tracked)
        return _Meeting(editors, None)

    def _begin(self, stream: FaceStream, time: Fraction) -> Fraction:
        """Time of the first frame that tracking has to see, to know what it knows in an edit."""
        starts = [each.plan.span[0] for each in self._edits]
        first = stream.video.first_time
        warm = min(first if one is None else one - WARM_UP_S for one in starts)
        return max(time - WARM_UP_S, warm, first)

    def _open_editors(self, stream: FaceStream) -> list[FaceEditor]:
        began = stream.video.first_time
        return [
            FaceEditor(self._models, options, track, stream, people=people, began=began)
            for options, track, people in zip(self._edits, self._tracks, self._people, strict=True)
        ]

    @property
    def _stream(self) -> int | None:
        return self._edits[0].video_stream

    def _no_frame(self, time: Fraction) -> UsageError:
        length = probe_video(self._source, stream=self._stream).duration
        return UsageError(
            f"{self._source}: there is no frame at {clock(time)} or later",
            hint=None if length is None else f"the clip is {clock(length)} long",
        )


@dataclass(frozen=True, slots=True)
class _Meeting:
    """Where the edits first met their faces."""

    editors: Sequence[FaceEditor]
    tracked: TrackedFrame | None
    """None where they have nothing to find out, or met nobody."""

    def tell(self, editors: Sequence[FaceEditor], now: TrackedFrame) -> None:
        """Let editors know the faces of another frame that looks like the same shot."""
        if self.tracked is None or not now.faces or not self.tracked.faces:
            return
        if is_cut(self.tracked.frame, now.frame):
            return
        numbers = {face.number: _nearest(face, self.tracked.faces).number for face in now.faces}
        for editor, earlier in zip(editors, self.editors, strict=True):
            editor.know(earlier, numbers)


@dataclass(frozen=True, slots=True)
class _Near:
    """A frame, and those beside it: by their faces the networks answer for every second one."""

    before: TrackedFrame | None
    now: TrackedFrame
    after: TrackedFrame | None

    @property
    def all(self) -> list[TrackedFrame]:
        """In order."""
        return [one for one in (self.before, self.now, self.after) if one is not None]


def _neighbours(frames: Iterable[TrackedFrame]) -> Iterator[_Near]:
    before: TrackedFrame | None = None
    now: TrackedFrame | None = None
    for after in frames:
        if now is not None:
            yield _Near(before, now, after)
        before, now = now, after
    if now is not None:
        yield _Near(before, now, None)


def _edit(editors: Sequence[FaceEditor], near: _Near) -> Moment:
    now = near.now
    edited = [
        task()
        for editor in editors
        for task in editor.begin_all(near.all)
        if task.frame is now.frame
    ]
    chosen = [editor.look(now) for editor in editors]
    faces = [face for faces in chosen for face in faces] or list(now.faces)
    return Moment(
        source=now.frame,
        edited=tuple(edited),
        untouched=tuple(editor.why_untouched(now) for editor in editors),
        face_xyxy=faces[0].face.box_xyxy if faces else None,
    )


def _nearest(face: TrackedFace, others: Sequence[TrackedFace]) -> TrackedFace:
    return min(others, key=lambda other: face.face.distance_px(other.face))
