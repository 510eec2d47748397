import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cdrl_cli.batch import worker as workers
from cdrl_cli.batch.manifest import BatchRow
from cdrl_cli.batch.worker import Outcome, Worker
from cdrl_cli.editing import EditOptions, Progress
from commands import run_limited

ROOT = Path(__file__).parents[2]


@pytest.fixture
def worker() -> Iterator[Worker]:
    with Worker() as worker:
        yield worker


def row(source: Path, output: Path) -> BatchRow:
    options = EditOptions(emotion="sad", preset="ultrafast")
    return BatchRow(1, 2, source, output, options, "permissive")


def process_of(worker: Worker) -> int:
    """Waits until there is one."""
    end_s = time.monotonic() + 30
    while worker._process is None:
        assert time.monotonic() < end_s
        time.sleep(0.001)
    return worker._process.pid


def ignore(_: Progress) -> None:
    pass


def test_a_process_that_hangs_is_ended_and_the_next_row_gets_another(
    clips, short, worker, tmp_path, monkeypatch
):
    monkeypatch.setattr(workers, "PATIENCE_S", 0.5)
    stopped = []

    def hang(_: Progress) -> None:
        if not stopped:
            stopped.append(process_of(worker))
            monkeypatch.setattr(workers, "SILENCES", 4)
            monkeypatch.setattr(workers, "SILENCE_S", 0.25)
            os.kill(stopped[0], signal.SIGSTOP)

    outcome = worker.edit(row(clips / "joy.mp4", tmp_path / "long.mp4"), hang)
    assert outcome.error is not None
    assert (outcome.error.code, outcome.error.message) == (
        "crashed",
        "the process that edited it hung: not a sign of it for 1 s",
    )
    monkeypatch.undo()
    assert worker.edit(row(short, tmp_path / "out.mp4"), ignore).error is None
    assert process_of(worker) != stopped[0]


def test_a_process_that_is_aborted_says_where_it_stood(clips, worker, tmp_path, capfd):
    def abort(_: Progress) -> None:
        os.kill(process_of(worker), signal.SIGABRT)

    outcome = worker.edit(row(clips / "joy.mp4", tmp_path / "out.mp4"), abort)
    assert outcome.error is not None
    assert outcome.error.message == "the process that edited it died (SIGABRT)"
    assert "in edit_row" in capfd.readouterr().err


def test_one_that_is_dismissed_starts_no_process(short, worker, tmp_path):
    worker.dismiss()
    outcome = worker.edit(row(short, tmp_path / "out.mp4"), ignore)
    assert outcome.error is not None
    assert outcome.error.code == "interrupted"
    assert not list(tmp_path.iterdir())


def test_control_c_is_none_of_its_business_from_the_first_instruction_on(short, worker, tmp_path):
    outcomes: list[Outcome] = []
    edit = threading.Thread(
        target=lambda: outcomes.append(worker.edit(row(short, tmp_path / "out.mp4"), ignore))
    )
    edit.start()
    os.kill(process_of(worker), signal.SIGINT)
    edit.join()
    assert outcomes[0].error is None


def test_a_thread_that_a_library_left_waiting_keeps_no_process():
    script = "import threading; threading.Thread(target=threading.Event().wait).start(); "
    script += "from cdrl_cli.batch.worker import main; main()"
    done = run_limited([sys.executable, "-c", script], cwd=ROOT, env=os.environ, limit_s=60)
    assert done.returncode in (0, 128 + signal.SIGTERM)  # no row, or the order to end, comes first
    assert "Timeout" not in done.stderr


def test_told_more_than_once_to_end_it_still_removes_what_it_was_writing(clips, worker, tmp_path):
    def end(_: Progress) -> None:
        process = worker._process
        assert process is not None
        while process.poll() is None:
            process.send_signal(signal.SIGTERM)

    outcome = worker.edit(row(clips / "joy.mp4", tmp_path / "out.mp4"), end)
    assert outcome.error is not None
    assert outcome.error.message == "the process that edited it died (exit code 143)"
    assert not list(tmp_path.iterdir())
