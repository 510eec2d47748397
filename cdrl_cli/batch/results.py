"""The record of a batch: one line of JSON for each row that has ended, written as it ends."""

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from io import FileIO
from pathlib import Path
from typing import Any, Final, Literal

from filelock import FileLock, Timeout

from cdrl_cli.batch.manifest import BatchRow
from cdrl_cli.editing import EditResult
from cdrl_cli.errors import OutputError, PolicyError, SpfemError
from cdrl_cli.notation import plain
from cdrl_cli.streams import write_all

Status = Literal["ok", "failed", "skipped"]

_FIRST_BYTES: Final = b'{"row"'
"""How every record begins: with the first field of its first :class:`RowResult`."""


@dataclass(frozen=True, slots=True)
class RowError:
    """Why a row failed."""

    code: str
    """Name of the error, as in the JSON of every command; ``bug`` and ``crashed`` besides."""
    message: str
    hint: str | None = None

    @classmethod
    def of(cls, error: SpfemError) -> "RowError":
        """The same, as a value."""
        return cls(error.code, str(error), error.hint)


@dataclass(frozen=True, slots=True)
class RowResult:
    """How a row ended."""

    row: int
    """Position in the manifest, from 1."""
    line: int
    source: Path
    output: Path
    status: Status
    """``skipped``: an earlier run has done it, and nothing has changed since."""
    seconds: float
    error: RowError | None
    """Where the status is ``failed``."""
    result: EditResult | None
    """Where the status is ``ok``."""
    input_digest: str | None
    """Of size and time of the source and of all that is read beside it (references, neutral
    pictures, photos of persons); None if one is not there."""
    options_digest: str
    """Of everything else that the row asks for."""


def results_path(manifest: Path, shard: tuple[int, int] | None = None) -> Path:
    """Where the record of a manifest lies: beside it.

    >>> results_path(Path("rows.csv")).name, results_path(Path("rows.csv"), (2, 8)).name
    ('rows.csv.results.jsonl', 'rows.csv.2-of-8.results.jsonl')
    """
    part = f".{shard[0]}-of-{shard[1]}" if shard else ""
    return manifest.with_name(f"{manifest.name}{part}.results.jsonl")


def input_digest(row: BatchRow) -> str | None:
    """What tells that a source, a reference or its neutral picture has changed, without reading."""
    facts: list[object] = []
    for path in (row.source, *row.options.reference_files):
        try:
            status = path.stat()
        except OSError:
            return None
        facts.append([str(path), status.st_size, status.st_mtime_ns])
    return _digest(facts)


def options_digest(row: BatchRow) -> str:
    """What tells that a row asks for something else than it did."""
    options = replace(row.options, overwrite=False)  # says nothing of the result
    # Fractions as they are: as decimal numbers two of them may look alike.
    times = [
        str(time)
        for one in options.plan.rows
        for time in (one.start, one.end, one.reference_start, one.reference_end, one.fade)
    ]
    return _digest([plain(options), times, row.weight_set])


