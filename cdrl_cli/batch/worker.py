"""One row edited, here or in a process of its own that a crash may take without the others.

A process is started by its module's name, not forked and not by :mod:`multiprocessing`: torch and
the landmark engine hold threads that a fork would lose, and a caller's script need not guard its
main part against being run again.
"""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from queue import SimpleQueue
from time import perf_counter
from typing import BinaryIO

from cdrl_cli import editing
from cdrl_cli.batch.manifest import BatchRow
from cdrl_cli.batch.results import RowError
from cdrl_cli.checkpoints.models import Models, load_models
from cdrl_cli.editing import EditResult, Progress, ProgressCallable
from cdrl_cli.errors import SpfemError

PROGRESS_INTERVAL_S = 0.2
"""Seconds between two reports of a worker."""

PATIENCE_S = 20.0
"""A worker that is told to stop gets so long to remove what it was writing."""


@dataclass(frozen=True, slots=True)
class RowProgress:
    """How far the edit of a row has come."""

    row: BatchRow
    progress: Progress


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an edit ended."""

    seconds: float
    error: RowError | None = None
    result: EditResult | None = None


def edit_row(row: BatchRow, progress: ProgressCallable | None = None) -> Outcome:
    """Edit one row; whatever goes wrong is part of the outcome."""
    began = perf_counter()
    try:
        result = editing.edit_video(
            row.source, row.output, row.options, progress=progress, models=_models(row.weights)
        )
    except SpfemError as error:
        failure = RowError.of(error)
    except Exception as error:
        traceback.print_exc()
        failure = RowError("bug", f"{type(error).__name__}: {error}")
    else:
        return Outcome(perf_counter() - began, result=result)
    return Outcome(perf_counter() - began, error=failure)


@cache
def _models(weight_set: str) -> Models:
    """Loaded once in a process."""
    return load_models(weight_set)


class Worker:
    """A process that edits one row after the other; a context manager."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def edit(self, row: BatchRow, progress: ProgressCallable) -> Outcome:
        """Edit a row in the process, starting it if need be.

        A process that dies over a row is an outcome too; the next row gets another one.
        """
        began = perf_counter()
        process = self._process = self._process or _start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            pickle.dump(row, process.stdin)
            process.stdin.flush()
            while not isinstance(message := pickle.load(process.stdout), Outcome):
                progress(message)
        except Exception:
            process.kill()
            code = process.wait()
            self._process = None
            return Outcome(perf_counter() - began, error=_describe_death(code))
        return message

    def stop(self) -> None:
        """End the process; what it was writing goes away."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()  # it takes that for an order to stop
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _start() -> "subprocess.Popen[bytes]":
    # -P and the explicit path: the working directory is no place to import from.
    return subprocess.Popen(
        [sys.executable, "-P", "-c", f"from {__name__} import main; main()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


def _describe_death(code: int) -> RowError:
    how = f"exit code {code}"
    if code < 0:
        with contextlib.suppress(ValueError):
            how = signal.Signals(-code).name
    hint = "memory may have run out: try fewer --jobs" if code == -signal.SIGKILL else None
    return RowError("crashed", f"the process that edited it died ({how})", hint)


def main() -> None:
    """Edit the rows that come in at stdin until it closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; we are told
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    # Libraries that print must not print into our messages.
    messages = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    rows: SimpleQueue[BatchRow | None] = SimpleQueue()
    threading.Thread(target=_read_rows, args=(sys.stdin.buffer, rows), daemon=True).start()
    while (row := rows.get()) is not None:
        _send(messages, edit_row(row, _reports(messages)))


def _send(messages: BinaryIO, message: Progress | Outcome) -> None:
    try:
        pickle.dump(message, messages)
        messages.flush()
    except BrokenPipeError:
        sys.exit(1)


def _reports(messages: BinaryIO) -> Callable[[Progress], None]:
    due_s = perf_counter()

    def report(progress: Progress) -> None:
        nonlocal due_s
        if perf_counter() >= due_s:
            due_s = perf_counter() + PROGRESS_INTERVAL_S
            _send(messages, progress)

    return report


def _read_rows(stream: BinaryIO, rows: "SimpleQueue[BatchRow | None]") -> None:
    """Hand over what comes in, and end the process when nothing can come in any more.

    Also in the midst of an edit: whoever started us may have been killed, and then nobody else
    can remove the partial file.
    """
    with contextlib.suppress(EOFError, OSError, pickle.UnpicklingError):
        while True:
            rows.put(pickle.load(stream))
    rows.put(None)
    main_thread = threading.main_thread().ident
    assert main_thread is not None
    signal.pthread_kill(main_thread, signal.SIGTERM)
