"""What an edit is asked for: the options of ``spfem edit``, checked as a whole."""

from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path

from cdrl_cli.errors import UsageError
from cdrl_cli.face.selection import FaceChoice
from cdrl_cli.generator.adjust import Adjustment
from cdrl_cli.media.credentials import SigningIdentity
from cdrl_cli.media.untouched import COPY_UNTOUCHED, CopyUntouched
from cdrl_cli.notation import CORNERS, Corner
from cdrl_cli.schedule import Schedule, ScheduleRow, take_text

MAX_CONSENT = 1000
"""Longest note of consent, characters."""


@dataclass(frozen=True, slots=True)
class EditOptions:
    """What to do to a clip; the options of ``spfem edit``.

    Paths may be given as text, and ``adjust`` as the command line takes it.
    """

    reference: Path | None = None
    """Clip or image that shows the emotion. With ``emotion`` too, that says what it is called, and
    the reference how it looks."""
    emotion: str | None = None
    """A label of :class:`~cdrl_cli.emotion.Emotion`, or any words for an emotion, which need the
    optional weights ``text``."""
    way: int | None = None
    """In which of its usual ways ``emotion`` is acted, from 1; None for all that has been learned
    of it."""
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
    pace: float = 1.0
    """How far the strength varies over time, as over the reference or as actors' usually does: 0
    holds it, 1 as they do, at most 2."""
    target_emotion: float | None = None
    """Likelihood, 0..1, that the emotion is to be read with from the edited face, by our own
    reader: the intensity is found by measurement on some frames, and ``intensity`` says nothing."""
    adjust: Adjustment = Adjustment()  # noqa: RUF009 - it is frozen
    """Fine controls, added to the emotion or to none, at their own strength."""
    neutralise: bool = False
    """Take away first what the source's face shows itself."""
    face: FaceChoice = "largest"
    who: Path | None = None
    """Photo of the person to edit, wherever in the clip they are seen, instead of ``face``; needs
    the optional weights ``identity``."""
    schedule: Schedule | None = None
    """Several rows instead of one: then all fields above and ``start`` and ``end`` say nothing and
    must be left as they are."""
    start: Fraction | None = None
    """Seconds on the clip's clock where the edit begins; it is ramped in."""
    end: Fraction | None = None
    """Seconds on the clip's clock where the edit ends; it is ramped out before."""
    codec: str | None = None
    """``h264``, ``hevc``, ``vp9``, ``av1``, ``ffv1`` or an encoder of a GPU; None chooses by the
    output's name and the source: h264, hevc for 10-bit video, vp9 in ``.webm``."""
    crf: int | None = None
    """Quality of the encoder, lower is better; None is near-lossless."""
    preset: str | None = None
    """Speed of the encoder, by x264's names; None is the codec's default."""
    video_stream: int | None = None
    """Index of the stream to edit, as ``spfem probe`` numbers them; None for the usual one."""
    copy_untouched: CopyUntouched = "auto"
    """Whether groups of pictures outside of ``start`` and ``end`` are copied as packets where a
    trial proves that they may be; else they are encoded anew like what is edited."""
    resume: bool = False
    """Edit in segments that are kept beside the output as they are finished, so that an edit that
    was killed goes on where it was."""
    overwrite: bool = False
    signing: SigningIdentity | None = None
    """Who signs what was done (C2PA), if anybody does; MP4 and QuickTime hold it."""
    consent: str | None = None
    """Who agreed to the edit, in words, at most :data:`MAX_CONSENT` characters: kept in what is
    signed, and nowhere else."""
    disclose: Corner | None = None
    """Corner of the picture where a small label says on every frame that it is AI-edited."""

    def __post_init__(self) -> None:
        take_text(self)
        if self.copy_untouched not in COPY_UNTOUCHED:
            raise UsageError(
                f"untouched parts are copied {' or '.join(COPY_UNTOUCHED)}, "
                f"not {self.copy_untouched}"
            )
        self._check_consent()
        if self.disclose is not None and self.disclose not in CORNERS:
            raise UsageError(
                f"{self.disclose!r} is no corner of the picture", hint=", ".join(CORNERS)
            )
        if self.schedule is None:
            # A row checks itself, and knows labels by their common names.
            object.__setattr__(self, "emotion", self._row().emotion)
            return
        given = [
            name
            for name, of_row in ((one.name, one.default) for one in fields(ScheduleRow))
            if getattr(self, name, of_row) != of_row
        ]
        if given:
            raise UsageError(
                f"the schedule says what is shown and when: {', '.join(given)} beside it",
                hint="say it in the rows of the schedule",
            )

    def _check_consent(self) -> None:
        if self.consent is None:
            return
        if self.signing is None:
            raise UsageError(
                "a note of consent is kept only in what is signed, and nobody signs",
                hint="give --c2pa-cert and --c2pa-key",
            )
        words = " ".join(self.consent.split())
        if not words or len(words) > MAX_CONSENT:
            raise UsageError(
                f"the note of consent has {len(words)} characters, and may have 1 to {MAX_CONSENT}"
            )
        object.__setattr__(self, "consent", words)

    @property
    def plan(self) -> Schedule:
        """What is to be shown, by whom and when: the schedule, or one row of the fields here."""
        return self.schedule or Schedule((self._row(),))

    @property
    def reference_files(self) -> tuple[Path, ...]:
        """What is read beside the source: references, neutral pictures, photos of persons."""
        return self.plan.files

    def _row(self) -> ScheduleRow:
        own = {one.name for one in fields(self)}
        names = [one.name for one in fields(ScheduleRow) if one.name in own]
        return ScheduleRow(**{name: getattr(self, name) for name in names})
