"""``spfem preview``."""

from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cdrl_cli.cli.console import print_json, say
from cdrl_cli.cli.options import (
    DeviceName,
    FaceName,
    Json,
    Overwrite,
    Quiet,
    ScheduleFile,
    Source,
    VideoStream,
    Weights,
    read_time,
)
from cdrl_cli.cli.pipes import STANDARD, read_reference, read_source, write_output
from cdrl_cli.cli.progress import count_progress
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UsageError, check_memory_limit
from cdrl_cli.notation import parse_face
from cdrl_cli.weight_set import WeightSet

if TYPE_CHECKING:
    from cdrl_cli.edit_options import EditOptions

EXAMPLES = """\
\b
Examples:
  spfem preview talk.mp4 --open
  spfem preview talk.mp4 -e happy -e sad --moments 4 -o sheet.png
  spfem preview talk.mp4 -e angry --intensity 0.5 --intensity 1 --intensity 1.5 --at 0:12
  spfem preview talk.mp4 --ref joy.mp4 --at 12.4 --crop frame --side 960
  spfem preview talk.mp4 --schedule scenes.csv --moments 6

--json prints one object: output, edits, moments; of each moment its time and, for each edit, why it
is unchanged (null where it is edited).
"""


def preview(
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
            help="An emotion, as edit takes it; more than one: a column for each.",
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
        typer.Option(min=0.0, max=2.0, help="More than one: a column for each.", show_default="1"),
    ] = None,
    schedule: ScheduleFile = None,
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
    faces = parse_face(face)
    target = output or Path(f"{'stdin' if source == STANDARD else source.stem}.preview.png")
    if target == STANDARD and (json or open_):
        raise UsageError("with -o - stdout is the picture: there is no room for --json or --open")

    check_memory_limit()
    from cdrl_cli.checkpoints.models import load_models
    from cdrl_cli.contact_sheet import draw_sheet, encode_sheet
    from cdrl_cli.edit_options import EditOptions
    from cdrl_cli.media.output import check_document, write_document
    from cdrl_cli.preview import check_edited, preview_edits
    from cdrl_cli.schedule import read_schedule

    with ExitStack() as stack:
        readable = stack.enter_context(read_source(source))
        shown = [stack.enter_context(read_reference(one)) for one in reference or ()]
        writable = stack.enter_context(write_output(target, ".png"))
        if target != STANDARD:
            check_document(target, ".png", inputs=[readable], overwrite=overwrite)
        if schedule is not None:
            if emotion or reference or intensity:
                raise UsageError(
                    "the schedule says what is shown: no --emotion, --ref, --intensity"
                )
            edits = [
                EditOptions(schedule=read_schedule(schedule, face=faces), video_stream=video_stream)
            ]
            names = [schedule.name]
        else:
            pairs = list(
                _edits(
                    emotion or ([] if reference else [one for one in Emotion if one != "neutral"]),
                    [one for one in shown if one is not None],
                    intensity or [1.0],
                    EditOptions(emotion="happy", face=faces, video_stream=video_stream),
                )
            )
            names, edits = [name for name, _ in pairs], [one for _, one in pairs]
        found = []
        with count_progress("looking", quiet=quiet) as report:
            for moment in preview_edits(
                readable,
                edits,
                load_models(weight_set, device=device),
                times=at or (),
                moments=moments,
            ):
                found.append(moment)
                if report:
                    report(len(found), len(at) if at else moments)
        check_edited(source, found)
        picture = encode_sheet(draw_sheet(found, names, crop=crop, side_px=side))
        write_document(writable, picture, overwrite=overwrite or target == STANDARD)
    if not quiet:
        say(f"{len(found)} moments, {len(names)} edits: {target}")
    if json:
        print_json(
            {
                "output": target,
                "edits": names,
                "moments": [{"time": one.time, "untouched": one.untouched} for one in found],
            }
        )
    if open_:
        typer.launch(str(target.absolute()))


def _edits(
    emotions: list[str], references: list[Path], intensities: list[float], like: "EditOptions"
) -> "Iterator[tuple[str, EditOptions]]":
    """Each emotion and each reference at each intensity, with what it is called."""
    from dataclasses import replace

    shown: list[tuple[str, EditOptions]] = [
        (words, replace(like, emotion=words)) for words in emotions
    ]
    shown += [(one.name, replace(like, emotion=None, reference=one)) for one in references]
    for name, options in shown:
        for intensity in intensities:
            called = name if len(intensities) == 1 and intensity == 1 else f"{name} {intensity:g}"
            yield called, replace(options, intensity=intensity)
