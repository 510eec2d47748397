"""README and guides tell what the program does: where the two differ, one of them is wrong."""

import re
from pathlib import Path

import pytest

import cdrl_cli
from cdrl_cli.cli.app import run

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EDIT_GUIDE = (ROOT / "docs" / "guides" / "edit.md").read_text(encoding="utf-8")
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "docs" / "quickstart.md",
    *sorted((ROOT / "docs" / "guides").glob("*.md")),
    *sorted((ROOT / "weights").rglob("*.md")),
]
TEXTS = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
COMMANDS = [
    *re.findall(r"^(?:\.venv/bin/)?spfem ((?:[^\\\n]|\\\n)*)", TEXTS, re.MULTILINE),
    *re.findall(r"`spfem (train|evaluate) ([^`]*)`", TEXTS),
]
"""Commands in blocks, and those that train or evaluate in tables."""


def as_line(command: str | tuple[str, ...]) -> str:
    """A command on one line, without its comment and what it is redirected to."""
    line = command if isinstance(command, str) else " ".join(command)
    return re.sub(r" +#.*| [|<>] .*", "", line.replace("\\\n", " ")).strip()


def test_every_option_of_edit_is_explained(capsys):
    run(["edit", "--help"])
    options = set(re.findall(r"--[a-z0-9-]+", capsys.readouterr().out)) - {"--help"}
    assert options <= set(re.findall(r"--[a-z0-9-]+", EDIT_GUIDE))


@pytest.mark.parametrize("line", sorted(map(as_line, COMMANDS)))
def test_commands_have_options_that_exist(capsys, line):
    groups = ("train", "evaluate", "data")
    words = line.split()
    run([*words[: 2 if words[0] in groups else 1], "--help"])
    known = set(re.findall(r"-{1,2}[a-z]+", capsys.readouterr().out))
    assert set(re.findall(r"(?<= )-{1,2}[a-z]+", line)) <= known


@pytest.mark.parametrize(
    "block", re.findall(r"^```python\n(.*?)^```", TEXTS, re.DOTALL | re.MULTILINE)
)
def test_python_examples_compile_and_import_public_names(block):
    compile(block, "example", "exec")
    for names in re.findall(r"^from cdrl_cli import (.*)$", block, re.MULTILINE):
        assert set(names.split(", ")) <= set(cdrl_cli.__all__)


def test_every_make_target_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:^|`)make ([a-z0-9-]+)", TEXTS, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
