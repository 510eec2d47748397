"""Standard streams that are slow, full, closed, non-blocking; pipes by name; signals."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import pytest

from cdrl_cli.streams import read_chunks, write_all

from .conftest import ROOT, Spfem, count
from .test_disk import small_disk

EDIT = ["-e", "sad", "--preset", "ultrafast"]


def frames_of(data: bytes, folder: Path) -> int:
    (folder / "came.mkv").write_bytes(data)
    with av.open(str(folder / "came.mkv")) as container:
        return sum(1 for _ in container.decode(video=0))


class Reluctant:
    """A raw stream that takes three bytes at a time, and every other time none."""

    def __init__(self) -> None:
        self.taken = bytearray()
        self.calls = 0

    def write(self, data) -> int | None:
        self.calls += 1
        if self.calls % 2:
            return None
        self.taken += bytes(data[:3])
        return len(data[:3])


def test_a_stream_that_takes_little_gets_all():
    stream = Reluctant()
    write_all(stream, b"0123456789")
    assert bytes(stream.taken) == b"0123456789"


@pytest.mark.parametrize("buffering", [0, -1])
def test_a_pipe_that_does_not_block_is_read_to_its_end(buffering):
    reading, writing = os.pipe()
    os.set_blocking(reading, False)

    def feed() -> None:
        for piece in (b"first", b"second"):
            time.sleep(0.1)
            os.write(writing, piece)
        os.close(writing)

    feeding = threading.Thread(target=feed)
    feeding.start()
    with open(reading, "rb", buffering=buffering) as stream:  # noqa: PTH123
        assert b"".join(read_chunks(stream)) == b"firstsecond"
    feeding.join()


def test_a_full_disk_behind_standard_output_is_an_error(short, spfem: Spfem, mounts):
    disk = small_disk(spfem.folder / "disk", mounts, "20k")
    for unbuffered in ("", "1"):
        with (disk / "out.mkv").open("wb") as out:
            words = ["edit", short, *EDIT, "-o", "-"]
            running = spfem.start(*words, stdout=out, PYTHONUNBUFFERED=unbuffered)
            _, err = running.communicate(timeout=60)
        assert running.returncode == 1
        assert "error: standard output cannot be written (No space left on device)" in err
        assert "Traceback" not in err
        assert "Exception ignored" not in err
    count("full streams", 2)


def test_a_reader_that_is_late_and_does_not_block_gets_all(short, spfem: Spfem):
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    running = spfem.start("edit", short, *EDIT, "-o", "-", stdout=writing)
    os.close(writing)
    time.sleep(4)
    with open(reading, "rb") as stream:  # noqa: PTH123
        data = stream.read()
    _, err = running.communicate(timeout=60)
    assert running.returncode == 0, err
    assert frames_of(data, spfem.folder) == 10
    count("streams that do not block")


@pytest.mark.parametrize("command", ["edit", "batch"])
def test_standard_input_that_does_not_block_is_read_to_its_end(short, spfem: Spfem, command):
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    rows = f"source,emotion,output\n{short},sad,out.mkv\n".encode()
    data = short.read_bytes() if command == "edit" else rows
    words = ["edit", "-", "-o", "out.mkv", "-e", "sad"] if command == "edit" else ["batch", "-"]
    running = spfem.start(*words, "--preset", "ultrafast", stdin=reading)
    os.close(reading)
    half = len(data) // 2
    for piece in (data[:half], data[half:]):
        time.sleep(1)
        for start in range(0, len(piece), 30_000):
            os.write(writing, piece[start : start + 30_000])
    os.close(writing)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 0, err
    assert frames_of((spfem.folder / "out.mkv").read_bytes(), spfem.folder) == 10
    count("streams that do not block")


def shell(spfem: Spfem, line: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A line of Bash in which ``spfem`` is the command."""
    start = f'spfem() {{ {sys.executable} -m cdrl_cli "$@"; }}; '
    return subprocess.run(
        ["bash", "-c", start + line],
        cwd=spfem.folder,
        env=spfem.environment(**variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


STREAMS = {
    "closed output, not needed": ("edit a.mp4 -e sad -o out.mkv >&-", 0, True),
    "closed output, needed for JSON": ("edit a.mp4 -e sad -o out.mkv --json >&-", 1, True),
    "closed output, needed for the video": ("edit a.mp4 -e sad -o - >&-", 1, False),
    "closed errors": ("edit a.mp4 -e sad -o out.mkv 2>&-", 0, True),
    "all closed": ("edit a.mp4 -e sad -o out.mkv <&- >&- 2>&-", 0, True),
    "closed input": ("edit - -e sad -o out.mkv <&-", 5, False),
    "closed input of a batch": ("batch - <&-", 5, False),
    "full output": ("edit a.mp4 -e sad -o out.mkv --json >/dev/full", 1, True),
    "full errors": ("edit a.mp4 -e sad -o out.mkv 2>/dev/full", 0, True),
    "full errors of lines": ("edit a.mp4 -e sad -o out.mkv --progress jsonl 2>/dev/full", 0, True),
    "full output of a report": ("probe a.mp4 >/dev/full", 1, False),
    "full output of help": ("--help >/dev/full", 1, False),
    "a missing input, full errors": ("edit b.mp4 -e sad -o out.mkv 2>/dev/full", 5, False),
}


QUICK = {"closed output, needed for JSON", "all closed", "closed input", "full errors"}


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=() if k in QUICK else pytest.mark.slow) for k in STREAMS]
)
def test_a_stream_that_refuses_is_an_error_only_where_it_is_needed(short, spfem: Spfem, kind):
    (spfem.folder / "a.mp4").symlink_to(short)
    line, code, is_edited = STREAMS[kind]
    done = shell(spfem, f"spfem {line}")
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert (spfem.folder / "out.mkv").exists() == is_edited
    count("streams that refuse")


