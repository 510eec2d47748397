"""Which pictures an edit is held against."""

import pytest

from cdrl_cli.data.index import Role
from cdrl_cli.emotion import Emotion
from cdrl_cli.evaluation.pictures import (
    PEOPLE,
    PHOTO_EDITS,
    REAL_PHOTOS,
    acted_by,
    other_people,
    other_picture,
    photo_pairs,
    real_photos,
)
from cdrl_cli.evaluation.protocol import Protocol
from talkers import make_clip

PROTOCOL = Protocol(held_out_people=("anna",))


def photo(person, emotion, split="val"):
    return make_clip(f"{person}-{emotion}", identity=person, emotion=emotion, dataset="CFEE",
                     sentence=None, split=split)  # fmt: skip


@pytest.fixture(scope="module")
def photos():
    """A crowd, of whom every fifth is validated with; one of those has no neutral photo."""
    crowd = [
        photo(f"P{n:03d}", emotion, "train" if n % 5 else "val")
        for n in range(150)
        for emotion in (Emotion.NEUTRAL, Emotion.HAPPY, Emotion.SAD)
    ]
    return [one for one in crowd if (one.identity, one.emotion) != ("P005", Emotion.NEUTRAL)]


def test_emotions_count_alike_among_real_photos(photos):
    chosen = real_photos(photos, PROTOCOL)
    assert sum(one.emotion is Emotion.HAPPY for one in chosen) == REAL_PHOTOS
    assert sum(one.emotion is Emotion.SAD for one in chosen) == REAL_PHOTOS
    assert all(one.emotion is not Emotion.NEUTRAL for one in chosen)
    assert {one.split for one in chosen} == {"val"}


def test_photo_pairs_are_of_one_person_who_is_validated_with(photos):
    pairs = photo_pairs(photos, PROTOCOL)
    assert len(pairs) == 2 * PHOTO_EDITS
    for neutral, acted in pairs:
        assert neutral.identity == acted.identity != "P005"
        assert neutral.emotion is Emotion.NEUTRAL is not acted.emotion
        assert neutral.split == acted.split == "val"


def test_there_are_a_hundred_people_with_the_one_asked_about(photos):
    unnamed = make_clip("somebody", identity="somebody.mp4")
    others = other_people("P003", [unnamed], photos)
    assert len(others) == len({one.identity for one in others}) == PEOPLE - 1
    assert "P003" not in {one.identity for one in others}
    assert all(one.emotion is Emotion.NEUTRAL for one in others)
    assert other_people("P003", [unnamed], []) == []


def test_another_picture_is_another_take_and_neutral_if_it_can_be():
    source = make_clip("crop", identity="anna", sentence="S01")
    recorded = make_clip("full", identity="anna", sentence="S01", roles=frozenset({Role.REFRAMED}))
    smile = make_clip("a-smile", identity="anna", sentence="S01", emotion=Emotion.HAPPY)
    neutral = make_clip("other", identity="anna", sentence="S02")
    stranger = make_clip("stranger", identity="berta", sentence="S02")
    assert other_picture(source, [source, recorded, stranger]) is None
    assert other_picture(source, [source, recorded, stranger, smile]) is smile
    assert other_picture(source, [source, recorded, smile, neutral]) is neutral


def test_real_patches_are_of_each_emotion_of_the_same_recordings():
    source = make_clip("rest", identity="anna", dataset="home")
    acted = [
        make_clip(f"{emotion}-{take}", identity="anna", dataset="home", emotion=emotion)
        for emotion in (Emotion.HAPPY, Emotion.SAD)
        for take in (1, 2)
    ]
    elsewhere = make_clip("film", identity="anna", dataset="film", emotion=Emotion.FEAR)
    found = acted_by(source, [*acted[::-1], elsewhere, source], PROTOCOL)
    assert [clip.path.stem for clip in found] == ["happy-1", "sad-1"]
