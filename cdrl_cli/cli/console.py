"""What goes where: one JSON object to stdout, everything for people to stderr."""

import json
import sys
from pathlib import Path
from unicodedata import category

import typer
from rich.console import Console
from rich.text import Text

from cdrl_cli.errors import SpfemError
from cdrl_cli.notation import plain

_NOT_SHOWN = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode's control characters, surrogates (bytes that are no UTF-8), ends of lines."""

_TURNS_LINES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""They write the rest of a line from right to left."""


def stderr_console() -> Console:
    """Standard error as it is now; Rich honours NO_COLOR and TERM=dumb.

    Made anew for each use: a console keeps the stream that it was born with.
    """
    return Console(stderr=True, highlight=False, soft_wrap=True)


def printable(text: str) -> str:
    r"""A line that a terminal only shows: names and tags of files come from strangers.

    >>> printable("a\x1b[31m\nb.mp4")
    'a\\x1b[31m\\nb.mp4'
    """
    return "".join(
        character.encode("unicode_escape", "surrogatepass").decode()
        if category(character) in _NOT_SHOWN or character in _TURNS_LINES
        else character
        for character in text
    )


def say(message: str, *, label: str | None = None, style: str = "") -> None:
    """Print one line for a person to stderr, after a coloured label.

    Args:
        message: Taken literally: a file name with brackets is no markup.
        label: ``error``, ``hint``, ``warning``.
        style: Rich style of the label.
    """
    message = printable(message)
    text = Text(message) if label is None else Text.assemble((f"{label}:", style), f" {message}")
    stderr_console().print(text)


def report(error: SpfemError) -> None:
    """Print an error, what it consists of, and its hint to stderr."""
    say(str(error), label="error", style="bold red")
    for detail in error.details:
        say(detail, label="error", style="bold red")
    if error.hint:
        say(error.hint, label="hint", style="dim")


def show_file(file: Path) -> None:
    """Show a file in the program that the user has for such files; say so where there is none."""
    if typer.launch(str(file.absolute())) != 0:
        say(
            f"no program to show it was found: open {file} yourself",
            label="warning",
            style="yellow",
        )


def print_json(value: object) -> None:
    """Print a result as one JSON object on one line of stdout; :func:`plain` says how."""
    sys.stdout.write(to_json(value) + "\n")
    sys.stdout.flush()


def to_json(value: object) -> str:
    """A value as one line of JSON.

    File names are bytes: those that are no UTF-8 come out as escaped surrogates.
    """
    try:
        text = json.dumps(plain(value), ensure_ascii=False)
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(plain(value))
    return text
