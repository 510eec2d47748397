"""What is missing, broken, doubled or foreign in a data set is named."""

import json
import shutil

import pytest

from cdrl_cli.cli.app import run
from cdrl_cli.data.datasets import find_layout
from cdrl_cli.data.tree_check import check_tree
from dataset_trees import small_clip, write_mead


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mead")
    clip = small_clip(folder / "clip.mp4")
    return write_mead(folder / "MEAD", clip, sentences=1)


@pytest.fixture
def tree(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "MEAD")
    return tmp_path / "MEAD"


def test_a_whole_data_set_has_no_findings(whole):
    report = check_tree(find_layout("mead"), whole)
    assert not report.findings
    assert (report.files, report.takes, report.people) == (21, 21, 3)
    assert set(report.emotions.values()) == {3}


def test_each_fault_is_found_once_and_named(tree):
    sad = "M003/video/front/sad/level_3/001.mp4"
    (tree / sad).unlink()
    broken = tree / "W011/video/front/fear/level_3/001.mp4"
    broken.write_bytes(b"no video")
    mute = tree / "W021/video/front/happy/level_3/001.mp4"
    small_clip(mute, audio=())
    foreign = tree / "W021/video/front/happy/level_3/notes.mp4"
    foreign.touch()
    extra = tree / "copy/W021/video/front/neutral/level_1/001.mp4"
    extra.parent.mkdir(parents=True)
    shutil.copy(tree / "W021/video/front/neutral/level_1/001.mp4", extra)
    found = check_tree(find_layout("mead"), tree).findings
    assert sorted((one.kind, one.what.split("/")[0]) for one in found) == [
        ("broken", "W011"),
        ("doubled", "copy"),
        ("foreign", "W021"),
        ("missing", "M003"),
        ("missing", "W021"),
    ]


def test_a_take_that_most_have_is_missed(whole, tmp_path):
    clip = whole / "M003/video/front/sad/level_3/001.mp4"
    tree = write_mead(tmp_path / "MEAD", clip, sentences=2)
    (tree / "M003/video/front/sad/level_3/002.mp4").unlink()
    (finding,) = check_tree(find_layout("mead"), tree, open_files=False).findings
    assert str(finding) == "missing: M003 sad level_3 002: most people have this take"


def test_the_command_counts_names_and_exits(tree, capsys):
    words = ["data", "check", str(tree), "--dataset", "mead", "--names-only"]
    assert run(words) == 0
    assert "21 of 3 people" in capsys.readouterr().out
    (tree / "M003/video/front/sad/level_3/001.mp4").unlink()
    assert run([*words, "--json"]) == 5
    assert json.loads(capsys.readouterr().out)["findings"][0]["what"] == "M003"
    assert run(words) == 5
    assert "1 missing" in capsys.readouterr().err


def test_an_index_of_it_is_what_train_takes(whole, tmp_path, capsys):
    words = ["data", "index", str(whole), "--dataset", "mead", "-o", str(tmp_path)]
    assert run(words) == 0
    assert "21 clips of 3 people" in capsys.readouterr().err
    assert run(["data", "pairs", str(tmp_path), "-o", str(tmp_path / "p.csv")]) == 2
    same = ["--identity", "same", "-o", str(tmp_path / "p.csv")]
    assert run(["data", "pairs", str(tmp_path), *same]) == 0
    assert run([*words, "--validation", "nobody"]) == 2
    assert "nobody called nobody" in capsys.readouterr().err
