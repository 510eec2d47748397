"""``spfem edit``."""

from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal

import typer

from cdrl_cli.cli.console import print_json, say
from cdrl_cli.cli.options import Json, Quiet, Source, parse_face, parse_time
from cdrl_cli.cli.progress import show_progress
from cdrl_cli.emotion import Emotion

Codec = Literal["h264", "hevc", "ffv1"]
Preset = Literal[
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
]

WeightSet = Literal["permissive", "research"]

EXAMPLES = """\
\b
Examples:
  spfem edit talk.mp4 --ref angry.mp4 -o out.mp4
  spfem edit talk.mp4 --emotion happy --intensity 0.7 -o out.mp4
  spfem edit talk.mp4 -e sad --start 1:05 --end 1:12.5 --face 2 -o out.mp4
  spfem edit talk.mp4 -r joy.mov -o out.mkv --codec ffv1 --json --quiet

--json prints one object: output, frames, edited_frames, lost_frames, faces, emotion, duration_s,
elapsed_s, warnings; or {"error": {"code", "message", "hint"}}.
"""


def edit(
    source: Source,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="The result.", show_default=False)],
    reference: Annotated[
        Path | None,
        typer.Option(
            "--ref", "-r", help="Clip or image that shows the emotion.", show_default=False
        ),
    ] = None,
    emotion: Annotated[
        str | None,
        typer.Option(
            "--emotion",
            "-e",
            metavar="LABEL",
            help=f"One of {', '.join(Emotion)}.",
            show_default=False,
        ),
    ] = None,
    intensity: Annotated[
        float, typer.Option(min=0.0, max=2.0, help="0 changes nothing, 1 is as strong as shown.")
    ] = 1.0,
    face: Annotated[
        str,
        typer.Option(
            metavar="largest|all|N",
            help="Whose face; spfem probe numbers them.",
        ),
    ] = "largest",
    start: Annotated[
        Fraction | None,
        typer.Option(
            parser=parse_time,
            metavar="TIME",
            help="Edit from here on: seconds or HH:MM:SS.mmm.",
            show_default=False,
        ),
    ] = None,
    end: Annotated[
        Fraction | None,
        typer.Option(
            parser=parse_time, metavar="TIME", help="Edit up to here.", show_default=False
        ),
    ] = None,
    codec: Annotated[
        Codec | None,
        typer.Option(help="Default: h264; hevc for 10-bit video.", show_default=False),
    ] = None,
    crf: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=51,
            help="Encoder quality, lower is better. Default: near-lossless.",
            show_default=False,
        ),
    ] = None,
    preset: Annotated[
        Preset | None,
        typer.Option(help="Encoder speed. Default: medium.", show_default=False),
    ] = None,
    weights: Annotated[
        WeightSet, typer.Option(help="By what it was learned from; see weights/README.md.")
    ] = "permissive",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", "-y", help="Replace OUTPUT if it exists.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Change the emotion of the face in SOURCE; keep everything else.

    Speech, timing, resolution, rotation, colour, audio, subtitles and metadata stay. Frames in
    which no face can be edited pass through. OUTPUT appears only when it is complete.
    """
    faces = parse_face(face)

    from cdrl_cli.checkpoints.models import load_models
    from cdrl_cli.editing import EditOptions, edit_video

    options = EditOptions(
        reference=reference,
        emotion=emotion,
        intensity=intensity,
        face=faces,
        start=start,
        end=end,
        codec=codec,
        crf=crf,
        preset=preset,
        overwrite=overwrite,
    )
    with show_progress("editing", quiet=quiet) as progress:
        result = edit_video(source, output, options, progress=progress, models=load_models(weights))
    for warning in result.warnings:
        say(warning, label="warning", style="yellow")
    if not quiet:
        rate = result.frames / max(result.elapsed_s, 1e-9)
        say(
            f"edited {result.edited_frames} of {result.frames} frames "
            f"in {result.elapsed_s:.1f} s ({rate:.1f} fps): {result.output}"
        )
    if json:
        print_json(result)
