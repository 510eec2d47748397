from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cdrl_cli.conditions import read_conditions
from cdrl_cli.editing import EditOptions, edit_video
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import NoFaceError, UnreadableInputError, UsageError
from cdrl_cli.face.blendshapes import SHARES, channels
from cdrl_cli.reference import (
    FOLLOW_STEP_S,
    MAX_NORMALISING,
    OBSERVED_SHARE,
    Reference,
    estimate_rest,
    read_named_emotion,
    read_reference,
    read_track,
)
from cdrl_cli.schedule import Schedule, ScheduleRow
from pictures import read_pictures
from sample_clips import ACTRESS

pytestmark = pytest.mark.weights


def read(models, path, **how):
    """The one condition of a reference that is not followed."""
    (condition,) = read_reference(Reference(path, **how), models).conditions
    return condition


@pytest.fixture(scope="module")
def pictures(clips, tmp_path_factory):
    """Folder of stills: a woman who laughs, a man who talks, and both, the man smaller."""
    folder = tmp_path_factory.mktemp("pictures")
    (woman,), (man,) = (read_pictures(clips / f"{name}.mp4", 1) for name in ("joy", "single_face"))
    Image.fromarray(woman).save(folder / "woman.png")
    Image.fromarray(man).save(folder / "man.png")
    face = Image.fromarray(man[60:330, 160:430]).resize((216, 216))
    beside = np.full((woman.shape[0], woman.shape[1] + face.width, 3), 127, np.uint8)
    beside[:, : woman.shape[1]] = woman
    beside[: face.height, woman.shape[1] :] = face
    Image.fromarray(beside).save(folder / "both.png")
    return folder


def test_a_reference_asks_for_its_own_change(models, clips):
    """From the neutral face that is estimated of its person, in the channels that may move."""
    part = Reference(clips / "joy.mp4", end=Fraction(1))
    (asked,) = read_reference(part, models).conditions
    shown = read_track(part, models)
    rest = estimate_rest(shown, models)
    strength = np.linalg.norm(SHARES * (shown.expressions - rest), axis=1)
    half = shown.expressions[strength >= np.median(strength)].mean(axis=0)
    own = SHARES * (half - rest)
    typical = models.differences[Emotion.HAPPY.class_index]
    agrees = typical * own >= 0
    np.testing.assert_allclose(asked.difference[agrees], own[agrees], atol=1e-5)
    assert (np.abs(asked.difference) <= np.abs(own) + 1e-6).all()
    left = np.linalg.norm(asked.difference) / np.linalg.norm(own)
    assert asked.observed == pytest.approx(OBSERVED_SHARE * left, abs=1e-5)
    assert asked.strength > 0.3


def test_bared_teeth_are_no_smile(models, clips):
    """Where the word says that it is no joy, no corner of the mouth is pulled up."""
    smiles = channels("mouthSmile")
    joyful, angry = (
        read(models, clips / "joy.mp4", named=named).difference for named in (None, "angry")
    )
    assert (joyful[smiles] > 0.3).all()
    assert (angry[smiles] < 0.1).all()
    assert read(models, clips / "joy.mp4", named="angry").observed < OBSERVED_SHARE / 2


def test_a_neutral_picture_is_what_the_change_is_measured_from(models, clips, pictures):
    """Whoever looks as in their neutral picture shows nothing."""
    given, estimated = (
        read(models, pictures / "woman.png", neutral=neutral)
        for neutral in (pictures / "woman.png", None)
    )
    assert given.strength == pytest.approx(0, abs=1e-6)
    assert estimated.strength > 0.3
    other = read(models, pictures / "woman.png", neutral=clips / "grief.mp4")
    assert not np.allclose(other.difference, estimated.difference, atol=0.05)


def test_an_image_is_a_reference_too(models, pictures):
    track = read_reference(Reference(pictures / "woman.png"), models)
    assert track.conditions[0].reading.argmax() == Emotion.HAPPY.class_index
    followed = read_reference(Reference(pictures / "woman.png", follow=True), models)
    assert followed.times_s.tolist() == [0.0]
    np.testing.assert_allclose(
        followed.conditions[0].difference, track.conditions[0].difference, atol=1e-6
    )


def test_the_largest_face_is_the_first_and_the_next_can_be_chosen(models, pictures):
    for number, alone in ((1, "woman.png"), (2, "man.png")):
        chosen = read_track(Reference(pictures / "both.png", face=number), models)
        expected = read_track(Reference(pictures / alone), models)
        apart = np.abs(chosen.expressions - expected.expressions).mean()
        assert apart < 0.05
    one, other = (
        read_track(Reference(pictures / "both.png", face=number), models).expressions
        for number in (1, 2)
    )
    assert np.abs(one - other).mean() > 0.05


def test_only_the_part_from_start_to_end_is_read(models, clips):
    shown = read_track(Reference(clips / "joy.mp4", start=Fraction(1), end=Fraction(2)), models)
    assert shown.time_s.min() >= 1
    assert shown.time_s.max() <= 2
    assert len(shown.time_s) >= 8


def test_a_part_of_a_film_is_read_as_the_part_cut_out(models, clips):
    """She grieves in a part of a clip in which she laughs later."""
    part = Reference(clips / ACTRESS, start=Fraction("0.6"), end=Fraction("2.2"))
    (one,) = read_reference(part, models).conditions
    other = read(models, clips / "grief.mp4")
    np.testing.assert_allclose(one.reading, other.reading, atol=0.1)
    np.testing.assert_allclose(one.difference, other.difference, atol=0.1)


