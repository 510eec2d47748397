"""What tests of packaging share: a resolver, and environments that know nothing of this one."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from ..conftest import require

ROOT = Path(__file__).parents[2]


def environment(**variables: str) -> Mapping[str, str]:
    """This process's variables without those that lead to a checkout or to anybody's data."""
    hidden = {"PYTHONPATH", "SPFEM_HOME", "VIRTUAL_ENV"}
    return {name: value for name, value in os.environ.items() if name not in hidden} | variables


def call(*command: object, cwd: Path = ROOT, **variables: str) -> str:
    """Run a program that must succeed; its standard output."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words, check=False, cwd=cwd, env=environment(**variables), capture_output=True, text=True
    )
    assert done.returncode == 0, f"{words}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@dataclass(frozen=True)
class Venv:
    """A virtual environment."""

    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def pip(self, *words: object) -> str:
        """Run its pip."""
        return call(self.python, "-m", "pip", "--quiet", "--disable-pip-version-check", *words)


@pytest.fixture
def venv() -> Iterator[Venv]:
    """An environment of its own, gone after the test: some hold gigabytes."""
    with TemporaryDirectory(prefix="spfem-venv-") as folder:
        call(sys.executable, "-m", "venv", folder)
        yield Venv(Path(folder))


@pytest.fixture(scope="session")
def uv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The resolver uv, which knows the lowest versions too."""
    folder = tmp_path_factory.mktemp("uv") / "venv"
    call(sys.executable, "-m", "venv", folder)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "uv"]
    done = subprocess.run(pip, check=False, env=environment())
    require("uv", present=done.returncode == 0)
    return folder / "bin" / "uv"
