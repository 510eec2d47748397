import pytest
import torch

from cdrl_cli.checkpoints import files
from cdrl_cli.checkpoints.export import read_tensors, write_tensors
from cdrl_cli.checkpoints.files import join_parts, part_of, reading
from cdrl_cli.errors import WeightsError

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "bias": torch.ones(2)}


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "new" / "one.safetensors"
    write_tensors(path, {"x": STATE["a.weight"].T}, {"recipe": "none"})
    found, facts = read_tensors(path)
    torch.testing.assert_close(found["x"], STATE["a.weight"].T)
    assert facts == {"recipe": "none"}
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "one.safetensors"
    write_tensors(path, STATE, {})
    before = path.read_bytes()

    def fail(_arrays, part, _facts):
        part.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(files, "save_file", fail)
    with pytest.raises(OSError, match="disk full"):
        write_tensors(path, STATE, {})
    assert path.read_bytes() == before


def test_parts_come_out_as_they_went_in():
    joined = join_parts({"one": STATE, "one_more": {"bias": torch.zeros(1)}})
    assert part_of(joined, "one").keys() == STATE.keys()
    assert part_of(joined, "one_more")["bias"].tolist() == [0]


def test_whatever_is_wrong_names_the_file_and_its_kind(tmp_path):
    (tmp_path / "text").write_text("no tensors")
    with (
        pytest.raises(WeightsError, match="text: no motion editor"),
        reading(tmp_path / "text", "motion editor"),
    ):
        read_tensors(tmp_path / "text")
