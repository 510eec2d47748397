"""Inputs that cannot be read, go away, grow, pretend, or have names that mean something else."""

import gzip
import json
import os
import shutil
import socket
import tarfile
import threading
import time
import zipfile
from pathlib import Path

import av
import pytest
from clips import Clip, make_clip

from .conftest import Spfem, count

EDIT = ["-e", "sad", "-o", "out.mp4"]


def test_a_missing_and_an_empty_input(spfem: Spfem):
    (spfem.folder / "empty.mp4").touch()
    assert "gone.mp4" in spfem.refuse(5, "edit", "gone.mp4", *EDIT)
    assert "empty.mp4" in spfem.refuse(5, "edit", "empty.mp4", *EDIT)
    assert "folder" in spfem.refuse(5, "edit", spfem.folder, *EDIT)
    assert spfem.visible() == {"empty.mp4"}


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_an_input_that_may_not_be_read(short, spfem: Spfem):
    source = Path(shutil.copy(short, spfem.folder / "a.mp4"))
    source.chmod(0)
    assert "may not be read" in spfem.refuse(5, "edit", "a.mp4", *EDIT)


def test_an_input_that_vanishes_is_one_clear_end(clips, spfem: Spfem):
    source = Path(shutil.copy(clips / "joy.mp4", spfem.folder / "a.mp4"))
    running = spfem.start("edit", "a.mp4", *EDIT)
    while running.poll() is None and not [n for n in spfem.visible() if n.endswith(".part")]:
        time.sleep(0.02)
    source.write_bytes(source.read_bytes()[:200_000])  # its end goes while it is read
    source.unlink()
    _, err = running.communicate(timeout=120)
    assert "Traceback" not in err, err
    assert running.returncode in (0, 3, 5), err
    assert spfem.visible() == ({"out.mp4"} if running.returncode == 0 else set())
    count("input that vanished")


