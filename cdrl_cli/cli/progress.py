"""How far a long run has come, on stderr: a bar for a person, a rare line for a log."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as ProgressBar

from cdrl_cli.cli.console import say, stderr_console

if TYPE_CHECKING:
    from cdrl_cli.checkpoints.fetch import TransferCallable
    from cdrl_cli.editing import Progress, ProgressCallable

LOG_INTERVAL_S = 15.0
"""Seconds between two lines where stderr is no terminal."""


@contextmanager
def show_progress(verb: str, *, quiet: bool) -> "Iterator[ProgressCallable | None]":
    """Give a progress callable that fits stderr; None when nothing should be shown.

    Args:
        verb: What is going on: ``editing``.
        quiet: Show nothing.

    Yields:
        What the library calls after every frame.
    """
    console = stderr_console()
    if quiet:
        yield None
    elif not sys.stderr.isatty() or console.is_dumb_terminal:
        yield _log_lines(verb)
    else:
        with ProgressBar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        ) as bar:
            yield _move_bar(bar, verb)


def _move_bar(bar: ProgressBar, verb: str) -> "ProgressCallable":
    task = bar.add_task(verb, total=None, rate="")
    rate = _frame_rate()

    def report(progress: "Progress") -> None:
        bar.update(
            task,
            completed=progress.frames_done,
            total=progress.frames_total,
            rate=f"{rate(progress.frames_done):.1f} fps",
        )

    return report


def _log_lines(verb: str) -> "ProgressCallable":
    rate = _frame_rate()
    due_s = time.monotonic() + LOG_INTERVAL_S

    def report(progress: "Progress") -> None:
        nonlocal due_s
        if time.monotonic() < due_s:
            return
        due_s = time.monotonic() + LOG_INTERVAL_S
        total = "" if progress.frames_total is None else f" of {progress.frames_total}"
        done = progress.frames_done
        say(f"{verb}: {done}{total} frames, {rate(done):.1f} fps")

    return report


def _frame_rate() -> Callable[[int], float]:
    """Frames per second since now."""
    start_s = time.monotonic()
    return lambda frames: frames / max(time.monotonic() - start_s, 1e-9)


@contextmanager
def count_progress(verb: str, *, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Give a callable that takes (done, in all), for runs that count other things than frames."""
    if quiet:
        yield None
        return
    with ProgressBar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=stderr_console(),
        transient=True,
    ) as bar:
        task = bar.add_task(verb, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def show_transfers(*, quiet: bool) -> "Iterator[TransferCallable | None]":
    """Give a callable that takes (what, bytes done, bytes in all), one bar for each what."""
    console = stderr_console()
    if quiet:
        yield None
    elif not sys.stderr.isatty() or console.is_dumb_terminal:
        yield _transfer_lines()
    else:
        with ProgressBar(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        ) as bar:
            tasks: dict[str, TaskID] = {}

            def report(what: str, done: int, total: int | None) -> None:
                if what not in tasks:
                    tasks[what] = bar.add_task(what, total=total)
                bar.update(tasks[what], completed=done, total=total)

            yield report


def _transfer_lines() -> "TransferCallable":
    due_s = time.monotonic() + LOG_INTERVAL_S

    def report(what: str, done: int, total: int | None) -> None:
        nonlocal due_s
        if time.monotonic() < due_s:
            return
        due_s = time.monotonic() + LOG_INTERVAL_S
        of_total = "" if total is None else f" of {total / 1e6:.1f}"
        say(f"downloading {what}" + (f": {done / 1e6:.1f}{of_total} MB" if done else ""))

    return report
