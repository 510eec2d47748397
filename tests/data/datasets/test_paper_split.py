"""The paper's split and its pairs of source and reference."""

import csv
from collections import Counter

import pytest

from cdrl_cli.batch import read_manifest
from cdrl_cli.data.clips import Role
from cdrl_cli.data.datasets import find_layout
from cdrl_cli.data.datasets.layouts import read_tree
from cdrl_cli.data.datasets.paper_split import TEST_PEOPLE, pair_edits, split_as_paper
from cdrl_cli.data.index import read_index, write_index
from cdrl_cli.data.protocol_manifest import write_protocol
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UsageError
from dataset_trees import mead_paths


@pytest.fixture
def clips(tmp_path):
    for path in mead_paths(people=("M003", "W015", "W021", "W040")):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    return split_as_paper(read_tree(find_layout("mead"), tmp_path).clips)


def test_the_papers_actors_are_held_out_and_the_last_other_one_validates(clips):
    roles = {clip.identity: clip.roles for clip in clips}
    assert roles == {
        "MEAD_M003": {Role.HELD_OUT},
        "MEAD_W015": {Role.HELD_OUT},
        "MEAD_W021": frozenset(),
        "MEAD_W040": {Role.VALIDATION},
    }
    assert len(TEST_PEOPLE["MEAD"]) == len(TEST_PEOPLE["RAVDESS"]) == 6


def test_a_split_that_cannot_be_is_one_line(clips):
    with pytest.raises(UsageError, match="nobody called MEAD_M003 is learned from"):
        split_as_paper(clips, validation=["MEAD_M003"])
    alone = [clip for clip in clips if clip.identity == "MEAD_W021"]
    with pytest.raises(UsageError, match="nobody is left"):
        split_as_paper(alone)


def test_a_split_is_kept_by_an_index(clips, tmp_path):
    write_index(tmp_path / "elsewhere", clips)
    assert read_index(tmp_path / "elsewhere") == clips


@pytest.mark.parametrize("identity", ["same", "cross"])
def test_every_source_meets_every_emotion_once(clips, identity):
    pairs = pair_edits(clips, identity)
    assert len(pairs) == 2 * 3 * 6
    asked = Counter((pair.source.path, pair.reference.emotion) for pair in pairs)
    assert set(asked.values()) == {1}
    for pair in pairs:
        assert pair.source.emotion is Emotion.NEUTRAL
        assert pair.reference.emotion is not Emotion.NEUTRAL
        own = pair.source.identity == pair.reference.identity
        assert own == (identity == "same")
        assert pair.target is not None
        assert pair.target.sentence == pair.source.sentence
        assert pair.reference != pair.target


def test_the_protocol_is_a_manifest_that_batch_takes(clips, tmp_path):
    pairs = pair_edits(clips, "cross")
    write_protocol(tmp_path / "pairs.csv", pairs, tmp_path / "edits")
    rows = read_manifest(tmp_path / "pairs.csv")
    assert [row.source for row in rows] == [pair.source.path for pair in pairs]
    assert len({row.output for row in rows}) == len(pairs)
    with (tmp_path / "pairs.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == len(pairs)


def test_without_neutral_clips_there_is_nothing_to_edit(clips):
    acted = [clip for clip in clips if clip.emotion is not Emotion.NEUTRAL]
    with pytest.raises(UsageError, match="0 neutral clips"):
        pair_edits(acted, "same")


def test_one_person_who_is_held_out_has_nobody_else_as_reference(clips):
    alone = [clip for clip in clips if clip.identity == clips[0].identity]
    with pytest.raises(UsageError, match=f"there is {clips[0].identity} alone"):
        pair_edits(alone, "cross")
