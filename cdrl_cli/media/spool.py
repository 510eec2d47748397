"""Pipes as files: a video is read twice and not in order, and neither can be done with a pipe."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from cdrl_cli.errors import OutputError, UnreadableInputError


@contextmanager
def spool_input(stream: BinaryIO, name: str) -> Iterator[Path]:
    """A temporary file with all that a stream gives; it goes away at the end.

    An MP4 file may have its index at the end, and its other streams are read a second time.

    Args:
        stream: Read to its end.
        name: What the file is called, for messages.

    Raises:
        OutputError: If the folder of temporary files has no room.
        UnreadableInputError: If nothing comes.
    """
    with _temporary_folder() as folder:
        path = folder / name
        with _room_in(folder), path.open("wb") as file:
            shutil.copyfileobj(stream, file, 1 << 20)
        if not path.stat().st_size:
            raise UnreadableInputError(f"{name}: is empty (0 bytes)")
        yield path


@contextmanager
def spool_output(stream: BinaryIO, suffix: str) -> Iterator[Path]:
    """Where to write a file that is sent down a stream when it is whole.

    Not while it is written: whoever reads gets the whole file or nothing, as under a name.

    Args:
        stream: Gets the file when the block has ended well.
        suffix: Of the file's name.

    Raises:
        OutputError: If the folder of temporary files cannot be used.
        BrokenPipeError: If nobody reads.
    """
    with _temporary_folder() as folder:
        path = folder / f"stdout{suffix}"
        yield path
        with path.open("rb") as file:
            shutil.copyfileobj(file, stream, 1 << 20)
        stream.flush()


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    try:
        folder = TemporaryDirectory(prefix="spfem-", ignore_cleanup_errors=True)
    except OSError as error:
        raise OutputError(f"no folder for temporary files ({error.strerror})") from error
    with folder as name:
        yield Path(name)


@contextmanager
def _room_in(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{folder}: standard input cannot be kept there ({error.strerror or error})",
            hint="free space, or name another folder in TMPDIR",
        ) from error
