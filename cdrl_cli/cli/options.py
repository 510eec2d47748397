"""The options that commands share, and how their words are read."""

import re
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal

import typer

from cdrl_cli.errors import UsageError

_CLOCK = re.compile(
    r"(?:(?:(?P<h>\d+):)?(?P<m>[0-5]?\d):(?P<s>[0-5]?\d(?:\.\d+)?)|(?P<only>\d+(?:\.\d+)?))"
)


def parse_time(word: str) -> Fraction:
    """Seconds, exactly, from seconds or a clock time.

    >>> parse_time("83.2"), parse_time("1:23.2"), parse_time("00:01:23.200")
    (Fraction(416, 5), Fraction(416, 5), Fraction(416, 5))
    """
    match = _CLOCK.fullmatch(word.strip())
    if match is None:
        message = f"{word!r} is no time: write seconds (83.2) or a clock time (00:01:23.200)"
        raise typer.BadParameter(message)
    if match["only"]:
        return Fraction(match["only"])
    return 3600 * int(match["h"] or 0) + 60 * int(match["m"]) + Fraction(match["s"])


def parse_face(word: str) -> Literal["largest", "all"] | int:
    """``largest``, ``all``, or the number of a face.

    >>> parse_face("all"), parse_face("2")
    ('all', 2)
    """
    match word:
        case "largest" | "all":
            return word
        case _ if word.isascii() and word.isdigit():
            return int(word)
    raise UsageError(
        f"--face {word!r} is no choice", hint="largest, all, or a number that spfem probe shows"
    )


Source = Annotated[Path, typer.Argument(metavar="SOURCE", help="The video.", show_default=False)]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")]

Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Only warnings and errors; no progress, no summary.")
]
