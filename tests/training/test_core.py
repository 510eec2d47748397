from typing import NamedTuple

import numpy as np
import pytest
from conftest import require_weights
from safetensors import safe_open

from cdrl_cli.checkpoints.load import find_weights
from cdrl_cli.data.action_units import ACTION_UNITS, coded_expression
from cdrl_cli.emotion import Emotion
from cdrl_cli.face.blendshapes import COUNTERPARTS, EXPRESSION_NAMES, SHARES
from cdrl_cli.training.core import (
    ACTED_STRENGTH,
    CLEARLY_ACTED,
    FRAMES_A_CLIP,
    ClipLandmarks,
    CoreNumbers,
    fit_core,
    fit_differences,
    fit_neutral,
    mirror_landmarks,
    save_core,
)
from cdrl_cli.weight_set import WeightSet
from heads import coefficients, pose, toy_head


def clip_of(expressions, *, emotion=None, identity="a", dataset="toy", landmarks=None):
    expressions = np.asarray(expressions, np.float32)
    if landmarks is None:
        landmarks = np.zeros((len(expressions), 478, 3), np.float32)
    return ClipLandmarks(dataset, identity, emotion, landmarks, expressions)


def channel(name):
    return EXPRESSION_NAMES.index(name)


# Mirrors


def test_a_mirror_twice_is_no_mirror():
    names, landmarks = np.array(COUNTERPARTS), mirror_landmarks(toy_head().canonical_xyz[:468])
    np.testing.assert_array_equal(names[names], np.arange(52))
    np.testing.assert_array_equal(landmarks[landmarks], np.arange(478))


def test_a_mirror_swaps_left_and_right():
    names, landmarks = np.array(COUNTERPARTS), mirror_landmarks(toy_head().canonical_xyz[:468])
    assert names[channel("mouthSmileLeft")] == channel("mouthSmileRight")
    assert names[channel("eyeLookInLeft")] == channel("eyeLookInRight")
    assert names[channel("jawOpen")] == channel("jawOpen")
    assert names[channel("jawLeft")] == channel("jawRight")
    assert landmarks[33] == 263
    assert landmarks[61] == 291
    assert landmarks[1] == 1
    assert landmarks[468] == 473


# The core


class People(NamedTuple):
    clips: list
    heads: list


@pytest.fixture(scope="module")
def people():
    """Heads of slightly different shape who move by one and the same basis, in many poses."""
    generator, toy = np.random.default_rng(0), toy_head()
    clips, heads = [], []
    for person in range(10):
        build = generator.normal(0, 0.01, (478, 3))
        head = toy.canonical_xyz + (build + build[toy.mirror] * (-1, 1, 1)) / 2
        heads.append(head)
        shown = generator.uniform(0, 0.5, (60, 52))
        seen = []
        for expression in shown:
            carry = pose(
                yaw_deg=generator.uniform(-20, 20),
                pitch_deg=generator.uniform(-15, 15),
                roll_deg=generator.uniform(-20, 20),
                scale=generator.uniform(50, 200),
                at=generator.uniform(0, 500, 2),
            )
            seen.append(carry.apply(head + np.tensordot(expression, toy.basis, axes=1)))
        clips.append(clip_of(shown, identity=f"p{person}", landmarks=np.array(seen, np.float32)))
    return People(clips, heads)


@pytest.fixture(scope="module")
def core(people) -> CoreNumbers:
    return fit_core(people.clips, toy_head().canonical_xyz[:468])


def without_rigid(moves, head):
    """Take out of displacements what a small turn, growth or shift of the whole head explains."""
    mesh = head[:468]
    ways = [np.eye(3)[k] + 0 * mesh for k in range(3)] + [mesh]
    ways += [np.cross(np.eye(3)[k], mesh) for k in range(3)]
    design = np.array([way.ravel() for way in ways]).T
    flat = moves[:, :468].reshape(len(moves), -1).T
    answer, *_ = np.linalg.lstsq(design, flat, rcond=None)
    return (flat - design @ answer).T


def test_the_canonical_face_is_symmetric_and_of_unit_eye_distance(core):
    canonical, mirror = core.canonical_xyz, toy_head().mirror
    np.testing.assert_allclose(canonical[mirror] * (-1, 1, 1), canonical, atol=1e-9)
    assert np.linalg.norm(canonical[263] - canonical[33]) == pytest.approx(1.0)
    np.testing.assert_allclose(canonical[[33, 263]].mean(axis=0), 0, atol=1e-9)


