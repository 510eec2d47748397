"""What an edit does to real pixels, and what each command says, stays as it was recorded."""

from pathlib import Path

import pytest
from conftest import require_weights

from golden import record


@pytest.fixture(scope="module")
def folder(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recorded sources, cut anew."""
    made = tmp_path_factory.mktemp("golden")
    record.make_inputs(made, clips)
    return made


def _require_text(name: str) -> None:
    if name in record.NEED_TEXT:
        require_weights("text")


@pytest.mark.weights
@pytest.mark.parametrize("name", record.EDITS)
def test_an_edit_changes_what_it_changed(name, folder, monkeypatch):
    monkeypatch.setenv("SPFEM_CONFIG", "/dev/null")
    _require_text(name)
    picture, said = record.run_case(name, folder)
    mean, largest = record.compare_pictures(picture, record.read_picture(name))
    assert mean < record.MEAN_LEVELS
    assert largest < record.LARGEST_LEVELS
    assert list(record.find_differences(said, record.read_said()[name])) == []


@pytest.mark.weights
@pytest.mark.parametrize("name", record.COMMANDS)
def test_a_command_says_what_it_said(name, folder, monkeypatch):
    monkeypatch.setenv("SPFEM_CONFIG", "/dev/null")
    _, said = record.run_case(name, folder)
    assert list(record.find_differences(said, record.read_said()[name])) == []
