"""What is read from a source and its edit, frame by frame in step: the numbers of a report."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from cdrl_cli.array_types import Float, UInt8
from cdrl_cli.checkpoints.models import Models
from cdrl_cli.comparison import in_step, no_edit_of
from cdrl_cli.conditions import read_conditions
from cdrl_cli.edit_options import EditOptions
from cdrl_cli.edited_row import Conditions
from cdrl_cli.editing import Progress, ProgressCallable
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import NoFaceError
from cdrl_cli.face.person import PersonSelector
from cdrl_cli.face.selection import FaceSelector
from cdrl_cli.face.stream import open_faces
from cdrl_cli.face.tracking import TrackedFace, TrackedFrame
from cdrl_cli.face_editor import FaceEditor, make_selectors, read_people
from cdrl_cli.media.stacked import StackedWriter
from cdrl_cli.metrics import mouth
from cdrl_cli.prefetch import prefetch
from cdrl_cli.report.face_pair import FacePair, IdentityLooker, find_partner
from cdrl_cli.schedule import Schedule, Whose

MOST_FACES: Final = 4
"""Faces that are read, at most: those that are seen longest."""


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
class ReadFace:
    """What one face shows in a source and in its edit."""

    name: str
    """Whose face: ``face 2``, ``the largest face``, or the name of a photo."""
    picture: UInt8[np.ndarray, "side side 3"]
    """It, in the source, sRGB."""
    times_s: Float[np.ndarray, " points"]
    """Where the curves of emotions have their points, seconds: from the first frame to the end."""
    source: Float[np.ndarray, "points 7"]
    """How likely each emotion is in the source, 0..1, by our own reader; NaN without the face."""
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

    @property
    def emotion(self) -> Emotion:
        """Most asked for; where nothing was, or nobody knows, what has risen most."""
        if self.asked is not None and self.asked.any():
            return list(Emotion)[int(self.asked.sum(axis=0).argmax())]
        rise = np.nan_to_num(self.output - self.source).mean(axis=0)
        return list(Emotion)[int(rise.argmax())]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a source and its edit show."""

    duration_s: float
    frames: int
    faces: tuple[ReadFace, ...]
    """Those that are edited, in the order of the plan, at most :data:`MOST_FACES`; the largest one
    where nobody knows which."""
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
        one, other = before.video.info, after.video.info
        if (one.width, one.height) != (other.width, other.height):
            raise no_edit_of(source, output)
        assumed = options or EditOptions(emotion=Emotion.NEUTRAL)
        people = read_people(assumed, models)
        editor = FaceEditor(
            models,
            assumed,
            conditions or read_conditions(assumed, models),
            before,
            began=before.video.first_time,
            people=people,
        )
        cast = _Cast(assumed.plan, editor, make_selectors(assumed.plan, people, models, before))
        pairs_seen: dict[Whose, FacePair] = {}
        looker = IdentityLooker()
        first_s = float(before.video.first_time)
        last_s, count = first_s, 0
        reasons: list[tuple[float, str | None]] = []
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
                last_s = float(old.frame.time)
                reason = editor.why_untouched(old)
                if not reasons or reason != reasons[-1][1]:
                    reasons.append((last_s, reason))
                if clip is not None:
                    clip.add(old.frame, new.frame)
                for who, face in cast.of(old):
                    partner = find_partner(face, new)
                    if partner is not None:
                        if who not in pairs_seen:
                            pairs_seen[who] = FacePair(before, after, models, looker)
                        pairs_seen[who].add(old.frame, face, new.frame, partner)
                if progress:
                    progress(Progress(count, before.video.info.frame_count, old.frame.time))
    if not pairs_seen:
        raise NoFaceError(f"{source}: no frame shows a face both before and after the edit")
    rate = before.video.info.frame_rate
    end_s = last_s + (1 / float(rate) if rate else 0.0)
    kept = sorted(pairs_seen, key=lambda who: -pairs_seen[who].frames)[:MOST_FACES]
    return Reading(
        duration_s=end_s - first_s,
        frames=count,
        faces=tuple(
            _conclude(
                _name(who),
                pairs_seen[who],
                ask=None
                if options is None or conditions is None
                else partial(_ask, options, conditions, who, first_s),
                end_s=end_s,
            )
            for who in sorted(kept, key=_rank)
        ),
        untouched=() if options is None else tuple(_stretches(reasons, end_s)),
    )


