"""One face in a source and in its edit, frame by frame."""

from array import array
from typing import Final

import numpy as np

from cdrl_cli.array_types import Float, UInt8
from cdrl_cli.checkpoints.load import find_weights
from cdrl_cli.checkpoints.models import Models
from cdrl_cli.errors import WeightsError
from cdrl_cli.face.identity import IdentityEncoder
from cdrl_cli.face.stream import FACE_SIDE, FaceStream, Sighting
from cdrl_cli.face.tracking import DETECTION_SIDE_PX, TrackedFace, TrackedFrame
from cdrl_cli.media.frames import VideoFrame
from cdrl_cli.metrics.mouth import lip_aperture
from cdrl_cli.report.emotion_curve import EmotionCurve
from cdrl_cli.representation.evidence import Evidence

LOOK_STEP_S: Final = 0.2
"""Least time between two frames whose pixels are looked at, seconds."""

MOST_PICTURES: Final = 32
"""Close-ups that are kept at once, at most, to choose one of."""


class FaceSide:
    """One face in one of the two clips. Of a frame it keeps a number: how far the lips are open.

    Args:
        stream: The open clip.
        models: Read it.
        first_s: Time of the clip's first frame, seconds.
        duration_s: Length of the clip, seconds; 0 where it is not known.
    """

    def __init__(
        self, stream: FaceStream, models: Models, first_s: float, duration_s: float
    ) -> None:
        self._stream = stream
        self._models = models
        self.curve = EmotionCurve(models.evidence, first_s, duration_s)
        self._lips = array("d")
        self._looked_s = -np.inf
        self._pictures = _Thinned()

    def add(self, frame: VideoFrame, face: TrackedFace) -> None:
        """Read the next frame that shows the face."""
        now_s = float(frame.time)
        head = self._stream.locate(face.face)
        shape = head.inverse().apply(face.face.landmarks_xyz)
        self._lips.append(float(lip_aperture(shape[None])[0]))
        if not self.curve.wants(now_s):
            return
        judged = None
        if now_s - self._looked_s >= LOOK_STEP_S:
            self._looked_s = now_s
            crop = self._stream.crop(Sighting(frame, face.face))
            close_up = crop.close_up(FACE_SIDE)
            judged = self._models.nets(close_up[None])
            self._pictures.add(close_up)
        self.curve.add(now_s, Evidence(face.face.expression.astype(float), shape, judged))

    @property
    def lips(self) -> Float[np.ndarray, " frames"]:
        """How far the lips are open in each frame, in distances of the outer eye corners."""
        return np.array(self._lips)

    @property
    def picture(self) -> UInt8[np.ndarray, "side side 3"]:
        """The face, about in the middle of the time that it is seen."""
        return self._pictures.middle


class _Thinned:
    """Some of many pictures, spread over them."""

    def __init__(self) -> None:
        self._step = 1
        self._count = 0
        self._kept: list[UInt8[np.ndarray, "side side 3"]] = []

    def add(self, picture: UInt8[np.ndarray, "side side 3"]) -> None:
        if self._count % self._step == 0:
            self._kept.append(picture)
        self._count += 1
        if len(self._kept) > MOST_PICTURES:
            self._kept = self._kept[::2]
            self._step *= 2

    @property
    def middle(self) -> UInt8[np.ndarray, "side side 3"]:
        return self._kept[len(self._kept) // 2]


class FacePair:
    """One face, before and after.

    Args:
        before: The open source.
        after: The open edit of it.
        models: Read both.
        looker: Compares who is seen.
    """

    def __init__(
        self, before: FaceStream, after: FaceStream, models: Models, looker: "IdentityLooker"
    ) -> None:
        first_s = float(before.video.first_time)
        duration_s = float(before.video.info.duration or 0)
        self.source, self.output = (
            FaceSide(stream, models, first_s, duration_s) for stream in (before, after)
        )
        self._looker = looker
        self._times = array("d")
        self._look_times = array("d")
        self._cosines = array("d")

    def add(
        self, before: VideoFrame, old: TrackedFace, after: VideoFrame, new: TrackedFace
    ) -> None:
        """Read the next frame that shows it on both sides."""
        now_s = float(before.time)
        self._times.append(now_s)
        self.source.add(before, old)
        self.output.add(after, new)
        last_s = self._look_times[-1] if self._look_times else -np.inf
        if self._looker.is_there and now_s >= last_s + LOOK_STEP_S:
            self._look_times.append(now_s)
            self._cosines.append(self._looker.compare(before, old, after, new))

    @property
    def frames(self) -> int:
        """Frames that show it on both sides."""
        return len(self._times)

    @property
    def times_s(self) -> Float[np.ndarray, " frames"]:
        """When these are, seconds."""
        return np.array(self._times)

    @property
    def look_times_s(self) -> Float[np.ndarray, " looks"]:
        """When identity was looked at, seconds."""
        return np.array(self._look_times)

    @property
    def identity(self) -> Float[np.ndarray, " looks"] | None:
        """Cosine of the faces before and after; None where nothing can tell."""
        return np.array(self._cosines) if self._looker.is_there else None


def find_partner(face: TrackedFace, frame: TrackedFrame) -> TrackedFace | None:
    """The same face in the other file: the one in its place; None if there is none."""
    nearest = min(frame.faces, key=lambda other: face.face.distance_px(other.face), default=None)
    if nearest is None or face.face.distance_px(nearest.face) > face.face.width_px / 2:
        return None
    return nearest


class IdentityLooker:
    """Compares who is seen, now and then; does nothing without the optional weights."""

    def __init__(self) -> None:
        try:
            self._encoder: IdentityEncoder | None = IdentityEncoder(find_weights("identity"))
        except WeightsError:
            self._encoder = None

    @property
    def is_there(self) -> bool:
        """Whether it can tell."""
        return self._encoder is not None

    def compare(
        self, before: VideoFrame, old: TrackedFace, after: VideoFrame, new: TrackedFace
    ) -> float:
        """Cosine of a face in two frames."""
        assert self._encoder is not None
        vectors = []
        for frame, face in ((before, old), (after, new)):
            picture = frame.picture(DETECTION_SIDE_PX)
            scale = picture.shape[0] / frame.height
            vectors.append(self._encoder.embed(picture, face.face.landmarks_xyz * scale))
        return float(vectors[0] @ vectors[1])
