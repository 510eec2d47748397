import hashlib
import shutil

import pytest

import cdrl_cli
from cdrl_cli.checkpoints import registry
from cdrl_cli.checkpoints.load import find_weights, inspect_entry
from cdrl_cli.checkpoints.models import load_models
from cdrl_cli.checkpoints.registry import distribution_folder, embedded_folder, read_manifest
from cdrl_cli.errors import WeightsError
from cdrl_cli.weight_set import WeightSet

from .conftest import CONTENT, make_entry, make_unverified

CARRIED = [entry for entry in read_manifest().values() if entry.embedded or entry.distribution]


@pytest.fixture
def weights_copy(tmp_path, monkeypatch):
    """A copy of the weights that a test may damage."""
    shutil.copytree(embedded_folder(), tmp_path / "weights")
    monkeypatch.setattr(registry, "embedded_folder", lambda: tmp_path / "weights")
    return tmp_path / "weights"


@pytest.mark.parametrize("entry", CARRIED, ids=lambda entry: entry.name)
def test_every_carried_file_is_there_and_is_the_one_it_says(entry):
    data = find_weights(entry.name).read_bytes()
    assert len(data) == entry.size
    assert hashlib.sha256(data).hexdigest() == entry.sha256


def test_every_weight_file_is_in_the_manifest():
    research = distribution_folder("spfem-weights-research")
    assert research is not None
    for folder, carried in (
        (embedded_folder(), {entry.file for entry in CARRIED if entry.embedded}),
        (research, {entry.file for entry in CARRIED if entry.distribution}),
    ):
        files = {path.name for path in folder.iterdir() if path.is_file()}
        assert {file for file in files if not file.endswith((".md", ".py"))} == carried


def test_the_research_set_without_its_package_is_one_error_with_the_command(monkeypatch, home):
    monkeypatch.setattr(registry, "distribution_folder", lambda _: None)
    with pytest.raises(WeightsError, match=r"core-research.*missing") as caught:
        load_models(WeightSet.RESEARCH)
    assert caught.value.exit_code == 4
    assert caught.value.hint == f"pip install spfem-weights-research=={cdrl_cli.__version__}"


def test_a_missing_file_is_said_to_be_missing(weights_copy):
    (weights_copy / "face-landmarks.onnx").unlink()
    with pytest.raises(WeightsError, match=r"missing.*face-landmarks\.onnx") as caught:
        find_weights("face-landmarks")
    assert caught.value.hint


def test_a_name_that_the_manifest_lacks_is_refused_and_the_known_ones_named():
    with pytest.raises(WeightsError, match="core-purple") as caught:
        find_weights("core-purple")
    assert "face-landmarks" in caught.value.hint


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_a_damaged_file_is_refused(weights_copy, damage):
    path = weights_copy / "face-landmarks.onnx"
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
    path.write_bytes({"flip": data, "cut": data[:-1], "empty": b""}[damage])
    with pytest.raises(WeightsError, match="damaged"):
        find_weights("face-landmarks")


def test_an_undamaged_copy_is_accepted(weights_copy):
    assert find_weights("face-landmarks") == weights_copy / "face-landmarks.onnx"


# What is not embedded


@pytest.fixture
def entry(monkeypatch):
    entry = make_entry("part", "https://example.org/part.onnx")
    monkeypatch.setattr(registry, "read_manifest", lambda: {"part": entry})
    return entry


def put(entry, content=CONTENT):
    path = entry.places[-1]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_a_missing_part_says_what_is_expected_where_and_what_to_run(entry, home):
    with pytest.raises(WeightsError) as caught:
        find_weights("part")
    assert str(caught.value) == f"weights 'part' are missing: no part.onnx in {home / 'weights'}"
    assert caught.value.hint == "spfem download-weights part"
    assert not home.exists()


def test_a_sound_part_is_found(entry):
    path = put(entry)
    assert find_weights("part") == path


def test_a_damaged_part_is_not_used(entry):
    put(entry, CONTENT[:-1] + b"?")
    with pytest.raises(WeightsError, match=r"damaged.* has sha256") as caught:
        find_weights("part")
    assert caught.value.hint == "spfem download-weights part"
    assert inspect_entry(entry).damaged


def test_an_embedded_part_may_be_replaced_by_a_download(monkeypatch, tmp_path, home):
    embedded = make_entry("part", "https://example.org/part.onnx", embedded=True)
    monkeypatch.setattr(registry, "read_manifest", lambda: {"part": embedded})
    monkeypatch.setattr(registry, "embedded_folder", lambda: tmp_path)
    (tmp_path / "part.onnx").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="damaged") as caught:
        find_weights("part")
    assert "install the package again" in caught.value.hint
    assert "spfem download-weights part" in caught.value.hint
    path = put(embedded)
    assert find_weights("part") == path


def test_what_nobody_knows_the_digest_of_is_not_trusted(monkeypatch):
    entry = make_unverified()
    monkeypatch.setattr(registry, "read_manifest", lambda: {"byhand": entry})
    put(entry)
    with pytest.raises(WeightsError, match="without its digest") as caught:
        find_weights("byhand")
    assert caught.value.hint == "spfem download-weights byhand --from DIR --accept-licence"