class _Cast:
    """Tells whom each face of a frame counts for, also where nothing is asked of them.

    Args:
        plan: Of the edit.
        editor: Chooses where something is asked.
        selectors: Choose elsewhere.
    """

    def __init__(
        self,
        plan: Schedule,
        editor: FaceEditor,
        selectors: Mapping[Whose, FaceSelector | PersonSelector],
    ) -> None:
        self._plan = plan
        self._editor = editor
        self._selectors = selectors

    def of(self, tracked: TrackedFrame) -> Iterator[tuple[Whose, TrackedFace]]:
        """The faces, each under a choice of the plan, or under its number where all are meant."""
        chosen = list(self._editor.cast(tracked))
        for choice, selector in self._selectors.items():
            faces = selector.choose(tracked)
            if not self._plan.at(choice, float(tracked.frame.time)):
                chosen += [(choice, face) for face in faces]
        taken = set()
        for choice, face in chosen:
            if face.number not in taken:
                taken.add(face.number)
                yield (face.number if choice == "all" else choice), face


def _rank(who: Whose) -> tuple[int, str]:
    """Numbers in their order, then people by their photos, then the largest face."""
    if isinstance(who, int):
        return 0, f"{who:09d}"
    return (1, str(who)) if isinstance(who, Path) else (2, who)


def _name(who: Whose) -> str:
    if isinstance(who, Path):
        return who.stem
    return f"face {who}" if isinstance(who, int) else "the largest face"


def _conclude(
    name: str,
    pair: FacePair,
    *,
    ask: Callable[[Float[np.ndarray, " points"]], Float[np.ndarray, "points 7"]] | None,
    end_s: float,
) -> ReadFace:
    (times_s, source), (_, output) = (
        side.curve.finish(end_s) for side in (pair.source, pair.output)
    )
    lips = [side.lips for side in (pair.source, pair.output)]
    closed_below = mouth.closed_threshold(lips[0])
    return ReadFace(
        name=name,
        picture=pair.source.picture,
        times_s=times_s,
        source=source,
        output=output,
        asked=None if ask is None else ask(times_s),
        lip_times_s=pair.times_s,
        source_lips=lips[0],
        output_lips=lips[1],
        lip_correlation=mouth.correlation(*lips),
        closures_kept=mouth.closure_f1(*(one < closed_below for one in lips)),
        look_times_s=pair.look_times_s,
        identity=pair.identity,
    )


def _ask(
    options: EditOptions,
    conditions: Conditions,
    who: Whose,
    first: float,
    times_s: Float[np.ndarray, " points"],
) -> Float[np.ndarray, "points 7"]:
    """How much of each emotion was asked of a face, over time.

    Args:
        options: What was to be done.
        conditions: What each row asks for.
        who: A choice of the plan, or the number of one of all faces.
        first: When the clip begins, seconds.
        times_s: When, seconds.
    """
    asked = np.zeros((len(times_s), len(Emotion)))
    plan = options.plan
    choices = [choice for choice in plan.choices if choice in (who, "all")]
    for place, time_s in enumerate(times_s):
        active = next((rows for choice in choices if (rows := plan.at(choice, time_s))), ())
        for one in active:
            row, track = plan.rows[one.index], conditions[one.index]
            if track is not None:
                since = first if row.start is None else float(row.start)
                condition, factor = track.asked(float(time_s) - since, row.pace)
                amount = one.share * one.weight * row.intensity * factor
                asked[place] += amount * condition.likelihood
    return asked


def _stretches(reasons: Sequence[tuple[float, str | None]], end_s: float) -> Iterator[Untouched]:
    """Successive frames that are left alone for one reason, as stretches; some may be left out."""
    begun: tuple[float, str] | None = None
    for time_s, reason in (*reasons, (end_s, None)):
        if begun is not None and reason != begun[1]:
            yield Untouched(begun[0], time_s, begun[1])
            begun = None
        if reason is not None and begun is None:
            begun = (time_s, reason)
