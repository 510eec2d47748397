"""The product: change the emotion of the face in a video, keep everything else."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Literal

import numpy as np
from jaxtyping import Float

from cdrl_cli import __version__
from cdrl_cli.checkpoints.models import Models, load_models
from cdrl_cli.edit_options import EditOptions
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import NoFaceError, PolicyError
from cdrl_cli.face.alignment import FaceCrop
from cdrl_cli.face.compositing import paste_face
from cdrl_cli.face.selection import FaceSelector, editability
from cdrl_cli.face.stream import FaceStream, Sighting, open_faces
from cdrl_cli.face.tracking import RAMP_S, TrackedFace, TrackedFrame
from cdrl_cli.generator.condition import Condition, ConditionTrack
from cdrl_cli.generator.fitting import FittedChange
from cdrl_cli.generator.motion import Window, spare_blinks
from cdrl_cli.media import VideoWriter, check_input, check_output
from cdrl_cli.media.credentials import CredentialSigner, check_signable
from cdrl_cli.media.frames import VideoFrame
from cdrl_cli.prefetch import prefetch
from cdrl_cli.reference import Reference, read_named_emotion, read_reference
from cdrl_cli.representation.evidence import Evidence

__all__ = [
    "EditOptions",
    "EditResult",
    "FaceEditor",
    "Progress",
    "ProgressCallable",
    "edit_video",
    "read_conditions",
]

DOUBT = 0.2
"""Two readings of a reference that are nearer to each other than this are both told, 0..1."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an edit has come; handed to the progress callable after every frame."""

    frames_done: int
    frames_total: int | None
    time: Fraction
    """Presentation time of the last frame written, seconds."""


@dataclass(frozen=True, slots=True)
class EditResult:
    """What an edit did."""

    output: Path
    frames: int
    """Frames in the output."""
    edited_frames: int
    """Frames in which at least one face was changed."""
    lost_frames: int
    """Frames that the source announced and that could not be decoded."""
    faces: int
    """Different faces that were edited."""
    emotion: str | None
    """Label or words that the emotion was asked for by; None where a reference alone was given."""
    reading: Mapping[Emotion, float]
    """How likely what was asked for reads as each emotion, 0..1 and 1 in all; over a reference that
    is followed the mean."""
    strength: float
    """Length (L2) of the change of the coefficients that is asked for at intensity 1; strong actors
    reach 0.6 to 1.3. Over a reference that is followed the mean."""
    reference_neutral: Literal["given", "estimated"] | None
    """Where the neutral face of the reference's person comes from; None without a reference."""
    duration_s: float
    elapsed_s: float
    warnings: tuple[str, ...]


ProgressCallable = Callable[[Progress], None]


def edit_video(
    source: Path,
    output: Path,
    options: EditOptions,
    *,
    progress: ProgressCallable | None = None,
    models: Models | None = None,
) -> EditResult:
    """Change the emotion of the face in a video; everything else stays.

    Args:
        source: The clip.
        output: Where the result goes; its suffix names the container. It appears when complete.
        options: What to do.
        progress: Called after every frame written.
        models: Loaded before, to edit many clips; None loads the embedded default.

    Raises:
        NoFaceError: If there was no face to edit, in the source or in the reference.
        UnreadableInputError: If source or reference cannot be decoded.
        PolicyError: If the output exists, or is the source or the reference.
        OutputError: If the output cannot be written, or not be signed.
        UsageError: If the options do not go together, or nobody can sign with that key.
        WeightsError: If weights are missing or damaged.
    """
    began = perf_counter()
    if any(_same_file(one, output) for one in options.reference_files):
        raise PolicyError(f"{output}: the output is the reference", hint="name another output")
    check_input(source)
    check_output(output, inputs=[source], overwrite=options.overwrite)
    sign = _find_signer(options, source, output)
    models = models or load_models()
    conditions = read_conditions(options, models)
    with (
        open_faces(source, models, video_stream=options.video_stream) as stream,
        VideoWriter(
            output,
            like=stream.video.info,
            copy_from=source,
            codec=options.codec,
            crf=options.crf,
            preset=options.preset,
            metadata={"comment": _mark(options)},
            sign=sign,
            overwrite=options.overwrite,
        ) as writer,
    ):
        video = stream.video
        editor = FaceEditor(models, options, conditions, stream)
        # Three threads: one follows faces, one renders, this one encodes.
        with prefetch(stream.tracked()) as tracked, prefetch(map(editor.edit, tracked)) as edited:
            for frame in edited:
                writer.write(frame)
                if progress:
                    progress(Progress(frame.index + 1, video.info.frame_count, frame.time))
        editor.check_found(source)
        writer.note_side_data(video.side_data)
        warnings = (*_doubt(options, editor.reading), *video.warnings, *writer.warnings)
    return EditResult(
        output=output,
        frames=editor.frames,
        edited_frames=editor.edited_frames,
        lost_frames=video.lost_frames,
        faces=len(editor.numbers_edited),
        emotion=options.emotion,
        reading=editor.reading,
        strength=float(np.mean([one.strength for one in conditions.conditions])),
        reference_neutral=_neutral_source(options),
        duration_s=float(video.info.duration or 0),
        elapsed_s=perf_counter() - began,
        warnings=warnings,
    )


