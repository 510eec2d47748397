import errno
import os
from pathlib import Path

import pytest

from cdrl_cli.errors import PolicyError
from cdrl_cli.media import partial
from cdrl_cli.media.partial import PartialFile


def test_a_file_gets_its_name_when_it_is_whole(tmp_path):
    part = PartialFile(tmp_path / "a.mp4")
    part.path.write_bytes(b"whole")
    part.publish(overwrite=False)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == b"whole"


def test_a_file_that_appeared_meanwhile_is_kept(tmp_path):
    part = PartialFile(tmp_path / "a.mp4")
    (tmp_path / "a.mp4").write_bytes(b"another")
    with pytest.raises(PolicyError, match="exists already"):
        part.publish(overwrite=False)
    part.remove()
    assert (tmp_path / "a.mp4").read_bytes() == b"another"


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_file_system_without_links_takes_the_name_all_the_same(tmp_path, monkeypatch, overwrite):
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    part = PartialFile(tmp_path / "a.mp4")
    part.publish(overwrite=overwrite)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("kind", ["no module", "no such call"])
def test_without_locks_a_file_is_made_and_nothing_is_taken_for_left_over(
    tmp_path, monkeypatch, kind
):
    def refuse(_: int) -> None:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(partial, "_lock", None if kind == "no module" else refuse)
    left = tmp_path / ".a.mp4.01234567.part"
    left.write_bytes(b"of a living process, perhaps")
    part = PartialFile(tmp_path / "a.mp4")
    part.publish(overwrite=False)
    assert left.exists()


def test_what_a_killed_process_left_is_removed(tmp_path):
    left = tmp_path / ".a.mp4.01234567.part"
    left.write_bytes(b"half")
    (tmp_path / ".a.mp4.0123456x.part").write_bytes(b"another name")
    PartialFile(tmp_path / "a.mp4").remove()
    assert not left.exists()
    assert (tmp_path / ".a.mp4.0123456x.part").exists()


def test_a_file_that_another_took_for_left_over_is_made_again(tmp_path, monkeypatch):
    locked = partial._take_lock
    taken: list[Path] = []

    def take(file) -> bool | None:
        if not taken:
            taken.append(Path(file.name))
            Path(file.name).unlink()
        return locked(file)

    monkeypatch.setattr(partial, "_take_lock", take)
    part = PartialFile(tmp_path / "a.mp4")
    assert part.path != taken[0]
    assert part.path.exists()
    part.remove()
