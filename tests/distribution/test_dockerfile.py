"""The Dockerfile's steps, run in folders of their own, so that they hold where no Docker is."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from .conftest import ROOT, Venv, call

pytestmark = pytest.mark.slow

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")

NEEDS_ROOT = ("apt-get", "useradd")
"""Programs that would change the machine: what they are asked for is looked at, not done."""


def instructions() -> list[tuple[str, str]]:
    """Keyword and argument of each instruction, continued lines joined."""
    lines = [line for line in DOCKERFILE.splitlines() if line and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [
        (word, rest.strip()) for word, _, rest in (x.partition(" ") for x in joined.split("\n"))
    ]


INSTRUCTIONS = instructions()


def commands(text: str) -> list[str]:
    return [part.strip() for part in text.split("&&")]


@dataclass
class Stage:
    """A stage of the build: a folder that stands for its root, and an environment for its pip."""

    root: Path
    venv: Venv
    environment: dict[str, str] = field(default_factory=dict)

    def inside(self, text: str) -> str:
        """Absolute paths of the image as paths under this stage's folder."""
        return re.sub(r"(?<![\w.:/])/(?=(?:src|dist|work)\b)", f"{self.root}/", text)

    def copy(self, sources: list[Path], target: str) -> None:
        """What COPY does: the contents of a folder into a folder, or a file under a name."""
        place = Path(self.inside(target))
        for source in sources:
            if source.is_dir():
                shutil.copytree(source, place, dirs_exist_ok=True)
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, place)

    def run(self, command: str) -> None:
        """What RUN does, but for what needs root."""
        if not command.startswith(NEEDS_ROOT) and "/var/lib/apt" not in command:
            path = f"{self.venv.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
            call("bash", "-euc", self.inside(command), cwd=self.root, PATH=path)


def context(folder: Path) -> Path:
    """The files of the checkout that .dockerignore lets through."""
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert rules[0] == "**"
    for name in (rule.removeprefix("!") for rule in rules if rule.startswith("!")):
        source, target = ROOT / name, folder / name
        ignored = shutil.ignore_patterns("__pycache__", "research")
        if source.is_dir():
            shutil.copytree(source, target, ignore=ignored)
        else:
            shutil.copy(source, target)
    return folder


def test_the_image_has_no_compiler_and_no_root():
    base = [text for word, text in INSTRUCTIONS if word == "FROM"]
    assert all(re.match(r"python:3\.\d+-slim", image) for image in base)
    assert not re.search(r"\b(gcc|g\+\+|build-essential|clang)\b", DOCKERFILE)
    assert "--only-binary :all:" in DOCKERFILE
    words = [word for word, _ in INSTRUCTIONS]
    assert words.index("USER") < words.index("ENTRYPOINT")
    assert ("USER", "spfem") in INSTRUCTIONS
    assert any("useradd" in text and text.endswith(" spfem") for _, text in INSTRUCTIONS)


@pytest.mark.skipif(shutil.which("apt-cache") is None, reason="apt is missing")
def test_the_system_packages_exist():
    (install,) = (c for _, text in INSTRUCTIONS for c in commands(text) if " install --yes" in c)
    for package in re.findall(r" (lib\S+)", install):
        done = subprocess.run(
            ["apt-cache", "show", package], check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, package


def test_the_steps_build_something_that_edits(venv: Venv, short, tmp_path):
    files = context(tmp_path / "context")
    stages: dict[str, Stage] = {}
    stage = None
    for number, (word, text) in enumerate(INSTRUCTIONS):
        match word:
            case "FROM":
                name = text.partition(" AS ")[2] or "last"
                (root := tmp_path / name).mkdir()
                stage = stages[name] = Stage(root, venv)
            case "COPY":
                *sources, target = text.split()
                origin = files
                if sources[0].startswith("--from="):
                    origin = stages[sources.pop(0).removeprefix("--from=")].root
                stage.copy([origin / source.lstrip("/") for source in sources], target)
            case "RUN":
                for command in commands(text):
                    stage.run(command)
            case "WORKDIR":
                Path(stage.inside(text)).mkdir(exist_ok=True)
            case "USER" | "CMD" | "ENTRYPOINT":
                pass
            case _:
                pytest.fail(f"instruction {number}: {word} is not known to this test")
    assert ("ENTRYPOINT", '["spfem"]') in INSTRUCTIONS
    work = stages["last"].root / "work"
    shutil.copy(short, work / "talk.mp4")
    program = venv.folder / "bin" / "spfem"
    call(program, "edit", "talk.mp4", "--emotion", "happy", "-o", "out.mp4", cwd=work)
    assert (work / "out.mp4").stat().st_size > 0