class FaceEditor:
    """Edits the chosen faces of successive frames, and counts."""

    def __init__(
        self, models: Models, options: EditOptions, conditions: ConditionTrack, stream: FaceStream
    ) -> None:
        self._models = models
        self._options = options
        self._conditions = conditions
        self._stream = stream
        self._selector = FaceSelector(options.face)
        self._strongest = max(conditions.conditions, key=lambda one: one.strength)
        self._known: dict[int, _KnownFace] = {}
        self.reading = _average_reading(conditions)
        self._began_s = None if options.start is None else float(options.start)
        self._last_s = 0.0
        self.frames = 0
        self.edited_frames = 0
        self.numbers_seen: set[int] = set()
        self.numbers_edited: set[int] = set()

    def edit(self, tracked: TrackedFrame) -> VideoFrame:
        """The frame with its chosen faces edited; the frame itself where there is none."""
        self.frames += 1
        self.numbers_seen.update(face.number for face in tracked.faces)
        frame = tracked.frame
        time_s = self._last_s = float(frame.time)
        if self._began_s is None:
            self._began_s = time_s
        condition = self._conditions.at(time_s - self._began_s)
        in_range = _range_weight(time_s, self._options)
        for face in self._selector.choose(tracked) if in_range else ():
            frame = self._edit_face(frame, face, condition, face.presence * in_range)
        self.edited_frames += frame is not tracked.frame
        return frame

    def _edit_face(
        self, frame: VideoFrame, tracked: TrackedFace, condition: Condition, weight: float
    ) -> VideoFrame:
        face, models = tracked.face, self._models
        intensity = self._options.intensity * weight * editability(self._stream.locate(face))
        if intensity == 0:
            return frame
        crop = self._stream.crop(Sighting(frame, face))
        known = self._know(tracked, crop)
        window = Window(tracked.offsets_s, tracked.expressions, known.rest)
        expression = models.motion(face.expression, window, condition, intensity=intensity)
        self.numbers_edited.add(tracked.number)
        eyes = window.eyes(face.expression)
        if known.fitted is not None:
            expression = expression + intensity * spare_blinks(known.fitted.at(condition), eyes)
        rendering = models.renderer(crop, expression, intensity * condition.likelihood, eyes)
        return paste_face(frame, crop, rendering)

    def _know(self, tracked: TrackedFace, crop: FaceCrop) -> "_KnownFace":
        """What is found out about a face when it is first edited."""
        if tracked.number not in self._known:
            self._known[tracked.number] = (
                _meet(tracked, crop, self._strongest, self._models, self._stream)
                if self._strongest.observed
                else _KnownFace()
            )
        return self._known[tracked.number]

    def check_found(self, source: Path) -> None:
        """Refuse an edit that changed nothing although it was asked to.

        Raises:
            NoFaceError: If no face was edited at an intensity above 0.
        """
        if self.numbers_edited or (self._options.intensity == 0 and self.numbers_seen):
            return
        start = self._options.start
        if start is not None and self._last_s <= start:
            raise NoFaceError(
                f"{source}: its last frame is at {self._last_s:g} s, and the edit was to start at "
                f"{float(start):g} s"
            )
        if not self.numbers_seen:
            raise NoFaceError(
                f"{source}: no face in any of its {self.frames} frames",
                hint="the face must be at least an eighth of the picture and turned to the camera",
            )
        seen = ", ".join(map(str, sorted(self.numbers_seen)))
        if isinstance(self._options.face, int) and self._options.face not in self.numbers_seen:
            raise NoFaceError(
                f"{source}: no face has the number {self._options.face}; there are {seen}",
                hint=f"spfem probe {source} shows which is which",
            )
        limited = self._options.start is not None or self._options.end is not None
        where = " in the time asked for" if limited else ""
        raise NoFaceError(
            f"{source}: faces were seen, but none large and frontal enough to be edited{where}",
            hint=f"spfem probe {source} shows when they are",
        )


