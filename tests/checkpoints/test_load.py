import hashlib
import shutil

import pytest

from cdrl_cli.checkpoints import load
from cdrl_cli.checkpoints.load import (
    WEIGHT_SETS,
    core_name,
    find_weights,
    read_manifest,
    weights_folder,
)
from cdrl_cli.errors import UsageError, WeightsError


@pytest.fixture
def weights_copy(tmp_path, monkeypatch):
    """A copy of the weights that a test may damage."""
    shutil.copytree(weights_folder(), tmp_path / "weights")
    monkeypatch.setattr(load, "weights_folder", lambda: tmp_path / "weights")
    return tmp_path / "weights"


@pytest.mark.parametrize("name", list(read_manifest()))
def test_every_file_of_the_manifest_is_there_and_is_the_one_it_says(name):
    entry = read_manifest()[name]
    data = find_weights(name).read_bytes()
    assert len(data) == entry.size
    assert hashlib.sha256(data).hexdigest() == entry.sha256
    assert entry.name == name
    assert entry.licence
    assert entry.source


def test_every_weight_file_is_in_the_manifest():
    known = {entry.file for entry in read_manifest().values()}
    there = {path.name for path in weights_folder().iterdir() if path.suffix != ".md"}
    assert there == known


def test_a_missing_file_is_said_to_be_missing(weights_copy):
    (weights_copy / "face_landmarker.task").unlink()
    with pytest.raises(WeightsError, match=r"missing.*face_landmarker\.task") as caught:
        find_weights("face-landmarker")
    assert caught.value.hint


def test_a_name_that_the_manifest_lacks_is_refused_and_the_known_ones_named():
    with pytest.raises(WeightsError, match="core-purple") as caught:
        find_weights("core-purple")
    assert "face-landmarker" in caught.value.hint


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_a_damaged_file_is_refused(weights_copy, damage):
    path = weights_copy / "face_landmarker.task"
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
    path.write_bytes({"flip": data, "cut": data[:-1], "empty": b""}[damage])
    with pytest.raises(WeightsError, match="damaged"):
        find_weights("face-landmarker")


def test_an_undamaged_copy_is_accepted(weights_copy):
    assert find_weights("face-landmarker") == weights_copy / "face_landmarker.task"


def test_an_unknown_weight_set_is_refused_and_the_known_ones_named():
    with pytest.raises(UsageError, match="purple") as caught:
        core_name("purple")
    assert all(name in caught.value.hint for name in WEIGHT_SETS)


def test_the_default_set_is_free_to_use():
    assert WEIGHT_SETS[0] == "permissive"
    assert core_name(WEIGHT_SETS[0]) == "core-permissive"