def test_the_canonical_face_is_the_mean_of_the_people(core, people):
    toy = toy_head()
    mean = np.mean(people.heads, axis=0) + np.tensordot(np.full(52, 0.25), toy.basis, axes=1)
    mean = (mean + mean[toy.mirror] * (-1, 1, 1)) / 2
    mean -= mean[[33, 263]].mean(axis=0)
    mean /= np.linalg.norm(mean[263] - mean[33])
    left = without_rigid((core.canonical_xyz - mean)[None], mean)
    assert np.abs(left).max() < 0.02


def test_the_basis_is_found_again(core):
    """Up to the turn of the head, which no landmark can tell from an expression of all of it."""
    toy = toy_head()
    found = without_rigid(core.basis, toy.canonical_xyz)
    true = without_rigid(toy.basis, toy.canonical_xyz)
    alike = [np.corrcoef(a, b)[0, 1] for a, b in zip(found, true, strict=True)]
    assert min(alike) > 0.9
    sizes = np.linalg.norm(found, axis=1) / np.linalg.norm(true, axis=1)
    assert 0.75 < sizes.min() < sizes.max() < 1.2
    assert core.explained > 0.8


def test_the_basis_is_symmetric(core):
    toy = toy_head()
    mirrored = core.basis[toy.mirror_names][:, toy.mirror] * (-1, 1, 1)
    np.testing.assert_allclose(mirrored, core.basis, atol=1e-9)


def test_what_moves_least_is_most_rigid(core):
    moving = np.linalg.norm(without_rigid(toy_head().basis, core.canonical_xyz), axis=0)
    moving = np.linalg.norm(moving.reshape(468, 3), axis=1)
    assert (core.rigidity[:468] > 0).all()
    assert not core.rigidity[468:].any()
    calm, lively = (core.rigidity[:468][part] for part in np.split(np.argsort(moving), [234]))
    assert calm.mean() > 1.3 * lively.mean()
    np.testing.assert_allclose(core.rigidity[toy_head().mirror], core.rigidity)


def test_a_long_clip_counts_by_some_of_its_frames():
    clip = clip_of(np.linspace(0, 1, 1000)[:, None] * np.ones(52))
    thinned = clip.thinned()
    assert len(thinned.expression) == len(thinned.landmarks_xyz) == FRAMES_A_CLIP
    assert thinned.expression[0, 0] == 0
    assert thinned.expression[-1, 0] == 1
    short = clip_of(np.zeros((7, 52)))
    assert len(short.thinned().expression) == 7


# Neutral and the emotions


def neutral_clip(level, **who):
    return clip_of(np.full((5, 52), level), emotion=Emotion.NEUTRAL, **who)


def test_every_data_set_counts_alike_and_in_it_every_person():
    many = [neutral_clip(0.1, identity="a", dataset="large") for _ in range(50)]
    many += [neutral_clip(0.3, identity="b", dataset="large")]
    neutral = fit_neutral([*many, neutral_clip(0.6, identity="a", dataset="small")])
    np.testing.assert_allclose(neutral.mean, (0.2 + 0.6) / 2, atol=1e-6)


def test_nine_of_ten_neutral_people_stay_below_high():
    levels = np.linspace(0, 0.5, 101)
    neutral = fit_neutral([neutral_clip(v, identity=f"p{v}") for v in levels])
    assert (levels <= neutral.high[0] + 1e-6).mean() == pytest.approx(0.9, abs=0.011)


def test_other_emotions_say_nothing_about_neutral():
    clips = [neutral_clip(0.2), clip_of(np.ones((5, 52)), emotion=Emotion.HAPPY)]
    clips.append(clip_of(np.ones((5, 52)), emotion=None))
    np.testing.assert_allclose(fit_neutral(clips).mean, 0.2, atol=1e-6)


@pytest.fixture
def acted():
    """Two people: one smiles more than the other, both with a neutral of their own."""
    own = {"a": coefficients(browDown=0.3), "b": coefficients(mouthShrugLower=0.2)}
    smile = coefficients(mouthSmile=0.6, jawOpen=0.5)
    clips = [clip_of([own[w]], emotion=Emotion.NEUTRAL, identity=w) for w in own]
    clips += [
        clip_of([own["a"] + smile], emotion=Emotion.HAPPY, identity="a"),
        clip_of([own["b"] + 0.8 * smile], emotion=Emotion.HAPPY, identity="b"),
    ]
    return clips


def test_differences_have_the_strength_of_real_acting(acted):
    differences = fit_differences(acted, fit_neutral(acted))
    for emotion in Emotion:
        strength = np.linalg.norm(differences[emotion.class_index])
        expected = 0 if emotion is Emotion.NEUTRAL else ACTED_STRENGTH
        assert strength == pytest.approx(expected)