def _digest(facts: object) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Past:
    """What earlier runs of a batch have done, and what a killed one was at."""

    ended: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The last line of each output that says how an edit ended."""
    begun: frozenset[str] = frozenset()
    """Outputs that a run began and, if they are not in ``ended``, did not live to record."""

    @classmethod
    def read(cls, results: Path) -> "Past":
        """What a results file says; torn lines count for nothing."""
        ended = {
            str(line.get("output")): line
            for line in _read_json_lines(results)
            if isinstance(line, dict) and line.get("status") in ("ok", "failed")
        }
        return cls(ended, frozenset(map(str, _read_json_lines(_begun_file(results)))))

    def is_done(self, row: BatchRow) -> bool:
        """Whether just this row was done, and its output is still there."""
        last = self.ended.get(str(row.output))
        return (
            last is not None
            and last["status"] == "ok"
            and last.get("options_digest") == options_digest(row)
            and last.get("input_digest") is not None
            and last.get("input_digest") == input_digest(row)
            and os.path.isfile(row.output)  # noqa: PTH113 - it also answers for a name too long
        )

    def was_cut(self, row: BatchRow) -> bool:
        """Whether a run was killed before it could say how this row ended.

        The output, if there is one, is then its own: it began after a look that none was there.
        """
        return str(row.output) in self.begun


class Record:
    """The results file of a running batch; :func:`open_record` opens one."""

    def __init__(self, file: FileIO, begun: FileIO, past: Past) -> None:
        self._file = file
        self._begun = begun
        self._past = past
        self.is_done = past.is_done
        self.was_cut = past.was_cut

    def begin(self, row: BatchRow) -> None:
        """Note that a row is about to write its output, which does not exist."""
        self._write(self._begun, str(row.output))

    def end(self, result: RowResult) -> None:
        """Append how a row ended; the system has it when this returns."""
        self._write(self._file, plain(result))

    def _write(self, file: FileIO, value: object) -> None:
        try:
            write_all(file, f"{json.dumps(value)}\n".encode())
        except OSError as error:
            raise _cannot_write(Path(str(file.name)), error) from error


@contextmanager
def open_record(path: Path, *, resume: bool) -> Iterator[Record]:
    """Open a results file to append to it; it is this process's alone until closed.

    Beside it lies a hidden file with the outputs that were begun. It goes away when a batch ends,
    so one that is found tells what a killed batch was at. A batch that fails before its first row
    leaves neither.

    Args:
        path: The results file.
        resume: Whether what it says already is to be known.

    Raises:
        PolicyError: If another batch is writing to it.
        OutputError: If it cannot be written.
    """
    check_record(path)
    with _locked(path):
        past = Past.read(path) if resume else Past()
        begun = _begun_file(path)
        is_new = not path.exists()
        try:
            with _open(path, "ab") as file, _open(begun, "ab" if resume else "wb") as notes:
                yield Record(file, notes, past)
        except BaseException:
            if is_new and _is_empty(path) and _is_empty(begun):
                path.unlink(missing_ok=True)
                begun.unlink(missing_ok=True)
            raise
        begun.unlink(missing_ok=True)


def _is_empty(path: Path) -> bool:
    return not path.exists() or path.stat().st_size == 0


def companions(results: Path) -> tuple[Path, ...]:
    """The files that a batch writes besides its outputs: the record, its lock, what was begun."""
    return results, _lock_file(results), _begun_file(results)


def check_record(path: Path) -> None:
    """Refuse to append to a file that is no record of a batch.

    Raises:
        PolicyError: If it is a file of another kind.
        OutputError: If it is a folder, a device or a pipe, or cannot be read.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise OutputError(f"{path}: is no regular file", hint="name another with --results")
        with path.open("rb") as file:
            head = file.read(len(_FIRST_BYTES))
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise _cannot_write(path, error) from error
    if not _FIRST_BYTES.startswith(head):  # a killed batch may have left a part of a line
        raise PolicyError(
            f"{path}: is not the record of a batch, and is left as it is",
            hint="name another file with --results",
        )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = FileLock(_lock_file(path))
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise PolicyError(
            f"{path}: another batch is writing to it", hint="wait for it, or name another file"
        ) from error
    except OSError as error:
        raise _cannot_write(path, error) from error
    try:
        yield
    finally:
        with suppress(OSError):
            Path(lock.lock_file).unlink()
        lock.release()


def _lock_file(results: Path) -> Path:
    return results.with_name(f".{results.name}.lock")


def _begun_file(results: Path) -> Path:
    return results.with_name(f".{results.name}.begun")


# Without a buffer: closing one would repeat its error, past us.
def _open(path: Path, mode: Literal["ab", "wb"]) -> FileIO:
    try:
        file = path.open(mode, buffering=0)
        if _is_torn(path):
            write_all(file, b"\n")
    except OSError as error:
        raise _cannot_write(path, error) from error
    return file


def _is_torn(path: Path) -> bool:
    """A killed process may have left half a line: what follows must not become its end."""
    with path.open("rb") as written:
        if not written.seek(0, os.SEEK_END):
            return False
        written.seek(-1, os.SEEK_END)
        return written.read(1) != b"\n"


def _read_json_lines(path: Path) -> Iterator[Any]:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                with suppress(ValueError):
                    yield json.loads(line)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _cannot_write(path, error) from error


def _cannot_write(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{path}: cannot be written ({error.strerror or error})")
