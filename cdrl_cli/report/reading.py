"""What is read from a source and its edit, frame by frame in step: the numbers of a report."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float

from cdrl_cli.checkpoints.load import find_weights
from cdrl_cli.checkpoints.models import Models
from cdrl_cli.comparison import in_step
from cdrl_cli.edit_options import EditOptions
from cdrl_cli.edited_row import Conditions
from cdrl_cli.editing import Progress, ProgressCallable, read_conditions
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import NoFaceError, WeightsError
from cdrl_cli.face.identity import IdentityEncoder
from cdrl_cli.face.selection import FaceSelector
from cdrl_cli.face.stream import FaceCollector, FaceTrack, Sighting, open_faces
from cdrl_cli.face.tracking import DETECTION_SIDE_PX, TrackedFace, TrackedFrame
from cdrl_cli.face_editor import FaceEditor
from cdrl_cli.media.frames import VideoFrame
from cdrl_cli.media.stacked import StackedWriter
from cdrl_cli.metrics import mouth
from cdrl_cli.prefetch import prefetch
from cdrl_cli.reference import condition_of_face, estimate_rest

WINDOW_S: Final = 1.0
"""Length of the window that one point of an emotion's curve is read from, seconds."""

STEP_S: Final = 0.5
"""Time between two points of the curves of emotions, seconds, where the clip is short."""

MOST_POINTS: Final = 400
"""Points of a curve, at most: in long clips they lie further apart."""

LOOK_STEP_S: Final = 0.2
"""Least time between two frames whose pixels are looked at, seconds."""


@dataclass(frozen=True, slots=True)
class Untouched:
    """A stretch of the clip that the edit left as it was."""

    start: float
    """Seconds on the clip's clock."""
    end: float
    """Seconds; where the next frame is edited."""
    reason: str
    """In words."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a source and its edit show. Curves are of the largest face."""

    duration_s: float
    frames: int
    times_s: Float[np.ndarray, " points"]
    """Where the curves of emotions have their points, seconds."""
    source: Float[np.ndarray, "points 7"]
    """How likely each emotion is in the source, 0..1, by our own reader; NaN without a face."""
    output: Float[np.ndarray, "points 7"]
    """The same in the output."""
    asked: Float[np.ndarray, "points 7"] | None
    """How much of each emotion was asked for, 0..2; None where nobody knows."""
    lip_times_s: Float[np.ndarray, " frames"]
    """Where the curves of the lips have their points, seconds."""
    source_lips: Float[np.ndarray, " frames"]
    """How far the source's lips are open, in distances of the outer eye corners."""
    output_lips: Float[np.ndarray, " frames"]
    """The same in the output."""
    lip_correlation: float
    """Pearson's, of the two; NaN where they do not move."""
    closures_kept: float
    """F1 of "the lips are closed"; NaN where they never are."""
    look_times_s: Float[np.ndarray, " looks"]
    """Where identity was looked at, seconds."""
    identity: Float[np.ndarray, " looks"] | None
    """Cosine of the faces in source and output; None without the weights ``identity``."""
    untouched: tuple[Untouched, ...]


def read_edit(
    source: Path,
    output: Path,
    models: Models,
    *,
    options: EditOptions | None = None,
    clip: StackedWriter | None = None,
    progress: ProgressCallable | None = None,
) -> Reading:
    """Read a source and its edit side by side.

    Args:
        source: The clip before.
        output: The same clip after; every frame at the same time.
        models: Read faces.
        options: What was asked for, if that is known.
        clip: Is given each pair of frames, to be shown in the report; None where it is not.
        progress: Called after every frame.

    Raises:
        NoFaceError: If no frame shows a face in both.
        UnreadableInputError: If one of them cannot be decoded.
        UsageError: If the output's frames are not those of the source.
        WeightsError: If weights are missing or damaged.
    """
    conditions = None if options is None else read_conditions(options, models)
    stream_number = None if options is None else options.video_stream
    with (
        open_faces(source, models, video_stream=stream_number) as before,
        open_faces(output, models) as after,
    ):
        editor = FaceEditor(
            models,
            options or EditOptions(emotion=Emotion.NEUTRAL),
            conditions or read_conditions(EditOptions(emotion=Emotion.NEUTRAL), models),
            before,
            began=before.video.first_time,
        )
        sides = (
            FaceCollector(before, crop_step_s=LOOK_STEP_S),
            FaceCollector(after, crop_step_s=LOOK_STEP_S),
        )
        looker = _IdentityLooker()
        reasons: list[tuple[float, str | None]] = []
        selector = FaceSelector("largest")
        followed = in_step(
            before.tracked(),
            after.tracked(),
            source,
            output,
            time=lambda tracked: tracked.frame.time,
        )
        # One thread for both: two landmarkers that start at once get in each other's way.
        with prefetch(followed) as pairs:
            for count, (old, new) in enumerate(pairs, start=1):
                time_s = float(old.frame.time)
                editor.look(old)
                reasons.append((time_s, editor.why_untouched(old)))
                if clip is not None:
                    clip.add(old.frame, new.frame)
                for face in selector.choose(old):
                    partner = _partner(face, new)
                    if partner is not None:
                        sides[0].add(Sighting(old.frame, face.face))
                        sides[1].add(Sighting(new.frame, partner.face))
                        looker.look(old.frame, face, new.frame, partner)
                if progress:
                    progress(Progress(count, before.video.info.frame_count, old.frame.time))
        tracks = [side.track() for side in sides]
    if tracks[0] is None or tracks[1] is None:
        raise NoFaceError(f"{source}: no frame shows a face both before and after the edit")
    end_s = _end(reasons, before.video.info.frame_rate)
    return _conclude(
        (tracks[0], tracks[1]),
        looker,
        models,
        asked=None if options is None or conditions is None else (options, conditions),
        reasons=reasons,
        end_s=end_s,
    )