@pytest.mark.parametrize("name", [Emotion.HAPPY, Emotion.SAD])
def test_what_it_is_called_takes_back_what_contradicts_it(models, clips, name):
    part = {"end": Fraction(1, 2)}
    plain = read(models, clips / "grief.mp4", **part)
    named = read(models, clips / "grief.mp4", named=name.value, **part)
    typical = models.differences[name.class_index]
    against = np.abs(named.difference[typical * plain.difference < 0])
    assert (against <= 0.35 * np.abs(plain.difference[typical * plain.difference < 0]) + 0.02).all()
    np.testing.assert_array_equal(named.reading, plain.reading)
    called = read_named_emotion(name.value, models).conditions[0]
    np.testing.assert_array_equal(named.embedding, called.embedding)
    assert named.likelihood.argmax() == name.class_index


def test_normalising_changes_the_strength_alone(models, pictures):
    typical = np.linalg.norm(models.differences, axis=1).max()
    for path in (pictures / "woman.png", pictures / "man.png"):
        plain, normal = (read(models, path, normalise=normalise) for normalise in (False, True))
        factor = normal.strength / plain.strength
        assert factor <= MAX_NORMALISING + 1e-6
        assert normal.strength == pytest.approx(typical, rel=0.05)
        np.testing.assert_allclose(normal.difference, factor * plain.difference, atol=1e-6)


def test_a_reference_is_followed_over_its_time(models, clips):
    one = read_reference(Reference(clips / "single_face.mp4"), models)
    track = read_reference(Reference(clips / "single_face.mp4", follow=True), models)
    assert len(one.conditions) == 1
    assert track.times_s[0] == 0
    np.testing.assert_allclose(np.diff(track.times_s), FOLLOW_STEP_S)
    assert 2.0 < track.times_s[-1] < 4.0
    embeddings = np.stack([condition.embedding for condition in track.conditions])
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
    differences = np.stack([condition.difference for condition in track.conditions])
    assert np.ptp(differences, axis=0).max() > 0.05


@pytest.mark.parametrize(
    ("start", "end", "match"),
    [(Fraction(3), Fraction(2), "not before"), (Fraction(2), Fraction(2), "not before")],
)
def test_a_part_that_ends_before_it_begins_is_refused(start, end, match):
    with pytest.raises(UsageError, match=match):
        Reference(Path("joy.mp4"), start=start, end=end)


def test_faces_count_from_one():
    with pytest.raises(UsageError, match="face 0"):
        Reference(Path("joy.mp4"), face=0)


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ({"face": 2}, "no face 2 in the reference"),
        ({"start": Fraction(100)}, "between its start and end"),
    ],
)
def test_a_face_that_is_not_there_is_named(models, pictures, how, match):
    with pytest.raises(NoFaceError, match=match):
        read_reference(Reference(pictures / "woman.png", **how), models)


def test_a_neutral_picture_without_a_face_is_named(models, clips, pictures):
    with pytest.raises(NoFaceError, match=r"no_face\.mp4"):
        read(models, pictures / "woman.png", neutral=clips / "no_face.mp4")


def test_a_neutral_picture_that_is_missing_is_named(models, pictures, tmp_path):
    with pytest.raises(UnreadableInputError, match=r"gone\.png"):
        read(models, pictures / "woman.png", neutral=tmp_path / "gone.png")


def test_a_reference_without_a_face_leaves_no_output(models, clips, tmp_path):
    """It is read before the output is opened."""
    options = EditOptions(reference=clips / "no_face.mp4")
    with pytest.raises(NoFaceError, match="no face in the reference"):
        edit_video(clips / "single_face.mp4", tmp_path / "out.mp4", options, models=models)
    assert not list(tmp_path.iterdir())


def test_networks_are_loaded_once_for_many_references(models, pictures):
    read(models, pictures / "woman.png")
    nets = models.nets
    read(models, pictures / "man.png")
    assert models.nets is nets


def test_a_way_is_a_reference_that_nobody_had_to_film(models):
    ways = models.evidence.ways_of(Emotion.HAPPY)
    plain, *acted = (
        read_named_emotion("happy", models, way).conditions[0]
        for way in (None, *range(1, len(ways) + 1))
    )
    for condition, way in zip(acted, ways, strict=True):
        np.testing.assert_allclose(condition.difference, way, rtol=0.02)
        np.testing.assert_array_equal(condition.embedding, plain.embedding)
        assert condition.observed > plain.observed == 0
    rows = ScheduleRow("happy"), ScheduleRow("angry", way=3, face=1, line=3)
    plan = Schedule(rows, "s.csv")
    with pytest.raises(UsageError, match=r"s\.csv, line 3: way 3 of angry is asked for, and these"):
        read_conditions(EditOptions(schedule=plan), models)
    with pytest.raises(UsageError, match="way 3 of angry is asked for, and these weights know"):
        read_named_emotion("angry", models, 3)
    with pytest.raises(UsageError, match="way 2 of surprised") as caught:
        read_named_emotion("surprised", models, 2)
    assert caught.value.hint == "take at most 1, or take --weights research, which know more"
