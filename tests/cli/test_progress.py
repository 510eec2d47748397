import os
import pty
import subprocess
import sys
from fractions import Fraction

from cdrl_cli.cli import progress as progress_module
from cdrl_cli.cli.progress import show_progress
from cdrl_cli.editing import Progress

ESCAPE = "\x1b["
RED = f"{ESCAPE}1;31m"

REPORT = """
from fractions import Fraction
from cdrl_cli.cli.progress import show_progress
from cdrl_cli.editing import Progress
with show_progress("editing", quiet=False) as progress:
    for done in range(1, 6):
        progress(Progress(done, 5, Fraction(done, 25)))
"""


def on_terminal(*arguments: str, **variables: str) -> str:
    """What Python with these arguments writes to stderr where that is a terminal."""
    unset = {"NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS"}
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    reading, writing = pty.openpty()
    subprocess.run(
        [sys.executable, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=writing,
        env=environment | {"TERM": "xterm-256color"} | variables,
        check=False,
    )
    os.close(writing)
    chunks = []
    try:
        while chunk := os.read(reading, 65536):
            chunks.append(chunk)
    except OSError:  # Linux: the other end is closed and everything is read
        pass
    os.close(reading)
    return b"".join(chunks).decode()


def report(frames: int = 5) -> None:
    with show_progress("editing", quiet=False) as progress:
        assert progress is not None
        for done in range(1, frames + 1):
            progress(Progress(done, frames, Fraction(done, 25)))


def test_a_terminal_gets_a_bar_that_goes_away():
    shown = on_terminal("-c", REPORT)
    assert "5/5" in shown
    assert "fps" in shown
    assert shown.endswith(f"{ESCAPE}2K")


def test_a_short_run_leaves_a_log_alone(capsys):
    report()
    assert capsys.readouterr() == ("", "")


def test_a_long_run_writes_plain_lines_into_a_log(capsys, monkeypatch):
    monkeypatch.setattr(progress_module, "LOG_INTERVAL_S", 0.0)
    report(2)
    out, err = capsys.readouterr()
    assert out == ""
    first, second = err.splitlines()
    assert first.startswith("editing: 1 of 2 frames, ")
    assert second.endswith(" fps")
    assert ESCAPE not in err


def test_an_unknown_length_is_not_invented(capsys, monkeypatch):
    monkeypatch.setattr(progress_module, "LOG_INTERVAL_S", 0.0)
    with show_progress("editing", quiet=False) as progress:
        progress(Progress(7, None, Fraction(1)))
    assert capsys.readouterr().err.startswith("editing: 7 frames, ")


def test_a_dumb_terminal_gets_no_bar():
    assert on_terminal("-c", REPORT, TERM="dumb") == ""


def test_quiet_gives_no_callable():
    with show_progress("editing", quiet=True) as progress:
        assert progress is None


def test_errors_are_red_on_a_terminal():
    assert RED in on_terminal("-m", "cdrl_cli", "edit")


def test_no_color_is_honoured():
    shown = on_terminal("-m", "cdrl_cli", "edit", NO_COLOR="1")
    assert "error:" in shown
    assert RED not in shown
