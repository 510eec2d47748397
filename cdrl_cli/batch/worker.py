"""One row edited, here or in a process of its own that a crash may take without the others.

A process is started by its module's name, not forked and not by :mod:`multiprocessing`: torch and
the landmark engine hold threads that a fork would lose, and a caller's script need not guard its
main part against being run again.
"""

import contextlib
import faulthandler
import os
import pickle
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing.connection import Connection
from queue import SimpleQueue
from time import perf_counter
from typing import NoReturn

from cdrl_cli import editing
from cdrl_cli.batch.manifest import BatchRow
from cdrl_cli.batch.results import RowError
from cdrl_cli.checkpoints.models import Models, load_models
from cdrl_cli.editing import EditResult, Progress, ProgressCallable
from cdrl_cli.errors import Interrupted, MemoryExhausted, SpfemError, raise_if_memory
from cdrl_cli.processors import settle_process
from cdrl_cli.streams import forgive_standard_error, open_closed_descriptors
from cdrl_cli.weight_set import WeightSet

PROGRESS_INTERVAL_S = 0.2
"""Seconds between two reports of a worker."""

PATIENCE_S = 20.0
"""A worker that is told to stop gets so long to remove what it was writing."""

SILENCES = 180
"""A worker that says nothing for so many times"""

SILENCE_S = 10.0
"""so many seconds hangs. The longest silence of one that works is the end of a long film, which is
copied to the disk. Counted in parts, so that a batch may be suspended (Ctrl-Z) for as long."""


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
        models = _models(row.weight_set, row.device)
        read = [row.source, *row.options.reference_files]
        row.beside.check(row.output, inputs=read, overwrite=row.options.overwrite)
        result = editing.edit_video(
            row.source, row.output, row.options, progress=progress, models=models
        )
        row.beside.write(row.source, row.output, models, row.options, result.schedule)
        result = replace(result, beside=row.beside.files)
    except SpfemError as error:
        failure = RowError.of(error)
    except Exception as error:
        try:
            raise_if_memory(error)
        except MemoryExhausted as exhausted:
            failure = RowError.of(exhausted)
        else:
            traceback.print_exc()
            failure = RowError("bug", f"{type(error).__name__}: {error}")
    else:
        return Outcome(perf_counter() - began, result=result)
    return Outcome(perf_counter() - began, error=failure)


@cache
def _models(weight_set: WeightSet, device: str) -> Models:
    """Loaded once in a process."""
    return load_models(weight_set, device=device)


