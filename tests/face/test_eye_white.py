import numpy as np
import pytest

from cdrl_cli.face.eye_white import brightness, spread_near


@pytest.mark.parametrize(("share", "sure"), [(0.5, 0), (0.8, 0), (0.9, 0.5), (1.0, 1), (1.4, 1)])
def test_lashes_are_not_the_white_of_an_eye(share, sure):
    mean = np.full((2, 1, 1), 150, np.float32)
    assert brightness(np.full((2, 3, 4), share * 150, np.float32), mean) == pytest.approx(
        sure, abs=1e-5
    )


def test_black_is_no_white_and_divides_nothing():
    assert not brightness(np.zeros((2, 3, 4), np.float32), np.zeros((2, 1, 1), np.float32)).any()


@pytest.mark.parametrize("zoom", [0.5, 1.0, 3.0])
def test_what_is_near_is_spread_farther_than_what_is_not(zoom):
    values = np.full((1, 40, 60), 7.0, np.float32)
    values[..., 30:] = 90.0
    weight = np.full_like(values, 1e-4)
    weight[0, 20, 10], weight[0, 20, 50] = 1.0, 1.0
    crop_from_plane = np.array([(1 / zoom, 0, 0), (0, 1 / zoom, 0)])
    (spread,) = spread_near([values * weight], weight, crop_from_plane)
    assert spread[0, 22, 12] == pytest.approx(7, abs=1)
    assert spread[0, 22, 48] == pytest.approx(90, abs=1)
