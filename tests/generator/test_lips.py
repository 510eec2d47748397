import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrl_cli.generator.lips import (
    APERTURE_CHANGE,
    INNER_PAIRS,
    LEAST_RED,
    PAIRS,
    RED_OF_LOWER,
    RED_OF_UPPER,
    keep_aperture,
    keep_red,
)
from heads import pose, rotation, toy_head

SEEDS = st.integers(0, 2**32 - 1)
OPENINGS = st.floats(0.0, 0.4)
LIPS = PAIRS.ravel()


def mouth(opening):
    """The toy face with every upper lip's partner straight below it, inner lips so far apart."""
    face = toy_head().canonical_xyz.copy()
    upper, lower = INNER_PAIRS.T
    face[lower] = face[upper] + (0, opening, 0)
    face[17, [0, 2]] = face[0, [0, 2]]  # so that the mouth opens straight down
    return face


def inner_opening(face):
    upper, lower = INNER_PAIRS.T
    return face[lower, 1] - face[upper, 1]


def random_displacement(seed, size=0.1):
    return np.random.default_rng(seed).normal(0, size, (478, 3))


@given(SEEDS)
def test_closed_lips_stay_closed(seed):
    face = mouth(0.0)
    moved = face + keep_aperture(face, random_displacement(seed))
    np.testing.assert_allclose(inner_opening(moved), 0, atol=1e-12)


@given(OPENINGS, SEEDS)
def test_an_open_mouth_keeps_most_of_its_opening(opening, seed):
    face = mouth(opening)
    change = inner_opening(face + keep_aperture(face, random_displacement(seed))) - opening
    assert np.abs(change).max() <= APERTURE_CHANGE * opening + 1e-12


@given(OPENINGS, SEEDS)
def test_what_both_lips_do_together_stays(opening, seed):
    face, wish = mouth(opening), random_displacement(seed)
    kept = keep_aperture(face, wish)
    upper, lower = PAIRS.T
    np.testing.assert_allclose(kept[upper] + kept[lower], wish[upper] + wish[lower], atol=1e-12)


@given(OPENINGS, SEEDS)
def test_only_lips_are_held_and_only_along_the_opening(opening, seed):
    face, wish = mouth(opening), random_displacement(seed)
    change = keep_aperture(face, wish) - wish
    assert not np.delete(change, LIPS, axis=0).any()
    np.testing.assert_allclose(change[:, [0, 2]], 0, atol=1e-12)


@given(OPENINGS, SEEDS)
def test_a_displacement_once_held_is_not_held_again(opening, seed):
    face = mouth(opening)
    once = keep_aperture(face, random_displacement(seed))
    np.testing.assert_allclose(keep_aperture(face, once), once, atol=1e-12)


def test_lips_that_move_alike_are_left_alone():
    face = mouth(0.0)
    wish = np.tile([0.3, -0.2, 0.1], (478, 1))
    np.testing.assert_array_equal(keep_aperture(face, wish), wish)


def test_a_small_opening_of_an_open_mouth_is_allowed():
    face, wish = mouth(0.2), np.zeros((478, 3))
    wish[INNER_PAIRS[:, 1], 1] = 0.9 * APERTURE_CHANGE * 0.2
    np.testing.assert_array_equal(keep_aperture(face, wish), wish)


@given(
    OPENINGS, SEEDS, st.floats(-180, 180), st.floats(0.1, 300), st.tuples(*[st.floats(-99, 99)] * 2)
)
def test_turning_scaling_and_moving_the_picture_changes_nothing(opening, seed, roll, scale, place):
    face, wish = mouth(opening), random_displacement(seed)
    carry = pose(roll_deg=roll, scale=scale, at=place)
    np.testing.assert_allclose(
        keep_aperture(carry.apply(face), carry.apply_direction(wish)),
        carry.apply_direction(keep_aperture(face, wish)),
        atol=1e-9 * scale,
    )


@pytest.mark.parametrize("pitch", [-30, 30])
def test_closed_lips_stay_closed_on_a_nodding_head_too(pitch, generator):
    face = mouth(0.0) @ rotation(pitch_deg=pitch).T
    wish = generator.normal(0, 0.1, (478, 3)) @ rotation(pitch_deg=pitch).T
    kept = keep_aperture(face, wish)
    upper, lower = PAIRS.T
    down = (face[17] - face[0]) / np.linalg.norm(face[17] - face[0])
    np.testing.assert_allclose((kept[lower] - kept[upper]) @ down, 0, atol=1e-12)


def test_every_lip_has_one_partner_and_lies_above_it():
    assert len(set(LIPS)) == len(LIPS)
    face = toy_head().canonical_xyz
    upper, lower = PAIRS.T
    assert (face[upper, 1] < face[lower, 1]).all()
    np.testing.assert_allclose(face[upper, 0], face[lower, 0], atol=0.1)


def test_a_mirror_turns_pairs_into_pairs():
    mirror = toy_head().mirror
    pairs = {tuple(pair) for pair in PAIRS}
    assert {(mirror[u], mirror[v]) for u, v in pairs} == pairs


@given(SEEDS)
def test_the_red_of_lips_is_not_squeezed_and_their_opening_stays(seed):
    face, wish = mouth(0.0), random_displacement(seed)
    moved = keep_red(face, wish)
    np.testing.assert_array_equal(moved[INNER_PAIRS], wish[INNER_PAIRS])
    for rows, outwards in ((RED_OF_UPPER, -1), (RED_OF_LOWER, 1)):
        before, after = (
            outwards * (points[rows[-1], 1] - points[rows[0], 1]) for points in (face, face + moved)
        )
        assert (before > 0).all()
        assert (after >= LEAST_RED * before - 1e-12).all()
    np.testing.assert_allclose((moved - wish)[:, [0, 2]], 0, atol=1e-12)
    np.testing.assert_allclose(keep_red(face, moved), moved, atol=1e-12)


def test_red_that_is_hardly_squeezed_is_left_alone():
    face, wish = mouth(0.0), np.zeros((478, 3))
    wish[RED_OF_LOWER[-1], 1] = -0.1 * (face[RED_OF_LOWER[-1], 1] - face[RED_OF_LOWER[0], 1])
    np.testing.assert_array_equal(keep_red(face, wish), wish)


def test_the_red_of_lips_is_where_a_mirror_has_it_and_in_order():
    toy = toy_head()
    for rows, outwards in ((RED_OF_UPPER, -1), (RED_OF_LOWER, 1)):
        np.testing.assert_array_equal(toy.mirror[rows], rows[:, ::-1])
        heights = outwards * toy.canonical_xyz[rows, 1]
        assert (np.diff(heights[[0, 1, 3]], axis=0) > -0.02).all()
