"""Cells of the matrix against what is kept: a tenth of them, chosen by the day; all on demand."""

import datetime
import os

import pytest

from .cells import CELLS, SOURCES, Cell, expected_file, read_expected, run_cell

PARTS = 10
"""Days in which every cell comes up once."""


def chosen() -> list[Cell]:
    """``SPFEM_FATE=all`` takes all cells, ``SPFEM_FATE=3`` those of such a day."""
    wanted = os.environ.get("SPFEM_FATE", "")
    if wanted == "all":
        return list(CELLS)
    today = datetime.datetime.now(tz=datetime.UTC).toordinal()
    day = int(wanted) if wanted else today
    return [cell for number, cell in enumerate(CELLS) if number % PARTS == day % PARTS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fate")


@pytest.mark.parametrize("source", SOURCES)
def test_what_comes_out_is_what_came_out_before(source, folder):
    cells = [cell for cell in chosen() if cell.source == source]
    expected = read_expected(source)
    found = {cell.name: run_cell(cell, folder) for cell in cells}
    hint = "if it is meant: python tests/fate/regenerate.py"
    assert found == {cell.name: expected.get(cell.name) for cell in cells}, hint


def test_every_cell_has_its_line_and_every_line_its_cell():
    assert len(CELLS) >= 300
    for source in SOURCES:
        names = {cell.name for cell in CELLS if cell.source == source}
        assert set(read_expected(source)) == names
    kept = {path.name for path in expected_file("x").parent.glob("*.txt")}
    assert kept == {f"{source}.txt" for source in SOURCES}