def test_a_difference_is_taken_from_ones_own_neutral(acted):
    happy = fit_differences(acted, fit_neutral(acted))[Emotion.HAPPY.class_index]
    expected = coded_expression(Emotion.HAPPY) + SHARES * 0.9 * coefficients(mouthSmile=0.6)
    expected *= ACTED_STRENGTH / np.linalg.norm(expected)
    np.testing.assert_allclose(happy, expected, atol=1e-6)
    assert happy[channel("browDownLeft")] == pytest.approx(0, abs=1e-6)


def test_without_a_neutral_of_ones_own_the_prior_counts(acted):
    alone = [clip for clip in acted if clip.emotion is Emotion.NEUTRAL]
    stranger = clip_of([coefficients(mouthSmile=0.9)], emotion=Emotion.HAPPY, identity="c")
    prior = fit_neutral(alone)
    happy = fit_differences([*alone, stranger], prior)[Emotion.HAPPY.class_index]
    expected = coded_expression(Emotion.HAPPY) + SHARES * (
        coefficients(mouthSmile=0.9) - prior.mean
    )
    expected *= ACTED_STRENGTH / np.linalg.norm(expected)
    np.testing.assert_allclose(happy, expected, atol=1e-6)


def test_who_shows_nothing_does_not_weigh(acted):
    prior = fit_neutral(acted)
    blank = [
        clip_of([np.zeros(52)], emotion=Emotion.NEUTRAL, identity="d"),
        clip_of(
            [coefficients(noseSneer=0.9 * CLEARLY_ACTED / np.sqrt(2))],
            emotion=Emotion.HAPPY,
            identity="d",
        ),
    ]
    np.testing.assert_allclose(
        fit_differences([*acted, *blank], prior), fit_differences(acted, prior), atol=1e-9
    )


def test_an_emotion_nobody_acts_is_its_action_units(acted):
    fear = fit_differences(acted, fit_neutral(acted))[Emotion.FEAR.class_index]
    coded = coded_expression(Emotion.FEAR)
    np.testing.assert_allclose(fear, coded * ACTED_STRENGTH / np.linalg.norm(coded))


def test_clips_may_come_from_an_iterator(acted):
    prior = fit_neutral(acted)
    np.testing.assert_array_equal(
        fit_differences(iter(acted), prior), fit_differences(acted, prior)
    )


def test_differences_leave_speech_alone(acted):
    differences = fit_differences(acted, fit_neutral(acted))
    assert not differences[:, SHARES == 0].any()


@pytest.mark.parametrize("emotion", list(ACTION_UNITS))
def test_action_units_are_coefficients_on_both_sides_alike(emotion):
    coded = coded_expression(emotion)
    np.testing.assert_array_equal(coded[COUNTERPARTS], coded)
    for stem, value in ACTION_UNITS[emotion].items():
        found = [i for i, name in enumerate(EXPRESSION_NAMES) if name.startswith(stem)]
        assert found, stem
        assert np.isin(value, coded[found])


def test_every_emotion_but_neutral_has_action_units():
    assert set(ACTION_UNITS) == set(Emotion) - {Emotion.NEUTRAL}


def test_the_file_holds_all_that_an_edit_loads(people, tmp_path):
    require_weights("face-landmarker")
    emotions = [Emotion.NEUTRAL, Emotion.HAPPY]
    clips = [
        ClipLandmarks(c.dataset, c.identity, emotions[i % 2], c.landmarks_xyz, c.expression)
        for i, c in enumerate(people.clips[:4])
    ]
    path = tmp_path / "core.safetensors"
    numbers = save_core(path, clips, find_weights("face-landmarker"), weight_set=WeightSet.RESEARCH)
    with safe_open(path, framework="numpy") as file:
        shapes = {name: file.get_tensor(name).shape for name in file.keys()}  # noqa: SIM118
        facts = file.metadata()
        np.testing.assert_allclose(file.get_tensor("basis"), numbers.basis, atol=1e-6)
        assert file.get_tensor("triangles").dtype == np.int32
    assert shapes == {
        "basis": (52, 478, 3),
        "canonical_xyz": (478, 3),
        "differences": (7, 52),
        "neutral_high": (52,),
        "neutral_mean": (52,),
        "oval": (36,),
        "rigidity": (478,),
        "triangles": (898, 3),
    }
    assert facts["weight_set"] == "research"
    assert (facts["clips"], facts["people"]) == ("4", "4")
