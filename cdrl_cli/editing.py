"""The product: change the emotion of the face in a video, keep everything else."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Literal

from cdrl_cli import __version__
from cdrl_cli.checkpoints.models import Models, load_models
from cdrl_cli.conditions import read_conditions
from cdrl_cli.edit_options import EditOptions
from cdrl_cli.edited_row import EditedRow, mean_strength
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import PolicyError
from cdrl_cli.face.stream import FaceStream, open_faces
from cdrl_cli.face.tracking import TrackedFrame, part_to_read
from cdrl_cli.face_editor import FaceEditor, read_people
from cdrl_cli.media import VideoWriter, check_encoding, check_input, check_output
from cdrl_cli.media.codecs import check_hardware
from cdrl_cli.media.credentials import CredentialSigner, check_signable
from cdrl_cli.media.encoder import ENCODERS
from cdrl_cli.media.encoding import Encoding
from cdrl_cli.media.frames import VideoFrame, VideoInfo
from cdrl_cli.media.provenance import Provenance
from cdrl_cli.media.splicing import Splice
from cdrl_cli.media.timeline import Timeline, read_timeline
from cdrl_cli.media.untouched import find_splice
from cdrl_cli.media.xmp import read_xmp
from cdrl_cli.notation import Corner
from cdrl_cli.prefetch import prefetch, work_ahead
from cdrl_cli.resuming import NO_SEGMENTS, Met, SegmentedEdit, remove_leftovers
from cdrl_cli.schedule import Schedule, ScheduleRow
from cdrl_cli.target import Measured, meet_targets, warn_of_targets

__all__ = [
    "EditOptions",
    "EditResult",
    "EditedRow",
    "Progress",
    "ProgressCallable",
    "edit_video",
]

DOUBT = 0.2
"""Two readings of a reference that are nearer to each other than this are both told, 0..1."""

SURE = 0.5
"""From this likelihood on, words that are nearly a label are read as it, 0..1."""


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
    """Label or words that the emotion was asked for by; None where a reference alone was given, or
    a schedule."""
    reading: Mapping[Emotion, float]
    """How likely what was asked for reads as each emotion, 0..1 and 1 in all; over a reference that
    is followed, and over the rows of a schedule, the mean."""
    strength: float
    """Length (L2) of the change of the coefficients that is asked for at intensity 1; strong actors
    reach 0.6 to 1.3. Over a reference that is followed, and over a schedule, the mean."""
    reference_neutral: Literal["given", "estimated"] | None
    """Where the neutral face of the reference's person comes from; None without a reference. Of
    several references ``given`` where all are."""
    device: str
    """What the networks of every frame ran on, as ``--device`` names it, and by what."""
    duration_s: float
    elapsed_s: float
    warnings: tuple[str, ...]
    schedule: tuple[EditedRow, ...] = ()
    """What each row of the schedule did; one row where none was given."""
    copied_frames: int = 0
    """Frames of the output that lie outside of the edit and were not encoded anew."""
    beside: tuple[Path, ...] = ()
    """What was written beside the output, where that was asked for: a comparison, a report."""
    disclose: Corner | None = None
    """Corner where a label says on every frame that it is AI-edited; None without one."""
    consent: str | None = None
    """Who agreed, as it was signed; None where nobody said."""


ProgressCallable = Callable[[Progress], None]


def edit_video(
    source: Path | str,
    output: Path | str,
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
        NoFaceError: If there was no face to edit, in the source or in the reference, or nobody
            who looks like the photo.
        UnreadableInputError: If source or reference cannot be decoded.
        PolicyError: If the output exists, or is the source or the reference.
        OutputError: If the output cannot be written, or not be signed.
        UsageError: If the options do not go together, or nobody can sign with that key.
        WeightsError: If weights are missing or damaged.
    """
    began = perf_counter()
    source, output = Path(source), Path(output)
    check_edit(source, output, options)
    sign = _find_signer(options, source, output)
    models = models or load_models()
    with (
        open_faces(source, models, video_stream=options.video_stream) as stream,
        ExitStack() as threads,
    ):
        video = stream.video
        tracked: Iterator[TrackedFrame] | None = None
        if options.plan.span == (None, None) and not options.resume:
            # The first faces are followed while the reference is read.
            tracked = threads.enter_context(prefetch(_follow_faces(stream, options, None), depth=2))
        conditions = read_conditions(options, models)
        people = read_people(options, models)
        options, measured = meet_targets(source, options, models, conditions, people)
        splice, notes = choose_splice(options, video.info, output)
        writer = VideoWriter(
            output,
            like=video.info,
            copy_from=source,
            codec=options.codec,
            crf=options.crf,
            preset=options.preset,
            metadata={"comment": _mark(options)},
            provenance=Provenance(_mark(options), read_xmp(source)),
            sign=sign,
            splice=splice,
            overwrite=options.overwrite,
        )
        with writer:
            editor = FaceEditor(models, options, conditions, stream, people=people)

            def report(frame: VideoFrame) -> None:
                if progress:
                    progress(Progress(frame.index + 1, video.info.frame_count, frame.time))

            timeline = _timeline(options, source, splice)
            if timeline is not None:
                segmented = SegmentedEdit(
                    source=source,
                    output=output,
                    options=options,
                    models=models,
                    conditions=conditions,
                    people=people,
                    timeline=timeline,
                    encoded=splice.part if splice else timeline.whole,
                    setting=writer.setting,
                )
                met = segmented.write(writer, editor, report)
            else:
                if options.resume:
                    notes += (NO_SEGMENTS,)
                # One thread follows faces, one says what they show, some render, this one encodes.
                if tracked is None:
                    followed = _follow_faces(stream, options, splice)
                    tracked = threads.enter_context(prefetch(followed, depth=2))
                begun = editor.begin_all(tracked)
                for frame in threads.enter_context(work_ahead(begun, workers=models.renderers)):
                    writer.write(frame)
                    report(frame)
                threads.close()
                met = Met(video.lost_frames, video.side_data, video.warnings)
            editor.check_found(source)
            writer.note_side_data(met.side_data)
            doubts = dict.fromkeys(
                line
                for row, done in zip(options.plan.rows, editor.rows, strict=True)
                for line in _doubt(row, done.reading)
            )
            missed = warn_of_targets(options.plan, measured)
            own = (*doubts, *missed, *notes, *editor.warnings)
            warnings = (*own, *met.warnings, *writer.warnings)
    remove_leftovers(output)
    return EditResult(
        output=output,
        frames=editor.frames + (splice.copied if splice else 0),
        edited_frames=editor.edited_frames,
        lost_frames=met.lost_frames,
        faces=len(editor.numbers_edited),
        emotion=options.emotion,
        reading=editor.reading,
        strength=mean_strength(conditions),
        reference_neutral=_neutral_source(options.plan),
        device=f"{models.device} ({models.device.engine})",
        duration_s=float(video.info.duration or 0),
        elapsed_s=perf_counter() - began,
        warnings=warnings,
        schedule=tuple(map(_with_target, editor.rows, measured)),
        copied_frames=splice.copied if splice else 0,
        disclose=options.disclose,
        consent=options.consent,
    )


