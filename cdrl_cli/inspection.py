"""What an edit would find in a file, without making one."""

from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import NamedTuple

from cdrl_cli.checkpoints.models import Models, load_models
from cdrl_cli.editing import Progress, ProgressCallable
from cdrl_cli.face.selection import FaceSelector, editability
from cdrl_cli.face.stream import open_faces
from cdrl_cli.media.frames import VideoInfo


@dataclass(frozen=True, slots=True)
class FaceSpan:
    """One face over time, as :func:`inspect_video` found it."""

    number: int
    """What ``--face`` takes: from 1, in order of first appearance."""
    first: Fraction
    """Time of the first frame that shows the face, seconds."""
    last: Fraction
    """Time of the last frame that shows the face, seconds."""
    frames: int
    """Frames that show the face."""
    median_width_px: float
    largest: bool
    """It is the one that ``--face largest`` edits in some shot."""
    editable_frames: int
    """Frames in which it would be edited: not turned away, not covered, not too small."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What an edit would find in a file."""

    info: VideoInfo
    frames: int
    """Frames that could be decoded."""
    faces: tuple[FaceSpan, ...]
    shots: tuple[Fraction, ...]
    """Time of the first frame of each shot, seconds."""
    warnings: tuple[str, ...]


def inspect_video(
    source: Path | str,
    *,
    progress: ProgressCallable | None = None,
    models: Models | None = None,
    video_stream: int | None = None,
) -> Inspection:
    """What an edit would find in a file; writes nothing.

    Args:
        source: The file.
        progress: Called after every frame.
        models: Loaded before; None loads the embedded default.
        video_stream: Index of the stream of pictures; None for the usual one.

    Raises:
        UnreadableInputError: If the file cannot be decoded.
        WeightsError: If weights are missing or damaged.
    """
    source = Path(source)
    models = models or load_models(core=True)
    selector = FaceSelector("largest")
    sightings: dict[int, list[_Sighting]] = defaultdict(list)
    shots: list[Fraction] = []
    frames = 0
    with open_faces(source, models, video_stream=video_stream) as stream:
        video = stream.video
        for tracked in stream.tracked():
            frames, time = frames + 1, tracked.frame.time
            if tracked.starts_shot:
                shots.append(time)
            largest = {face.number for face in selector.choose(tracked)}
            for face in tracked.faces:
                editable = editability(stream.locate(face.face)) > 0
                sightings[face.number].append(
                    _Sighting(time, face.face.width_px, editable, face.number in largest)
                )
            if progress:
                progress(Progress(frames, video.info.frame_count, time))
        warnings = tuple(video.warnings)
    spans = [_span(number, seen) for number, seen in sorted(sightings.items())]
    return Inspection(video.info, frames, tuple(spans), tuple(shots), warnings)


class _Sighting(NamedTuple):
    time: Fraction
    width_px: float
    editable: bool
    largest: bool


def _span(number: int, seen: list[_Sighting]) -> FaceSpan:
    return FaceSpan(
        number=number,
        first=seen[0].time,
        last=seen[-1].time,
        frames=len(seen),
        median_width_px=median(s.width_px for s in seen),
        largest=any(s.largest for s in seen),
        editable_frames=sum(s.editable for s in seen),
    )
