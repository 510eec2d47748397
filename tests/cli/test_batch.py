import io
import json
import socket
import sys
import threading
import types
from contextlib import suppress

import pytest

from cdrl_cli import ray_session
from cdrl_cli.batch import worker
from cdrl_cli.cli.app import run

ROWS = "source,emotion,output\na.mp4,sad,a.mkv\nb.mp4,happy,b.mkv\nc.mp4,sad,c.mkv\n"


@pytest.fixture
def rows(tmp_path, monkeypatch):
    """A manifest whose third source is missing; edits are answered, not made."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text(ROWS)
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(b"x")

    def edit(self, row, progress):
        from cdrl_cli.editing import EditResult

        row.output.write_bytes(row.source.read_bytes())
        return worker.Outcome(
            0.5,
            result=EditResult(
                row.output, 3, 2, 0, 1, row.options.emotion, {}, 1.0, None, "cpu", 0.1, 0.5, ()
            ),
        )

    monkeypatch.setattr(worker.Worker, "edit", edit)
    return tmp_path


def results(folder, name="rows.csv.results.jsonl"):
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def test_a_batch_goes_on_past_a_failure_and_says_so(rows, capsys):
    assert run(["batch", "rows.csv", "--json"]) == 7
    out, err = capsys.readouterr()
    summary = json.loads(out)
    assert (summary["rows"], summary["ok"], summary["failed"]) == (3, 2, 1)
    assert f"error: row 3, line 4: {rows / 'c.mp4'}: no such file\n" in err
    assert [line["status"] for line in results(rows)].count("ok") == 2


def test_resume_does_what_is_left_and_what_has_changed(rows, capsys):
    run(["batch", "rows.csv"])
    (rows / "c.mp4").write_bytes(b"now it is here")
    (rows / "a.mp4").write_bytes(b"changed")
    (rows / "a.mkv").unlink()
    assert run(["batch", "rows.csv", "--resume"]) == 0
    again = {line["row"]: line["status"] for line in results(rows)[3:]}
    assert again == {1: "ok", 2: "skipped", 3: "ok"}
    assert run(["batch", "rows.csv", "--resume"]) == 0
    assert {line["status"] for line in results(rows)[6:]} == {"skipped"}


@pytest.mark.parametrize("words", [["--intensity", "0.5"], ["--weights", "research"]])
def test_other_options_are_another_row(rows, capsys, words):
    run(["batch", "rows.csv"])
    assert run(["batch", "rows.csv", "--resume", "--dry-run", "--json", *words]) == 0
    plan = json.loads(capsys.readouterr().out)["plan"]
    # Not replaced unasked: the file may be more than what a row once made.
    assert [row["action"] for row in plan] == ["fail", "fail", "fail"]
    run(["batch", "rows.csv", "--resume", "--dry-run", "--json", "--overwrite", *words])
    plan = json.loads(capsys.readouterr().out)["plan"]
    assert [row["action"] for row in plan] == ["edit", "edit", "fail"]


def test_a_dry_run_writes_nothing(rows, capsys):
    before = {path.name for path in rows.iterdir()}
    assert run(["batch", "rows.csv", "--dry-run"]) == 0
    out, err = capsys.readouterr()
    assert [line.split()[1] for line in out.splitlines()] == ["edit", "edit", "fail"]
    assert err == ""
    assert {path.name for path in rows.iterdir()} == before


def test_fail_fast_starts_nothing_more(rows, capsys):
    (rows / "a.mp4").unlink()
    assert run(["batch", "rows.csv", "--fail-fast", "--json"]) == 7
    summary = json.loads(capsys.readouterr().out)
    assert (summary["failed"], summary["ok"], summary["not_finished"]) == (1, 0, 2)


def test_a_shard_has_its_rows_and_its_record(rows):
    assert run(["batch", "rows.csv", "--shard", "2/2"]) == 0
    assert [line["row"] for line in results(rows, "rows.csv.2-of-2.results.jsonl")] == [2]


def test_a_manifest_from_stdin(rows, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(ROWS))
    assert run(["batch", "-"]) == 7
    assert len(results(rows, "stdin.results.jsonl")) == 3


@pytest.mark.parametrize("word", ["2", "3/2", "0/2", "a/b", "1/2/3"])
def test_what_is_no_shard_is_a_usage_error(rows, word):
    assert run(["batch", "rows.csv", "--shard", word]) == 2


def test_progress_for_programs_is_lines_of_json(rows, capsys):
    (rows / "c.mp4").write_bytes(b"x")
    assert run(["batch", "rows.csv", "--progress", "jsonl", "--quiet"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["rows_done"] for line in lines] == [1, 2, 3]
    assert {line["status"] for line in lines} == {"ok"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--jobs 2 --ray auto", "--jobs is of this machine alone"),
        ("--gpus-per-task 1", "--gpus-per-task is what Ray reserves"),
        ("--codec ffv1 --crf 20", "ffv1 is lossless and takes no crf"),
        ("--codec ffv1 --preset fast", "ffv1 is lossless and takes no preset"),
    ],
)
def test_what_would_have_no_effect_is_refused(rows, capsys, words, told):
    assert run(["batch", "rows.csv", *words.split()]) == 2
    assert told in capsys.readouterr().err


def test_a_default_that_no_row_uses_is_not_held_against_another(rows):
    table = "source,emotion,output,codec\na.mp4,sad,o.webm,vp9\n"
    (rows / "vp9.csv").write_text(table)
    assert run(["batch", "vp9.csv", "--dry-run", "--crf", "60", "--codec", "h264"]) == 0


def test_ray_is_asked_for_and_missing(rows, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert run(["batch", "rows.csv", "--ray", "auto"]) == 2
    assert "pip install 'spfem[ray]'" in capsys.readouterr().err


@pytest.fixture
def no_ray(monkeypatch):
    """Ray that would be asked in vain."""
    monkeypatch.setitem(sys.modules, "ray", types.SimpleNamespace(init=pytest.fail))
    monkeypatch.setattr(ray_session, "ANSWER_S", 0.2)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (None, "[Errno 111] Connection refused"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "what answers there is not Ray"),
        (b"", "timed out"),
    ],
)
def test_an_address_without_a_cluster_is_one_line_at_once(rows, no_ray, capsys, said, reason):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        answer = threading.Thread(target=_answer, args=(server, said))
        if said is None:
            server.close()
        else:
            answer.start()
        assert run(["batch", "rows.csv", "--ray", f"127.0.0.1:{port}"]) == 1
    if said is not None:
        answer.join()
    error, hint = capsys.readouterr().err.splitlines()
    assert error == f"error: no Ray cluster at 127.0.0.1:{port} ({reason})"
    assert "ray start --head" in hint
    assert {one.name for one in rows.iterdir()} == {"rows.csv", "a.mp4", "b.mp4"}


def _answer(server, said):
    """Take one connection, say something, and stay until the other side has left."""
    link, _ = server.accept()
    with link, suppress(ConnectionResetError):
        link.sendall(said)
        while link.recv(1024):
            pass
