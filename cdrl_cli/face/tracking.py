"""A clip in, its frames out, each with the faces in it: who is who, where, and how sure.

Frames wait in a window of bounded length, so that a face is smoothed with what comes before *and*
after it (no lag), and the edit can begin to fade before the face is lost.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain

import numpy as np

from cdrl_cli.array_types import Float32, Float64, UInt8
from cdrl_cli.face.cuts import CutFinder
from cdrl_cli.face.landmarks import Face, Landmarker
from cdrl_cli.geometry.smoothing import local_linear_weights
from cdrl_cli.media.frames import VideoFrame
from cdrl_cli.media.timeline import Part, Timeline

DETECTION_SIDE_PX = 640
"""Longer side of the picture that faces are sought in; landmarks gain nothing above it."""

LOOKAHEAD_S = 0.25
"""Time that tracking looks ahead of a frame before it decides on it, seconds."""

LOOKAHEAD_FRAMES = 16
"""Most frames that tracking holds back while it looks ahead, whatever the frame rate."""

RAMP_S = 0.2
"""Time over which an edit fades in after a face appears, and out before it is lost, seconds."""

LANDMARK_SIGMA_S = 0.04
"""Width of the kernel that smooths landmarks over time (standard deviation), seconds. Their jitter
is from frame to frame; lips move in 80 ms or more."""

EXPRESSION_WINDOW_S = 2.25
"""Time over which a face's expressions are kept for the motion model, seconds: the 1.9 s that it
looks back, and the frames held back."""

WARM_UP_S = Fraction(9, 4)
"""Time for which faces are followed before a stretch of a clip that is edited, seconds: as much as
:data:`EXPRESSION_WINDOW_S` keeps of them."""

LOOK_AHEAD_S = Fraction(1, 4)
"""Time for which faces are followed behind such a stretch, seconds: :data:`LOOKAHEAD_S`."""

EXPRESSION_WINDOW_FRAMES = 256
"""Most frames whose expressions are kept for the motion model, whatever the frame rate."""

BRIDGE_S = 0.12
"""Longest time, seconds, for which a face may be missed (a lapse of the detector) and still
be taken as present throughout."""

_ROUNDING_S = 1e-9
"""Times are differences of seconds as floats."""

FORGET_S = 0.5
"""Time within which a face that returns near where it was keeps its number, seconds."""


@dataclass(frozen=True, slots=True)
class TrackedFace:
    """One face in one frame, followed over time."""

    number: int
    """Counts the faces of a clip from 1, in order of appearance, larger first."""
    face: Face
    """In square pixels (see :mod:`cdrl_cli.face.alignment`), smoothed without lag."""
    expressions: Float32[np.ndarray, "window 52"]
    """Coefficients measured around this frame (same face, same shot), in order of time."""
    offsets_s: Float64[np.ndarray, " window"]
    """When, minus the time of this frame, seconds."""
    presence: float
    """0..1: fades in after the face appears and out before it is lost."""


@dataclass(frozen=True, slots=True)
class TrackedFrame:
    """A frame, its faces (largest first), and whether a new shot begins with it."""

    frame: VideoFrame
    faces: tuple[TrackedFace, ...]
    starts_shot: bool


def track_faces(
    frames: Iterable[VideoFrame], landmarker: Landmarker, *, sample_aspect: Fraction = Fraction(1)
) -> Iterator[TrackedFrame]:
    """Follow the faces of a clip; one bounded window of frames in memory.

    Args:
        frames: In order of presentation.
        landmarker: Fresh for this clip.
        sample_aspect: Of the video: width of a pixel by its height.

    Yields:
        Every frame once, in order, at most ``LOOKAHEAD_FRAMES`` after it came in.
    """
    follow = _Follower()
    window: deque[_Seen] = deque()
    waiting: deque[VideoFrame] = deque()
    for frame in frames:
        window.append(follow.look(frame, landmarker, float(sample_aspect)))
        waiting.append(frame)
        while _has_seen_enough(window, len(waiting)):
            yield _conclude(window, waiting.popleft(), len(waiting))
        _forget(window, len(waiting))
    while waiting:
        yield _conclude(window, waiting.popleft(), len(waiting), at_end=True)


def track_faces_between(
    frames: Iterable[VideoFrame],
    landmarker: Landmarker,
    *,
    start: Fraction | None,
    end: Fraction | None,
    sample_aspect: Fraction = Fraction(1),
) -> Iterator[TrackedFrame]:
    """Follow the faces of a stretch of a clip; none are sought in the frames outside of it.

    Tracking begins :data:`WARM_UP_S` before the stretch and ends when it has looked ahead of it.

    Args:
        frames: In order of presentation.
        landmarker: Fresh for this clip.
        start: Where the stretch begins, seconds; None for the first frame.
        end: Where it ends, exclusive; None behind the last frame.
        sample_aspect: Of the video: width of a pixel by its height.

    Yields:
        Every frame once, in order.
    """
    rest = iter(frames)
    first: list[VideoFrame] = []
    for frame in rest:
        if start is None or frame.time >= start - WARM_UP_S:
            first.append(frame)
            break
        yield TrackedFrame(frame, (), starts_shot=False)
    near = _up_to(chain(first, rest), None if end is None else end + LOOK_AHEAD_S)
    yield from track_faces(near, landmarker, sample_aspect=sample_aspect)
    for frame in rest:
        yield TrackedFrame(frame, (), starts_shot=False)


def part_to_read(
    timeline: Timeline, part: Part, *, start: Fraction | None, end: Fraction | None
) -> Part:
    """What must be read to have the frames of a part, with the faces of a stretch of it followed.

    Args:
        timeline: Of the clip.
        part: Whose frames are wanted.
        start: As of :func:`track_faces_between`.
        end: As of :func:`track_faces_between`.
    """
    first = timeline.time(int(timeline.shown[0]))
    begin = min(part.begin, first if start is None else max(start - WARM_UP_S, first))
    ahead = timeline.number_at(end + LOOK_AHEAD_S) + 1 if end is not None else None
    if part.end is None or ahead is None or ahead >= len(timeline.shown):
        return timeline.part(begin, None)
    return timeline.part(begin, max(part.end, timeline.time(int(timeline.shown[ahead]))))


def _up_to(frames: Iterable[VideoFrame], end: Fraction | None) -> Iterator[VideoFrame]:
    """Frames up to the first one at or behind a time, that one included."""
    for frame in frames:
        yield frame
        if end is not None and frame.time >= end:
            return


def is_cut(before: VideoFrame, after: VideoFrame) -> bool:
    """Whether two frames of a clip, however far apart, look as if they were of two shots."""
    finder = CutFinder()
    finder.is_cut(before.picture(DETECTION_SIDE_PX))
    return finder.is_cut(after.picture(DETECTION_SIDE_PX))


def find_faces(
    picture: UInt8[np.ndarray, "height width 3"],
    frame: VideoFrame,
    landmarker: Landmarker,
    sample_aspect: float,
) -> list[Face]:
    """The faces in a small picture of a frame, in square pixels of the frame itself."""
    scale = frame.height / picture.shape[0]
    # The picture was rounded to whole pixels, so its two scales differ by a hair.
    across = frame.width * sample_aspect / picture.shape[1]
    to_square = np.array([across, scale, across], np.float32)
    return [
        replace(face, landmarks_xyz=face.landmarks_xyz * to_square)
        for face in landmarker.detect(picture)
    ]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one frame showed."""

    time_s: float
    shot: int
    faces: dict[int, Face]


