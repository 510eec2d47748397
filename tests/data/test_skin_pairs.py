import cv2
import numpy as np
import pytest

from cdrl_cli.data.skin_pairs import RATIO_UNIT, FacePhotos, PairMaker, skin_likelihood, turn_deg
from cdrl_cli.generator.skin import WINDOW_EYE_DISTANCE_PX, WINDOW_MIDDLE_Y, WINDOW_SIZE
from heads import coefficients, pose, toy_head

MIDDLE = (WINDOW_SIZE - 1) / 2
STILL = np.zeros(52)
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
    pair = maker.make(photos(calm, calm), 0, 1, STILL)
    inside = pair["ratio"][60:200, 80:180]
    assert np.abs(inside).max() <= 2
    assert np.abs(pair["flow"].astype(float)).max() < 1e-2
    assert pair["trust"][64, 64] > 250


def test_a_dark_line_of_the_second_is_found_where_it_is(maker):
    picture = skin_picture()
    creased = picture.copy()
    cv2.line(creased, (90, 90), (160, 90), (140, 100, 85), 3)
    faces = photos((picture, np.zeros(52), 0.0), (creased, np.zeros(52), 0.0))
    ratio = maker.make(faces, 0, 1, STILL)["ratio"] * RATIO_UNIT
    assert ratio[90, 110:140].mean() < -0.15
    assert np.abs(ratio[110:130, 110:140]).mean() < 0.05


def test_a_face_is_moved_as_an_edit_asks_and_no_further(maker):
    smile = coefficients(mouthSmile=0.5)
    faces = photos((skin_picture(), STILL, 0.0), (skin_picture(1), smile, 0.0))
    whole, half, still = (
        maker.make(faces, 0, 1, share * smile)["flow"].astype(float) for share in (1.0, 0.5, 0.0)
    )
    np.testing.assert_allclose(half, whole / 2, atol=0.1)
    assert np.abs(whole).max() > 0.2
    assert np.abs(still).max() < 1e-2


def test_a_crease_is_brought_to_where_the_edit_has_it(maker):
    """The actor raised the forehead twice as far as the edit does."""
    toy, place = toy_head(), 151
    raised = np.where(toy.basis[:, place, 1] < 0, 0.3, 0.0)
    calm = skin_picture()
    faces = photos((calm, STILL, 0.0), (calm, raised, 0.0))
    (x, rest), (_, far) = faces.landmarks_xyz[:, place, :2].astype(int)
    assert far < rest - 5
    cv2.line(faces.image[1], (x - 25, far), (x + 25, far), (140, 100, 85), 3)
    ratio = maker.make(faces, 0, 1, raised / 2)["ratio"]
    found = ratio[far - 10 : rest + 10, x - 5 : x + 5].astype(float).mean(axis=1).argmin()
    assert found + far - 10 == pytest.approx((far + rest) / 2, abs=2)


def test_about_a_mouth_that_opened_nothing_is_learned(maker):
    calm, opened = (skin_picture(), STILL, 0.0), (skin_picture(), coefficients(jawOpen=0.5), 0.0)
    low, high = (
        maker.make(photos(calm, one), 0, 1, STILL)["trust"].astype(float) for one in (opened, calm)
    )
    assert low[85:110].mean() < 0.3 * high[85:110].mean()
    np.testing.assert_allclose(low[30:50], high[30:50], atol=60)


def test_a_turn_of_the_head_is_no_expression(maker):
    calm = np.zeros(52)
    faces = photos((skin_picture(), calm, 0.0), (skin_picture(), calm, 6.0))
    assert turn_deg(faces, 0, 1) == pytest.approx(6.0, abs=0.01)
    assert np.abs(maker.make(faces, 0, 1, STILL)["flow"].astype(float)).max() < 0.05


def test_hair_is_not_skin():
    picture = skin_picture()
    picture[:60] = (30, 25, 22)
    mask = np.zeros((WINDOW_SIZE, WINDOW_SIZE), np.float32)
    mask[40:220, 60:200] = 1
    trust = skin_likelihood(picture, mask)
    assert trust[:55].max() < 0.05
    assert trust[70:].min() > 0.6
