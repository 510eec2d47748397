import cv2
import numpy as np
import pytest

from cdrl_cli.face.alignment import CROP_SIZE
from cdrl_cli.face.blendshapes import EXPRESSION_NAMES
from cdrl_cli.generator.skin import (
    FULL_INTENSITY,
    MAP_REACH,
    MAP_SIDE,
    MOST_GLOW,
    SEEN_SIZE,
    STRENGTHS,
    WINDOW_EYE_DISTANCE_PX,
    WINDOW_MIDDLE_Y,
    WINDOW_SIZE,
    SkinMasks,
    bound_upper_face,
    drop_pattern,
    read_maps,
    tell_skin,
    window_from_crop,
)
from heads import toy_head

MIDDLE = np.full(2, (CROP_SIZE - 1) / 2)


@pytest.fixture(scope="module")
def masks():
    toy = toy_head()
    return SkinMasks.draw(toy.canonical_xyz, toy.mesh.oval)


def test_threads_and_memory_change_no_map(masks, set_opencv_threads):
    toy, drawn = toy_head(), []
    for count in (3, 1, 1, 1, 1):
        set_opencv_threads(count)
        # All are kept, so each lies elsewhere.
        drawn.append((SkinMasks.draw(toy.canonical_xyz, toy.mesh.oval), np.empty(10)))
    for again, _ in drawn:
        for name in ("skin", "parts", "brows", "calm"):
            np.testing.assert_array_equal(getattr(again, name), getattr(masks, name))


def at(drawn, points):
    (found,) = read_maps([drawn], np.asarray(points, np.float32).T[:2, None])
    return found[0]


@pytest.mark.parametrize("side", [WINDOW_SIZE, SEEN_SIZE])
def test_the_window_is_centred_on_the_face(side):
    matrix = window_from_crop(side)
    below = matrix[:, :2] @ MIDDLE + matrix[:, 2]
    middle_px = (side - 1) / 2
    shrink = side / WINDOW_SIZE
    np.testing.assert_allclose(
        below, (middle_px, middle_px - shrink * WINDOW_MIDDLE_Y * WINDOW_EYE_DISTANCE_PX)
    )


def test_skin_shows_and_eyes_and_lips_and_what_is_around_the_face_do_not(masks):
    face = toy_head().canonical_xyz
    skin = at(masks.skin, face)
    assert (skin[[50, 280, 9, 151, 4, 205, 425]] > 0.95).all()  # cheeks, brow, nose
    assert (skin[[13, 14, 61, 291, 159, 145, 386, 374]] < 0.05).all()  # lips, lids
    assert (skin[toy_head().mesh.oval] < 0.02).all()
    assert not at(masks.skin, [(1.2, 0.3), (0, -0.9), (0, 1.6)]).any()


def test_eyes_and_mouth_are_the_rest(masks):
    face = toy_head().canonical_xyz
    parts = at(masks.parts, face)
    assert (parts[[13, 14, 159, 145, 386, 374]] > 0.95).all()
    assert not parts[[50, 280, 9, 151, 4]].any()
    assert (masks.skin + masks.parts <= 1 + 1e-6).all()


def test_masks_are_symmetric_and_have_no_step(masks):
    for drawn in (masks.skin, masks.parts):
        np.testing.assert_allclose(drawn, drawn[:, ::-1], atol=0.15)
        cell = 2 * MAP_REACH / (MAP_SIDE - 1)
        assert max(np.abs(np.diff(drawn, axis=axis)).max() for axis in (0, 1)) < 50 * cell


def test_off_the_mesh_nothing_is_read(masks):
    assert not np.any(read_maps([masks.skin], np.zeros((3, 4, 4), np.float32)))


def test_a_pattern_of_squares_is_dropped_and_a_crease_stays():
    y, x = np.mgrid[:WINDOW_SIZE, :WINDOW_SIZE].astype(np.float32)
    crease = -0.3 * np.exp(-(((y - 100 - 0.3 * x) / 4) ** 2))
    squares = np.tile(np.random.default_rng(3).normal(0, 0.02, (4, 4)), (64, 64))
    squares = (squares - squares.mean()).astype(np.float32)
    here = np.s_[16:-16, 16:-16]
    np.testing.assert_allclose(drop_pattern(squares)[here], 0, atol=2e-3)
    np.testing.assert_allclose(drop_pattern(crease)[here], crease[here], atol=0.01)


def test_raised_brows_show_light_without_creases_and_lowered_ones_both(masks):
    face = toy_head().canonical_xyz
    brows = at(masks.brows, face)
    assert (brows[[105, 66, 334, 296]] > 0.95).all()
    assert not brows[[9, 50, 159, 280, 386]].any()

    y, x = np.mgrid[:SEEN_SIZE, :SEEN_SIZE].astype(np.float32)
    position = np.stack([(x - 64) / 40, (y - 64) / 40])
    held = read_maps([masks.brows], position)[0].repeat(2, 0).repeat(2, 1) > 0.99
    assert held.sum() > 200
    stripes = np.full((WINDOW_SIZE, WINDOW_SIZE), -0.1, np.float32)
    stripes.reshape(-1, 16, 16)[..., :4] = -0.4
    condition = np.zeros(111)
    bounded = bound_upper_face(stripes, masks, position, condition)
    assert bounded[held].std() < 0.2 * stripes[held].std()
    assert bounded[held].mean() == pytest.approx(stripes.mean(), abs=0.02)
    np.testing.assert_array_equal(bounded[190:], stripes[190:])
    for side in ("Left", "Right"):
        condition[52 + EXPRESSION_NAMES.index(f"browDown{side}")] = 0.7
    assert bound_upper_face(stripes, masks, position, condition)[held].std() > 0.09


def test_lids_and_the_bridge_do_not_glow_but_may_darken(masks):
    face = toy_head().canonical_xyz
    calm = at(masks.calm, face)
    assert (calm[[9, 168, 8, 159, 145, 386, 374]] > 0.95).all()
    assert not calm[[50, 280, 105, 13]].any()
    y, x = np.mgrid[:SEEN_SIZE, :SEEN_SIZE].astype(np.float32)
    position = np.stack([(x - 64) / 40, (y - 64) / 40])
    calm = read_maps([masks.calm], position)[0].repeat(2, 0).repeat(2, 1)
    inside = cv2.erode(calm, np.ones((5, 5))) > 0.999
    assert inside.sum() > 200
    for light, least, most in ((0.3, 0.03, MOST_GLOW), (-0.3, -0.301, -0.299)):
        shade = np.full((WINDOW_SIZE, WINDOW_SIZE), light, np.float32)
        bounded = bound_upper_face(shade, masks, position, np.zeros(111))
        assert (bounded[inside] <= most + 1e-3).all()
        assert (bounded[inside] >= least).all()
        np.testing.assert_array_equal(bounded[200:], shade[200:])


def test_beyond_what_actors_show_skin_is_told_less_of_what_is_asked_for():
    fear = np.eye(7)[2]
    told = [tell_skin(intensity * fear)[2] / STRENGTHS[2] for intensity in (0, 0.5, 1.1, 1.5, 2.0)]
    assert told[:3] == pytest.approx([0, 0.5, FULL_INTENSITY])
    assert told[2] < told[3] < told[4] < 1.4
    both = tell_skin(np.eye(7)[2] + np.eye(7)[5]) / STRENGTHS
    assert both[2] == pytest.approx(both[5])
    assert both.sum() == pytest.approx(told[4])