class _Follower:
    """Finds shots and gives faces their numbers, frame by frame."""

    def __init__(self) -> None:
        self._cuts = CutFinder()
        self._shot = 0
        self._last: dict[int, tuple[float, Face]] = {}
        """Number to when and where it was last seen, of this shot."""
        self._previous_s = 0.0
        self._count = 0

    def look(self, frame: VideoFrame, landmarker: Landmarker, sample_aspect: float) -> _Seen:
        picture = frame.picture(DETECTION_SIDE_PX)
        if self._cuts.is_cut(picture):
            self._shot += 1
            self._last.clear()
            landmarker.forget()
        faces = find_faces(picture, frame, landmarker, sample_aspect)
        return _Seen(float(frame.time), self._shot, self._number(faces, float(frame.time)))

    def _number(self, faces: list[Face], time_s: float) -> dict[int, Face]:
        """Give each face the number of the nearest one lately seen, or a new one."""
        # Where frames are rare, who was there one frame ago is still remembered.
        patience_s = max(FORGET_S, time_s - self._previous_s)
        self._previous_s = time_s
        self._last = {n: s for n, s in self._last.items() if time_s - s[0] <= patience_s}
        recent = {n: face for n, (_, face) in self._last.items()}
        pairs = sorted(
            (_distance(face, before), i, n)
            for i, face in enumerate(faces)
            for n, before in recent.items()
        )
        taken: dict[int, int] = {}
        for distance, i, n in pairs:
            if distance < 1 and i not in taken and n not in taken.values():
                taken[i] = n
        for i in range(len(faces)):
            if i not in taken:
                self._count += 1
                taken[i] = self._count
        numbered = {taken[i]: face for i, face in enumerate(faces)}
        self._last.update({n: (time_s, face) for n, face in numbered.items()})
        return numbered


