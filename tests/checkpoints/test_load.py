import pytest

from cdrl_cli.checkpoints import registry
from cdrl_cli.checkpoints.load import find_weights, inspect_entry
from cdrl_cli.errors import WeightsError

from .conftest import CONTENT, make_entry, make_unverified


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
