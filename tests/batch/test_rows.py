"""Rows, records and pools, without an edit."""

import errno
import os
from pathlib import Path

import pytest

from cdrl_cli import editing
from cdrl_cli.batch import worker as workers
from cdrl_cli.batch.manifest import BatchRow, read_manifest
from cdrl_cli.batch.results import Past, check_record, open_record
from cdrl_cli.batch.run import ProcessPool
from cdrl_cli.batch.worker import edit_row
from cdrl_cli.editing import EditOptions
from cdrl_cli.errors import NoFaceError, OutputError, PolicyError, UnreadableInputError, UsageError


def row(folder: Path) -> BatchRow:
    options = EditOptions(emotion="sad")
    return BatchRow(1, 2, folder / "a.mp4", folder / "b.mp4", options, "permissive")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NoFaceError("none"), "no_face"),
        (MemoryError(), "memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory"),
        (ZeroDivisionError("division by zero"), "bug"),
    ],
)
def test_whatever_goes_wrong_is_an_outcome(tmp_path, monkeypatch, capfd, error, code):
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(editing, "edit_video", fail)
    monkeypatch.setattr(workers, "_models", lambda *_: None)
    outcome = edit_row(row(tmp_path))
    assert outcome.error is not None
    assert outcome.error.code == code
    assert ("Traceback" in capfd.readouterr().err) == (code == "bug")


def test_no_jobs_do_nothing():
    with pytest.raises(UsageError):
        ProcessPool(0)


def test_two_records_at_once_are_refused(tmp_path):
    with (
        open_record(tmp_path / "r.jsonl", resume=False),
        pytest.raises(PolicyError, match="another batch"),
        open_record(tmp_path / "r.jsonl", resume=False),
    ):
        pass


def test_a_record_on_a_full_disk_is_an_error(tmp_path):
    with open_record(tmp_path / "r.jsonl", resume=False) as record:
        record._begun = open("/dev/full", "wb", buffering=0)  # noqa: SIM115, PTH123
        with pytest.raises(OutputError, match="No space left"):
            record.begin(row(tmp_path))
        record._begun.close()


def test_a_record_that_cannot_be_read_is_an_error(tmp_path):
    with pytest.raises(OutputError):
        Past.read(tmp_path)
    with pytest.raises(OutputError, match="too long"):
        check_record(tmp_path / ("r" * 300))
    check_record(tmp_path / "none" / "r.jsonl")


def test_a_manifest_through_a_pipe_by_name_is_refused(tmp_path):
    os.mkfifo(tmp_path / "rows.csv")
    with pytest.raises(UnreadableInputError, match="is a pipe"):
        read_manifest(tmp_path / "rows.csv")


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"video_stream": "-1"}, "a stream's number"),
        ({"video_stream": "one"}, "a whole number"),
        ({"video_stream": True}, "cannot be true"),
    ],
)
def test_a_stream_is_a_number_of_one(tmp_path, cells, words):
    import json

    manifest = tmp_path / "rows.jsonl"
    good = {"source": "a.mp4", "emotion": "sad", "output": "b.mp4"}
    manifest.write_text(json.dumps(good | cells))
    with pytest.raises(UsageError) as caught:
        read_manifest(manifest)
    assert words in caught.value.details[0]
    manifest.write_text(json.dumps(good | {"video_stream": 2}))
    assert read_manifest(manifest)[0].options.video_stream == 2


def test_a_thread_that_fails_over_a_row_says_so_and_goes_on(tmp_path, monkeypatch, capfd):
    def fail(*_: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(workers.Worker, "edit", fail)
    with ProcessPool(1) as pool:
        for _ in range(2):
            pool.submit(row(tmp_path))
            _, outcome = pool.wait()
            assert outcome.error is not None
            assert outcome.error.code == "bug"
    assert "ZeroDivisionError" in capfd.readouterr().err
