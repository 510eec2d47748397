"""The one loop over a clip's faces: open it, find the faces, collect what they show.

What reads faces uses it: editing, references, probes, embeddings and the preparation of training
clips. Each chooses which frames it looks at; none opens a landmarker of its own.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from cdrl_cli.array_types import Bool, Float32, Float64, UInt8
from cdrl_cli.face.alignment import FaceCrop, crop_face
from cdrl_cli.face.head import HeadModel
from cdrl_cli.face.landmarks import Face, Landmarker
from cdrl_cli.face.tracking import (
    DETECTION_SIDE_PX,
    TrackedFrame,
    find_faces,
    track_faces,
    track_faces_between,
)
from cdrl_cli.geometry.similarity import Similarity
from cdrl_cli.media import open_video
from cdrl_cli.media.frames import VideoFrame
from cdrl_cli.media.reader import VideoReader
from cdrl_cli.media.timeline import Part

FACE_SIDE = 112
"""Side of the face crops that are kept of a clip, pixels: the aligned crop, shrunk."""


@runtime_checkable
class FaceFinder(Protocol):
    """The models that find faces; :class:`~cdrl_cli.checkpoints.models.Models` has them."""

    @property
    def head(self) -> HeadModel:
        """Locates a head from its landmarks."""
        ...

    def open_landmarker(self, *, max_faces: int = 4) -> Landmarker:
        """A landmarker for one clip."""
        ...


@dataclass(frozen=True, slots=True)
class Sighting:
    """One face in one frame."""

    frame: VideoFrame
    face: Face
    """In square pixels of the frame."""


class FaceStream:
    """An open clip, and the faces in its frames. It is read once, by one of its iterators.

    Args:
        video: The open clip.
        landmarker: Fresh for this clip.
        head: Locates heads.
    """

    def __init__(self, video: VideoReader, landmarker: Landmarker, head: HeadModel) -> None:
        self.video = video
        self._landmarker = landmarker
        self._head = head
        self._located: tuple[Face, Similarity] | None = None

    def tracked(
        self,
        *,
        start: Fraction | None = None,
        end: Fraction | None = None,
        part: Part | None = None,
    ) -> Iterator[TrackedFrame]:
        """Every frame, with its faces followed from frame to frame and smoothed.

        Args:
            start: Time from which on faces are wanted, seconds; None for the first frame. Frames
                before have none, but for the last ones, over which tracking gets going.
            end: Time up to which they are wanted; None for the last frame.
            part: What to read of the clip; None for all.
        """
        return track_faces_between(
            self.video if part is None else self.video.frames_of(part),
            self._landmarker,
            start=start,
            end=end,
            sample_aspect=self.video.info.sample_aspect,
        )

    def tracked_from(self, time: Fraction) -> Iterator[TrackedFrame]:
        """Frames from a time on, which is sought, with their faces followed from there.

        May be asked for once, but for any time. Faces and frames are numbered from there.

        Args:
            time: Of the first frame that is looked at, seconds on the clip's clock.
        """
        aspect = self.video.info.sample_aspect
        return track_faces(self.video.frames_from(time), self._landmarker, sample_aspect=aspect)

    def sampled(
        self, *, step_s: Fraction, length_s: int
    ) -> Iterator[tuple[VideoFrame, list[Face]]]:
        """Some frames, each with the faces found in it alone, largest first.

        Args:
            step_s: At least this long between two frames, seconds.
            length_s: Of the clip from its first frame on, seconds.
        """
        aspect = float(self.video.info.sample_aspect)
        for frame in _sample(self.video, step_s, length_s):
            picture = frame.picture(DETECTION_SIDE_PX)
            yield frame, find_faces(picture, frame, self._landmarker, aspect)

    def locate(self, face: Face) -> Similarity:
        """Pose of a face's head in its frame."""
        last = self._located  # whoever asks where a face is asks for its crop next
        if last is None or last[0] is not face:
            last = self._located = face, self._head.locate(face)
        return last[1]

    def crop(self, sighting: Sighting) -> FaceCrop:
        """The face upright on the aligned crop."""
        head = self.locate(sighting.face)
        aspect = self.video.info.sample_aspect
        return crop_face(sighting.frame, sighting.face, head, sample_aspect=aspect)


@contextmanager
def open_faces(
    path: Path,
    models: FaceFinder,
    *,
    max_faces: int = 4,
    video_stream: int | None = None,
) -> Iterator[FaceStream]:
    """Open a clip or an image to read its faces.

    Args:
        path: The clip or image.
        models: Find and locate faces.
        max_faces: Faces looked for in each frame.
        video_stream: Index of the stream of pictures; None for the usual one.

    Raises:
        UnreadableInputError: If it cannot be decoded.
        UsageError: If there is no such stream.
    """
    with open_video(path, stream=video_stream) as video:
        yield FaceStream(video, models.open_landmarker(max_faces=max_faces), models.head)


