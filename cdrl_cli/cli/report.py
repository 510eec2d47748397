"""``spfem report``."""

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cdrl_cli.cli.console import print_json, say, show_file
from cdrl_cli.cli.options import (
    Adjust,
    DeviceName,
    EmotionPresetName,
    FaceName,
    Intensity,
    Json,
    Neutralise,
    Overwrite,
    Pace,
    ProgressMode,
    Quiet,
    ScheduleFile,
    Source,
    TargetEmotion,
    VideoStream,
    Way,
    Weights,
    Who,
    read_time,
)
from cdrl_cli.cli.progress import show_progress
from cdrl_cli.cli.reference_options import (
    FollowReference,
    Normalize,
    ReferenceEnd,
    ReferenceFace,
    ReferenceNeutral,
    ReferenceStart,
)
from cdrl_cli.cli.settings import check_strength, choose_face, find_chosen_preset, was_given
from cdrl_cli.errors import UsageError, check_memory_limit
from cdrl_cli.weight_set import WeightSet

if TYPE_CHECKING:
    from cdrl_cli.report.page import Report
    from cdrl_cli.report.reading import ReadFace

_OF_AN_EDIT: Final = frozenset(
    "way follow_reference reference_neutral reference_face reference_start reference_end normalize "
    "intensity preset_emotion target_emotion start end pace face who video_stream".split()
)
"""Options, by their names in Python, that say nothing unless an edit is told."""

EXAMPLES = """\
\b
Examples:
  spfem report talk.mp4 out.mp4
  spfem report talk.mp4 out.mp4 --emotion happy -o happy.html --open
  spfem report talk.mp4 out.mp4 --ref joy.mp4 --json | jq .lip_correlation

--json prints one object: output, size_bytes, frames, duration_s, untouched, and faces: of each its
name, emotion, source and output_emotion (means of the curves), lip_correlation, closures_kept and
identity. Those of the first face stand beside them, too.
"""


