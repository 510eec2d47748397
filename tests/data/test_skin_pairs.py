import cv2
import numpy as np
import pytest

from cdrl_cli.data.skin_pairs import RATIO_UNIT, FacePhotos, PairMaker, skin_likelihood, turn_deg
from cdrl_cli.generator.skin import WINDOW_EYE_DISTANCE_PX, WINDOW_MIDDLE_Y, WINDOW_SIZE
from heads import coefficients, pose, toy_head

MIDDLE = (WINDOW_SIZE - 1) / 2
PLACE = (MIDDLE, MIDDLE - WINDOW_MIDDLE_Y * WINDOW_EYE_DISTANCE_PX)


def skin_picture(seed=0):
    """Skin's colour everywhere, with pores."""
    pores = np.random.default_rng(seed).normal(0, 6, (WINDOW_SIZE, WINDOW_SIZE, 1))
    pores = cv2.GaussianBlur(pores, (0, 0), 1.0)[..., None]
    return np.clip(np.array([200.0, 150, 125]) + 3 * pores, 0, 255).astype(np.uint8)


def photos(*shown):
    """Photographs of the toy head: (picture, expression, yaw)."""
    poses = [pose(scale=WINDOW_EYE_DISTANCE_PX, at=PLACE, yaw_deg=yaw) for _, _, yaw in shown]
    faces = [toy_head().face(one, e) for one, (_, e, _) in zip(poses, shown, strict=True)]
    return FacePhotos(
        image=np.stack([picture for picture, _, _ in shown]),
        landmarks_xyz=np.stack([face.landmarks_xyz for face in faces]),
        window_from_head=np.stack(
            [np.column_stack([p.scale * p.rotation, p.translation]) for p in poses]
        ).astype(np.float32),
        expression=np.stack([face.expression for face in faces]),
        zoom=np.ones(len(shown), np.float32),
        row=np.arange(len(shown), dtype=np.float32),
    )


@pytest.fixture(scope="module")
def maker():
    toy = toy_head()
    return PairMaker(toy.mesh, toy.canonical_xyz, toy.basis)


def test_two_equal_photographs_have_nothing_between_them(maker):
    calm = (skin_picture(), np.zeros(52), 0.0)
    pair = maker.make(photos(calm, calm), 0, 1)
    inside = pair["ratio"][60:200, 80:180]
    assert np.abs(inside).max() <= 2
    assert np.abs(pair["flow"].astype(float)).max() < 1e-2
    assert pair["trust"][64, 64] > 250


def test_a_dark_line_of_the_second_is_found_where_it_is(maker):
    picture = skin_picture()
    creased = picture.copy()
    cv2.line(creased, (90, 90), (160, 90), (140, 100, 85), 3)
    faces = photos((picture, np.zeros(52), 0.0), (creased, np.zeros(52), 0.0))
    ratio = maker.make(faces, 0, 1)["ratio"] * RATIO_UNIT
    assert ratio[90, 110:140].mean() < -0.15
    assert np.abs(ratio[110:130, 110:140]).mean() < 0.05


def test_what_moves_is_followed(maker):
    smile = coefficients(mouthSmile=0.5)
    faces = photos((skin_picture(), np.zeros(52), 0.0), (skin_picture(1), smile, 0.0))
    pair = maker.make(faces, 0, 1)
    # By landmarks and by coefficients alike, as the toy head moves by its basis alone.
    np.testing.assert_allclose(
        pair["flow"][..., :2].astype(float), pair["flow"][..., 2:].astype(float), atol=0.1
    )
    assert np.abs(pair["flow"].astype(float)).max() > 0.2
    np.testing.assert_allclose(pair["change"], smile, atol=1e-6)


def test_a_turn_of_the_head_is_no_expression(maker):
    calm = np.zeros(52)
    faces = photos((skin_picture(), calm, 0.0), (skin_picture(), calm, 6.0))
    assert turn_deg(faces, 0, 1) == pytest.approx(6.0, abs=0.01)
    assert np.abs(maker.make(faces, 0, 1)["flow"].astype(float)).max() < 0.05


def test_hair_is_not_skin():
    picture = skin_picture()
    picture[:60] = (30, 25, 22)
    mask = np.zeros((WINDOW_SIZE, WINDOW_SIZE), np.float32)
    mask[40:220, 60:200] = 1
    trust = skin_likelihood(picture, mask)
    assert trust[:55].max() < 0.05
    assert trust[70:].min() > 0.6
