"""Standard input and output as they are in a shell."""

import os
import pty
import subprocess

import av

from .conftest import Spfem, count

EDIT = ["edit", "-", "-e", "sad", "-o", "-", "--preset", "ultrafast"]


def test_a_video_goes_through_a_pipe_and_nothing_else_does(short, spfem: Spfem):
    reading, writing = os.pipe()
    with subprocess.Popen(["cat", short], stdout=writing), open(reading, "rb") as source:  # noqa: PTH123
        os.close(writing)
        running = spfem.start(*EDIT, stdin=source, as_bytes=True)
        out, err = running.communicate(timeout=60)
    assert running.returncode == 0, err
    assert out.startswith(b"\x1a\x45\xdf\xa3")
    (spfem.folder / "out.mkv").write_bytes(out)
    with av.open(str(spfem.folder / "out.mkv")) as container:
        assert container.format.name == "matroska,webm"
        assert sum(1 for _ in container.decode(video=0)) == 10
    count("pipes")


def test_a_reader_that_leaves_ends_it_quietly(short, spfem: Spfem):
    folder = spfem.folder / "tmp"
    folder.mkdir()
    with short.open("rb") as source:
        running = spfem.start(*EDIT, "--quiet", stdin=source, TMPDIR=str(folder))
        running.stdout.close()
        running.wait(60)
    assert running.returncode == 1
    assert running.stderr.read() == ""
    running.stderr.close()
    assert not list(folder.iterdir())
    count("pipes")


def test_an_empty_pipe_and_one_without_a_video(spfem: Spfem):
    assert "stdin" in spfem.refuse(5, "edit", "-", "-e", "sad", "-o", "out.mp4")
    (spfem.folder / "text").write_text("no video")
    with (spfem.folder / "text").open("rb") as source:
        running = spfem.start(*EDIT, stdin=source)
        out, err = running.communicate(timeout=60)
    assert running.returncode == 5, err
    assert out == ""
    count("pipes", 2)


def test_there_is_no_room_for_json_beside_a_video(spfem: Spfem):
    done = spfem("edit", "a.mp4", "-e", "sad", "-o", "-", "--json")
    assert done.returncode == 2
    assert "stdout is the video" in done.stdout
    count("pipes")


def test_no_video_is_written_to_or_read_from_a_terminal(short, spfem: Spfem):
    main, terminal = pty.openpty()
    command = spfem("--version").args[:3]
    for words in (
        ["edit", short, "-e", "sad", "-o", "-"],
        ["edit", "-", "-e", "sad", "-o", "x.mp4"],
    ):
        done = subprocess.run(
            [*command, *words],
            stdin=terminal,
            stdout=terminal,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            cwd=spfem.folder,
            env=spfem.environment(),
        )
        assert done.returncode == 2
        assert "terminal" in done.stderr
    os.close(main)
    os.close(terminal)
    count("terminals refused", 2)
