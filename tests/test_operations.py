"""docs/operations.md: its commands are run, and its tables of JSON are held against real output."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from fractions import Fraction
from pathlib import Path

import pytest
from certificates import make_identity

import sample_clips
from cdrl_cli import batch, diagnosis, editing, embedding, errors, inspection, planning
from cdrl_cli.checkpoints.install import InstalledWeights
from cdrl_cli.checkpoints.load import WeightState
from commands import run_limited

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)


def documented(name: str) -> set[str]:
    """The names in the first column of a table."""
    table = re.search(rf"\| {name} \| \|\n\|.*?\n((?:\|.*\n)+)", TEXT)
    assert table is not None, name
    return {
        word for row in table[1].splitlines() for word in re.findall(r"`(\w+)`", row.split("|")[1])
    }


@pytest.mark.parametrize(
    "value",
    [
        editing.EditResult,
        inspection.Inspection,
        batch.RowResult,
        batch.BatchSummary,
        batch.PlannedRow,
        planning.EditPlan,
        embedding.ClipEmotion,
        diagnosis.Diagnosis,
        WeightState,
        InstalledWeights,
    ],
)
def test_every_field_of_a_result_is_documented(value):
    assert documented(value.__name__) == {field.name for field in fields(value)}


def test_the_table_of_exit_codes_is_the_tree_of_errors():
    table = {
        int(code): set(re.findall(r"`(\w+)`", names))
        for code, names in re.findall(r"^\| (\d+) \|([^|]*)\|", TEXT, re.MULTILINE)
    }
    tree: dict[int, set[str]] = {0: set(), 1: {errors.SpfemError.code}}
    for error in errors.SpfemError.__subclasses__():
        tree.setdefault(error.exit_code, set()).add(error.code)
    assert table == tree


def test_every_variable_is_documented(capsys):
    from cdrl_cli.cli.app import run

    shown = ""
    for words in (["--help"], ["edit", "--help"], ["batch", "--help"], ["probe", "--help"]):
        run(words)
        shown += capsys.readouterr().out
    variables = set(re.findall(r"SPFEM_[A-Z0-9_]+", shown))
    assert variables <= set(re.findall(r"^\| `(SPFEM_[A-Z0-9_]+)`", TEXT, re.MULTILINE))


@pytest.fixture(scope="module")
def folder(clips, tmp_path_factory) -> Path:
    """Where the commands were run, one after the other."""
    folder = tmp_path_factory.mktemp("operations")
    for name, end in (("talk.mp4", Fraction(1, 2)), ("talk2.mp4", Fraction(1, 3))):
        source = clips / "single_face.mp4"
        sample_clips.cut_clip(source, folder / name, start=Fraction(0), end=end)
    shutil.copy(clips / "joy.mp4", folder)
    make_identity(folder)
    programs = folder / "bin"
    programs.mkdir()
    (programs / "spfem").write_text(f'#!/bin/sh\nexec {sys.executable} -P -m cdrl_cli "$@"\n')
    (programs / "spfem").chmod(0o755)
    return folder


def run_sh(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SPFEM_")}
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return run_limited(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=kept | {"PATH": path, "PYTHONPATH": str(ROOT), "SPFEM_HOME": str(folder / "home")},
    )


@pytest.mark.parametrize("number", range(len(COMMANDS)))
def test_commands_run(folder, number):
    done = run_sh(folder, COMMANDS[number])
    assert done.returncode == 0, done.stderr


def test_real_output_has_the_documented_fields(folder):
    def read(script: str) -> dict:
        done = run_sh(folder, script)
        return json.loads((done.stdout or done.stderr).splitlines()[-1])

    (folder / "two.csv").write_text(
        "source,emotion,output\ntalk2.mp4,sad,two.mp4\ngone.mp4,sad,three.mp4\n"
    )
    plan = read("spfem batch two.csv --dry-run --json")
    assert set(plan["plan"][0]) == documented("PlannedRow")
    summary = read("spfem batch two.csv --preset ultrafast --json || [ $? = 7 ]")
    assert set(summary) == documented("BatchSummary")
    lines = (folder / "two.csv.results.jsonl").read_text().splitlines()
    failed, done = sorted(map(json.loads, lines), key=lambda line: line["status"])
    assert set(done) == set(failed) == documented("RowResult")
    assert set(done["result"]) == documented("EditResult")
    assert set(failed["error"]) | {"details"} == documented("Error")
    refused = read("spfem edit gone.mp4 -e sad -o x.mp4 --json || [ $? = 5 ]")
    assert set(refused["error"]) | {"details"} == documented("Error")
    assert set(read("spfem probe talk2.mp4 --json")) == documented("Inspection")
    line = read("spfem probe talk2.mp4 --progress jsonl --json > probe.json")
    assert set(line) == documented("Progress")
