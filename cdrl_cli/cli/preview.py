"""``spfem preview``."""

from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cdrl_cli.cli.console import print_json, say, show_file
from cdrl_cli.cli.options import (
    Adjust,
    DeviceName,
    EmotionPresetName,
    End,
    FaceName,
    Json,
    Neutralise,
    Overwrite,
    Pace,
    Quiet,
    ScheduleFile,
    Source,
    Start,
    TargetEmotion,
    VideoStream,
    Weights,
    Who,
    read_time,
)
from cdrl_cli.cli.pipes import STANDARD, read_reference, read_source, write_output
from cdrl_cli.cli.progress import count_progress
from cdrl_cli.cli.reference_options import (
    FollowReference,
    Normalize,
    ReferenceEnd,
    ReferenceFace,
    ReferenceNeutral,
    ReferenceStart,
)
from cdrl_cli.cli.settings import check_strength, choose_face, find_chosen_preset, was_given
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UsageError, check_memory_limit
from cdrl_cli.limits import MAX_INTENSITY, WAYS
from cdrl_cli.weight_set import WeightSet

if TYPE_CHECKING:
    from cdrl_cli.checkpoints.models import Models
    from cdrl_cli.edit_options import EditOptions
    from cdrl_cli.presets import EmotionPreset

EXAMPLES = """\
\b
Examples:
  spfem preview talk.mp4 --open
  spfem preview talk.mp4 -e happy -e sad --moments 4 -o sheet.png
  spfem preview talk.mp4 -e angry --intensity 0.5 --intensity 1 --intensity 1.5 --at 0:12
  spfem preview talk.mp4 --ref joy.mp4 --at 12.4 --crop frame --side 960
  spfem preview talk.mp4 --schedule scenes.csv --moments 6
  spfem preview talk.mp4 -e happy --adjust smile=+.3 --neutralise --who jane.jpg

--json prints one object: output, edits, moments; of each moment its time and, for each edit, why it
is unchanged (null where it is edited).
"""


