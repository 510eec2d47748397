"""Every extra can be installed: with the pinned versions, and with the lowest it says it takes."""

import re
import sys
import tomllib
from pathlib import Path

import pytest

from .conftest import ROOT, Venv, call

pytestmark = pytest.mark.slow

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = sorted(PROJECT["optional-dependencies"])

BY_TORCH = ("cuda", "nvidia", "torch", "triton")
"""Packages that come with torch and with nothing else: an edit does without."""


def resolve(uv: Path, *words: object) -> list[str]:
    """Pinned requirements of the project as uv resolves them; fails if it cannot."""
    plain = ["--quiet", "--no-header", "--no-annotate", "--python", sys.executable]
    return call(uv, "pip", "compile", *plain, *words, "pyproject.toml").split("\n")


def pinned(file: str) -> set[str]:
    """Names that a file of constraints pins, as pip spells them."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return {canonical(line) for line in lines if line and not line.startswith("#")}


def canonical(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split("[=<> ;]", requirement)[0]).lower()


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_resolves_against_the_constraints(uv, extra):
    assert resolve(uv, "--constraint", "constraints.txt", "--extra", extra)


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_resolves_with_its_lowest_versions(uv, extra):
    assert resolve(uv, "--resolution", "lowest-direct", "--extra", extra)


@pytest.mark.parametrize("python", ["3.12", "3.13", "3.14"])
def test_newer_pythons_are_served_without_a_compiler(uv, python):
    words = ["--python-version", python, "--only-binary", ":all:"]
    assert resolve(uv, *words, "--constraint", "constraints.txt", "--extra", "dev")


def test_the_constraints_pin_all_that_is_installed(uv):
    every = [word for extra in EXTRAS if extra != "train" for word in ("--extra", extra)]
    needed = map(canonical, resolve(uv, "--constraint", "constraints.txt", *every))
    foreign = tuple(name for name in BY_TORCH if name != "torch")
    missing = {name for name in needed if name and not name.startswith(foreign)}
    assert missing <= pinned("constraints.txt")


def test_pip_agrees_about_all_extras_at_once(venv: Venv):
    every = ",".join(extra for extra in EXTRAS if extra != "train")
    venv.pip("install", "--dry-run", "--constraint", "constraints.txt", f".[{every}]")


def test_an_edit_runs_on_the_lowest_versions(uv, venv: Venv, short, tmp_path):
    lowest = resolve(uv, "--resolution", "lowest-direct")
    requirements = tmp_path / "lowest.txt"
    kept = [line for line in lowest if not canonical(line).startswith(BY_TORCH)]
    requirements.write_text("\n".join(kept))
    install = [uv, "pip", "install", "--quiet", "--python", venv.python, "--no-deps"]
    call(*install, "--requirement", requirements)
    call(*install, ROOT)
    edit = ["edit", short, "--emotion", "sad", "-o", tmp_path / "out.mp4"]
    call(venv.folder / "bin" / "spfem", *edit, cwd=tmp_path)
    assert (tmp_path / "out.mp4").stat().st_size > 0


IMPORTS = """
import h5py, onnx, onnxscript, open_clip, torch, torchaudio, torchvision
import cdrl_cli.training.ccrl, cdrl_cli.training.cerl, cdrl_cli.training.motion
assert torchvision.ops.nms(torch.rand(1, 4), torch.rand(1), 0.5).tolist() == [0]
assert torchaudio.pipelines.WAV2VEC2_XLSR53.sample_rate == 16_000
print(torch.__version__.split("+")[0])
"""


def test_the_environment_to_train_in_can_be_installed_and_imported(venv: Venv, tmp_path):
    venv.pip("install", "--constraint", "constraints-train.txt", ".[train]")
    version = call(venv.python, "-c", IMPORTS, cwd=tmp_path).split()[-1]
    pins = (ROOT / "constraints-train.txt").read_text(encoding="utf-8")
    assert f"\ntorch=={version}\n" in pins
