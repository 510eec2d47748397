"""What a clip feels: the emotion read from it, over time and as a whole."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from cdrl_cli.checkpoints.emotion import EmotionModels, load_emotion
from cdrl_cli.checkpoints.models import Models, load_models
from cdrl_cli.editing import Progress
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import NoFaceError
from cdrl_cli.face.selection import FaceSelector
from cdrl_cli.face.tracking import track_faces
from cdrl_cli.media import open_video

WINDOW_S = 1.0
"""Length of what one point of the curve is read from."""

STEP_S = 0.5
"""Between two points of the curve."""


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
    models, emotions = load_models(weight_set), load_emotion(weight_set)
    times, expressions = _read_expressions(source, models, progress)
    own = None if neutral is None else _read_expressions(neutral, models)[1].mean(axis=0)
    embedding = emotions.embed(expressions, own)
    return ClipEmotion(
        probabilities=emotions.probabilities(embedding),
        phrases=tuple(emotions.nearest_phrases(embedding)),
        curve=tuple(_curve(times, expressions, own, emotions)),
        embedding=tuple(embedding.tolist()),
        frames=len(times),
    )


def _read_expressions(
    path: Path, models: Models, progress: Callable[[Progress], None] | None = None
) -> tuple[list[Fraction], Float32[np.ndarray, "frames 52"]]:
    """Times and coefficients of the largest face."""
    selector = FaceSelector("largest")
    times: list[Fraction] = []
    expressions: list[Float32[np.ndarray, " 52"]] = []
    with open_video(path) as video, models.open_landmarker() as landmarker:
        following = track_faces(video, landmarker, sample_aspect=video.info.sample_aspect)
        for count, tracked in enumerate(following, start=1):
            for face in selector.choose(tracked):
                times.append(tracked.frame.time)
                expressions.append(face.face.expression)
            if progress:
                progress(Progress(count, video.info.frame_count, tracked.frame.time))
    if not times:
        raise NoFaceError(f"{path}: no face in any frame")
    return times, np.stack(expressions)


def _curve(
    times: list[Fraction],
    expressions: Float32[np.ndarray, "frames 52"],
    neutral: Float32[np.ndarray, " 52"] | None,
    emotions: EmotionModels,
) -> list[EmotionAt]:
    """The emotion in windows that overlap; windows without the face are left out."""
    seconds = np.array([float(time) for time in times])
    middles = np.arange(seconds[0] + WINDOW_S / 2, seconds[-1], STEP_S)
    curve = []
    for middle in middles:
        inside = np.abs(seconds - middle) <= WINDOW_S / 2
        if inside.any():
            embedding = emotions.embed(expressions[inside], neutral)
            time = Fraction(float(middle)).limit_denominator(1000)
            curve.append(EmotionAt(time, emotions.probabilities(embedding)))
    return curve