@dataclass(frozen=True, slots=True)
class _KnownFace:
    """What is found out about a face, to show a reference's change on it."""

    rest: Float[np.ndarray, " 52"] | None = None
    """Coefficients above which its own emotion begins; None leaves what is usual."""
    fitted: FittedChange | None = None
    """How this face is made to show the change; None where a name asks."""


def _meet(
    tracked: TrackedFace,
    crop: FaceCrop,
    condition: Condition,
    models: Models,
    stream: FaceStream,
) -> _KnownFace:
    """Find out how a face rests and how it answers the change that is asked for."""
    shape = stream.locate(tracked.face).inverse().apply(tracked.face.landmarks_xyz.astype(float))
    usual = tracked.expressions.mean(axis=0, dtype=float)
    neutral = models.evidence.estimate_neutral(Evidence(usual, shape, None))
    rest = neutral + models.neutral.high - models.neutral.mean
    own = np.maximum(tracked.face.expression - rest, 0.0)
    return _KnownFace(rest, models.fitter.fit(crop, condition.difference, own=own))


def read_conditions(options: EditOptions, models: Models) -> ConditionTrack:
    """The emotion that some options ask for, by whatever they name it.

    Raises:
        NoFaceError: If the reference shows no face.
        UnreadableInputError: If the reference cannot be decoded.
        WeightsError: If it is named by words and the sentence encoder is missing.
    """
    if options.reference is not None:
        reference = Reference(
            options.reference,
            neutral=options.reference_neutral,
            face=options.reference_face,
            start=options.reference_start,
            end=options.reference_end,
            follow=options.follow_reference,
            named=options.emotion,
            normalise=options.normalize,
        )
        return read_reference(reference, models)
    assert options.emotion is not None  # EditOptions has checked it
    return read_named_emotion(options.emotion, models)


def _average_reading(conditions: ConditionTrack) -> dict[Emotion, float]:
    """How likely each emotion is over a track."""
    shares = np.mean([one.reading for one in conditions.conditions], axis=0)
    return dict(zip(Emotion, shares.tolist(), strict=True))


def _neutral_source(options: EditOptions) -> Literal["given", "estimated"] | None:
    if options.reference is None:
        return None
    return "estimated" if options.reference_neutral is None else "given"


def _doubt(options: EditOptions, reading: Mapping[Emotion, float]) -> Iterator[str]:
    """A warning where a reference shows hardly anything, or reads as two emotions alike."""
    if options.reference is None or options.emotion is not None:
        return
    (first, most), (second, less) = sorted(reading.items(), key=lambda one: -one[1])[:2]
    if first is Emotion.NEUTRAL:
        yield (
            f"{options.reference}: reads as neutral ({most:.0%}): the edit is as slight as what it "
            "shows; --normalize strengthens it, --emotion beside --ref says what it is"
        )
    elif most - less < DOUBT:
        yield (
            f"{options.reference}: reads as {first} ({most:.0%}) or {second} ({less:.0%}); "
            f"--emotion {first} or --emotion {second} beside --ref settles it"
        )


def _range_weight(time_s: float, options: EditOptions) -> float:
    """0..1: ramps in after the start asked for and out before the end."""
    since = RAMP_S if options.start is None else time_s - float(options.start)
    until = RAMP_S if options.end is None else float(options.end) - time_s
    return min(max(min(since, until) / RAMP_S, 0.0), 1.0)


def _mark(options: EditOptions) -> str:
    """What the output says of itself: that, with what and how it was edited, not with whom."""
    what = options.emotion if options.reference is None else "as in a reference"
    return (
        f"AI-edited: facial expression changed with spfem {__version__} "
        f"(emotion: {what}, intensity: {options.intensity:g})"
    )


def _find_signer(
    options: EditOptions, source: Path, output: Path
) -> Callable[[Path, Path], None] | None:
    """What signs the finished file, checked before there is one."""
    if options.signing is None:
        return None
    check_signable(output)
    signer = CredentialSigner(options.signing)
    return partial(signer.sign, output=output, source=source, what=_mark(options))


def _same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # one of them is not there
        return False
