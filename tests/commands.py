"""Run a program under a limit of time that also ends the programs it has started."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

LAST_WORDS_S = 20.0
"""To say where it stands, and to end."""

LIMIT_S = 300.0
"""Many times what any program of the tests takes on a machine that is busy with other things."""


def run_limited(
    command: Sequence[str | os.PathLike[str]],
    *,
    cwd: Path,
    env: Mapping[str, str],
    limit_s: float = LIMIT_S,
    errors: str = "strict",
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, without standard input.

    :func:`subprocess.run` ends only the program itself when its time is up, and then waits for as
    long as its children hold the pipes.

    Raises:
        AssertionError: If time ran out; with what was printed, and where every thread of a Python
            program stood.
    """
    running = subprocess.Popen(
        command,
        cwd=cwd,
        env={**env, "PYTHONFAULTHANDLER": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        errors=errors,
        start_new_session=True,
    )
    try:
        out, err = running.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGABRT)
        try:
            out, err = running.communicate(timeout=LAST_WORDS_S)
        except subprocess.TimeoutExpired as silence:  # it hangs below Python, or left the group
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
            for pipe in (running.stdout, running.stderr):
                pipe.close()
            out, err = silence.stdout or b"", silence.stderr or b""
        raise AssertionError(f"{command} took over {limit_s} s\n{out}\n{err}") from None
    return subprocess.CompletedProcess(running.args, running.returncode, out, err)
