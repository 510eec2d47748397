"""What is read in a clip, edited or not, before anything is compared."""

import zlib
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from cdrl_cli.array_types import Float, Float32, Int, UInt8
from cdrl_cli.checkpoints.models import Models
from cdrl_cli.data.index import Clip
from cdrl_cli.errors import NoFaceError
from cdrl_cli.evaluation.judges import CROP_MARGIN, Judge, cut_tight
from cdrl_cli.face.alignment import CROP_SIZE, FaceCrop, crop_face
from cdrl_cli.face.identity import IdentityEncoder
from cdrl_cli.face.landmarks import Face
from cdrl_cli.face.tracking import DETECTION_SIDE_PX
from cdrl_cli.media import open_video
from cdrl_cli.media.frames import VideoFrame

JUDGED_FRAMES = 24
"""Of a clip, at even distances: so many are shown to the judge and asked who they are."""

CROPPED_FRAMES = 6
"""Of the frames that are judged, at even distances: so many are kept as pictures."""

_FEWEST_FRAMES = 3
"""With a face, for anything to move."""


@dataclass(frozen=True, slots=True)
class Footage:
    """The largest face of each frame, as found there.

    Not smoothed: a trembling edit must not be calmed by looking at it.
    """

    frame: Int[np.ndarray, " frames"]
    """Index of each frame that shows a face."""
    time_s: Float[np.ndarray, " frames"]
    landmarks_xyz: Float32[np.ndarray, "frames 478 3"]
    """Square pixels."""
    expression: Float32[np.ndarray, "frames 52"]
    judged: Int[np.ndarray, " judged"]
    """Indices of the frames that were judged."""
    probabilities: Float32[np.ndarray, "judged 7"]
    """By the judge, in the order of :class:`~cdrl_cli.emotion.Emotion`."""
    identity: Float32[np.ndarray, "judged dim"]
    """Unit vectors: who is seen."""
    cropped: Int[np.ndarray, " cropped"]
    """Indices of the frames that are kept as pictures."""
    crops: UInt8[np.ndarray, "cropped side side 3"]
    """The aligned crop of each, sRGB."""
    crop_landmarks_xy: Float32[np.ndarray, "cropped 478 2"]
    """Pixels of each crop."""

    def part(
        self, frames: Int[np.ndarray, " some"], judged: Int[np.ndarray, " others"]
    ) -> "Footage":
        """What was seen in some frames, and judged in others."""
        kept, asked = np.isin(self.frame, frames), np.isin(self.judged, judged)
        shown = np.isin(self.cropped, judged)
        return Footage(
            self.frame[kept],
            self.time_s[kept],
            self.landmarks_xyz[kept],
            self.expression[kept],
            self.judged[asked],
            self.probabilities[asked],
            self.identity[asked],
            self.cropped[shown],
            self.crops[shown],
            self.crop_landmarks_xy[shown],
        )


@dataclass(frozen=True, slots=True)
class Reader:
    """The networks that read clips; none of them belongs to what is being evaluated."""

    models: Models
    """The landmarker and the head model."""
    judge: Judge
    identity: IdentityEncoder

    def read(self, path: Path) -> Footage:
        """Read a file.

        Raises:
            NoFaceError: If hardly any frame shows a face.
            UnreadableInputError: If it cannot be decoded.
        """
        frames, times, landmarks, expressions = [], [], [], []
        asked, crops, identities = [], [], []
        cropped, pictures, outlines = [], [], []
        chosen = _chosen_frames(path)
        kept = set(chosen[:: max(len(chosen) // CROPPED_FRAMES, 1)])
        landmarker = self.models.open_landmarker(max_faces=1)
        with open_video(path) as video:
            for frame in video:
                picture = frame.picture(DETECTION_SIDE_PX)
                for face in landmarker.detect(picture):
                    frames.append(frame.index)
                    times.append(float(frame.time))
                    landmarks.append(face.landmarks_xyz)
                    expressions.append(face.expression)
                    if frame.index in chosen:
                        asked.append(frame.index)
                        crops.append(cut_tight(picture, face.landmarks_xyz, self.judge.side_px))
                        identities.append(self.identity.embed(picture, face.landmarks_xyz))
                    if frame.index in kept:
                        crop = self._crop(frame, face, picture.shape, video.info.sample_aspect)
                        cropped.append(frame.index)
                        pictures.append(crop.image())
                        outlines.append(crop.landmarks_xyz[:, :2])
        is_still = chosen == [0]  # a reference may be one
        if len(frames) < (1 if is_still else _FEWEST_FRAMES) or not asked:
            raise NoFaceError(f"{path}: a face in {len(frames)} frames only, too few to measure")
        return Footage(
            frame=np.array(frames),
            time_s=np.array(times),
            landmarks_xyz=np.stack(landmarks),
            expression=np.stack(expressions),
            judged=np.array(asked),
            probabilities=self.judge.probabilities(crops).astype(np.float32),
            identity=np.stack(identities),
            cropped=np.array(cropped, int),
            crops=np.array(pictures, np.uint8).reshape(-1, CROP_SIZE, CROP_SIZE, 3),
            crop_landmarks_xy=np.array(outlines, np.float32).reshape(-1, 478, 2),
        )

    def _crop(
        self, frame: VideoFrame, face: Face, shape: tuple[int, ...], aspect: Fraction
    ) -> FaceCrop:
        """A face that was found in a small picture of a frame, cut out of the frame itself."""
        down, across = frame.height / shape[0], frame.width * float(aspect) / shape[1]
        to_square = np.array([across, down, across], np.float32)
        native = replace(face, landmarks_xyz=face.landmarks_xyz * to_square)
        head = self.models.head.locate(native)
        return crop_face(frame, native, head, sample_aspect=aspect)

    def read_kept(self, clip: Clip, cache: Path) -> Footage:
        """Read a clip of the data, or what was read of it before.

        Args:
            clip: Its file's size and time are part of the name under which it is kept.
            cache: Folder.
        """
        state = clip.path.stat()
        facts = (clip.path.resolve(), state.st_size, state.st_mtime_ns)
        asked = (self.judge.name, CROP_MARGIN, JUDGED_FRAMES, CROPPED_FRAMES)
        key = zlib.crc32(repr((facts, asked)).encode())
        kept = cache / f"{clip.path.stem}-{key:08x}.npz"
        if not kept.exists():
            cache.mkdir(parents=True, exist_ok=True)
            footage = self.read(clip.path)
            part = kept.with_suffix(".part.npz")
            np.savez(
                part, **{field.name: getattr(footage, field.name) for field in fields(Footage)}
            )
            part.replace(kept)
        with np.load(kept) as found:
            return Footage(**found)


def in_common(one: Footage, other: Footage) -> tuple[Footage, Footage]:
    """Both, in the frames where both show a face, so that rows are partners."""
    frames = np.intersect1d(one.frame, other.frame)
    judged = np.intersect1d(one.judged, other.judged)
    return one.part(frames, judged), other.part(frames, judged)


def _chosen_frames(path: Path) -> list[int]:
    with open_video(path) as video:
        count = sum(1 for _ in video)  # what a container says may be wrong
    return np.unique(np.linspace(0, count - 1, JUDGED_FRAMES).astype(int)).tolist()