def test_an_input_that_grows_is_edited_as_it_was(clips, short, spfem: Spfem):
    # A recorder has written the first part of a Matroska file, and goes on.
    whole = spfem.folder / "whole.mkv"
    remux(clips / "joy.mp4", whole)
    data = whole.read_bytes()
    whole.unlink()
    source = spfem.folder / "a.mkv"
    source.write_bytes(data[: len(data) // 2])

    def grow() -> None:
        for start in range(len(data) // 2, len(data), 20_000):
            with source.open("ab") as file:
                file.write(data[start : start + 20_000])
            time.sleep(0.05)

    growing = threading.Thread(target=grow)
    growing.start()
    done = spfem("edit", "a.mkv", *EDIT)
    growing.join()
    assert done.returncode == 0, done.stderr
    with av.open(str(spfem.folder / "out.mp4")) as container:
        assert 10 < sum(1 for _ in container.decode(video=0)) <= 108
    count("input that grew")


def remux(source: Path, output: Path) -> None:
    with av.open(str(source)) as read, av.open(str(output), "w") as written:
        streams = {
            stream.index: written.add_stream_from_template(stream) for stream in read.streams
        }
        for packet in read.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                written.mux(packet)


NAMES = [
    "-dash.mp4",
    "a\nnewline.mp4",
    'it\'s "quoted".mp4',
    "ünïcødé 😀.mp4",
    "%d.mp4",
    "%05d %s.mp4",
    "file:a.mp4",
    "http:a.mp4",
    "concat:a.mp4|b.mp4",
    "pipe:0.mp4",
    "[red]bold[red].mp4",
    "$(touch pwned); `touch pwned`.mp4",
    " leading and trailing .mp4",
    "..mp4.mp4",
    "a\\b.mp4",
    "\udcff\udcfe.mp4",  # bytes that are no UTF-8
]


def test_hostile_names_are_plain_files(short, spfem: Spfem):
    for name in NAMES:
        shutil.copy(short, spfem.folder / name)
    rows = [
        {"source": name, "emotion": "sad", "output": f"{name}.out.mkv", "preset": "ultrafast"}
        for name in NAMES
        if "\udcff" not in name
    ]
    (spfem.folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    done = spfem("batch", "rows.jsonl", "--jobs", 2)
    assert done.returncode == 0, done.stderr
    for name in NAMES[:-1]:
        assert (spfem.folder / f"{name}.out.mkv").stat().st_size > 0
    assert not (spfem.folder / "pwned").exists()
    count("hostile file names edited", len(rows))


@pytest.mark.parametrize("name", [NAMES[-1], "a\nnewline.mp4"])
def test_a_hostile_name_on_the_command_line(short, spfem: Spfem, name):
    source = spfem.folder / name
    shutil.copy(short, source)
    output = f"./{name}.out.mkv"
    done = spfem(
        "edit",
        f"./{name}".encode(errors="surrogateescape"),
        "-e",
        "sad",
        "-o",
        output.encode(errors="surrogateescape"),
        "--json",
        "--preset",
        "ultrafast",
    )
    assert done.returncode == 0, done.stderr
    assert (spfem.folder / output).stat().st_size > 0
    count("hostile file names edited")


def test_no_network_protocol_is_opened(spfem: Spfem):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        port = server.getsockname()[1]
        address = f"http://127.0.0.1:{port}/x.mp4"
        spfem.refuse(5, "edit", address, *EDIT)
        playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{address}\n#EXT-X-ENDLIST\n"
        sdp = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        sdp += f"m=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n"
        for name, text in {"a.m3u8": playlist, "b.mp4": playlist, "c.sdp": sdp}.items():
            (spfem.folder / name).write_text(text)
            spfem.refuse(5, "edit", name, *EDIT)
        with pytest.raises(TimeoutError):
            server.accept()
    count("protocols not opened", 4)


def test_a_list_of_other_files_is_no_video(short, spfem: Spfem):
    shutil.copy(short, spfem.folder / "secret.mp4")
    (spfem.folder / "a.mp4").write_text("ffconcat version 1.0\nfile secret.mp4\n")
    assert "list of other files" in spfem.refuse(5, "edit", "a.mp4", *EDIT)


def test_archives_are_no_videos(short, spfem: Spfem):
    with zipfile.ZipFile(spfem.folder / "a.zip", "w") as archive:
        archive.write(short, "short.mp4")
    with tarfile.open(spfem.folder / "a.tar", "w") as archive:
        archive.add(short, "short.mp4")
    (spfem.folder / "a.mp4.gz").write_bytes(gzip.compress(short.read_bytes()))
    # A video with an archive behind it is a video: players take it, and so do we.
    for name in ("a.zip", "a.tar", "a.mp4.gz"):
        spfem.refuse(5, "edit", name, *EDIT)
    count("archives refused", 3)


def test_hostile_metadata_is_carried_not_obeyed(spfem: Spfem, short):
    tags = {
        "title": "x" * 1_000_000,
        "comment": "\x1b[31mred\x07 $(touch pwned) %s %n [bold]",
        "artist": "a\nb\tc\x01\x02",
        "made up = key;": "#\\;=\n",
    }
    clip = spfem.folder / "a.mkv"
    remux_with_tags(short, clip, tags)
    done = spfem("edit", "a.mkv", "-e", "sad", "-o", "out.mkv", "--preset", "ultrafast")
    assert done.returncode == 0, done.stderr
    with av.open(str(spfem.folder / "out.mkv")) as container:
        assert container.metadata["title"] == tags["title"]
    done = spfem("probe", "a.mkv", "--json")
    assert done.returncode == 0, done.stderr
    assert spfem.visible() == {"a.mkv", "out.mkv"}
    count("hostile metadata carried", len(tags))


def test_control_characters_of_a_file_do_not_reach_the_terminal(spfem: Spfem):
    make_clip(
        spfem.folder / "a.mkv",
        Clip(video_tags={"title": "\x1b[31mred\x07", "language": "eng"}, frames=3),
    )
    done = spfem("probe", "a.mkv")
    assert "\x1b" not in done.stdout
    assert "\x07" not in done.stdout
    done = spfem("edit", "\x1b[31m.mp4", *EDIT)
    assert "\x1b" not in done.stderr
    count("control characters kept from the terminal", 2)


def remux_with_tags(source: Path, output: Path, tags: dict[str, str]) -> None:
    with av.open(str(source)) as read, av.open(str(output), "w") as written:
        streams = {
            stream.index: written.add_stream_from_template(stream) for stream in read.streams
        }
        written.metadata.update(tags)
        for packet in read.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                written.mux(packet)
