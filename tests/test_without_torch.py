"""Nothing of an edit, a probe, an embedding or a batch needs torch, nor what comes with it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import require

from cdrl_cli.checkpoints.load import inspect_entry
from cdrl_cli.checkpoints.registry import select_entries

PROGRAM = """
import sys
for absent in ("torch", "onnx", "onnxscript", "h5py", "ai_edge_litert", "sklearn"):
    sys.modules[absent] = None  # as where it is not installed
from cdrl_cli.cli import app
sys.exit(app.run(sys.argv[1:]))
"""


def spfem(*words, cwd):
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, words)],
        cwd=cwd,
        env=os.environ | {"SPFEM_CONFIG": os.devnull, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.weights
@pytest.mark.parametrize(
    "how", [("--emotion", "sad"), ("--ref", "JOY"), ("--emotion", "quietly furious")]
)
def test_an_edit_by_label_reference_or_words(short, clips, tmp_path, how):
    if " " in how[1]:
        there = all(inspect_entry(entry).verified for entry in select_entries(["text"]))
        require("text", present=there)
    words = [str(clips / "joy.mp4") if word == "JOY" else word for word in how]
    done = spfem("edit", short, "-o", tmp_path / "out.mp4", "--quiet", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.mp4").stat().st_size > 1000


@pytest.mark.weights
@pytest.mark.parametrize("command", ["probe", "embed"])
def test_what_reads_a_clip(short, tmp_path, command):
    done = spfem(command, short, "--json", "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)


def test_the_doctor_says_that_it_is_optional(tmp_path):
    done = spfem("doctor", "--json", cwd=tmp_path)
    (torch,) = (c for c in json.loads(done.stdout)["checks"] if c["name"] == "torch")
    assert torch["status"] == "ok"
    assert "optional" in torch["detail"]


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (("train", "ccrl", "--config", "x", "--data", "x", "-o", "x"), "train"),
        (("evaluate", "representations", "--data", "x"), "evaluate"),
    ],
)
def test_what_needs_it_says_how_to_get_it(tmp_path, words, extra):
    done = spfem(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert "torch, which this command needs, is not installed" in done.stderr
    assert f"spfem[{extra}]" in done.stderr
