import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import av
import pytest

import sample_clips

from .conftest import LIMIT_S, Spfem, count


def wait_until(is_so: Callable[[], object], running: subprocess.Popen[str]) -> None:
    end_s = time.monotonic() + LIMIT_S
    while not is_so():
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < end_s
        time.sleep(0.02)


def parts(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.endswith(".part")]


def frames_in(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_a_killed_edit_leaves_no_output_and_the_next_one_cleans_up(clips, short, spfem: Spfem):
    words = ["edit", clips / sample_clips.ACTRESS, "-e", "sad", "-o", "out.mp4"]
    running = spfem.start(*words)
    wait_until(lambda: any(part.stat().st_size for part in parts(spfem.folder)), running)
    running.kill()
    running.communicate()
    assert not (spfem.folder / "out.mp4").exists()
    assert len(parts(spfem.folder)) == 1
    count("killed in an edit")

    assert spfem("edit", short, "-e", "sad", "-o", "out.mp4").returncode == 0
    assert spfem.visible() == {"out.mp4"}
    assert frames_in(spfem.folder / "out.mp4") == 10


def test_the_partial_file_of_a_living_process_is_left_alone(clips, short, spfem: Spfem):
    words = ["edit", clips / "joy.mp4", "-e", "sad", "-o", "out.mp4"]
    running = spfem.start(*words)
    wait_until(lambda: parts(spfem.folder), running)
    # Two at once on one name: the quick one gets it, the slow one must not replace it.
    assert spfem("edit", short, "-e", "sad", "-o", "out.mp4").returncode == 0
    assert len(parts(spfem.folder)) == 1
    _, err = running.communicate(timeout=LIMIT_S)
    assert running.returncode == 6, err
    assert "exists already" in err
    assert spfem.visible() == {"out.mp4"}
    assert frames_in(spfem.folder / "out.mp4") == 10
    count("two processes on one output")


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_killed_batch_is_resumed_and_nothing_is_lost(clips, short, spfem: Spfem, jobs: int):
    rows = [f"{short},sad,{number}.mp4" for number in range(4)]
    rows.insert(1, f"{clips / 'joy.mp4'},sad,long.mp4")
    (spfem.folder / "rows.csv").write_text("\n".join(["source,emotion,output", *rows]))
    running = spfem.start("batch", "rows.csv", "--jobs", jobs)
    wait_until(lambda: (spfem.folder / "0.mp4").exists() and parts(spfem.folder), running)
    running.kill()
    running.communicate()
    # The workers notice that they are alone, and clean up.
    end_s = time.monotonic() + 30
    while parts(spfem.folder) and time.monotonic() < end_s:
        time.sleep(0.05)
    assert not parts(spfem.folder)
    assert not (spfem.folder / "long.mp4").exists() or jobs == 2
    count("killed in a batch")

    done = spfem("batch", "rows.csv", "--resume")
    assert done.returncode == 0, done.stderr
    outputs = {"long.mp4", *(f"{number}.mp4" for number in range(4))}
    assert spfem.visible() - {"rows.csv", "rows.csv.results.jsonl"} == outputs
    finished = [line["output"] for line in spfem.results() if line["status"] == "ok"]
    assert {Path(output).name for output in finished} == outputs
    for output in outputs:
        assert frames_in(spfem.folder / output) == (108 if output == "long.mp4" else 10)


def test_a_row_that_was_finished_but_not_recorded_is_done_again(short, spfem: Spfem):
    (spfem.folder / "rows.csv").write_text(f"source,emotion,output\n{short},sad,out.mp4\n")
    # As if it had been killed between giving the file its name and writing the line.
    (spfem.folder / "out.mp4").write_bytes(short.read_bytes())
    begun = spfem.folder / ".rows.csv.results.jsonl.begun"
    begun.write_text(f'"{spfem.folder / "out.mp4"}"\n"half a li')
    (spfem.folder / "rows.csv.results.jsonl").write_text('{"row": 1, "li')
    done = spfem("batch", "rows.csv", "--resume")
    assert done.returncode == 0, done.stderr
    assert not begun.exists()
    *_, last = (spfem.folder / "rows.csv.results.jsonl").read_text().splitlines()
    assert '"status": "ok"' in last
    count("killed before a row was recorded")


def test_a_worker_that_dies_fails_its_row_alone(clips, short, spfem: Spfem):
    rows = [f"{clips / 'joy.mp4'},sad,long.mp4", f"{short},sad,out.mp4"]
    (spfem.folder / "rows.csv").write_text("\n".join(["source,emotion,output", *rows]))
    running = spfem.start("batch", "rows.csv")
    wait_until(lambda: parts(spfem.folder), running)
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
    threads = Path(f"/proc/{running.pid}/task").iterdir()
    workers = " ".join((task / "children").read_text() for task in threads).split()
    assert children.exists()
    subprocess.run(["kill", f"-{signal.SIGKILL:d}", *workers], check=True)
    _, err = running.communicate(timeout=LIMIT_S)
    assert running.returncode == 7, err
    first, second = spfem.results()
    assert (first["status"], first["error"]["code"]) == ("failed", "crashed")
    assert second["status"] == "ok"
    assert "error: row 1, line 2: the process that edited it died (SIGKILL)" in err
    count("worker killed")


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)],
)
def test_a_stopped_batch_leaves_only_its_record(clips, spfem: Spfem, number, code):
    (spfem.folder / "rows.csv").write_text(
        f"source,emotion,output\n{clips / sample_clips.ACTRESS},sad,out.mp4\n"
    )
    running = spfem.start("batch", "rows.csv")
    wait_until(lambda: parts(spfem.folder), running)
    running.send_signal(number)
    _, err = running.communicate(timeout=LIMIT_S)
    assert running.returncode == code, err
    assert "Traceback" not in err
    assert {name for name in spfem.visible() if not name.startswith(".rows")} == {
        "rows.csv",
        "rows.csv.results.jsonl",
    }
    count("batch stopped")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_thread_that_a_library_left_waiting_keeps_no_stopped_edit(
    clips, spfem: Spfem, number, code
):
    words = ["edit", str(clips / sample_clips.ACTRESS), "-e", "sad", "-o", "out.mp4"]
    script = "import sys, threading; threading.Thread(target=threading.Event().wait).start(); "
    script += f"from cdrl_cli.cli.app import main; sys.argv[1:] = {words!r}; main()"
    running = subprocess.Popen(
        [sys.executable, "-c", script],
        stderr=subprocess.PIPE,
        text=True,
        cwd=spfem.folder,
        env=spfem.environment(),
    )
    wait_until(lambda: parts(spfem.folder), running)
    running.send_signal(number)
    try:
        _, err = running.communicate(timeout=30)
    finally:
        running.kill()
    assert (running.returncode, err) == (code, "")
    assert not spfem.visible()
    count("edit stopped")


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_a_stopped_pipe_leaves_no_temporary_file(clips, spfem: Spfem, number):
    folder = spfem.folder / "tmp"
    folder.mkdir()
    with (clips / sample_clips.ACTRESS).open("rb") as source:
        words = ["edit", "-", "-e", "sad", "-o", "-"]
        running = spfem.start(*words, stdin=source, TMPDIR=str(folder))
    wait_until(lambda: list(folder.glob("spfem-*/.*.part")), running)
    running.send_signal(number)
    out, err = running.communicate(timeout=LIMIT_S)
    assert running.returncode in (130, 143), err
    assert out == ""
    assert not list(folder.iterdir())
    count("pipe stopped")