@pytest.mark.slow
def test_pipes_by_name_are_read(short, spfem: Spfem):
    (spfem.folder / "a.mp4").symlink_to(short)
    os.mkfifo(spfem.folder / "pipe.mp4")
    for line in (
        "spfem edit <(cat a.mp4) -e sad -o 1.mkv",
        "cat a.mp4 | spfem edit /dev/stdin -e sad -o 2.mkv",
        "(sleep 1; cat a.mp4 > pipe.mp4) & spfem edit pipe.mp4 -e sad -o 3.mkv",
        "spfem edit a.mp4 -r <(cat a.mp4) -o 4.mkv",
    ):
        done = shell(spfem, line)
        assert done.returncode == 0, (line, done.stderr)
    assert {"1.mkv", "2.mkv", "3.mkv", "4.mkv"} <= spfem.visible()
    count("pipes by name", 4)


def test_a_pipe_that_nobody_writes_into_hangs_nothing(short, spfem: Spfem):
    os.mkfifo(spfem.folder / "pipe.mp4")
    (spfem.folder / "rows.csv").write_text("source,emotion,output\npipe.mp4,sad,out.mkv\n")
    with ThreadPoolExecutor(1) as pool:  # it waits ten seconds for a writer
        edit = pool.submit(spfem.refuse, 5, "edit", "pipe.mp4", *EDIT, "-o", "out.mkv")
        assert "is a pipe" in spfem("batch", "rows.csv", "--dry-run").stdout
        assert spfem("batch", "rows.csv").returncode == 7
        assert "is a pipe" in spfem.results()[0]["error"]["message"]
        assert "is a device" in spfem.refuse(5, "edit", "/dev/zero", *EDIT, "-o", "out.mkv")
        os.mkfifo(spfem.folder / "rows")
        spfem.refuse(5, "batch", "rows")
    assert "nobody writes" in edit.result()
    count("pipes by name", 5)


@pytest.mark.parametrize(
    "name", ["SIGHUP", *(pytest.param(n, marks=pytest.mark.slow) for n in ("SIGTERM", "SIGQUIT"))]
)
def test_a_signal_while_standard_input_is_read_leaves_nothing(short, spfem: Spfem, name):
    temporary = spfem.folder / "tmp"
    temporary.mkdir()
    running = spfem.start(
        "edit", "-", *EDIT, "-o", "out.mkv", stdin=subprocess.PIPE, TMPDIR=str(temporary)
    )
    running.stdin.write("half a video")
    running.stdin.flush()
    end_s = time.monotonic() + 60
    while not list(temporary.glob("spfem-*/stdin")):
        assert time.monotonic() < end_s
        time.sleep(0.02)
    number = getattr(signal, name)
    running.send_signal(number)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 128 + number, err
    assert "Traceback" not in err
    assert not list(temporary.iterdir())
    count("signals while standard input is read")


@pytest.mark.slow
def test_a_hangup_that_was_ignored_stays_ignored(short, spfem: Spfem):
    done = shell(
        spfem,
        f"trap '' HUP; spfem edit {short} -e sad -o out.mkv & P=$!; sleep 1; kill -HUP $P; wait $P",
    )
    assert done.returncode == 0, done.stderr
    assert (spfem.folder / "out.mkv").exists()


@pytest.mark.parametrize("state", ["ignored", "blocked"])
def test_the_tests_give_children_their_signals(state):
    """The suite itself: started by ``nohup`` or ``&``, its children can be interrupted."""
    prelude = {
        "ignored": "import signal; signal.signal(2, signal.SIG_IGN)",
        "blocked": "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, {2, 15})",
    }[state]
    child = (
        "import conftest, signal, subprocess, sys; conftest.pytest_configure(); "
        "c = 'import signal; print(signal.getsignal(2) is signal.default_int_handler, '"
        "'signal.pthread_sigmask(signal.SIG_BLOCK, []))'; "
        "print(subprocess.run([sys.executable, '-c', c], capture_output=True, text=True).stdout)"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{prelude}; {child}"],
        cwd=ROOT / "tests",
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "True set()"
