"""The wheel, installed where no checkout is in sight, edits a video with its own weights."""

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Installation:
    """A virtual environment that holds the wheel and what it needs, nothing else."""

    folder: Path
    weights: Path

    def run(self, *words: object) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment far from the checkout, with a home of its own."""
        program, *arguments = map(str, words)
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        hidden = {"PYTHONPATH", "SPFEM_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"}
        environment = {name: value for name, value in os.environ.items() if name not in hidden}
        return subprocess.run(
            [self.folder / "bin" / program, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=home,
            env=environment | {"HOME": str(home)},
        )


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    # pip's cache makes this a matter of unpacking after the first time.
    dist = tmp_path_factory.mktemp("dist")
    _call(sys.executable, "-m", "build", "--wheel", "--outdir", dist, ROOT)
    (wheel,) = dist.glob("*.whl")
    folder = tmp_path_factory.mktemp("elsewhere") / "venv"
    _call(sys.executable, "-m", "venv", folder)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet"]
    _call(*pip, "-c", ROOT / "constraints.txt", wheel)
    (package,) = folder.glob("lib/python*/site-packages/cdrl_cli")
    return Installation(folder, package / "weights")


def _call(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True, cwd=ROOT.parent)


def test_every_weight_travels_in_the_wheel(installation):
    def digests(folder):
        return {
            path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.rglob("*")
            if path.is_file()
        }

    assert digests(installation.weights) == digests(ROOT / "weights")


def test_the_installed_command_edits_with_the_weights_of_the_wheel(installation, clips):
    words = ["edit", clips / "single_face.mp4", "--ref", clips / "joy.mp4"]
    done = installation.run("spfem", *words, "-o", "out.mp4")
    assert done.returncode == 0, done.stderr
    output = installation.folder / "home" / "out.mp4"
    assert output.stat().st_size > 0

    # Without them it cannot: so it was these weights and no others on this machine.
    hidden = installation.weights.rename(installation.weights.with_name("hidden"))
    try:
        done = installation.run("spfem", *words, "-o", "again.mp4")
    finally:
        hidden.rename(installation.weights)
    assert done.returncode == 4, done.stderr


def test_the_installed_package_is_not_the_checkout(installation):
    done = installation.run("python", "-c", "import cdrl_cli; print(cdrl_cli.__file__)")
    assert Path(done.stdout.strip()).is_relative_to(installation.folder)
