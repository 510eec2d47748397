"""The product: change the emotion of the face in a video, keep everything else."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

from cdrl_cli.media.frames import VideoInfo

FaceChoice = Literal["largest", "all"] | int
"""Which faces to edit: the largest of each shot, all, or one by its number in ``spfem probe``."""


@dataclass(frozen=True, slots=True)
class EditOptions:
    """What to do to a clip; the options of ``spfem edit``."""

    reference: Path | None = None
    """Clip or image that shows the emotion; this or ``emotion``."""
    emotion: str | None = None
    """A label of :class:`~cdrl_cli.emotion.Emotion`; this or ``reference``."""
    intensity: float = 1.0
    """0 leaves the expression as it is, 1 is as strong as in the reference, at most 2."""
    face: FaceChoice = "largest"
    start: Fraction | None = None
    """Seconds on the clip's clock where the edit begins; it is ramped in."""
    end: Fraction | None = None
    """Seconds on the clip's clock where the edit ends; it is ramped out before."""
    codec: str | None = None
    """``h264``, ``hevc`` or ``ffv1``; None chooses h264, and hevc for 10-bit video."""
    crf: int | None = None
    """Quality of the encoder, lower is better; None is near-lossless."""
    preset: str | None = None
    """Speed of the encoder, by x264's names; None is ``medium``."""
    overwrite: bool = False


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
    """Emotion asked for by label, or None where a reference was given."""
    duration_s: float
    elapsed_s: float
    warnings: tuple[str, ...]


ProgressCallable = Callable[[Progress], None]


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
