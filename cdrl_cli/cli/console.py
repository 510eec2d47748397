"""What goes where: one JSON object to stdout, everything for people to stderr."""

import json
import sys
from dataclasses import fields, is_dataclass
from fractions import Fraction
from pathlib import PurePath

from rich.console import Console
from rich.text import Text

from cdrl_cli.errors import SpfemError

_RATIOS = frozenset({"frame_rate", "sample_aspect", "time_base"})
"""Fields that are ratios, not moments: 30000/1001 has no exact decimal number."""


def stderr_console() -> Console:
    """Standard error as it is now; Rich honours NO_COLOR and TERM=dumb.

    Made anew for each use: a console keeps the stream that it was born with.
    """
    return Console(stderr=True, highlight=False, soft_wrap=True)


def say(message: str, *, label: str | None = None, style: str = "") -> None:
    """Print one line for a person to stderr, after a coloured label.

    Args:
        message: Taken literally: a file name with brackets is no markup.
        label: ``error``, ``hint``, ``warning``.
        style: Rich style of the label.
    """
    text = Text(message) if label is None else Text.assemble((f"{label}:", style), f" {message}")
    stderr_console().print(text)


def report(error: SpfemError) -> None:
    """Print an error and its hint to stderr."""
    say(str(error), label="error", style="bold red")
    if error.hint:
        say(error.hint, label="hint", style="dim")


def print_json(value: object) -> None:
    """Print a result as one JSON object on one line of stdout.

    Times are numbers, in seconds; ratios (frame rate, sample aspect, time base) are strings such
    as ``"30000/1001"``; a path is a string; an unknown value is null.
    """
    sys.stdout.write(json.dumps(_plain(value), ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _plain(value: object, name: str = "") -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _plain(getattr(value, field.name), field.name) for field in fields(value)
        }
    if isinstance(value, dict):
        return {str(key): _plain(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}" if name in _RATIOS else float(value)
    if isinstance(value, PurePath):
        return str(value)
    return value
