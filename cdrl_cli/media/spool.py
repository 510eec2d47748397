"""Pipes as files: a video is read twice and not in order, and neither can be done with a pipe."""

import os
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, Final

from cdrl_cli.errors import OutputError, UnreadableInputError
from cdrl_cli.streams import CHUNK_BYTES, read_chunks, write_all

WRITER_PATIENCE_S: Final = 10.0
"""So long a named pipe is waited for until somebody writes into it, seconds."""
_LOOK_S: Final = 0.05
"""Seconds between two looks whether somebody writes."""


@contextmanager
def spool_input(stream: BinaryIO, name: str) -> Iterator[Path]:
    """A temporary file with all that a stream gives; it goes away at the end.

    An MP4 file may have its index at the end, and its other streams are read a second time.

    Args:
        stream: Read to its end; one that does not block is waited for.
        name: What the file is called, for messages.

    Raises:
        OutputError: If the folder of temporary files has no room.
        UnreadableInputError: If nothing comes, or the stream cannot be read.
    """
    with _spool(_read(stream, name), name) as path:
        yield path


@contextmanager
def spool_pipe(path: Path) -> Iterator[Path]:
    """A temporary file with all that comes out of a named pipe; it goes away at the end.

    Args:
        path: The pipe.

    Raises:
        OutputError: If the folder of temporary files has no room.
        UnreadableInputError: If nobody writes into the pipe, or it cannot be read.
    """
    try:
        # Else opening waits for ever for somebody who opens the other end.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise UnreadableInputError(f"{path}: {error.strerror or error}") from error
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor
        first = _first_bytes(descriptor, path)
        with _spool(chain((first,), _read(file, str(path))), path.name) as copy:
            yield copy


def _first_bytes(descriptor: int, path: Path) -> bytes:
    """What comes first; a pipe without a writer looks as one at its end."""
    end_s = time.monotonic() + WRITER_PATIENCE_S
    while time.monotonic() < end_s:
        try:
            if piece := os.read(descriptor, CHUNK_BYTES):
                return piece
            time.sleep(_LOOK_S)
        except BlockingIOError:  # somebody has opened it, and takes his time
            select.select([descriptor], [], [])
            end_s = time.monotonic() + _LOOK_S
        except OSError as error:
            raise UnreadableInputError(f"{path}: {error.strerror or error}") from error
    raise UnreadableInputError(
        f"{path}: is a pipe, and nobody writes into it", hint="Start what writes first."
    )


@contextmanager
def spool_output(stream: BinaryIO, suffix: str) -> Iterator[Path]:
    """Where to write a file that is sent down a stream when it is whole.

    Not while it is written: whoever reads gets the whole file or nothing, as under a name.

    Args:
        stream: Gets the file when the block has ended well; may be one that does not block.
        suffix: Of the file's name.

    Raises:
        OutputError: If the folder of temporary files cannot be used, or the stream is full.
        BrokenPipeError: If nobody reads.
    """
    with _temporary_folder() as folder:
        path = folder / f"stdout{suffix}"
        yield path
        with path.open("rb") as file:
            try:
                while piece := file.read(CHUNK_BYTES):
                    write_all(stream, piece)
                stream.flush()
            except BrokenPipeError:
                raise
            except OSError as error:
                raise OutputError(
                    f"standard output cannot be written ({error.strerror or error})"
                ) from error


@contextmanager
def _spool(pieces: Iterator[bytes], name: str) -> Iterator[Path]:
    with _temporary_folder() as folder:
        path = folder / (name or "pipe")
        with _room_in(folder), path.open("wb") as file:
            for piece in pieces:
                file.write(piece)
        if not path.stat().st_size:
            raise UnreadableInputError(f"{name}: is empty (0 bytes)")
        yield path


def _read(stream: BinaryIO, name: str) -> Iterator[bytes]:
    try:
        yield from read_chunks(stream)
    except OSError as error:
        raise UnreadableInputError(f"{name}: cannot be read ({error.strerror or error})") from error


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