def preview(
    context: typer.Context,
    source: Source,
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="The picture, PNG, or -. Default: SOURCE's name with .preview.png, here.",
            show_default=False,
        ),
    ] = None,
    emotion: Annotated[
        list[str] | None,
        typer.Option(
            "--emotion",
            "-e",
            metavar="WORDS",
            help="An emotion, as edit takes it; more than one, or angry,happy: a column for each.",
            show_default=False,
        ),
    ] = None,
    reference: Annotated[
        list[Path] | None,
        typer.Option(
            "--ref",
            "-r",
            metavar="FILE",
            help="A clip or image that shows one; more than one: a column for each.",
            show_default=False,
        ),
    ] = None,
    intensity: Annotated[
        list[float] | None,
        typer.Option(
            min=0.0,
            max=MAX_INTENSITY,
            metavar="X",
            help="More than one: a column for each.",
            show_default="1",
        ),
    ] = None,
    way: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            max=WAYS,
            metavar="N",
            help="A column for the Nth usual way of acting each emotion; repeat for more.",
            show_default=False,
        ),
    ] = None,
    follow_reference: FollowReference = False,
    reference_neutral: ReferenceNeutral = None,
    reference_face: ReferenceFace = 1,
    reference_start: ReferenceStart = None,
    reference_end: ReferenceEnd = None,
    normalize: Normalize = False,
    preset_emotion: EmotionPresetName = None,
    target_emotion: TargetEmotion = None,
    pace: Pace = 1.0,
    adjust: Adjust = None,
    neutralise: Neutralise = False,
    schedule: ScheduleFile = None,
    start: Start = None,
    end: End = None,
    at: Annotated[
        list[Fraction] | None,
        typer.Option(
            parser=read_time,
            metavar="TIME",
            help="Show this moment; more than one: a row for each.",
            show_default=False,
        ),
    ] = None,
    moments: Annotated[
        int, typer.Option(min=1, max=100, help="How many to choose where --at names none.")
    ] = 3,
    face: FaceName = "largest",
    who: Who = None,
    crop: Annotated[
        Literal["face", "frame"], typer.Option(help="Show the head, or the whole frame.")
    ] = "face",
    side: Annotated[
        int, typer.Option(min=64, max=4096, help="Longer side of one picture, pixels.")
    ] = 320,
    video_stream: VideoStream = None,
    weight_set: Weights = WeightSet.PERMISSIVE,
    device: DeviceName = "auto",
    open_: Annotated[
        bool, typer.Option("--open", help="Show the picture when it is done.")
    ] = False,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show in one picture what edits would make of some moments of SOURCE; write no video.

    A row for each moment, a column for each emotion, reference or intensity; without any of them
    the six emotions. The frames are those that edit would write.
    """
    wanted = _count_moments(context, at, moments)
    target = output or Path(f"{'stdin' if source == STANDARD else source.stem}.preview.png")
    if target == STANDARD and (json or open_):
        raise UsageError("with -o - stdout is the picture: there is no room for --json or --open")

    check_memory_limit()
    from cdrl_cli.checkpoints.models import load_models
    from cdrl_cli.contact_sheet import draw_sheet, encode_sheet
    from cdrl_cli.edit_options import EditOptions
    from cdrl_cli.generator.adjust import Adjustment
    from cdrl_cli.media.output import check_document, write_document
    from cdrl_cli.preview import check_edited, preview_edits
    from cdrl_cli.schedule_file import read_schedule

    with ExitStack() as stack:
        readable = stack.enter_context(read_source(source))
        shown = [stack.enter_context(read_reference(one)) for one in reference or ()]
        writable = stack.enter_context(write_output(target, ".png"))
        if target != STANDARD:
            check_document(target, ".png", inputs=[readable], overwrite=overwrite)
        neutral = stack.enter_context(read_reference(reference_neutral))
        chosen = find_chosen_preset(context, preset_emotion)
        shown_by: dict[str, Any] = {
            "pace": pace,
            "adjust": chosen.adjust if adjust is None else Adjustment.parse(adjust),
            "neutralise": neutralise or chosen.neutralise,
            "face": choose_face(context, face, who),
        }
        of_edit: dict[str, Any] = {
            "who": who,
            "target_emotion": target_emotion,
            "start": start,
            "end": end,
            "video_stream": video_stream,
        }
        of_reference: dict[str, Any] = {
            "follow_reference": follow_reference,
            "reference_neutral": neutral,
            "reference_face": reference_face,
            "reference_start": reference_start,
            "reference_end": reference_end,
            "normalize": normalize,
        }
        if schedule is not None:
            if emotion or reference or intensity or way:
                raise UsageError(
                    "the schedule says what is shown: no --emotion, --way, --ref, --intensity"
                )
            rows = read_schedule(schedule, **shown_by)
            edits = [EditOptions(schedule=rows, **of_edit, **of_reference)]
            names = [schedule.name]
        else:
            emotions = _emotions(emotion, shown, chosen, shown_by)
            check_strength(context, target_emotion, names_emotion=emotions != [None])
            names, edits = _columns(
                _acted(emotions, way),
                [one for one in shown if one is not None],
                intensity or [1.0 if chosen.intensity is None else chosen.intensity],
                shown_by | of_edit,
                of_reference,
            )
        found = []
        models = load_models(weight_set, device=device)
        edits = list(_find_targets(readable, edits, names, models))
        with count_progress("looking", quiet=quiet) as report:
            for moment in preview_edits(
                readable,
                edits,
                models,
                times=at or (),
                moments=moments,
            ):
                found.append(moment)
                if report:
                    report(len(found), wanted)
        check_edited(source, found)
        picture = encode_sheet(draw_sheet(found, names, crop=crop, side_px=side))
        write_document(writable, picture, overwrite=overwrite or target == STANDARD)
    if not quiet:
        say(f"{_count(len(found), 'moment')}, {_count(len(names), 'edit')}: {target}")
    if json:
        print_json(
            {
                "output": target,
                "edits": names,
                "moments": [{"time": one.time, "untouched": one.untouched} for one in found],
            }
        )
    if open_:
        show_file(target)


def _find_targets(
    source: Path, edits: "list[EditOptions]", names: list[str], models: "Models"
) -> "Iterator[EditOptions]":
    """The edits with the intensities for their targets; says them in the names of the columns."""
    from cdrl_cli.preview import find_intensities
    from cdrl_cli.target import warn_of_targets

    for place, (edit, found) in enumerate(find_intensities(source, edits, models)):
        for warning in warn_of_targets(edit.plan, found):
            say(warning, label="warning", style="yellow")
        if len(found) == 1 and found[0] is not None:
            names[place] += f" {found[0].intensity:g}"
        yield edit


def _emotions(
    named: list[str] | None,
    references: "list[Path | None]",
    preset: "EmotionPreset",
    shown_by: dict[str, Any],
) -> list[str | None]:
    """The emotions that have columns; None for one that only adjusts."""
    if named or references:
        return [one for words in named or () for one in Emotion.parse_list(words) or (words,)]
    if preset.emotion is not None:
        return [preset.emotion]
    if shown_by["adjust"] or shown_by["neutralise"]:
        return [None]
    return [one for one in Emotion if one is not Emotion.NEUTRAL]


def _acted(
    emotions: list[str | None], ways: list[int] | None
) -> list[tuple[str | None, int | None]]:
    """Each emotion in each way; None for all that is learned of it."""
    if ways and not emotions:
        raise UsageError(
            "--way says how an emotion is acted, and only references are shown",
            hint="give --emotion, too, or leave --way out",
        )
    return [(words, way) for words in emotions for way in ways or (None,)]


def _columns(
    acted: list[tuple[str | None, int | None]],
    references: list[Path],
    intensities: list[float],
    common: dict[str, Any],
    of_reference: dict[str, Any],
) -> "tuple[list[str], list[EditOptions]]":
    """Each emotion, in its way, and each reference at each intensity: names, and edits."""
    from cdrl_cli.edit_options import EditOptions

    # Without a reference, what is said of one is refused with the first emotion.
    common = common if references else common | of_reference
    only = str(common["adjust"]) or "neutralised"
    shown: list[tuple[str, dict[str, Any]]] = [
        (f"{words or only}, way {way}" if way else words or only, {"emotion": words, "way": way})
        for words, way in acted
    ]
    shown += [(one.name, {"reference": one} | of_reference) for one in references]
    names, edits = [], []
    for name, asked in shown:
        for intensity in intensities:
            is_usual = len(intensities) == 1 and intensity == 1
            names.append(name if is_usual else f"{name} {intensity:g}")
            edits.append(EditOptions(intensity=intensity, **(common | asked)))
    return names, edits


def _count_moments(context: typer.Context, at: list[Fraction] | None, moments: int) -> int:
    """How many moments are shown.

    Raises:
        UsageError: If the command line both names them and says how many to choose.
    """
    if at and was_given(context, "moments"):
        raise UsageError("--at names the moments, and --moments would choose them: give one")
    return len(at) if at else moments


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