def report(
    context: typer.Context,
    source: Source,
    edited: Annotated[
        Path, typer.Argument(metavar="EDITED", help="What edit made of it.", show_default=False)
    ],
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="The page. Default: EDITED's name with .html, beside it.",
            show_default=False,
        ),
    ] = None,
    emotion: Annotated[
        str | None,
        typer.Option(
            "--emotion", "-e", metavar="WORDS", help="What was asked for.", show_default=False
        ),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option("--ref", "-r", metavar="FILE", help="What showed it.", show_default=False),
    ] = None,
    way: Way = None,
    follow_reference: FollowReference = False,
    reference_neutral: ReferenceNeutral = None,
    reference_face: ReferenceFace = 1,
    reference_start: ReferenceStart = None,
    reference_end: ReferenceEnd = None,
    normalize: Normalize = False,
    intensity: Intensity = 1.0,
    preset_emotion: EmotionPresetName = None,
    target_emotion: TargetEmotion = None,
    start: Annotated[
        Fraction | None,
        typer.Option(parser=read_time, metavar="TIME", help="Where it began.", show_default=False),
    ] = None,
    end: Annotated[
        Fraction | None,
        typer.Option(parser=read_time, metavar="TIME", help="Where it ended.", show_default=False),
    ] = None,
    pace: Pace = 1.0,
    adjust: Adjust = None,
    neutralise: Neutralise = False,
    schedule: ScheduleFile = None,
    face: FaceName = "largest",
    who: Who = None,
    video_stream: VideoStream = None,
    weight_set: Weights = WeightSet.PERMISSIVE,
    device: DeviceName = "auto",
    open_: Annotated[bool, typer.Option("--open", help="Show the page when it is done.")] = False,
    overwrite: Overwrite = False,
    progress: ProgressMode = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a page that shows what an edit did: before and after in step, and curves over time.

    One HTML file that loads nothing from anywhere: emotion, lips, likeness and what passed through.
    Told what edit was told (--emotion, --ref, --schedule, --who and so on), it also says what was
    asked for, of whom; else it speaks of the largest face. spfem edit --report writes it along
    with the edit.
    """
    check_memory_limit()
    from cdrl_cli.checkpoints.models import load_models
    from cdrl_cli.edit_options import EditOptions
    from cdrl_cli.generator.adjust import Adjustment
    from cdrl_cli.report import write_report
    from cdrl_cli.schedule_file import read_schedule

    chosen = find_chosen_preset(context, preset_emotion)
    is_named = emotion is not None or reference is not None or schedule is not None
    emotion = emotion if is_named else chosen.emotion
    shown_by: dict[str, Any] = {
        "intensity": intensity if chosen.intensity is None else chosen.intensity,
        "pace": pace,
        "adjust": chosen.adjust if adjust is None else Adjustment.parse(adjust),
        "neutralise": neutralise or chosen.neutralise,
        "face": choose_face(context, face, who),
    }
    named: dict[str, Any] = {
        "emotion": emotion,
        "way": way,
        "reference": reference,
        "follow_reference": follow_reference,
        "reference_neutral": reference_neutral,
        "reference_face": reference_face,
        "reference_start": reference_start,
        "reference_end": reference_end,
        "normalize": normalize,
        "target_emotion": target_emotion,
        "who": who,
        "start": start,
        "end": end,
        "video_stream": video_stream,
    }
    options = None
    if schedule is not None:
        options = EditOptions(schedule=read_schedule(schedule, **shown_by), **named)
    elif emotion or reference or shown_by["adjust"] or shown_by["neutralise"]:
        check_strength(context, target_emotion, names_emotion=is_named or emotion is not None)
        options = EditOptions(**shown_by, **named)
    else:
        _refuse_half_told(context)
    page = output or edited.with_suffix(".html")
    with show_progress("reading", quiet=quiet, mode=progress) as shown:
        written = write_report(
            source,
            edited,
            page,
            load_models(weight_set, device=device),
            options=options,
            overwrite=overwrite,
            progress=shown,
        )
    if not quiet:
        say(f"report of {written.reading.frames} frames, {written.size_bytes / 1e6:.1f} MB: {page}")
    if json:
        print_json(_summary(written))
    if open_:
        show_file(page)


def _refuse_half_told(context: typer.Context) -> None:
    """Refuse what only makes sense beside what was asked for, which is not said."""
    for option in context.command.params:
        if option.name in _OF_AN_EDIT and was_given(context, option.name):
            raise UsageError(
                f"{option.opts[0]} says something of an edit, and not what was asked for",
                hint="say it, too: --emotion, --ref, --adjust, --neutralise or --schedule",
            )


def _summary(written: "Report") -> dict[str, object]:
    read = written.reading
    faces = [_summary_of_face(face) for face in read.faces]
    first = {name: value for name, value in faces[0].items() if name != "name"}
    return {
        "output": written.output,
        "size_bytes": written.size_bytes,
        "frames": read.frames,
        "duration_s": read.duration_s,
        **first,
        "untouched": list(read.untouched),
        "faces": faces,
    }


def _summary_of_face(face: "ReadFace") -> dict[str, object]:
    import numpy as np

    from cdrl_cli.emotion import Emotion

    source, output = (
        dict(zip(Emotion, np.nanmean(one, axis=0).tolist(), strict=True))
        for one in (face.source, face.output)
    )
    likeness = face.identity
    return {
        "name": face.name,
        "emotion": face.emotion,
        "source": source,
        "output_emotion": output,
        "lip_correlation": _known(face.lip_correlation),
        "closures_kept": _known(face.closures_kept),
        "identity": float(likeness.mean()) if likeness is not None and len(likeness) else None,
    }


def _known(value: float) -> float | None:
    return None if value != value else value  # noqa: PLR0124 - NaN is not itself
