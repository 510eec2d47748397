"""What a clip feels: the emotion read from it, over time and as a whole."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Float64, UInt8
from torch import Tensor

from cdrl_cli.checkpoints.emotion import EmotionModels, load_emotion
from cdrl_cli.checkpoints.models import Models, load_models
from cdrl_cli.data.prepared import FACE_SIDE
from cdrl_cli.editing import Progress
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import NoFaceError
from cdrl_cli.face.alignment import crop_face
from cdrl_cli.face.landmarks import Face
from cdrl_cli.face.selection import FaceSelector
from cdrl_cli.face.tracking import track_faces
from cdrl_cli.media import open_video
from cdrl_cli.media.frames import VideoFrame

WINDOW_S = 1.0
"""Length of what one point of the curve is read from."""

STEP_S = 0.5
"""Between two points of the curve."""

LOOK_S = 0.2
"""At least so long between two frames whose pixels are kept."""


@dataclass(frozen=True, slots=True)
class EmotionAt:
    """The emotion around one moment."""

    time: Fraction
    """Middle of the window, seconds on the clip's clock."""
    probabilities: dict[Emotion, float]


@dataclass(frozen=True, slots=True)
class ClipEmotion:
    """The emotion of a clip's largest face."""

    probabilities: dict[Emotion, float]
    """Of each label; sums to 1."""
    phrases: tuple[tuple[str, float], ...]
    """Nearest phrases and their cosine."""
    curve: tuple[EmotionAt, ...]
    embedding: tuple[float, ...]
    """Unit vector of CERL."""
    frames: int
    """Frames that showed the face."""


def read_emotion_of(
    source: Path,
    *,
    neutral: Path | None = None,
    weight_set: str = "permissive",
    progress: Callable[[Progress], None] | None = None,
) -> ClipEmotion:
    """Read the emotion that a clip or an image shows.

    Args:
        source: The clip.
        neutral: A neutral clip or image of the same person: what lies in the face is then told
            from what the person does with it, which makes the reading a good deal surer.
        weight_set: ``permissive`` or ``research``.
        progress: Called after every frame of the source.

    Raises:
        NoFaceError: If source or neutral show no face.
        UnreadableInputError: If one of them cannot be decoded.
        WeightsError: If weights are missing or damaged.
    """
    models, emotions = load_models(weight_set, core=True), load_emotion(weight_set)
    shown = _read_faces(source, models, progress)
    own = None if neutral is None else _read_faces(neutral, models).expressions.mean(axis=0)
    embedding = _embed(shown, own, emotions)
    return ClipEmotion(
        probabilities=emotions.probabilities(embedding),
        phrases=tuple(emotions.nearest_phrases(embedding)),
        curve=tuple(_curve(shown, own, emotions)),
        embedding=tuple(embedding.tolist()),
        frames=len(shown.times),
    )


@dataclass(frozen=True, slots=True)
class _Shown:
    """What the largest face of a clip showed."""

    times: list[Fraction]
    expressions: Float32[np.ndarray, "frames 52"]
    looked_s: Float64[np.ndarray, " looks"]
    """When it was looked at closely: not on every frame."""
    faces: UInt8[np.ndarray, "looks side side 3"]

    def inside(self, middle_s: float) -> "_Shown | None":
        """The window around a moment; None if the face was not there."""
        seconds = np.array([float(time) for time in self.times])
        near = np.abs(seconds - middle_s) <= WINDOW_S / 2
        close = np.abs(self.looked_s - middle_s) <= WINDOW_S / 2
        if not near.any():
            return None
        times = [self.times[index] for index in np.flatnonzero(near)]
        return _Shown(times, self.expressions[near], self.looked_s[close], self.faces[close])


def _embed(
    shown: _Shown, own: Float32[np.ndarray, " 52"] | None, emotions: EmotionModels
) -> Float[Tensor, " dimension"]:
    """Pixels stand in for the person's neutral face where it is not known."""
    return emotions.embed(shown.expressions, own, None if own is not None else shown.faces)


def _read_faces(
    path: Path, models: Models, progress: Callable[[Progress], None] | None = None
) -> _Shown:
    """Times, coefficients and some crops of the largest face."""
    selector = FaceSelector("largest")
    times: list[Fraction] = []
    expressions: list[Float32[np.ndarray, " 52"]] = []
    looked_s: list[float] = []
    faces: list[UInt8[np.ndarray, "side side 3"]] = []
    with open_video(path) as video, models.open_landmarker() as landmarker:
        following = track_faces(video, landmarker, sample_aspect=video.info.sample_aspect)
        for count, tracked in enumerate(following, start=1):
            for face in selector.choose(tracked):
                times.append(tracked.frame.time)
                expressions.append(face.face.expression)
                now_s = float(tracked.frame.time)
                if not looked_s or now_s - looked_s[-1] >= LOOK_S:
                    looked_s.append(now_s)
                    faces.append(_look(tracked.frame, face.face, models, video.info.sample_aspect))
            if progress:
                progress(Progress(count, video.info.frame_count, tracked.frame.time))
    if not times:
        raise NoFaceError(f"{path}: no face in any frame")
    return _Shown(times, np.stack(expressions), np.array(looked_s), np.stack(faces))


def _look(
    frame: VideoFrame, face: Face, models: Models, sample_aspect: Fraction
) -> UInt8[np.ndarray, "112 112 3"]:
    """The aligned crop, as small as the net of appearance takes it."""
    crop = crop_face(frame, face, models.head.locate(face), sample_aspect=sample_aspect)
    return crop.thumbnail(FACE_SIDE)


def _curve(
    shown: _Shown,
    neutral: Float32[np.ndarray, " 52"] | None,
    emotions: EmotionModels,
) -> list[EmotionAt]:
    """The emotion in windows that overlap; windows without the face are left out."""
    first, last = float(shown.times[0]), float(shown.times[-1])
    curve = []
    for middle in np.arange(first + WINDOW_S / 2, last, STEP_S):
        if (window := shown.inside(float(middle))) is not None:
            embedding = _embed(window, neutral, emotions)
            time = Fraction(float(middle)).limit_denominator(1000)
            curve.append(EmotionAt(time, emotions.probabilities(embedding)))
    return curve
