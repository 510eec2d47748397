"""Weights that are missing, cut off or changed, in a copy of the package."""

import shutil
from pathlib import Path

import pytest

from .conftest import ROOT, Spfem, count

FILES = ("face-landmarks.onnx", "core-permissive.safetensors")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    shutil.copytree(ROOT / "cdrl_cli", home / "cdrl_cli")
    shutil.copytree(ROOT / "weights", home / "weights")
    return home


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", ["missing", "truncated", "empty", "one bit"])
def test_damaged_weights_are_refused(package, spfem: Spfem, file, damage):
    path = package / "weights" / file
    data = bytearray(path.read_bytes())
    match damage:
        case "missing":
            path.unlink()
        case "truncated":
            path.write_bytes(data[: len(data) // 2])
        case "empty":
            path.write_bytes(b"")
        case "one bit":
            data[len(data) // 2] ^= 1
            path.write_bytes(data)
    source = spfem.folder / "a.mp4"
    source.write_bytes(b"never looked at")
    name = Path(file).stem
    variables = {"PYTHONPATH": str(package), "SPFEM_HOME": str(package / "none")}
    error = spfem.refuse(4, "edit", "a.mp4", "-e", "sad", "-o", "out.mp4", **variables)
    assert name in error
    assert not (spfem.folder / "out.mp4").exists()
    count("damaged weights")