def _partner(face: TrackedFace, frame: TrackedFrame) -> TrackedFace | None:
    """The same face in the other file: the one in its place; None if there is none."""
    nearest = min(frame.faces, key=lambda other: face.face.distance_px(other.face), default=None)
    if nearest is None or face.face.distance_px(nearest.face) > face.face.width_px / 2:
        return None
    return nearest


class _IdentityLooker:
    """Compares who is seen, now and then; does nothing without the optional weights."""

    def __init__(self) -> None:
        self.times_s: list[float] = []
        self.cosines: list[float] = []
        try:
            self._encoder: IdentityEncoder | None = IdentityEncoder(find_weights("identity"))
        except WeightsError:
            self._encoder = None

    @property
    def is_there(self) -> bool:
        """Whether it can tell."""
        return self._encoder is not None

    def look(
        self, before: VideoFrame, old: TrackedFace, after: VideoFrame, new: TrackedFace
    ) -> None:
        """Compare two frames, unless others were compared just before."""
        now_s = float(before.time)
        if self._encoder is None or (self.times_s and now_s - self.times_s[-1] < LOOK_STEP_S):
            return
        vectors = []
        for frame, face in ((before, old), (after, new)):
            picture = frame.picture(DETECTION_SIDE_PX)
            scale = picture.shape[0] / frame.height
            vectors.append(self._encoder.embed(picture, face.face.landmarks_xyz * scale))
        self.times_s.append(now_s)
        self.cosines.append(float(vectors[0] @ vectors[1]))


def _conclude(
    tracks: tuple[FaceTrack, FaceTrack],
    looker: _IdentityLooker,
    models: Models,
    *,
    asked: tuple[EditOptions, Conditions] | None,
    reasons: Sequence[tuple[float, str | None]],
    end_s: float,
) -> Reading:
    first_s = reasons[0][0]
    step_s = max(STEP_S, (end_s - first_s) / MOST_POINTS)
    times_s = np.arange(first_s + step_s / 2, max(end_s, first_s + step_s), step_s)
    rest = estimate_rest(tracks[0], models)
    source, output = (
        np.stack([_read(track, float(time_s), models, rest) for time_s in times_s])
        for track in tracks
    )
    lips = [mouth.lip_aperture(track.shapes) for track in tracks]
    closed_below = mouth.closed_threshold(lips[0])
    return Reading(
        duration_s=end_s - first_s,
        frames=len(reasons),
        times_s=times_s,
        source=source,
        output=output,
        asked=None if asked is None else _ask(*asked, times_s, first_s),
        lip_times_s=tracks[0].time_s,
        source_lips=lips[0],
        output_lips=lips[1],
        lip_correlation=mouth.correlation(*lips),
        closures_kept=mouth.closure_f1(*(one < closed_below for one in lips)),
        look_times_s=np.array(looker.times_s),
        identity=np.array(looker.cosines) if looker.is_there else None,
        untouched=() if asked is None else tuple(_stretches(reasons, end_s)),
    )


def _read(
    track: FaceTrack, middle_s: float, models: Models, rest: Float[np.ndarray, " 52"]
) -> Float[np.ndarray, " 7"]:
    window = track.around(middle_s, WINDOW_S)
    if not len(window.time_s):
        return np.full(len(Emotion), np.nan)
    return condition_of_face(window, models, rest=rest).reading


def _ask(
    options: EditOptions,
    conditions: Conditions,
    times_s: Float[np.ndarray, " points"],
    first: float,
) -> Float[np.ndarray, "points 7"]:
    """How much of each emotion was asked of the first choice of faces that a row counts for."""
    asked = np.zeros((len(times_s), len(Emotion)))
    plan = options.plan
    for place, time_s in enumerate(times_s):
        active = next((rows for choice in plan.choices if (rows := plan.at(choice, time_s))), ())
        for one in active:
            row, track = plan.rows[one.index], conditions[one.index]
            if track is not None:
                since = first if row.start is None else float(row.start)
                amount = one.share * one.weight * row.intensity
                asked[place] += amount * track.at(float(time_s) - since).likelihood
    return asked


def _stretches(reasons: Sequence[tuple[float, str | None]], end_s: float) -> Iterator[Untouched]:
    """Successive frames that are left alone for one reason, as stretches."""
    begun: tuple[float, str] | None = None
    for time_s, reason in (*reasons, (end_s, None)):
        if begun is not None and reason != begun[1]:
            yield Untouched(begun[0], time_s, begun[1])
            begun = None
        if reason is not None and begun is None:
            begun = (time_s, reason)


def _end(reasons: Sequence[tuple[float, str | None]], rate: Fraction | None) -> float:
    """When the last frame ends, seconds."""
    return reasons[-1][0] + (1 / float(rate) if rate else 0.0)
