"""The file that an edit is written to: whether it may be, and why it could not be."""

import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import av

from cdrl_cli.errors import OutputError, PolicyError, UsageError
from cdrl_cli.media.encoder import container_for
from cdrl_cli.media.partial import PartialFile

_LONGEST_SHOWN: Final = 250
"""Characters of a path that a message shows whole."""


def check_output(output: Path, *, inputs: Iterable[Path], overwrite: bool = False) -> None:
    """Refuse an output that would destroy something, before any work is done.

    Args:
        output: File to write.
        inputs: Files that are read; the output may be none of them under any name.
        overwrite: Whether an existing file may be replaced.

    Raises:
        PolicyError: If the output exists and ``overwrite`` is not set, or is an input.
        OutputError: If it is a folder, a device or a pipe, its folder does not exist, or no file
            can have its name.
        UsageError: If we cannot write files of its kind.
    """
    container_for(output)
    _check_place(output, inputs=inputs, overwrite=overwrite)


def check_document(
    output: Path, suffix: str, *, inputs: Iterable[Path] = (), overwrite: bool = False
) -> None:
    """Refuse a picture or a page that would destroy something, before any work is done.

    Args:
        output: File to write.
        suffix: What its name is to end in: ``.png``, ``.html``.
        inputs: Files that are read; the output may be none of them under any name.
        overwrite: Whether an existing file may be replaced.

    Raises:
        PolicyError: If the output exists and ``overwrite`` is not set, or is an input.
        OutputError: If no file can be written there.
        UsageError: If its name ends in something else.
    """
    check_kind(output, suffix)
    _check_place(output, inputs=inputs, overwrite=overwrite)


def check_kind(output: Path, suffix: str) -> None:
    """Refuse a picture or a page by its name.

    Raises:
        UsageError: If its name ends in something else.
    """
    if output.suffix.lower() != suffix:
        raise UsageError(f"{output}: its name does not end in {suffix}")


def write_document(output: Path, content: bytes, *, overwrite: bool = False) -> None:
    """Write a file that appears under its name only when it is whole.

    Raises:
        PolicyError: If a file of that name has appeared meanwhile and may not be replaced.
        OutputError: If it cannot be written.
    """
    try:
        part = PartialFile(output)
        try:
            part.path.write_bytes(content)
            part.publish(overwrite=overwrite)
        finally:
            part.remove()
    except OSError as error:
        raise output_error(output, error) from error


def _check_place(output: Path, *, inputs: Iterable[Path], overwrite: bool) -> None:
    try:
        status = output.stat()
    except (FileNotFoundError, NotADirectoryError):
        if output.parent.is_dir():
            return
        raise OutputError(
            f"{output}: there is no folder {output.parent}", hint="Create it first."
        ) from None
    except OSError as error:
        raise OutputError(
            f"{_shortened(output)}: no file can be written there ({error.strerror or error})",
            hint="Name another output.",
        ) from error
    if stat.S_ISDIR(status.st_mode):
        raise OutputError(f"{output}: is a folder", hint="Name a file in it.")
    if not stat.S_ISREG(status.st_mode):
        raise OutputError(
            f"{output}: is a device, a pipe or a socket, which a video cannot replace",
            hint="-o - writes to standard output, and from there to any of them.",
        )
    for each in inputs:
        if _is_same(status, each):
            raise PolicyError(f"{output}: is also an input ({each})", hint="Name another output.")
    if not overwrite:
        raise PolicyError(f"{output}: exists already", hint="Use --overwrite to replace it.")


def _is_same(status: os.stat_result, path: Path) -> bool:
    try:
        return os.path.samestat(status, path.stat())
    except OSError:  # it is not there
        return False


def _shortened(path: Path) -> str:
    """A path for a message, without the middle of a name that is too long."""
    text = str(path)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:60]}…{text[-20:]}"


def output_error(output: Path, error: OSError | av.error.FFmpegError) -> OutputError:
    """What is told of an output that could not be written, with a hint where one helps."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(f"{output}: the disk is full", hint="Free space, or write elsewhere.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError(f"{output}: its folder may not be written to", hint="Write elsewhere.")
    hint = "If the source is damaged, .mkv may hold what another kind of file cannot."
    return OutputError(
        f"{output}: cannot be written ({error.strerror or error})",
        hint=hint if isinstance(error, av.error.FFmpegError) else None,
    )
