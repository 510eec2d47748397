"""One face in a source and in its edit, frame by frame."""

from dataclasses import dataclass, field
from typing import Final

from cdrl_cli.checkpoints.load import find_weights
from cdrl_cli.errors import WeightsError
from cdrl_cli.face.identity import IdentityEncoder
from cdrl_cli.face.stream import FaceCollector, FaceStream, Sighting
from cdrl_cli.face.tracking import DETECTION_SIDE_PX, TrackedFace, TrackedFrame
from cdrl_cli.media.frames import VideoFrame

LOOK_STEP_S: Final = 0.2
"""Least time between two frames whose pixels are looked at, seconds."""


@dataclass(slots=True)
class FacePair:
    """One face, before and after."""

    sides: tuple[FaceCollector, FaceCollector]
    frames: int = 0
    look_times_s: list[float] = field(default_factory=list)
    cosines: list[float] = field(default_factory=list)

    @classmethod
    def open(cls, before: FaceStream, after: FaceStream) -> "FacePair":
        """One of two open clips."""
        one, other = (FaceCollector(side, crop_step_s=LOOK_STEP_S) for side in (before, after))
        return cls((one, other))

    def add(
        self,
        before: VideoFrame,
        old: TrackedFace,
        after: VideoFrame,
        new: TrackedFace,
        looker: "IdentityLooker",
    ) -> None:
        """Keep the next frame that shows it on both sides."""
        self.frames += 1
        self.sides[0].add(Sighting(before, old.face))
        self.sides[1].add(Sighting(after, new.face))
        now_s = float(before.time)
        if looker.is_there and now_s >= (self.look_times_s or [-LOOK_STEP_S])[-1] + LOOK_STEP_S:
            self.look_times_s.append(now_s)
            self.cosines.append(looker.compare(before, old, after, new))


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