def _distance(face: Face, before: Face) -> float:
    """How far two faces lie apart, by the larger one's width; above 1 it is somebody else."""
    width = max(face.width_px, before.width_px)
    grown = abs(np.log(face.width_px / before.width_px))
    return face.distance_px(before) / width + float(grown)


def _has_seen_enough(window: deque[_Seen], waiting: int) -> bool:
    now = window[len(window) - waiting]
    ahead_s = window[-1].time_s - now.time_s
    return waiting > 0 and (ahead_s >= LOOKAHEAD_S or waiting > LOOKAHEAD_FRAMES)


def _forget(window: deque[_Seen], waiting: int) -> None:
    """Drop what lies too far back, and bound the count too (time stands still in bad files)."""
    while len(window) - waiting > 1 and (
        window[-1].time_s - window[0].time_s > EXPRESSION_WINDOW_S
        or len(window) - waiting > EXPRESSION_WINDOW_FRAMES
    ):
        window.popleft()


def _conclude(
    window: deque[_Seen], frame: VideoFrame, waiting: int, *, at_end: bool = False
) -> TrackedFrame:
    """Decide on a frame, now that what follows it is known."""
    place = len(window) - waiting - 1
    now = window[place]
    shot = [seen for seen in window if seen.shot == now.shot]
    place_in_shot = sum(seen.shot == now.shot for seen in list(window)[:place])
    starts_shot = place == 0 or window[place - 1].shot != now.shot
    numbers = {n for seen in shot for n in seen.faces}
    ends_in_sight = at_end or window[-1].shot != now.shot
    faces = [
        tracked
        for n in numbers
        if (tracked := _follow(n, place_in_shot, shot, ends_in_sight=ends_in_sight))
    ]
    faces.sort(key=lambda tracked: -tracked.face.width_px)
    return TrackedFrame(frame, tuple(faces), starts_shot)


def _follow(
    number: int, place: int, shot: list[_Seen], *, ends_in_sight: bool
) -> TrackedFace | None:
    """One face in the shot's frame at ``place``, from all that the window knows; None if absent."""
    run = next((run for run in _runs(number, shot) if run[0] <= place <= run[-1]), None)
    if run is None:
        return None
    now_s = shot[place].time_s
    seen = [(shot[i].time_s - now_s, shot[i].faces[number]) for i in run]
    (first_s, _), (last_s, _) = seen[0], seen[-1]
    starts_here = first_s > shot[0].time_s - now_s + BRIDGE_S
    reach_s = shot[-1].time_s - now_s
    ends_here = last_s < reach_s - (0 if not ends_in_sight else BRIDGE_S)
    ramp_s = RAMP_S if ends_in_sight else max(min(RAMP_S, reach_s), 1e-3)
    presence = min(
        -first_s / RAMP_S if starts_here else 1.0, last_s / ramp_s if ends_here else 1.0, 1.0
    )
    return TrackedFace(
        number=number,
        face=_smooth(seen),
        expressions=np.stack([face.expression for _, face in seen]),
        offsets_s=np.array([offset_s for offset_s, _ in seen]),
        presence=presence,
    )


def _runs(number: int, shot: list[_Seen]) -> list[list[int]]:
    """The shot's frames that show a face, parted where it was missed for too long to bridge.

    Between two successive frames nothing was missed, however far apart they are: clips of few
    frames a second, or of a variable rate, are full of such steps.
    """
    runs: list[list[int]] = []
    for place, seen in enumerate(shot):
        if number not in seen.faces:
            continue
        last = runs[-1][-1] if runs else None
        if last is None or (
            place - last > 1 and seen.time_s - shot[last].time_s > BRIDGE_S + _ROUNDING_S
        ):
            runs.append([])
        runs[-1].append(place)
    return runs


def _smooth(run: list[tuple[float, Face]]) -> Face:
    near = [(offset, face) for offset, face in run if abs(offset) <= 3 * LANDMARK_SIGMA_S]
    weights = local_linear_weights(
        np.array([offset for offset, _ in near]), sigma_s=LANDMARK_SIGMA_S
    ).astype(np.float32)
    return Face(
        landmarks_xyz=np.einsum("n,nij->ij", weights, [face.landmarks_xyz for _, face in near]),
        expression=np.einsum("n,ni->i", weights, [face.expression for _, face in near]).clip(0, 1),
    )
