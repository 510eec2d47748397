"""The README tells what the program does: where the two differ, one of them is wrong."""

import re
from pathlib import Path

import pytest

from cdrl_cli import errors
from cdrl_cli.cli.app import run

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_option_of_edit_is_explained(capsys):
    run(["edit", "--help"])
    options = set(re.findall(r"--[a-z0-9-]+", capsys.readouterr().out)) - {"--help"}
    assert options <= set(re.findall(r"--[a-z0-9-]+", README))


@pytest.mark.parametrize(
    "line", re.findall(r"^(?:\.venv/bin/)?spfem (.*?)(?: +#.*)?$", README, re.MULTILINE)
)
def test_commands_have_options_that_exist(capsys, line):
    groups = ("train", "evaluate")
    words = line.split()
    run([*words[: 2 if words[0] in groups else 1], "--help"])
    known = set(re.findall(r"-{1,2}[a-z]+", capsys.readouterr().out))
    assert set(re.findall(r"(?<= )-{1,2}[a-z]+", line)) <= known


def test_python_examples_compile():
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert blocks
    for block in blocks:
        compile(block, "README.md", "exec")


def test_the_table_of_exit_codes_is_the_tree_of_errors():
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)}
    tree = {error.exit_code for error in errors.SpfemError.__subclasses__()}
    assert codes == tree | {0}


def test_every_make_target_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make ([a-z0-9]+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