def check_edit(source: Path, output: Path, options: EditOptions) -> None:
    """Refuse an edit whose files do not go together, before any work is done.

    Raises:
        PolicyError: If the output exists, or is the source or the reference.
        UnreadableInputError: If the source cannot be a video.
        OutputError: If no file can be written there.
        UsageError: If suffix, codec, crf and preset do not go together.
        DeviceError: If the codec is one of a graphics processor that does not work here.
    """
    if any(_same_file(one, output) for one in options.reference_files):
        raise PolicyError(f"{output}: the output is the reference", hint="name another output")
    check_input(source)
    check_output(output, inputs=[source], overwrite=options.overwrite)
    check_encoding(output, codec=options.codec, crf=options.crf, preset=options.preset)
    if options.codec is not None:
        check_hardware(ENCODERS[options.codec])


def _with_target(done: EditedRow, found: Measured | None) -> EditedRow:
    if found is None:
        return done
    return replace(
        done,
        target_emotion=found.target,
        measured=found.reached,
        intensity_range=found.intensity_range,
    )


def choose_splice(
    options: EditOptions, like: VideoInfo, output: Path
) -> tuple[Splice | None, tuple[str, ...]]:
    """The packets that go around an edit of a part, and a word where they might and do not.

    Args:
        options: What to do.
        like: Facts of the source.
        output: File to write.
    """
    start, end = options.plan.span
    is_labelled = options.disclose is not None  # every frame is changed
    if options.copy_untouched == "never" or is_labelled or (start is None and end is None):
        return None, ()
    encoding = Encoding(output, options.codec, options.crf, options.preset)
    found = find_splice(like, encoding, start=start, end=end)
    if isinstance(found, str):
        return None, (f"what is not edited is encoded anew, too: {found}",)
    return found, ()


