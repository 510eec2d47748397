"""Standard input as a file that can be read, and a file that becomes standard output."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cdrl_cli.errors import SpfemError, UsageError
from cdrl_cli.streams import is_pipe

STANDARD = Path("-")
"""What a user writes for standard input and output."""


@contextmanager
def read_source(source: Path) -> Iterator[Path]:
    """The source itself; a temporary copy of standard input where it is ``-``, and of a pipe.

    Raises:
        UsageError: If standard input is a terminal.
        UnreadableInputError: If nothing comes.
    """
    if source != STANDARD:
        if is_pipe(source):
            from cdrl_cli.media.spool import spool_pipe

            with spool_pipe(source) as path, _called(path, str(source), str(source)):
                yield path
        else:
            yield source
        return
    if sys.stdin.isatty():
        raise UsageError(
            "standard input is a terminal, not a video", hint="spfem edit - … < talk.mp4"
        )
    from cdrl_cli.media.spool import spool_input

    with spool_input(sys.stdin.buffer, "stdin") as path, _called(path, "stdin", str(STANDARD)):
        yield path


@contextmanager
def _called(copy: Path, name: str, argument: str) -> Iterator[None]:
    """Let errors speak of what the user named, and not of its temporary copy."""
    try:
        yield
    except SpfemError as error:
        raise error.calling(copy, name, argument) from error


@contextmanager
def read_reference(reference: Path | None) -> Iterator[Path | None]:
    """The reference itself, if there is one; a temporary copy of it where it is a pipe.

    Raises:
        UnreadableInputError: If nothing comes.
    """
    if reference is None or reference == STANDARD:
        yield reference
    else:
        with read_source(reference) as path:
            yield path


@contextmanager
def write_output(output: Path, suffix: str) -> Iterator[Path]:
    """The output itself; a temporary file, sent to standard output when whole, where it is ``-``.

    Args:
        output: What the user named.
        suffix: Kind of file for standard output.

    Raises:
        UsageError: If standard output is a terminal.
    """
    if output != STANDARD:
        yield output
        return
    if sys.stdout.isatty():
        raise UsageError("a video is nothing for a terminal", hint="spfem edit … -o - > out.mkv")
    from cdrl_cli.media.spool import spool_output

    with spool_output(sys.stdout.buffer, suffix) as path:
        yield path