@dataclass(frozen=True, slots=True)
class FaceTrack:
    """What one face shows over a clip: coefficients of every frame, pixels of some frames."""

    time_s: Float64[np.ndarray, " frames"]
    """Presentation time of each frame that shows the face, seconds on the clip's clock."""
    expressions: Float32[np.ndarray, "frames 52"]
    """Blendshape coefficients of each of these frames, 0..1."""
    crop_time_s: Float64[np.ndarray, " crops"]
    """Presentation time of each crop, seconds."""
    crops: UInt8[np.ndarray, "crops side side 3"]
    """The aligned crop of some of the frames, sRGB, :data:`FACE_SIDE` pixels a side."""
    close_ups: UInt8[np.ndarray, "crops side side 3"]
    """The square around the landmarks of the same frames, sRGB, :data:`FACE_SIDE` pixels a side."""
    shapes: Float32[np.ndarray, "frames 478 3"]
    """Landmarks of each frame in head space (see :class:`~cdrl_cli.face.head.HeadModel`)."""

    def where(self, chosen: Bool[np.ndarray, " frames"]) -> "FaceTrack":
        """The part of some frames, with the crops that were taken at them."""
        times = self.time_s[chosen]
        moments = set(times.tolist())
        kept = np.array([moment in moments for moment in self.crop_time_s.tolist()], bool)
        return FaceTrack(
            times,
            self.expressions[chosen],
            self.crop_time_s[kept],
            self.crops[kept],
            self.close_ups[kept],
            self.shapes[chosen],
        )

    def around(self, middle_s: float, length_s: float) -> "FaceTrack":
        """The part within half a length of a moment; it may be empty."""
        return self.where(np.abs(self.time_s - middle_s) <= length_s / 2)


class FaceCollector:
    """Keeps what a face shows, frame by frame.

    Args:
        stream: The open clip.
        crop_step_s: At least this long between two frames whose pixels are kept, seconds.
    """

    def __init__(self, stream: FaceStream, *, crop_step_s: float = 0.0) -> None:
        self._stream = stream
        self._crop_step_s = crop_step_s
        self._times: list[float] = []
        self._crop_times: list[float] = []
        self._expressions: list[Float32[np.ndarray, " 52"]] = []
        self._crops: list[UInt8[np.ndarray, "side side 3"]] = []
        self._close_ups: list[UInt8[np.ndarray, "side side 3"]] = []
        self._shapes: list[Float32[np.ndarray, "478 3"]] = []

    def add(self, one: Sighting) -> None:
        """Keep the next frame that shows the face."""
        now_s = float(one.frame.time)
        self._times.append(now_s)
        self._expressions.append(one.face.expression)
        head = self._stream.locate(one.face)
        self._shapes.append(head.inverse().apply(one.face.landmarks_xyz).astype(np.float32))
        if not self._crop_times or now_s - self._crop_times[-1] >= self._crop_step_s:
            self._crop_times.append(now_s)
            crop = self._stream.crop(one)
            self._crops.append(crop.thumbnail(FACE_SIDE))
            self._close_ups.append(crop.close_up(FACE_SIDE))

    def track(self) -> FaceTrack | None:
        """What was kept; None if nothing was."""
        if not self._times:
            return None
        return FaceTrack(
            np.array(self._times),
            np.stack(self._expressions),
            np.array(self._crop_times),
            np.stack(self._crops),
            np.stack(self._close_ups),
            np.stack(self._shapes),
        )


def collect_face(
    stream: FaceStream, sightings: Iterable[Sighting], *, crop_step_s: float = 0.0
) -> FaceTrack | None:
    """Keep what a face shows in the frames of a clip; None if there is no such frame.

    Args:
        stream: The open clip.
        sightings: The face, frame by frame.
        crop_step_s: At least this long between two frames whose pixels are kept, seconds.
    """
    collector = FaceCollector(stream, crop_step_s=crop_step_s)
    for one in sightings:
        collector.add(one)
    return collector.track()


def _sample(frames: Iterable[VideoFrame], step_s: Fraction, length_s: int) -> Iterator[VideoFrame]:
    first = due = None
    for frame in frames:
        first = frame.time if first is None else first
        if frame.time - first > length_s:
            return
        if due is None or frame.time >= due:
            due = frame.time + step_s
            yield frame
