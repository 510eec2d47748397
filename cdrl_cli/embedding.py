"""The emotion that a clip shows, over time and as a whole, read as an edit reads a reference."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from cdrl_cli.array_types import Float
from cdrl_cli.checkpoints.models import Models, load_models
from cdrl_cli.editing import Progress
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import NoFaceError
from cdrl_cli.face.selection import FaceSelector
from cdrl_cli.face.stream import FaceStream, FaceTrack, Sighting, collect_face, open_faces
from cdrl_cli.generator.motion import find_expressive
from cdrl_cli.reference import condition_of_face, estimate_rest
from cdrl_cli.weight_set import WeightSet

WINDOW_S = 1.0
"""Length of the window that one point of the curve is read from, seconds."""

STEP_S = 0.5
"""Time between two points of the curve, seconds."""

CROP_STEP_S = 0.2
"""Least time between two frames whose pixels are read, seconds."""


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
    """Of each label, as an edit by this reference reads it; sums to 1."""
    phrases: tuple[tuple[str, float], ...]
    """Phrases whose embeddings are nearest to the clip's, and their cosine."""
    curve: tuple[EmotionAt, ...]
    embedding: tuple[float, ...]
    """CERL's embedding of the clip, a unit vector, moved so far that it reads as the
    probabilities say."""
    frames: int
    """Frames that showed the face."""


def embed_clip(
    source: Path | str,
    *,
    neutral: Path | str | None = None,
    weight_set: WeightSet | str = WeightSet.PERMISSIVE,
    progress: Callable[[Progress], None] | None = None,
) -> ClipEmotion:
    """Read the emotion that a clip or an image shows.

    Args:
        source: The clip.
        neutral: A neutral clip or image of the same person: what lies in the face is then told
            from what the person does with it. The permissive set reads labels from pixels alone,
            so there it counts for the embedding and the phrases only.
        weight_set: ``permissive`` or ``research``.
        progress: Called after every frame of the source.

    Raises:
        NoFaceError: If source or neutral show no face.
        UnreadableInputError: If one of them cannot be decoded.
        WeightsError: If weights are missing or damaged.
    """
    models = load_models(weight_set, core=True)
    shown = _read_face(Path(source), models, progress)
    own = None if neutral is None else _read_face(Path(neutral), models).expressions.mean(axis=0)
    rest = estimate_rest(shown, models) if own is None else own
    half = shown.where(find_expressive(shown.expressions, rest))
    likelihoods = _read(half, models, rest, own)
    space = models.cerl.space
    seen = models.cerl.embed_face(half.expressions - (space.neutral if own is None else own))
    embedding = space.agree(seen, likelihoods)
    return ClipEmotion(
        probabilities=_by_label(likelihoods),
        phrases=tuple(space.nearest_phrases(embedding)),
        curve=tuple(_curve(shown, models, rest, own)),
        embedding=tuple(embedding.tolist()),
        frames=len(shown.time_s),
    )


def _read(
    shown: FaceTrack,
    models: Models,
    rest: Float[np.ndarray, " 52"],
    own: Float[np.ndarray, " 52"] | None,
) -> Float[np.ndarray, " 7"]:
    """Probability of each emotion, as an edit reads a reference."""
    return condition_of_face(shown, models, rest=rest, own_neutral=own).reading


def _by_label(likelihoods: Float[np.ndarray, " 7"]) -> dict[Emotion, float]:
    return dict(zip(Emotion, likelihoods.tolist(), strict=True))


def _read_face(
    path: Path, models: Models, progress: Callable[[Progress], None] | None = None
) -> FaceTrack:
    """What the largest face of a clip shows."""
    with open_faces(path, models) as stream:
        shown = collect_face(stream, _sight_largest(stream, progress), crop_step_s=CROP_STEP_S)
    if shown is None:
        raise NoFaceError(f"{path}: no face in any frame")
    return shown


def _sight_largest(
    stream: FaceStream, progress: Callable[[Progress], None] | None
) -> Iterator[Sighting]:
    selector = FaceSelector("largest")
    for count, tracked in enumerate(stream.tracked(), start=1):
        for face in selector.choose(tracked):
            yield Sighting(tracked.frame, face.face)
        if progress:
            progress(Progress(count, stream.video.info.frame_count, tracked.frame.time))


def _curve(
    shown: FaceTrack,
    models: Models,
    rest: Float[np.ndarray, " 52"],
    own: Float[np.ndarray, " 52"] | None,
) -> list[EmotionAt]:
    """The emotion in windows that overlap; windows without the face are left out."""
    curve = []
    for middle in np.arange(shown.time_s[0] + WINDOW_S / 2, shown.time_s[-1], STEP_S):
        window = shown.around(float(middle), WINDOW_S)
        if len(window.time_s):
            time = Fraction(float(middle)).limit_denominator(1000)
            curve.append(EmotionAt(time, _by_label(_read(window, models, rest, own))))
    return curve
