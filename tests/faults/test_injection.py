"""Every call of the system and of FFmpeg fails once: an edit, a batch and a download end cleanly.

The calls are counted first. Then the n-th fails, for n in a part of them that a test can afford,
and for all of them where ``SPFEM_INJECT=all`` says so.
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

import sample_clips

from ..conftest import require
from .conftest import ROOT, Spfem, count

HERE = Path(__file__).parent
MODES = ("an input/output error", "a full disk", "no memory", "a part only", "killed")
KILLED = 4
FRAMES = 4
CODES = {0, 1, 3, 4, 5, 6, 7}
"""How a command may end, by the table of the documents; 7 of a batch."""


class Server:
    """The process that runs the commands."""

    def __init__(self, library: Path, spfem: Spfem, folder: Path) -> None:
        self._folder = folder
        variables = spfem.environment(LD_PRELOAD=str(library), OMP_NUM_THREADS="1")
        variables["PYTHONPATH"] = f"{ROOT}{os.pathsep}{ROOT / 'tests'}"
        self._process = subprocess.Popen(
            [sys.executable, HERE / "injection_server.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=variables,
        )

    def run(self, *arguments: object, at: int, mode: int, **variables: str) -> dict[str, Any]:
        """Run a command whose ``at``-th call fails (0: none); its end and what it said."""
        words = [str(word) for word in arguments]
        job = {"arguments": words, "at": at, "mode": mode, "folder": str(self._folder),
               "variables": variables}  # fmt: skip
        job |= {name: str(self._folder.parent / name) for name in ("out", "err")}
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return answer | {"err": Path(job["err"]).read_text(errors="replace")}

    def stop(self) -> None:
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()


@pytest.fixture(scope="module")
def injector(tmp_path_factory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    require("cc", present=compiler is not None and sys.platform == "linux")
    library = tmp_path_factory.mktemp("injector") / "injector.so"
    command = [compiler, "-shared", "-fPIC", "-w", "-o", library, HERE / "injector.c", "-ldl"]
    subprocess.run(command, check=True)
    return library


@pytest.fixture
def server(injector, tmp_path) -> Iterator[Server]:
    folder = tmp_path / "work"
    folder.mkdir()
    server = Server(injector, Spfem(tmp_path), folder)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def tiny(clips, tmp_path_factory) -> Path:
    """Four frames of a face, with sound."""
    path = tmp_path_factory.mktemp("tiny") / "tiny.mp4"
    end = Fraction(FRAMES, 30)
    sample_clips.cut_clip(clips / "single_face.mp4", path, start=Fraction(0), end=end)
    return path


def frames_in(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def chosen(calls: int, mode: int, share: int) -> range:
    """Every so many-th call; another part of them for each way to fail."""
    step = 1 if os.environ.get("SPFEM_INJECT") == "all" else share
    return range(1 + mode % step, calls + 1, step)


def inject(
    server: Server,
    arguments: tuple[object, ...],
    begin: Callable[[], None],
    check: Callable[[dict[str, Any], int], None],
    *,
    share: int,
    name: str,
    **variables: str,
) -> None:
    """Let a command's calls fail one after the other, and check each end."""
    begin()
    whole = server.run(*arguments, at=0, mode=0, **variables)
    assert whole["code"] == 0, whole
    check(whole, 0)
    hit: Counter[str] = Counter()
    for mode in range(len(MODES)):
        for at in chosen(whole["count"], mode, share):
            begin()
            ended = server.run(*arguments, at=at, mode=mode, **variables)
            context = (MODES[mode], at, ended)
            if mode == KILLED:
                assert ended["code"] in (-signal.SIGKILL, *CODES), context
            else:
                assert ended["code"] in CODES, context
                assert "Traceback" not in ended["err"], context
                if ended["code"]:
                    assert "error: " in ended["err"], context
            check(ended, mode)
            hit[ended["what"] or "past the last call"] += 1
    count(f"{name}: calls counted", whole["count"])
    for what, number in hit.items():
        count(f"{name}: {what} failed", number)


