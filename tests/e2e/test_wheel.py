"""The wheels, installed where no checkout is in sight, edit a video with their own weights.

By each of the ways that the README names: pip, pipx, uv.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..conftest import require

ROOT = Path(__file__).parents[2]
RESEARCH = ROOT / "weights" / "research" / "spfem_weights_research"

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Wheels:
    """The two distributions, built from this checkout."""

    spfem: Path
    research: Path


@dataclass(frozen=True)
class Installation:
    """Programs that know the wheel and what it needs, nothing else."""

    programs: Path
    home: Path

    def run(self, *words: object) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment far from the checkout, with a home of its own."""
        program, *arguments = map(str, words)
        return subprocess.run(
            [self.programs / program, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.home,
            env=environment(self.home),
        )

    @property
    def packages(self) -> Path:
        """Folder of the installed packages."""
        (found,) = self.programs.parent.glob("lib/python*/site-packages")
        return found


def environment(home: Path, **variables: str) -> Mapping[str, str]:
    """This process's variables, without those that lead to a checkout or to anybody's data."""
    home.mkdir(exist_ok=True, parents=True)
    hidden = {"PYTHONPATH", "SPFEM_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "VIRTUAL_ENV"}
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    # The downloads of pip and uv are shared: a second installation is a matter of unpacking.
    caches = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    shared = {"PIP_CACHE_DIR": str(caches / "pip"), "UV_CACHE_DIR": str(caches / "uv")}
    if links := os.environ.get("PIP_FIND_LINKS"):  # uv does not read the settings of pip
        shared["UV_FIND_LINKS"] = links.replace(" ", ",")
    return {**kept, "HOME": str(home), **shared, **variables}


def call(*command: object, env: Mapping[str, str] | None = None) -> None:
    """Run a program that must succeed; what it says is shown where it does not."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words, check=False, cwd=ROOT.parent, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{words}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Wheels:
    """What ``make wheels`` builds."""
    dist = tmp_path_factory.mktemp("dist")
    call("make", "-C", ROOT, "-o", ".venv/.installed", "wheels", f"BIN={BIN}", f"DIST={dist}")
    (spfem,) = dist.glob("spfem-*.whl")
    (research,) = dist.glob("spfem_weights_research-*.whl")
    return Wheels(spfem, research)


BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def pip_installation(wheels: Wheels, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    folder = tmp_path_factory.mktemp("elsewhere") / "venv"
    call(sys.executable, "-m", "venv", folder)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet"]
    call(*pip, "-c", ROOT / "constraints.txt", wheels.spfem)
    home = folder / "home"
    home.mkdir()
    return Installation(folder / "bin", home)


def digests(folder: Path) -> dict[Path, str]:
    return {
        path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_every_permissive_weight_and_no_other_travels_in_the_wheel(pip_installation):
    shipped = digests(pip_installation.packages / "cdrl_cli" / "weights")
    kept = digests(ROOT / "weights").items()
    assert shipped == {path: digest for path, digest in kept if path.parts[0] != "research"}
    assert not any("research" in path.name for path in pip_installation.packages.rglob("*.onnx"))


def test_the_wheel_says_that_it_is_typed(pip_installation):
    assert (pip_installation.packages / "cdrl_cli" / "py.typed").is_file()


def test_the_installed_command_edits_with_the_weights_of_the_wheel(pip_installation, clips):
    words = ["edit", clips / "single_face.mp4", "--ref", clips / "joy.mp4"]
    done = pip_installation.run("spfem", *words, "-o", "out.mp4")
    assert done.returncode == 0, done.stderr
    output = pip_installation.home / "out.mp4"
    assert output.stat().st_size > 0

    # Without them it cannot: so it was these weights and no others on this machine.
    weights = pip_installation.packages / "cdrl_cli" / "weights"
    hidden = weights.rename(weights.with_name("hidden"))
    try:
        done = pip_installation.run("spfem", *words, "-o", "again.mp4")
    finally:
        hidden.rename(weights)
    assert done.returncode == 4, done.stderr


def test_research_weights_are_refused_until_their_package_is_installed(
    pip_installation, wheels, short
):
    words = ["edit", short, "--emotion", "happy", "--weights", "research", "--preset", "ultrafast"]
    done = pip_installation.run("spfem", *words, "-o", "research.mp4")
    assert done.returncode == 4, done.stderr
    version = wheels.spfem.name.split("-")[1]
    assert f"hint: pip install spfem-weights-research=={version}" in done.stderr

    python = pip_installation.programs / "python"
    pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    call(*pip, "install", "--no-deps", wheels.research)
    assert digests(pip_installation.packages / "spfem_weights_research") == digests(RESEARCH)
    done = pip_installation.run("spfem", *words, "-o", "research.mp4")
    assert done.returncode == 0, done.stderr
    (info,) = pip_installation.packages.glob("spfem_weights_research-*.dist-info")
    licence = (info / "licenses" / "LICENSE").read_text(encoding="utf-8")
    assert licence == (ROOT / "weights" / "research" / "LICENSE").read_text(encoding="utf-8")


def test_the_installed_package_is_not_the_checkout(pip_installation):
    done = pip_installation.run("python", "-c", "import cdrl_cli; print(cdrl_cli.__file__)")
    assert Path(done.stdout.strip()).is_relative_to(pip_installation.packages)


def installer(name: str, folder: Path) -> Path:
    """A program that installs others, brought by pip into an environment of its own."""
    tools = folder / "tools"
    call(sys.executable, "-m", "venv", tools)
    python = tools / "bin" / "python"
    done = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", name],
        check=False,
    )
    require(name, present=done.returncode == 0)
    return tools / "bin" / name


@pytest.mark.parametrize("name", ["pipx", "uv"])
def test_one_line_installs_the_command_apart(name, wheels, short, tmp_path):
    program = installer(name, tmp_path)
    home, programs = tmp_path / "home", tmp_path / "programs"
    env = environment(
        home,
        PIPX_HOME=str(tmp_path / "pipx"),
        PIPX_BIN_DIR=str(programs),
        UV_TOOL_DIR=str(tmp_path / "uv"),
        UV_TOOL_BIN_DIR=str(programs),
        UV_PYTHON_DOWNLOADS="never",
    )
    constraints = ROOT / "constraints.txt"
    if name == "pipx":
        pip_args = f"--pip-args=--constraint {constraints}"
        call(program, "install", "--python", sys.executable, pip_args, wheels.spfem, env=env)
    else:
        uv = [program, "tool", "install", "--python", sys.executable]
        call(*uv, "--constraints", constraints, wheels.spfem, env=env)
    edit = ["edit", short, "--emotion", "happy", "-o", "out.mp4"]
    done = Installation(programs, home).run("spfem", *edit)
    assert done.returncode == 0, done.stderr
    assert (home / "out.mp4").stat().st_size > 0
    shutil.rmtree(tmp_path)  # a gigabyte of packages
