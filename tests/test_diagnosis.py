import builtins
import os
import sys
from collections import namedtuple
from importlib import metadata

import pytest

from cdrl_cli import diagnosis
from cdrl_cli.checkpoints import registry
from cdrl_cli.diagnosis import Check, Status, diagnose

from .checkpoints.conftest import CONTENT, make_entry


def look(monkeypatch, name):
    monkeypatch.setattr(diagnosis, "CHECKS", (getattr(diagnosis, f"_check_{name}"),))
    return diagnose()


def test_what_is_not_installed_or_too_old_is_an_error_with_its_command(monkeypatch):
    installed = {"numpy": "1.20", "rich": "15.0.0"}
    stated = ["numpy>=1.26", "rich>=13", "absent>=2", 'extra-only>=1; extra == "train"']

    def version(name):
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(metadata, "requires", lambda _: stated)
    monkeypatch.setattr(metadata, "version", version)
    assert look(monkeypatch, "packages").checks == (
        Check("package numpy", Status.ERROR, "1.20, not >=1.26", "pip install 'numpy>=1.26'"),
        Check("package rich", Status.OK, "15.0.0 (>=13)"),
        Check("package absent", Status.ERROR, "not installed", "pip install 'absent>=2'"),
    )


def test_opencv_wheels_of_two_versions_are_a_warning(monkeypatch):
    versions = {"opencv-python": "4.10.0", "opencv-contrib-python": "5.0.0"}

    def version(name):
        if name not in versions:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(metadata, "version", version)
    (check,) = look(monkeypatch, "opencv").checks
    assert check.status is Status.WARNING
    assert check.fix == "pip install opencv-python==5.0.0 opencv-contrib-python==5.0.0"


def test_an_old_python_is_an_error(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 0))
    (check,) = look(monkeypatch, "python").checks
    assert (check.status, check.fix) == (Status.ERROR, "use Python 3.11 or newer")


def test_a_check_that_breaks_is_a_check_that_failed(monkeypatch):
    imported = builtins.__import__

    def no_torch(name, *rest):
        if name == "torch":
            raise ImportError("libtorch.so: no such file")
        return imported(name, *rest)

    monkeypatch.setattr(builtins, "__import__", no_torch)
    (check,) = look(monkeypatch, "torch").checks
    assert check.name == "torch"
    assert check.status is Status.ERROR
    assert check.detail == "ImportError: libtorch.so: no such file"


@pytest.mark.parametrize(
    ("embedded", "content", "status"),
    [
        (True, CONTENT, Status.OK),
        (True, None, Status.ERROR),
        (True, b"?", Status.ERROR),
        (False, None, Status.OK),
        (False, b"?", Status.WARNING),
    ],
)
def test_embedded_weights_must_be_sound_and_others_may_be_missing(
    monkeypatch, tmp_path, embedded, content, status
):
    monkeypatch.setenv("SPFEM_HOME", str(tmp_path))
    monkeypatch.setattr(registry, "embedded_folder", lambda: tmp_path / "weights")
    entry = make_entry("part", "https://example.org/part.onnx", embedded=embedded)
    monkeypatch.setattr(registry, "read_manifest", lambda: {"part": entry})
    if content is not None:
        (tmp_path / "weights").mkdir()
        (tmp_path / "weights" / "part.onnx").write_bytes(content)
    (check,) = look(monkeypatch, "weights").checks
    assert check.status is status
    assert check.fix or content == CONTENT


def test_a_folder_that_cannot_be_written_is_a_warning(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("SPFEM_HOME", str(tmp_path / "file"))
    data, *_ = look(monkeypatch, "folders").checks
    assert data.status is Status.WARNING
    assert "SPFEM_HOME" in data.fix


def test_a_full_disk_is_a_warning(monkeypatch):
    usage = namedtuple("usage", "free")(5_000_000)
    monkeypatch.setattr(diagnosis.shutil, "disk_usage", lambda _: usage)
    found = look(monkeypatch, "disk")
    assert {check.status for check in found.checks} == {Status.WARNING}
    assert found.ok


def test_the_environment_is_as_before(monkeypatch):
    before = dict(os.environ)
    monkeypatch.setattr(diagnosis, "CHECKS", ())
    assert diagnose().ok
    assert dict(os.environ) == before