@pytest.mark.parametrize(
    "share", [60, pytest.param(4, marks=[pytest.mark.slow, pytest.mark.timeout(0)])]
)
def test_an_edit_whose_calls_fail_one_by_one(server, tiny, tmp_path, share):
    folder = tmp_path / "work"
    source, output = folder / "a.mp4", folder / "out.mkv"
    before = tiny.read_bytes()

    def begin() -> None:
        shutil.rmtree(folder)
        folder.mkdir()
        source.write_bytes(before)

    def check(ended: dict[str, Any], mode: int) -> None:
        assert source.read_bytes() == before, ended
        names = {path.name for path in folder.iterdir()} - {"a.mp4"}
        if mode == KILLED:
            names = {name for name in names if not name.endswith(".part")}
        assert names == ({"out.mkv"} if output.exists() else set()), ended
        if ended["code"] == 0:
            # What could not be read is said, and the rest is whole.
            assert frames_in(output) == FRAMES or "warning: " in ended["err"], ended
        elif mode != KILLED:
            assert not output.exists(), ended
        if output.exists():
            frames_in(output)

    inject(
        server,
        ("edit", "a.mp4", "-e", "sad", "-o", "out.mkv", "--preset", "ultrafast"),
        begin,
        check,
        share=share,
        name="edit",
    )


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_a_batch_whose_calls_fail_one_by_one(server, tiny, tmp_path):
    folder = tmp_path / "work"
    before = tiny.read_bytes()
    manifest = "source,emotion,output\na.mp4,sad,out.mkv\n"

    def begin() -> None:
        shutil.rmtree(folder)
        folder.mkdir()
        (folder / "a.mp4").write_bytes(before)
        (folder / "rows.csv").write_text(manifest)

    def check(ended: dict[str, Any], mode: int) -> None:
        assert (folder / "a.mp4").read_bytes() == before, ended
        assert (folder / "rows.csv").read_text() == manifest, ended
        names = {path.name for path in folder.iterdir()}
        kept = {"a.mp4", "rows.csv", "rows.csv.results.jsonl", "out.mkv"}
        hidden = {".rows.csv.results.jsonl.lock", ".rows.csv.results.jsonl.begun"}
        extra = {name for name in names - kept if not name.endswith(".part")}
        assert extra <= hidden, ended
        if (folder / "out.mkv").exists():
            assert frames_in(folder / "out.mkv") == FRAMES, ended
        if ended["code"] == 0 and mode != KILLED:
            lines = (folder / "rows.csv.results.jsonl").read_text().splitlines()
            assert [json.loads(line)["status"] for line in lines] == ["ok"], ended

    arguments = ("batch", "rows.csv", "--preset", "ultrafast", "--quiet")
    inject(server, arguments, begin, check, share=1, name="batch")


@pytest.mark.parametrize(
    "share", [4, pytest.param(1, marks=[pytest.mark.slow, pytest.mark.timeout(0)])]
)
def test_a_download_whose_calls_fail_one_by_one(server, tmp_path, share):
    folder, served = tmp_path / "work", tmp_path / "served"
    served.mkdir()
    content = bytes(range(256)) * 4000
    (served / "part.onnx").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()

    def begin() -> None:
        shutil.rmtree(folder)
        folder.mkdir()

    def check(ended: dict[str, Any], mode: int) -> None:
        assert (served / "part.onnx").read_bytes() == content
        installed = folder / "home" / "weights" / "part.onnx"
        if ended["code"] == 0 and mode != KILLED:
            assert installed.exists(), ended
        if installed.exists():
            assert installed.read_bytes() == content, ended
        allowed = (".part", ".lock", ".onnx")
        files = [path for path in folder.rglob("*") if path.is_file()]
        assert all(path.name.endswith(allowed) for path in files) or mode == KILLED, files

    inject(
        server,
        ("download", served, "part.onnx", digest, len(content)),
        begin,
        check,
        share=share,
        name="download",
        SPFEM_HOME=str(folder / "home"),
    )
