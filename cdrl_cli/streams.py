"""Standard input, output and error as they may really be: slow, full, closed, or non-blocking.

A raw ``write()`` may take a part of what it is given and say how much, or nothing because a pipe
that does not block is full; a raw ``read()`` says None where nothing has come yet. Whoever takes
these for "all written" and "the end" loses data without an error. Here is the one way to do both.
"""

import io
import os
import select
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, BinaryIO, Protocol

from cdrl_cli.errors import OutputError

CHUNK_BYTES = 1 << 20
"""Most that is read at once, bytes."""


class Writable(Protocol):
    """A binary stream that may take only a part of what it is given."""

    def write(self, data: Any, /) -> int | None:
        """Take some bytes and say how many; None for none."""
        ...


def write_all(stream: Writable, data: bytes | memoryview) -> None:
    """Write every byte, however many calls that takes.

    Args:
        stream: Raw or buffered, blocking or not.
        data: What to write.

    Raises:
        OSError: If the stream refuses for another reason than that it is full now.
    """
    rest = memoryview(data).cast("B")
    while rest:
        try:
            taken = stream.write(rest)
        except BlockingIOError as full:
            taken = full.characters_written
        if taken is None:
            taken = 0
        if taken < len(rest):
            _wait(stream, writing=True)
        rest = rest[taken:]


def read_chunks(stream: BinaryIO) -> Iterator[bytes]:
    """What a stream gives until its end, in pieces as they come.

    Args:
        stream: Raw or buffered, blocking or not.

    Raises:
        OSError: If it cannot be read.
    """
    # One system call for each piece where there is a choice: `read` waits for a full one.
    read = getattr(stream, "read1", None) or stream.read
    waited = False
    while True:
        try:
            piece = read(CHUNK_BYTES)
        except BlockingIOError:
            piece = None
        if piece:
            waited = False
            yield piece
        elif piece == b"" and waited:
            return
        else:
            # A buffered reader gives no bytes both where nothing has come yet and at the end; at
            # the end a stream is ready at once, and then gives none again.
            _wait(stream, writing=False)
            waited = True


def _wait(stream: object, *, writing: bool) -> None:
    """Wait until a stream that does not block can go on; not for one without a descriptor."""
    with suppress(AttributeError, OSError, ValueError):
        wanted = [stream.fileno()]  # type: ignore[attr-defined]
        select.select([] if writing else wanted, wanted if writing else [], [])


def is_pipe(path: Path) -> bool:
    """Whether a path names a pipe: a FIFO, or what ``<(command)`` and ``/dev/stdin`` stand for."""
    try:
        return stat.S_ISFIFO(path.stat().st_mode)
    except (OSError, ValueError):
        return False


class PatientFile(io.FileIO):
    """A raw standard stream that takes all it is given and waits for what it asks for.

    What cannot be written is an error once; after that it is thrown away, so that Python's own
    flush at its end does not fail a second time.

    Args:
        descriptor: Open; not closed with the object.
        mode: ``r`` or ``w``.
        name: What a user calls the stream, for messages.
        forgiving: Whether what cannot be written is lost in silence: messages for people are no
            reason to fail.
    """

    def __init__(self, descriptor: int, mode: str, name: str, *, forgiving: bool = False) -> None:
        super().__init__(descriptor, mode, closefd=False)
        self._called = name
        self._forgiving = forgiving
        self._is_broken = False

    def write(self, data: Any, /) -> int:
        """Write all of it.

        Raises:
            BrokenPipeError: If nobody reads any more.
            OutputError: If it cannot be written for another reason.
        """
        rest = memoryview(data).cast("B")
        size = len(rest)
        while rest and not self._is_broken:
            try:
                taken = super().write(rest)
            except OSError as error:
                self._is_broken = True
                if self._forgiving:
                    break
                if isinstance(error, BrokenPipeError):
                    raise
                raise OutputError(
                    f"{self._called} cannot be written ({error.strerror or error})"
                ) from error
            if not taken:
                _wait(self, writing=True)
            rest = rest[taken or 0 :]
        return size

    def readinto(self, buffer: Any, /) -> int:
        """Read what has come, and wait where nothing has."""
        while (count := super().readinto(buffer)) is None:
            _wait(self, writing=False)
        return count

    def read(self, size: int | None = -1, /) -> bytes:
        """Read up to so many bytes, or all that come."""
        if size is None or size < 0:
            return self.readall()
        buffer = bytearray(size)
        return bytes(buffer[: self.readinto(buffer)])

    def readall(self) -> bytes:
        """Read to the end."""
        return b"".join(iter(lambda: self.read(CHUNK_BYTES), b""))


def open_closed_descriptors() -> None:
    """Open the null device for standard streams that are closed, in a way that using it fails.

    A closed descriptor would be given to the next file that is opened, and what a library prints
    would end up in a user's video.
    """
    for descriptor, flags in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_RDONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, flags)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)


def open_standard_streams() -> None:
    """Replace Python's standard streams by ones that lose nothing, also where they are closed."""
    open_closed_descriptors()
    sys.stdout = _text(1, "standard output", sys.stdout)
    forgive_standard_error()
    reader = io.BufferedReader(PatientFile(0, "r", "standard input"))
    sys.stdin = io.TextIOWrapper(reader, encoding="utf-8")


def forgive_standard_error() -> None:
    """Let messages for people that cannot be written be no error."""
    sys.stderr = _text(2, "standard error", sys.stderr)


def _text(descriptor: int, name: str, old: IO[str] | None) -> io.TextIOWrapper:
    is_error = descriptor == 2  # noqa: PLR2004 - it is its number
    raw = PatientFile(descriptor, "w", name, forgiving=is_error)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=getattr(old, "encoding", None) or "utf-8",
        errors="backslashreplace" if is_error else (getattr(old, "errors", None) or "strict"),
        line_buffering=is_error or raw.isatty(),
    )
