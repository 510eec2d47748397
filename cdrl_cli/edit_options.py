"""What an edit is asked for: the options of ``spfem edit``, checked as a whole."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UsageError
from cdrl_cli.face.selection import FaceChoice
from cdrl_cli.generator.motion import MAX_INTENSITY
from cdrl_cli.media.credentials import SigningIdentity


@dataclass(frozen=True, slots=True)
class EditOptions:
    """What to do to a clip; the options of ``spfem edit``."""

    reference: Path | None = None
    """Clip or image that shows the emotion. With ``emotion`` too, that says what it is called, and
    the reference how it looks."""
    emotion: str | None = None
    """A label of :class:`~cdrl_cli.emotion.Emotion`, or any words for an emotion, which need the
    optional weights ``text``."""
    follow_reference: bool = False
    """The emotion varies as over the reference, which plays alongside from the start of the edit
    and whose end is held. Else there is one emotion, of the reference's more expressive half."""
    reference_neutral: Path | None = None
    """Another clip or image of the reference's person, neutral; None estimates that face."""
    reference_face: int = 1
    """Which of the reference's faces, from 1, by size: 1 is the largest."""
    reference_start: Fraction | None = None
    """Seconds on the reference's clock from which on it is read."""
    reference_end: Fraction | None = None
    """Seconds on the reference's clock up to which it is read."""
    normalize: bool = False
    """Bring a reference to the typical strength of its emotion; else a weak one gives a weak
    edit."""
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
    video_stream: int | None = None
    """Index of the stream to edit, as ``spfem probe`` numbers them; None for the usual one."""
    overwrite: bool = False
    signing: SigningIdentity | None = None
    """Who signs what was done (C2PA), if anybody does; MP4 and QuickTime hold it."""

    def __post_init__(self) -> None:
        if self.reference is None:
            self._refuse_reference_options()
        if self.emotion is not None:
            label = Emotion.parse(self.emotion)
            words = label.value if label else " ".join(self.emotion.split())
            if not words:
                raise UsageError(
                    "the emotion is empty", hint=f"one of {', '.join(Emotion)}, or words"
                )
            object.__setattr__(self, "emotion", words)
        if not 0 <= self.intensity <= MAX_INTENSITY:
            raise UsageError(f"intensity {self.intensity:g} is not within 0..{MAX_INTENSITY:g}")
        if self.reference_face < 1:
            raise UsageError(f"the reference's face {self.reference_face} is not 1 or more")
        _check_order("the start", self.start, "the end", self.end)
        _check_order("the reference's start", self.reference_start, "its end", self.reference_end)

    @property
    def reference_files(self) -> tuple[Path, ...]:
        """What the emotion is read from: the reference and its neutral picture, if they are."""
        return tuple(one for one in (self.reference, self.reference_neutral) if one is not None)

    def _refuse_reference_options(self) -> None:
        """Refuse what only makes sense with a reference."""
        if self.emotion is None:
            raise UsageError("give the emotion by a reference, by a label or words, or by both")
        if self.follow_reference:
            raise UsageError("there is no reference to follow: the emotion is given in words")
        given = {
            "neutral face": self.reference_neutral is not None,
            "face": self.reference_face != 1,
            "start": self.reference_start is not None,
            "end": self.reference_end is not None,
            "typical strength": self.normalize,
        }
        for what in (what for what, is_given in given.items() if is_given):
            raise UsageError(f"the reference's {what} is asked for, and there is no reference")


def _check_order(one: str, start: Fraction | None, other: str, end: Fraction | None) -> None:
    """Refuse a part of a clip that ends before it begins."""
    if start is not None and end is not None and start >= end:
        raise UsageError(f"{one}, {float(start):g} s, is not before {other}, {float(end):g} s")
