import os
import subprocess
from pathlib import Path

import pytest

from ..conftest import require
from .conftest import Spfem, count


def small_disk(folder: Path, mounts: list[Path], size: str) -> Path:
    """A file system that is soon full; only root may mount one."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
    can_mount = (
        os.geteuid() == 0
        and not subprocess.run(command, check=False, capture_output=True).returncode
    )
    require("tmpfs", present=can_mount)
    mounts.append(folder)
    return folder


def test_a_full_disk_leaves_nothing(clips, spfem: Spfem, mounts):
    disk = small_disk(spfem.folder / "disk", mounts, "200k")
    error = spfem.refuse(1, "edit", clips / "single_face.mp4", "-e", "sad", "-o", "disk/out.mp4")
    assert "the disk is full" in error
    assert not list(disk.iterdir())
    count("full disks")


def test_a_disk_without_room_for_standard_input(clips, spfem: Spfem, mounts):
    disk = small_disk(spfem.folder / "disk", mounts, "100k")
    with (clips / "single_face.mp4").open("rb") as source:
        words = ["edit", "-", "-e", "sad", "-o", "out.mp4"]
        running = spfem.start(*words, stdin=source, TMPDIR=str(disk))
        _, err = running.communicate(timeout=60)
    assert running.returncode == 1, err
    assert err.startswith("error: ")
    assert "No space left" in err
    assert not list(disk.iterdir())
    count("full disks")


@pytest.mark.slow
def test_a_full_disk_does_not_stop_the_record_from_saying_so(clips, short, spfem, mounts):
    disk = small_disk(spfem.folder / "disk", mounts, "200k")
    (spfem.folder / "rows.csv").write_text(
        f"source,emotion,output\n{clips / 'single_face.mp4'},sad,disk/a.mp4\n{short},sad,b.mp4\n"
    )
    done = spfem("batch", "rows.csv")
    assert done.returncode == 7, done.stderr
    assert [each["status"] for each in spfem.results()] == ["failed", "ok"]
    assert not list(disk.iterdir())
    count("full disks")


def test_a_record_that_cannot_be_written_is_one_error(short, spfem: Spfem, mounts):
    disk = small_disk(spfem.folder / "disk", mounts, "4k")
    (disk / "filler").write_bytes(bytes(4096))
    (spfem.folder / "rows.csv").write_text(f"source,emotion,output\n{short},sad,b.mp4\n")
    spfem.refuse(1, "batch", "rows.csv", "--results", "disk/results.jsonl")
    count("full disks")


@pytest.mark.slow
def test_two_batches_with_one_record(clips, spfem: Spfem):
    (spfem.folder / "rows.csv").write_text(
        f"source,emotion,output\n{clips / 'joy.mp4'},sad,b.mp4\n"
    )
    running = spfem.start("batch", "rows.csv")
    while running.poll() is None and not any(n.endswith(".part") for n in spfem.visible()):
        pass
    assert "another batch" in spfem.refuse(6, "batch", "rows.csv")
    _, err = running.communicate(timeout=60)
    assert running.returncode == 0, err
    assert len(spfem.results()) == 1
    assert spfem.visible() == {"rows.csv", "rows.csv.results.jsonl", "b.mp4"}
    count("two processes on one record")
