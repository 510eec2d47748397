"""The options that say how a reference is read; edit and preview share them."""

from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer

from cdrl_cli.cli.options import read_time

FollowReference = Annotated[
    bool,
    typer.Option(
        "--follow-ref",
        help="Vary the emotion as --ref does, played alongside; its end is held.",
    ),
]

ReferenceNeutral = Annotated[
    Path | None,
    typer.Option(
        "--ref-neutral",
        metavar="FILE",
        help="Clip or image of the same person as --ref, neutral. Default: estimated.",
        show_default=False,
    ),
]

ReferenceFace = Annotated[
    int,
    typer.Option("--ref-face", min=1, metavar="N", help="Whose face in --ref: 1 is the largest."),
]

ReferenceStart = Annotated[
    Fraction | None,
    typer.Option(
        "--ref-start",
        parser=read_time,
        metavar="TIME",
        help="Read --ref from here on.",
        show_default=False,
    ),
]

ReferenceEnd = Annotated[
    Fraction | None,
    typer.Option(
        "--ref-end",
        parser=read_time,
        metavar="TIME",
        help="Read --ref up to here.",
        show_default=False,
    ),
]

Normalize = Annotated[
    bool,
    typer.Option(
        "--normalize",
        help="Bring --ref to the typical strength of its emotion, however weak it is.",
    ),
]
