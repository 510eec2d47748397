import os
import signal
import sys
from pathlib import Path

import pytest

from commands import run_limited

WAIT = "import time; time.sleep(60)"


def lives(pid_file: Path) -> bool:
    """Whether the process that wrote its number there still runs.

    One that has ended and that nobody has asked about, a zombie, runs no more.
    """
    number = int(pid_file.read_text())
    try:
        os.kill(number, 0)
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"


def test_what_was_printed_and_how_it_ended(tmp_path):
    script = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    done = run_limited([sys.executable, "-c", script], cwd=tmp_path, env=os.environ)
    assert (done.stdout, done.stderr, done.returncode) == ("out\n", "err\n", 3)


def test_a_child_that_hangs_is_ended_too_and_says_where_it_stood(tmp_path):
    # The shell is not replaced by its last command, so the sleeper is a grandchild.
    command = ["bash", "-c", f"{sys.executable} -c '{WAIT}' & echo $! > pid; wait"]
    with pytest.raises(AssertionError, match=r"took over(.|\n)*Current thread"):
        run_limited(command, cwd=tmp_path, env=os.environ, limit_s=2)
    assert not lives(tmp_path / "pid")


def test_a_child_that_has_left_its_group_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr("commands.LAST_WORDS_S", 1.0)
    # It holds the pipes, and no signal to the group reaches it.
    command = ["bash", "-c", "setsid bash -c 'echo $$ > pid; exec sleep 600' & sleep 600"]
    with pytest.raises(AssertionError, match="took over"):
        run_limited(command, cwd=tmp_path, env=os.environ, limit_s=1)
    assert lives(tmp_path / "pid")
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
