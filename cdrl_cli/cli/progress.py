"""How far a long run has come, on stderr: a bar for a person, a rare line for a log."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

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

from cdrl_cli.cli.console import say, stderr_console, to_json

if TYPE_CHECKING:
    from cdrl_cli.checkpoints.fetch import TransferCallable
    from cdrl_cli.editing import Progress, ProgressCallable

LOG_INTERVAL_S = 15.0
"""Seconds between two lines where stderr is no terminal."""


JSON_INTERVAL_S = 0.5
"""Seconds between two lines of JSON about the same clip."""

Mode = Literal["auto", "text", "jsonl", "none"]


def shown_mode(mode: Mode, *, quiet: bool) -> Literal["bar", "text", "jsonl", "none"]:
    """How progress is shown: ``auto`` is a bar for a person, and text for a log."""
    if mode == "jsonl":
        return mode
    if quiet or mode == "none":
        return "none"
    is_bare = not sys.stderr.isatty() or stderr_console().is_dumb_terminal
    return "text" if mode == "text" or is_bare else "bar"


@contextmanager
def show_progress(
    verb: str, *, quiet: bool, mode: Mode = "auto"
) -> "Iterator[ProgressCallable | None]":
    """Give a progress callable that fits stderr; None when nothing should be shown.

    Args:
        verb: What is going on: ``editing``.
        quiet: Show nothing, unless lines of JSON are asked for.
        mode: What to show.

    Yields:
        What the library calls after every frame.
    """
    match shown_mode(mode, quiet=quiet):
        case "none":
            yield None
        case "jsonl":
            yield _json_lines()
        case "text":
            yield _log_lines(verb)
        case "bar":
            with frame_bar() as bar:
                yield _move_bar(bar, verb)


def frame_bar() -> ProgressBar:
    """Bars that count frames, on stderr."""
    return ProgressBar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=stderr_console(),
        transient=True,
    )


def write_json_line(value: object) -> None:
    """Write one object to stderr, for a program that watches."""
    sys.stderr.write(to_json(value) + "\n")
    sys.stderr.flush()


def json_facts(progress: "Progress", frames_per_s: float) -> dict[str, object]:
    """One line of ``--progress jsonl``."""
    return {
        "frames_done": progress.frames_done,
        "frames_total": progress.frames_total,
        "time": progress.time,
        "fps": round(frames_per_s, 2),
    }


def _json_lines() -> "ProgressCallable":
    rate = frame_rate()
    due_s = time.monotonic()

    def report(progress: "Progress") -> None:
        nonlocal due_s
        if time.monotonic() < due_s and progress.frames_done != progress.frames_total:
            return
        due_s = time.monotonic() + JSON_INTERVAL_S
        write_json_line(json_facts(progress, rate(progress.frames_done)))

    return report


def _move_bar(bar: ProgressBar, verb: str) -> "ProgressCallable":
    task = bar.add_task(verb, total=None, rate="")
    rate = frame_rate()

    def report(progress: "Progress") -> None:
        bar.update(
            task,
            completed=progress.frames_done,
            total=progress.frames_total,
            rate=f"{rate(progress.frames_done):.1f} fps",
        )

    return report


def _log_lines(verb: str) -> "ProgressCallable":
    rate = frame_rate()
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


def frame_rate() -> Callable[[int], float]:
    """Frames per second since now."""
    start_s = time.monotonic()
    return lambda frames: frames / max(time.monotonic() - start_s, 1e-9)


@contextmanager
def count_progress(verb: str, *, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Give a callable that takes (done, in all), for runs that count other things than frames."""
    if quiet:
        yield None
        return
    console = stderr_console()
    with ProgressBar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,  # else it leaves an empty line
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
