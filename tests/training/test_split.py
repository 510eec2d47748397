import csv
import dataclasses

import pytest

from cdrl_cli.data.index import Role
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UnreadableInputError
from cdrl_cli.training.config import DataConfig
from cdrl_cli.training.split import find_clips, is_learned_from, is_validation, read_training_clips
from cdrl_cli.weight_set import WeightSet
from talkers import make_clip
from tests.data.test_index import write_index


@pytest.mark.parametrize(
    ("clip", "learned"),
    [
        ({}, True),
        ({"identity": "J05"}, False),
        ({"identity": "s1"}, False),
        ({"sentence": "S04"}, False),
        ({"split": "val"}, False),
        ({"licence_class": "research"}, False),
        ({"roles": frozenset({Role.HELD_OUT})}, False),
        ({"roles": frozenset({Role.VALIDATION})}, False),
        ({"roles": frozenset({Role.REFRAMED})}, True),
    ],
)
def test_what_is_held_out_is_not_learned_from(clip, learned):
    data = DataConfig(held_out_identities=("s1",), held_out_sentences=("S04",))
    assert is_learned_from(make_clip(**clip), data) == learned
    assert is_learned_from(
        make_clip(**clip), dataclasses.replace(data, weight_set=WeightSet.RESEARCH)
    ) == (learned or "licence_class" in clip)


def test_the_same_take_in_another_framing_does_not_validate():
    assert is_validation(make_clip(identity="J05"), DataConfig())
    reframed = make_clip(identity="J05", roles=frozenset({Role.REFRAMED}))
    assert not is_validation(reframed, DataConfig())


def test_the_index_may_say_who_validates():
    assert is_validation(make_clip(roles=frozenset({Role.VALIDATION})), DataConfig())
    assert not is_validation(make_clip(), DataConfig())


def test_pictures_come_beside_the_clips_where_they_are_asked_for(tmp_path):
    write_index(tmp_path, {})
    for folder in ("london", "photos"):
        (tmp_path / folder).mkdir()
    (tmp_path / "london/001_neutral.jpg").touch()
    with pytest.raises(UnreadableInputError, match=r"photos\.csv"):
        find_clips(tmp_path, stills=["photos"])
    columns = ["path", "dataset", "identity", "emotion", "label_certain", "licence_class", "split"]
    with (tmp_path / "photos/photos.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerow(["b.jpg", "CFEE", "CFEE_1", "sad", "1", "research", "train"])
    found = {
        stills: [clip.dataset for clip in find_clips(tmp_path, stills=stills)]
        for stills in ((), ("london",), ("london", "photos"))
    }
    assert list(found.values()) == [["MEAD"], ["MEAD", "London"], ["MEAD", "London", "CFEE"]]


def test_permissive_training_leaves_research_clips_out(tmp_path):
    write_index(tmp_path, {"path": "a.mp4"}, {"path": "b.mp4", "licence_class": "research"})
    (tmp_path / "london").mkdir()
    (tmp_path / "london" / "001_neutral.jpg").touch()
    names = {
        wanted: [c.path.name for c in read_training_clips(tmp_path, weight_set=wanted)]
        for wanted in WeightSet
    }
    assert names["permissive"] == ["a.mp4", "001_neutral.jpg"]
    assert names["research"] == ["a.mp4", "b.mp4", "001_neutral.jpg"]


def test_nobody_learns_from_the_validation_split(tmp_path):
    write_index(tmp_path, {"split": "val"}, {"split": "train"})
    assert len(read_training_clips(tmp_path, weight_set=WeightSet.RESEARCH)) == 1


def test_a_doubtful_label_is_not_learned_unless_neutral(tmp_path):
    write_index(
        tmp_path,
        {"label_certain": "0"},
        {"label_certain": "0", "emotion": "neutral"},
        {"label_certain": "1"},
    )
    learned = [c.emotion for c in read_training_clips(tmp_path, weight_set=WeightSet.RESEARCH)]
    assert learned == [None, Emotion.NEUTRAL, Emotion.HAPPY]
