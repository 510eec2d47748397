from collections import Counter

import pytest

from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UsageError
from cdrl_cli.evaluation.protocol import (
    EDITED_EMOTIONS,
    HELD_OUT_PEOPLE,
    HELD_OUT_SENTENCE,
    acted_clips,
    plan_edits,
    plan_many_references,
    reference_pool,
    region_clips,
)
from talkers import make_clip


@pytest.fixture(scope="module")
def clips():
    """What an index of Java-SED and MEAD has, without files."""
    java = [Emotion.NEUTRAL, *(e for e in EDITED_EMOTIONS if e is not Emotion.DISGUSTED)]
    found = [
        make_clip(f"{dataset}-{person}-{sentence}-{emotion}", identity=person, emotion=emotion,
                  sentence=sentence, dataset=dataset)
        for person in ("J01", "J03", "J05", "J07")
        for sentence in ("S01", "S02", "S03", "S04")
        for emotion in java
        for dataset in (("Java-SED", "Java-SED (full frame)") if person == "J05" else ("Java-SED",))
    ]  # fmt: skip
    found += [
        make_clip(f"{person}-{emotion}", identity=person, emotion=emotion, sentence="001",
                  dataset="MEAD")
        for person in ("MEAD_W009", "MEAD_M030")
        for emotion in Emotion
    ]  # fmt: skip
    return found


@pytest.mark.parametrize("edits", [6, 18, 36, 48])
def test_every_emotion_counts_alike(clips, edits):
    plan = plan_edits(clips, edits=edits, asking="reference")
    assert len(plan) == len({task.name for task in plan}) == edits
    assert set(Counter(task.emotion for task in plan).values()) == {edits // 6}
    assert set(EDITED_EMOTIONS) == {task.emotion for task in plan}


def test_sources_are_neutral_and_held_out_by_person_or_sentence(clips):
    for task in plan_edits(clips, edits=48, asking="reference"):
        assert task.source.emotion is Emotion.NEUTRAL
        held_out = task.source.identity in HELD_OUT_PEOPLE
        assert held_out or task.source.sentence == HELD_OUT_SENTENCE
        if task.source.identity == "J05":
            assert task.source.dataset == "Java-SED (full frame)"


def test_references_show_the_emotion_on_somebody_else(clips):
    for task in plan_edits(clips, edits=48, asking="reference"):
        assert task.reference.emotion is task.emotion
        assert task.reference.identity != task.source.identity


def test_targets_are_the_same_person_and_sentence_and_there_is_none_of_disgust(clips):
    for task in plan_edits(clips, edits=48, asking="label"):
        if task.emotion is Emotion.DISGUSTED or task.source.identity == "MEAD_W009":
            assert task.target is None
            continue
        assert task.target.emotion is task.emotion
        for name in ("identity", "sentence", "dataset"):
            assert getattr(task.target, name) == getattr(task.source, name)


def test_a_plan_is_made_without_chance(clips):
    once, again = (
        plan_edits(order, edits=36, asking="reference") for order in (clips, clips[::-1])
    )
    assert once == again


@pytest.mark.parametrize("edits", [0, 5, -6, 54])
def test_edits_that_cannot_be_shared_out_are_refused(clips, edits):
    with pytest.raises(UsageError, match="cannot be shared out"):
        plan_edits(clips, edits=edits, asking="reference")


def test_an_index_without_the_clips_says_which(clips):
    lacking = [clip for clip in clips if clip.identity != "MEAD_W009"]
    with pytest.raises(UsageError, match="MEAD_W009"):
        plan_edits(lacking, edits=6, asking="reference")


def test_nobody_held_out_says_what_is_plausible(clips):
    assert not {clip.identity for clip in region_clips(clips)} & set(HELD_OUT_PEOPLE)
    assert {clip.identity for clip in acted_clips(clips)} == set(HELD_OUT_PEOPLE)
    assert Emotion.NEUTRAL not in {clip.emotion for clip in acted_clips(clips)}


@pytest.fixture(scope="module")
def photos():
    """Two people's photos, of which one person is validated with."""
    return [
        make_clip(f"{person}-{emotion}", identity=person, emotion=emotion, dataset="CFEE",
                  split=split)
        for person, split in (("CFEE_1", "train"), ("CFEE_2", "val"))
        for emotion in Emotion
    ]  # fmt: skip


def test_many_references_are_of_different_people_in_turn_and_of_somebody_else(clips, photos):
    plan = plan_many_references(clips, photos, edits=36, asking="reference")
    assert len(plan) == len({task.name for task in plan}) == 36
    assert set(Counter(task.emotion for task in plan).values()) == {6}
    for task in plan:
        assert task.reference.emotion is task.emotion
        assert task.reference.identity != task.source.identity
    sad = [task for task in plan if task.emotion is Emotion.SAD]
    people = {task.reference.identity for task in sad}
    assert people >= {"CFEE_2", "J05", "MEAD_M030", "MEAD_W009"}
    assert {task.source.identity for task in sad} == {"J01", "J03", "J05", "MEAD_W009"}


def test_many_references_and_sources_meet_in_pairs_that_do_not_repeat(clips, photos):
    plan = plan_many_references(clips, photos, edits=108, asking="reference")
    pairs = {(task.emotion, task.source.path, task.reference.path) for task in plan}
    assert len(pairs) == len(plan)


def test_by_label_there_is_one_edit_for_each_source_and_emotion(clips, photos):
    plan = plan_many_references(clips, photos, edits=108, asking="label")
    assert len(plan) == 48


def test_only_certain_labels_and_photos_to_validate_with_are_references(clips, photos):
    doubtful = make_clip("doubtful", identity="MEAD_M003", emotion=Emotion.SAD, dataset="MEAD",
                         label_certain=False)  # fmt: skip
    pool = reference_pool([*clips, doubtful], photos, Emotion.SAD)
    assert {one.dataset for one in pool[:3]} == {"CFEE", "Java-SED (full frame)", "MEAD"}
    assert not {"CFEE_1", "MEAD_M003"} & {one.identity for one in pool}
