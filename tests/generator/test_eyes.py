import numpy as np
import pytest
from drawn_eyes import drawn_face, eyeballs_of
from hypothesis import given
from hypothesis import strategies as st

from cdrl_cli.generator.eyes import (
    FOLDS_OF_LIDS,
    WIDEST_PX,
    bound_lids,
    find_eyes,
    hold_lower_lids,
    lift_lids,
    spare_eyes,
)
from cdrl_cli.generator.irises import IRISES, LOWER_LIDS, UPPER_LIDS, Irises
from heads import coefficients, toy_head


@pytest.mark.parametrize("off", [(0.0, 0.0), (0.6, 0.2), (-0.7, -0.4)])
def test_an_iris_is_found_beside_its_landmark(off):
    _, crop, middles = drawn_face(off=off)
    for eyeball, middle in zip(eyeballs_of(crop), middles, strict=True):
        in_crop = crop.crop_from_frame @ np.r_[middle, 1]
        in_eye = eyeball.eye_from_crop @ np.r_[in_crop, 1]
        assert eyeball.iris_xy[0] == pytest.approx(in_eye[0], abs=0.3)
        assert eyeball.iris_xy[1] == pytest.approx(in_eye[1], abs=0.8)  # its top is hidden
        assert eyeball.iris_radius == pytest.approx(4.9, abs=0.35)
        assert eyeball.strength == pytest.approx(1)


def test_eyes_that_show_no_iris_move_with_their_lids():
    _, crop, _ = drawn_face(radius=0.0)
    assert not eyeballs_of(crop)


def test_late_landmarks_leave_eyes_to_the_warp():
    _, crop, _ = drawn_face(off=(1.9, 0.0))
    assert not eyeballs_of(crop)


def test_irises_that_leap_are_hardly_seen_between():
    def irises(x):
        return Irises(
            np.array([(x, 0.0), (0.0, 0.0)]), np.full(2, 4.8), np.full(2, 9.0), np.zeros(2)
        )

    still, leaping = (Irises.between(irises(0.0), irises(x)) for x in (0.5, 2.6))
    np.testing.assert_allclose(still.offset_xy[0], (0.25, 0))
    np.testing.assert_allclose(still.clearness, 9)
    np.testing.assert_allclose(leaping.clearness, (1, 9))


def test_eyes_that_look_far_aside_move_with_their_lids():
    _, crop, _ = drawn_face(at=(7.0, -4.0), radius=4.0)
    assert not eyeballs_of(crop)


@pytest.mark.parametrize(
    ("opened", "left", "right"),
    [((1, 1), 1.0, 1.0), ((0.5, 1), 0.75, 1.0), ((1 / 3, 0), 0.5, None)],
)
def test_shut_eyes_are_left_to_the_warp(opened, left, right):
    _, crop, _ = drawn_face()
    shown = eyeballs_of(crop, opened)
    wanted = [one for one in (left, right) if one is not None]
    assert [one.strength for one in shown] == pytest.approx(wanted)


def test_wide_eyes_rise_by_their_upper_lids_alone():
    basis = toy_head().basis
    lifted = lift_lids(basis)
    changed = np.abs(lifted - basis).max(axis=2) > 0
    wide = coefficients(eyeWideLeft=1.0, eyeWideRight=1.0) > 0
    assert not changed[~wide].any()
    assert changed[wide].sum() == 28
    corners = UPPER_LIDS[:, [0, -1]].ravel()
    assert not changed[:, [*corners, *LOWER_LIDS.ravel()]].any()


@pytest.mark.parametrize("rise", [0.5, 2.0, 4.0, 40.0])
def test_no_lid_rises_far_above_its_iris(rise):
    landmarks = drawn_face()[1].landmarks_xyz
    wish = np.zeros_like(landmarks)
    lids = UPPER_LIDS[:, 1:-1]
    wish[lids, 1] = -rise
    wish[FOLDS_OF_LIDS, 1] = -rise

    def heights(moved):
        return (landmarks[IRISES, 1] - (landmarks + moved)[UPPER_LIDS, 1].min(axis=1)).tolist()

    bounded = bound_lids(landmarks, wish)
    for before, wished, after in zip(*map(heights, (0 * wish, wish, bounded)), strict=True):
        assert before < after < min(wished, WIDEST_PX) + 0.1
        if wished < WIDEST_PX - 2:
            assert after == pytest.approx(wished, abs=0.05)
    rest = np.setdiff1d(np.arange(len(wish)), [*lids.ravel(), *FOLDS_OF_LIDS.ravel()])
    np.testing.assert_array_equal(bounded[rest], wish[rest])
    assert (bounded[FOLDS_OF_LIDS, 1] <= bounded[lids, 1]).all()  # the lid above takes its share


@given(st.integers(0, 2**31))
def test_no_landmark_of_a_lid_comes_to_stand_above_the_bound(seed):
    landmarks = drawn_face()[1].landmarks_xyz
    wish = np.zeros_like(landmarks)
    lids = UPPER_LIDS[:, 1:-1]
    wish[lids, 1] = -np.random.default_rng(seed).uniform(-2, 12, lids.shape)
    moved = landmarks + bound_lids(landmarks, wish)
    for before, after, iris in zip(landmarks[UPPER_LIDS], moved[UPPER_LIDS], IRISES, strict=True):
        along = before[-1, :2] - before[0, :2]
        up = np.array([along[1], -along[0]]) / np.linalg.norm(along)
        stood, stands = ((one[:, :2] - landmarks[iris, :2]) @ up for one in (before, after))
        assert stands.max() <= max(WIDEST_PX, stood.max()) + 1e-6


def test_lids_that_sink_are_not_bounded():
    landmarks = drawn_face()[1].landmarks_xyz
    wish = np.zeros_like(landmarks)
    wish[UPPER_LIDS, 1] = 3.0
    assert bound_lids(landmarks, wish) is wish


@given(st.integers(0, 2**32 - 1))
def test_lower_lids_are_held_where_they_sink_and_nowhere_else(seed):
    down = np.random.default_rng(seed).normal(size=(64, 64)).astype(np.float32)
    x, y = np.meshgrid(np.linspace(-1, 1, 64), np.linspace(-1, 1, 64))
    position = np.stack([x, y, np.zeros_like(x)]).astype(np.float32)
    held = down.copy()
    hold_lower_lids(held, position)
    np.testing.assert_array_equal(held[down > 0], down[down > 0])
    near = (np.hypot((np.abs(x) - 0.345) / 0.26, (y - 0.1) / 0.14) < 1) & (down < 0)
    np.testing.assert_array_equal(held[~near], down[~near])
    assert (held[near] >= down[near]).all()


@given(st.floats(0, 1), st.floats(0, 1))
def test_around_a_shut_eye_the_finer_flow_ends(left, right):
    toy, position = toy_head(), np.zeros((3, 8, 480), np.float32)
    names = {"left": (386, 374, 362), "right": (159, 145, 133)}
    position[:, 0] = 9.0  # elsewhere
    for row, lids in enumerate(names.values(), start=1):
        position[:, row, :3] = toy.canonical_xyz[list(lids)].T
    spared = spare_eyes(find_eyes(position), np.array([left, right]))
    assert (spared[0] == 1).all()
    for row, opened in enumerate((left, right), start=1):
        np.testing.assert_allclose(spared[row, :2], opened, atol=0.12)
        assert (spared[row, :3] >= opened - 1e-6).all()


def test_open_eyes_spare_nothing():
    assert (spare_eyes(np.linspace(-1, 1, 9, dtype=np.float32)[None], np.ones(2)) == 1).all()
