"""The options that commands share, and how their words are read."""

from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal

import typer

from cdrl_cli.errors import UsageError
from cdrl_cli.notation import parse_time

CodecName = Literal["h264", "hevc", "ffv1"]
PresetName = Literal[
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


def read_time(word: str) -> Fraction:
    """Read a time as the value of an option.

    Raises:
        typer.BadParameter: If it is none.
    """
    try:
        return parse_time(word)
    except UsageError as error:
        raise typer.BadParameter(str(error)) from error


Source = Annotated[
    Path, typer.Argument(metavar="SOURCE", help="The video, or -.", show_default=False)
]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")]

Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Only warnings and errors; no progress, no summary.")
]

# An option with an envvar may be set in the configuration file too, by its name in Python.

Intensity = Annotated[
    float,
    typer.Option(
        min=0.0,
        max=2.0,
        envvar="SPFEM_INTENSITY",
        help="0 changes nothing, 1 is as strong as shown.",
    ),
]

FaceName = Annotated[
    str,
    typer.Option(
        "--face",
        metavar="largest|all|N",
        envvar="SPFEM_FACE",
        help="Whose face; spfem probe numbers them.",
    ),
]

Codec = Annotated[
    CodecName | None,
    typer.Option(
        envvar="SPFEM_CODEC", help="Default: h264; hevc for 10-bit video.", show_default=False
    ),
]

Crf = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=51,
        envvar="SPFEM_CRF",
        help="Encoder quality, lower is better. Default: near-lossless.",
        show_default=False,
    ),
]

Preset = Annotated[
    PresetName | None,
    typer.Option(envvar="SPFEM_PRESET", help="Encoder speed. Default: medium.", show_default=False),
]

Weights = Annotated[
    Literal["permissive", "research"],
    typer.Option(
        envvar="SPFEM_WEIGHTS", help="By what it was learned from; see weights/README.md."
    ),
]

Overwrite = Annotated[bool, typer.Option("--overwrite", "-y", help="Replace OUTPUT if it exists.")]

ProgressMode = Annotated[
    Literal["auto", "text", "jsonl", "none"],
    typer.Option(
        "--progress",
        envvar="SPFEM_PROGRESS",
        help="On stderr: a bar on a terminal and else lines; lines; JSON lines; nothing.",
    ),
]
