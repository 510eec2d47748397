from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrl_cli.face.label import LEAST_HEIGHT_PX, Label
from cdrl_cli.notation import CORNERS
from pictures import ArrayFrame, noise


@given(st.integers(1, 4096), st.integers(1, 4096), st.sampled_from(CORNERS))
def test_it_lies_inside_of_any_picture(width, height, corner):
    label = Label.draw(width, height, corner)
    left, top, right, bottom = label.box_xyxy
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert label.pixels.shape == (bottom - top, right - left, 3)


@pytest.mark.parametrize(("height", "least"), [(180, LEAST_HEIGHT_PX), (360, 19), (2160, 115)])
@pytest.mark.parametrize("corner", CORNERS)
def test_it_grows_with_the_picture_and_stands_in_its_corner(height, least, corner):
    width = height * 16 // 9
    left, top, right, bottom = Label.draw(width, height, corner).box_xyxy
    assert bottom - top >= least
    assert right - left < width / 4
    assert (left < width / 2) == corner.endswith("left")
    assert (top < height / 2) == corner.startswith("top")


def test_pixels_that_are_not_square_show_it_as_wide():
    square, narrow = (
        Label.draw(640, 360, "top-left", sample_aspect=aspect)
        for aspect in (Fraction(1), Fraction(1, 2))
    )
    wide = [one.box_xyxy[2] - one.box_xyxy[0] for one in (square, narrow)]
    tall = [one.box_xyxy[3] - one.box_xyxy[1] for one in (square, narrow)]
    assert wide[1] / tall[1] == pytest.approx(2 * wide[0] / tall[0], rel=0.1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_white_letters_on_dark_and_all_else_as_it_was(dtype):
    frame = ArrayFrame(noise(360, 640, dtype=dtype))
    label = Label.draw(640, 360, "bottom-right")
    shown = label.on(frame)
    left, top, right, bottom = label.box_xyxy
    inside = shown.pixels[top:bottom, left:right]
    white = np.iinfo(dtype).max
    assert (inside > 0.9 * white).all(axis=2).mean() > 0.05
    assert (inside < 0.16 * white).all(axis=2).mean() > 0.4
    changed = (shown.pixels != frame.pixels).any(axis=2)
    changed[top:bottom, left:right] = False
    assert not changed.any()
