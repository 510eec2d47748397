import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cdrl_cli import diagnosis
from cdrl_cli.cli.app import run
from cdrl_cli.diagnosis import Check, Status

LOOKED_AT = {
    "python",
    "opencv",
    "torch cpu",
    "device cpu",
    "device cuda:0",
    "device auto",
    "encoder h264_nvenc",
    "landmarker",
    "encoder h264",
    "encoder hevc",
    "encoder vp9",
    "weights face-landmarks",
    "weights identity",
    "data folder",
    "disk of data folder",
    "processors",
    "memory",
}


@pytest.fixture(scope="module")
def visit(tmp_path_factory):
    """A real run of the command in a home and a folder that are empty; the folder with both."""
    folder = tmp_path_factory.mktemp("visit")
    places = {name: folder / name for name in ("home", "spfem", "here", "tmp")}
    for place in places.values():
        place.mkdir()
    hidden = {"XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "HF_HOME"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment |= {
        "HOME": str(places["home"]),
        "SPFEM_HOME": str(places["spfem"] / "not" / "there"),
        "TMPDIR": str(places["tmp"]),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    command = [sys.executable, "-m", "cdrl_cli", "doctor", "--json"]
    done = subprocess.run(
        command, cwd=places["here"], env=environment, capture_output=True, text=True, check=False
    )
    return done, folder


def test_the_report_is_one_object_with_every_check(visit):
    done, _ = visit
    found = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert found.keys() == {"ok", "version", "checks"}
    for check in found["checks"]:
        assert check.keys() == {"name", "status", "detail", "fix"}
        assert check["status"] in {"ok", "warning", "error"}
        assert check["detail"]
        assert check["fix"] or check["status"] == "ok", check
    assert {check["name"] for check in found["checks"]} >= LOOKED_AT
    errors = [check for check in found["checks"] if check["status"] == "error"]
    assert found["ok"] == (not errors)
    assert done.returncode == (1 if errors else 0)


def test_native_libraries_keep_quiet(visit):
    done, _ = visit
    assert done.stderr == ""


def test_a_visit_leaves_nothing_behind(visit):
    _, folder = visit
    assert [path for path in folder.rglob("*") if path.is_file()] == []
    assert {path.name for path in folder.rglob("*")} == {"home", "spfem", "here", "tmp"}


def look(monkeypatch, *checks):
    def found():
        yield from checks

    monkeypatch.setattr(diagnosis, "CHECKS", (found,))


def test_without_an_error_the_exit_code_is_0(capsys, monkeypatch):
    look(monkeypatch, Check("a", Status.OK, "fine"), Check("b", Status.WARNING, "slow", "buy"))
    assert run(["doctor"]) == 0
    assert capsys.readouterr().out == "ok       a  fine\nwarning  b  slow\n            -> buy\n"


def test_an_error_is_exit_code_1(capsys, monkeypatch):
    look(monkeypatch, Check("a", Status.ERROR, "broken", "mend it"))
    assert run(["doctor", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {
        "ok": False,
        "version": diagnosis.cdrl_cli.__version__,
        "checks": [{"name": "a", "status": "error", "detail": "broken", "fix": "mend it"}],
    }
