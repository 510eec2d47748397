"""The notebook of the documentation runs from its first cell to its last."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from .conftest import ENVIRONMENT

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebooks" / "spfem.ipynb"

PROGRAM = """
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], 4)
NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
nbformat.write(notebook, "run.ipynb")
"""


def test_every_cell_runs(short, clips, tmp_path):
    shutil.copy(short, tmp_path / "talk.mp4")
    shutil.copy(clips / "joy.mp4", tmp_path)
    command = [sys.executable, "-c", PROGRAM, NOTEBOOK]
    done = subprocess.run(
        command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    cells = json.loads((tmp_path / "run.ipynb").read_text("utf-8"))["cells"]
    said = "".join(
        "".join(output.get("text", "")) for cell in cells for output in cell.get("outputs", ())
    )
    assert "10 frames, 1 shots" in said
    assert "10 of 10 frames can be edited; 2 rows" in said
    assert "10 of 10 frames," in said
    assert any(
        "image/png" in output.get("data", {})
        for cell in cells
        for output in cell.get("outputs", ())
    )
    assert {path.name for path in tmp_path.glob("out.*")} == {"out.mp4", "out.html"}


def test_it_is_kept_without_what_it_printed():
    cells = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
