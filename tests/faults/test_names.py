"""Names that stand for two things, for something else than a file, or for nothing."""

import os
import stat

import pytest

from cdrl_cli.batch import read_manifest, run_batch
from cdrl_cli.batch.run import plan_batch
from cdrl_cli.errors import OutputError, PolicyError
from cdrl_cli.media import check_output

from .conftest import Spfem, count

LONG = "n" * 300 + ".mp4"


def test_a_name_that_is_too_long_is_one_error_and_one_row(short, spfem: Spfem):
    assert "name too long" in spfem.refuse(1, "edit", short, "-e", "sad", "-o", LONG)
    rows = f"source,emotion,output\n{short},sad,{LONG}\no{LONG},sad,a.mkv\n{short},sad,out.mkv\n"
    (spfem.folder / "rows.csv").write_text(rows)
    plan = spfem("batch", "rows.csv", "--dry-run").stdout
    assert [line.split()[1] for line in plan.splitlines()] == ["fail", "fail", "edit"]
    assert spfem("batch", "rows.csv", "--preset", "ultrafast").returncode == 7
    assert [each["status"] for each in spfem.results()] == ["failed", "failed", "ok"]
    assert spfem("batch", "rows.csv", "--resume").returncode == 7
    spfem.refuse(1, "batch", "rows.csv", "--results", "r" + LONG)
    count("names too long", 6)


@pytest.mark.parametrize("kind", ["fifo", "socket", "loop"])
def test_only_a_file_is_replaced(tmp_path, kind):
    output = tmp_path / "out.mkv"
    if kind == "fifo":
        os.mkfifo(output)
    elif kind == "loop":
        output.symlink_to(output)
    else:
        os.mknod(output, stat.S_IFSOCK | 0o600)
    with pytest.raises(OutputError):
        check_output(output, inputs=[], overwrite=True)
    count("outputs that are no files")


def test_a_device_is_not_replaced(tmp_path):
    output = tmp_path / "null.mkv"
    output.symlink_to("/dev/null")
    with pytest.raises(OutputError, match="is a device"):
        check_output(output, inputs=[], overwrite=True)
    count("outputs that are no files")


@pytest.fixture
def rows(tmp_path):
    for name in ("a.mp4", "b.mp4", "c.mp4", "joy.mp4"):
        (tmp_path / name).write_bytes(b"\0\0\0 ftypisom")
    manifest = tmp_path / "rows.csv"
    manifest.write_text("source,ref,output\na.mp4,joy.mp4,out.mp4\nb.mp4,joy.mp4,b-out.mp4\n")
    return read_manifest(manifest)


@pytest.mark.parametrize(
    "name",
    ["a.mp4", "b.mp4", "joy.mp4", "b-out.mp4", "rows.csv", "c.mp4", "link.mp4"],
)
def test_the_record_is_nothing_else(rows, tmp_path, name):
    (tmp_path / "link.mp4").symlink_to("a.mp4")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for check in (plan_batch, run_batch):
        with pytest.raises(PolicyError):
            check(rows, tmp_path / name, manifest=tmp_path / "rows.csv")
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    count("names with two roles")


def test_the_companions_of_the_record_are_nothing_else(rows, tmp_path):
    (tmp_path / ".r.jsonl.begun").hardlink_to(tmp_path / "c.mp4")
    from dataclasses import replace

    hidden = replace(rows[0], source=tmp_path / ".r.jsonl.begun")
    with pytest.raises(PolicyError, match="the source of row 1"):
        run_batch([hidden], tmp_path / "r.jsonl")
    manifest = replace(rows[0], output=tmp_path / "rows.csv")
    with pytest.raises(PolicyError, match="is the manifest"):
        run_batch([manifest], tmp_path / "r.jsonl", manifest=tmp_path / "rows.csv")
    count("names with two roles", 2)


@pytest.mark.parametrize("kind", ["folder", "fifo", "device"])
def test_a_record_that_is_no_file(rows, tmp_path, kind):
    results = tmp_path / "r.jsonl"
    if kind == "folder":
        results.mkdir()
    elif kind == "fifo":
        os.mkfifo(results)
    else:
        results.symlink_to("/dev/full")
    with pytest.raises(OutputError):
        run_batch(rows, results)
    count("records that are no files")