class Worker:
    """A process that edits one row after the other; a context manager."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._dismissed = False
        self._lock = threading.Lock()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def edit(self, row: BatchRow, progress: ProgressCallable) -> Outcome:
        """Edit a row in the process, starting it if need be.

        A process that dies over a row, or hangs, is an outcome too; the next row gets another one.
        """
        began = perf_counter()
        with self._lock:
            if self._dismissed:
                return Outcome(0.0, error=RowError.of(Interrupted("the batch was stopped")))
            process = self._process = self._process or _start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with Connection(os.dup(process.stdin.fileno()), readable=False) as rows:
                rows.send(row)
            with Connection(os.dup(process.stdout.fileno()), writable=False) as messages:
                while not isinstance(message := _receive(messages), Outcome):
                    progress(message)
        except TimeoutError as error:
            _say_where(process)
            failure = RowError("crashed", str(error), "where it stood is on standard error")
        except Exception:
            failure = None
        else:
            return message
        process.kill()
        code = process.wait()
        _close(process)
        self._process = None
        return Outcome(perf_counter() - began, error=failure or _describe_death(code))

    def dismiss(self) -> None:
        """Tell the process to end, and to start no other."""
        with self._lock:
            self._dismissed = True
            process = self._process
        if process is not None:
            assert process.stdin is not None
            process.stdin.close()  # it takes that for an order to stop

    def stop(self) -> None:
        """End the process; what it was writing goes away."""
        self.dismiss()
        process, self._process = self._process, None
        if process is None:
            return
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _close(process)


def _start() -> "subprocess.Popen[bytes]":
    # Ctrl-C reaches the whole group, and we tell the process ourselves. What is blocked in this
    # thread is blocked there from its first instruction on.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        # -P and the explicit path: the working directory is no place to import from.
        return subprocess.Popen(
            [sys.executable, "-P", "-c", f"from {__name__} import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Its matrices are small, and threads of BLAS that wait spin: those of several workers
            # on few cores keep each other from working.
            env={"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", **os.environ}
            | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _close(process: "subprocess.Popen[bytes]") -> None:
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        pipe.close()


def _receive(messages: Connection) -> Progress | Outcome:
    for _ in range(SILENCES):
        if messages.poll(SILENCE_S):
            return messages.recv()
    silence_s = SILENCES * SILENCE_S
    raise TimeoutError(f"the process that edited it hung: not a sign of it for {silence_s:g} s")


def _say_where(process: "subprocess.Popen[bytes]") -> None:
    """Let a process that hangs print what each of its threads is at, and die."""
    process.send_signal(signal.SIGABRT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(PATIENCE_S)


def _describe_death(code: int) -> RowError:
    how = f"exit code {code}"
    if code < 0:
        with contextlib.suppress(ValueError):
            how = signal.Signals(-code).name
    hint = "memory may have run out: try fewer --jobs" if code == -signal.SIGKILL else None
    return RowError("crashed", f"the process that edited it died ({how})", hint)


def main() -> None:
    """Edit the rows that come in at stdin until it closes."""
    open_closed_descriptors()
    forgive_standard_error()
    faulthandler.enable()
    settle_process()
    signal.signal(signal.SIGTERM, _end)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, _end)
    # Libraries that print must not print into our messages.
    messages = Connection(os.dup(1), readable=False)
    os.dup2(2, 1)
    rows: SimpleQueue[BatchRow | None] = SimpleQueue()
    # Not through sys.stdin: Python aborts at its end where a thread waits in one of its buffers.
    source = Connection(os.dup(0), writable=False)
    reader = threading.Thread(target=_read_rows, args=(source, rows), daemon=True)
    code = 0
    try:
        reader.start()
        while (row := rows.get()) is not None:
            _send(messages, edit_row(row, _reports(messages)))
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it is ending
    except SystemExit as stop:
        code = int(stop.code or 0)
    # Nothing of ours is left to do. Python's own end would wait for the threads of libraries, and
    # for ever for one that was just starting when the signal came.
    sys.stderr.flush()
    os._exit(code)


def _end(number: int, _: object) -> NoReturn:
    # Once: a second order, of whoever ends all processes of a job and of the closing pipe, would
    # cut short the removal of what was written.
    signal.signal(number, signal.SIG_IGN)
    # A library that swallows the exception or does not end makes no process that stays.
    faulthandler.dump_traceback_later(PATIENCE_S / 2, exit=True)
    sys.exit(128 + number)


def _send(messages: Connection, message: Progress | Outcome) -> None:
    try:
        messages.send(message)
    except BrokenPipeError:
        sys.exit(1)


def _reports(messages: Connection) -> Callable[[Progress], None]:
    due_s = perf_counter()

    def report(progress: Progress) -> None:
        nonlocal due_s
        if perf_counter() >= due_s:
            due_s = perf_counter() + PROGRESS_INTERVAL_S
            _send(messages, progress)

    return report


def _read_rows(source: Connection, rows: "SimpleQueue[BatchRow | None]") -> None:
    """Hand over what comes in, and end the process when nothing can come in any more.

    Also in the midst of an edit: whoever started us may have been killed, and then nobody else
    can remove the partial file.
    """
    with contextlib.suppress(EOFError, OSError, pickle.UnpicklingError):
        while True:
            rows.put(source.recv())
    rows.put(None)
    main_thread = threading.main_thread().ident
    assert main_thread is not None
    signal.pthread_kill(main_thread, signal.SIGTERM)