def _timeline(options: EditOptions, source: Path, splice: Splice | None) -> Timeline | None:
    """The times by which an edit is parted into segments, where that is asked for and can be."""
    if not options.resume:
        return None
    return splice.timeline if splice else read_timeline(source, stream=options.video_stream)


def _follow_faces(
    stream: FaceStream, options: EditOptions, splice: Splice | None
) -> Iterator[TrackedFrame]:
    """Every frame that is encoded, with its faces where the edit wants them."""
    # Numbers count a clip's faces from its beginning.
    begin, end = options.plan.span
    start = None if options.plan.names_numbers else begin
    if splice is None:
        return stream.tracked(start=start, end=end)
    part = part_to_read(splice.timeline, splice.part, start=start, end=end)
    tracked = stream.tracked(start=start, end=end, part=part)
    return (one for one in tracked if splice.holds(one.frame.time))


def _neutral_source(plan: Schedule) -> Literal["given", "estimated"] | None:
    references = [row for row in plan.rows if row.reference is not None]
    if not references:
        return None
    is_estimated = any(row.reference_neutral is None for row in references)
    return "estimated" if is_estimated else "given"


def _doubt(row: ScheduleRow, reading: Mapping[Emotion, float] | None) -> Iterator[str]:
    """Warnings of a row whose reference or words may read as something else than was meant.

    A reference that shows hardly anything, or reads as two emotions alike; and words that are
    nearly a label, and do not read as it.
    """
    if reading is None:
        return
    if row.emotion is not None and row.reference is None:
        label = Emotion.meant_by(row.emotion)
        if label is not None and reading[label] < SURE:
            yield (
                f"{row.emotion!r} is read as words ({label} {reading[label]:.0%}); "
                f"if {label} is meant, write it so"
            )
    if row.reference is None or row.emotion is not None:
        return
    (first, most), (second, less) = sorted(reading.items(), key=lambda one: -one[1])[:2]
    if first is Emotion.NEUTRAL:
        yield (
            f"{row.reference}: reads as neutral ({most:.0%}): the edit is as slight as what it "
            "shows; --normalize strengthens it, --emotion beside --ref says what it is"
        )
    elif most - less < DOUBT:
        yield (
            f"{row.reference}: reads as {first} ({most:.0%}) or {second} ({less:.0%}); "
            f"--emotion {first} or --emotion {second} beside --ref settles it"
        )


def _mark(options: EditOptions) -> str:
    """What the output says of itself: that, with what and how it was edited, not with whom."""
    what = "; ".join(dict.fromkeys(map(_describe_row, options.plan.rows)))
    return f"AI-edited: facial expression changed with spfem {__version__} ({what})"


def _describe_row(row: ScheduleRow) -> str:
    said = []
    if row.names_emotion:
        what = row.emotion if row.reference is None else "as in a reference"
        said += [f"emotion: {what}", f"intensity: {row.intensity:g}"]
    if row.adjust:
        said.append(f"adjusted: {row.adjust}")
    if row.neutralise:
        said.append("own emotion taken away")
    return ", ".join(said)


def _find_signer(
    options: EditOptions, source: Path, output: Path
) -> Callable[[Path, Path], None] | None:
    """What signs the finished file, checked before there is one."""
    if options.signing is None:
        return None
    check_signable(output)
    signer = CredentialSigner(options.signing)
    return partial(
        signer.sign, output=output, source=source, what=_mark(options), consent=options.consent
    )


def _same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # one of them is not there
        return False
