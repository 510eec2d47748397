import tomllib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from cdrl_cli.data.index import Role
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UnreadableInputError, UsageError
from cdrl_cli.evaluation.plan import plan_edits, reference_pool
from cdrl_cli.evaluation.protocol import (
    EDITED_EMOTIONS,
    acted_clips,
    read_protocol,
    region_clips,
    without_crops,
)
from cdrl_cli.evaluation.rows import edit_options
from talkers import make_clip

SHIPPED = read_protocol(Path(__file__).parents[2] / "configs" / "protocol.toml")


def plan(clips, photos=(), protocol=SHIPPED, **words):
    return plan_edits(clips, photos, protocol, **words)


@pytest.fixture(scope="module")
def clips():
    """What an index of Java-SED and MEAD has, without files."""
    java = [Emotion.NEUTRAL, *(e for e in EDITED_EMOTIONS if e is not Emotion.DISGUSTED)]
    found = [
        make_clip(f"{dataset}-{person}-{sentence}-{emotion}", identity=person, emotion=emotion,
                  sentence=sentence, dataset=dataset,
                  roles=frozenset({Role.REFRAMED} if "full" in dataset else ()))
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
    planned = plan(clips, edits=edits, asking="reference")
    assert len(planned) == len({task.name for task in planned}) == edits
    assert set(Counter(task.emotion for task in planned).values()) == {edits // 6}
    assert set(EDITED_EMOTIONS) == {task.emotion for task in planned}


def test_sources_are_neutral_and_held_out_by_person_or_sentence(clips):
    for task in plan(clips, edits=48, asking="reference"):
        assert task.source.emotion is Emotion.NEUTRAL
        held_out = task.source.identity in SHIPPED.held_out_people
        assert held_out or task.source.sentence in SHIPPED.held_out_sentences
        if task.source.identity == "J05":
            assert task.source.dataset == "Java-SED (full frame)"


def test_references_show_the_emotion_on_somebody_else(clips):
    for task in plan(clips, edits=48, asking="reference"):
        assert task.reference.emotion is task.emotion
        assert task.reference.identity != task.source.identity


def test_targets_are_the_same_person_and_sentence_and_there_is_none_of_disgust(clips):
    for task in plan(clips, edits=48, asking="label"):
        if task.emotion is Emotion.DISGUSTED or task.source.identity == "MEAD_W009":
            assert task.target is None
            continue
        assert task.target.emotion is task.emotion
        for name in ("identity", "sentence", "dataset"):
            assert getattr(task.target, name) == getattr(task.source, name)


def test_a_plan_is_made_without_chance(clips):
    once, again = (plan(order, edits=36, asking="reference") for order in (clips, clips[::-1]))
    assert once == again


@pytest.mark.parametrize("edits", [0, 5, -6, 54])
def test_edits_that_cannot_be_shared_out_are_refused(clips, edits):
    with pytest.raises(UsageError, match="cannot be shared out"):
        plan(clips, edits=edits, asking="reference")


def test_an_index_without_the_clips_says_which(clips):
    lacking = [clip for clip in clips if clip.identity != "MEAD_W009"]
    with pytest.raises(UsageError, match="MEAD_W009"):
        plan(lacking, edits=6, asking="reference")


def test_nobody_held_out_says_what_is_plausible(clips):
    assert not {clip.identity for clip in region_clips(clips, SHIPPED)} & set(
        SHIPPED.held_out_people
    )
    assert {clip.identity for clip in acted_clips(clips, SHIPPED)} == set(SHIPPED.held_out_people)
    assert Emotion.NEUTRAL not in {clip.emotion for clip in acted_clips(clips, SHIPPED)}


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
    planned = plan(clips, photos, edits=36, asking="reference", references="many")
    assert len(planned) == len({task.name for task in planned}) == 36
    assert set(Counter(task.emotion for task in planned).values()) == {6}
    for task in planned:
        assert task.reference.emotion is task.emotion
        assert task.reference.identity != task.source.identity
    sad = [task for task in planned if task.emotion is Emotion.SAD]
    people = {task.reference.identity for task in sad}
    assert people >= {"CFEE_2", "J05", "MEAD_M030", "MEAD_W009"}
    assert {task.source.identity for task in sad} == {"J01", "J03", "J05", "MEAD_W009"}


def test_an_edit_is_given_the_neutral_picture_of_its_reference(clips, photos):
    task = next(
        task
        for task in plan(clips, photos, edits=36, asking="reference", references="many")
        if task.reference.identity == "CFEE_2"
    )
    (neutral,) = (
        one for one in photos if (one.identity, one.emotion) == ("CFEE_2", Emotion.NEUTRAL)
    )
    given = replace(task, neutral=neutral)
    assert edit_options(given, intensity=1.0).reference_neutral == neutral.path
    assert edit_options(task, intensity=1.0).reference_neutral is None
    assert given.name != task.name


def test_many_references_and_sources_meet_in_pairs_that_do_not_repeat(clips, photos):
    planned = plan(clips, photos, edits=108, asking="reference", references="many")
    pairs = {(task.emotion, task.source.path, task.reference.path) for task in planned}
    assert len(pairs) == len(planned)


def test_by_label_there_is_one_edit_for_each_source_and_emotion(clips, photos):
    planned = plan(clips, photos, edits=108, asking="label", references="many")
    assert len(planned) == 48


def test_only_certain_labels_and_photos_to_validate_with_are_references(clips, photos):
    doubtful = make_clip("doubtful", identity="MEAD_M003", emotion=Emotion.SAD, dataset="MEAD",
                         label_certain=False)  # fmt: skip
    pool = reference_pool([*clips, doubtful], photos, Emotion.SAD, SHIPPED)
    assert {one.dataset for one in pool[:3]} == {"CFEE", "Java-SED (full frame)", "MEAD"}
    assert not {"CFEE_1", "MEAD_M003"} & {one.identity for one in pool}


LEARNS_FROM_STILLS_ALONE = {"skin-research.toml", "skin-refined-research.toml"}
"""Recipes that see no clip of the index; their photos and stills have a split of their own."""


def test_who_is_held_out_of_the_protocol_is_held_out_of_every_recipe():
    recipes = (Path(__file__).parents[2] / "configs").glob("*.toml")
    for recipe in recipes:
        if recipe.name in {"protocol.toml", *LEARNS_FROM_STILLS_ALONE}:
            continue
        data = tomllib.loads(recipe.read_text())["data"]
        held_out = {*data["validation_identities"], *data["held_out_identities"]}
        assert set(SHIPPED.held_out_people) <= held_out, recipe


@pytest.fixture
def theirs():
    """Somebody else's data: two sisters and an uncle, smiling and weeping, and nothing else."""
    return [
        make_clip(f"{person}-{emotion}-{take}", identity=person, emotion=emotion, sentence=None,
                  dataset="home")
        for person in ("anna", "berta", "uncle")
        for emotion in (Emotion.NEUTRAL, Emotion.HAPPY, Emotion.SAD)
        for take in (1, 2)
    ]  # fmt: skip


def test_other_people_are_evaluated_by_a_protocol_of_their_own(theirs, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('held_out_people = ["anna", "berta"]\nemotions = ["happy", "sad"]\n')
    mine = read_protocol(path)
    planned = plan(theirs, protocol=mine, edits=8, asking="reference")
    assert Counter(task.emotion for task in planned) == {Emotion.HAPPY: 4, Emotion.SAD: 4}
    # A person after the other, each clip once, with references of somebody else.
    assert [task.source.path.stem for task in planned[:4]] == [
        "anna-neutral-1", "berta-neutral-1", "anna-neutral-2", "berta-neutral-2",
    ]  # fmt: skip
    assert all(task.reference.identity != task.source.identity for task in planned)
    assert {clip.identity for clip in acted_clips(theirs, mine)} == {"anna", "berta"}
    assert {clip.identity for clip in region_clips(theirs, mine)} == {"uncle"}
    with pytest.raises(UsageError) as found:
        plan(theirs, protocol=mine, edits=9, asking="label")
    assert found.value.hint == "a multiple of 2, at most 8"


def test_a_take_that_is_there_twice_is_edited_as_recorded_and_counted_once(theirs):
    recorded = [
        make_clip(f"full-{clip.path.stem}", identity=clip.identity, emotion=clip.emotion,
                  sentence=clip.sentence, dataset="home, as recorded",
                  roles=frozenset({Role.REFRAMED}))
        for clip in theirs if clip.identity == "anna"
    ]  # fmt: skip
    found = without_crops([*theirs, *recorded])
    assert {clip.dataset for clip in found if clip.identity == "anna"} == {"home, as recorded"}
    assert {clip.dataset for clip in found if clip.identity == "uncle"} == {"home"}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("held_out_people = []", "held_out_people"),
        ("held_out_peple = ['anna']", "held_out_pe"),
        ("held_out_people = 'anna'", "held_out_people"),
        ("held_out_people = ['anna']\nemotions = ['bored']", "emotions"),
        ("held_out_people = ['anna']\nemotions = ['neutral']", "neutral is none"),
        ("held_out_people = ['anna']\nsources = [{person = 'anna'}]", "sources.0.sentence"),
    ],
)
def test_a_wrong_protocol_says_what_is_wrong(tmp_path, text, error):
    path = tmp_path / "protocol.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=error):
        read_protocol(path)


def test_a_missing_protocol_says_where_one_is(tmp_path):
    with pytest.raises(UnreadableInputError) as found:
        read_protocol(tmp_path / "none.toml")
    assert "configs/protocol.toml" in found.value.hint
