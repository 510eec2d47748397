import numpy as np
import pytest
from clips import ROTATIONS
from hypothesis import given
from hypothesis import strategies as st

from cdrl_cli.media.orientation import Orientation

orientations = st.builds(Orientation, st.sampled_from([0, 90, 180, 270]), st.booleans())
sides = st.integers(1, 12)


def picture(width: int, height: int) -> np.ndarray:
    return np.arange(width * height).reshape(height, width)


@given(orientations, sides, sides)
def test_there_and_back(orientation: Orientation, width: int, height: int) -> None:
    coded = picture(width, height)
    np.testing.assert_array_equal(orientation.coded(orientation.upright(coded)), coded)


@given(orientations, sides, sides)
def test_size_is_the_size_of_the_turned_array(
    orientation: Orientation, width: int, height: int
) -> None:
    upright = orientation.upright(picture(width, height))
    assert orientation.swapped(width, height) == upright.shape[::-1]


@given(orientations, sides, sides, st.data())
def test_box_cuts_the_same_pixels_on_both_sides(
    orientation: Orientation, width: int, height: int, data: st.DataObject
) -> None:
    coded = picture(width, height)
    upright = orientation.upright(coded)
    up_height, up_width = upright.shape
    x0, y0 = data.draw(st.integers(0, up_width - 1)), data.draw(st.integers(0, up_height - 1))
    x1, y1 = data.draw(st.integers(x0 + 1, up_width)), data.draw(st.integers(y0 + 1, up_height))
    cx0, cy0, cx1, cy1 = orientation.coded_box((x0, y0, x1, y1), up_width, up_height)
    np.testing.assert_array_equal(
        orientation.upright(coded[cy0:cy1, cx0:cx1]), upright[y0:y1, x0:x1]
    )


@pytest.mark.parametrize(("expected", "matrix"), ROTATIONS.items())
def test_matrix_moves_pixels_where_its_equations_say(
    expected: tuple[int, bool], matrix: tuple[int, ...]
) -> None:
    orientation = Orientation.from_display_matrix(matrix)
    assert (orientation.rotation_deg, orientation.mirrored) == expected
    # Follow the top left pixel and its neighbour by the definition of the matrix alone.
    a, b, _, c, d = (value / 65536 for value in matrix[:5])
    coded = picture(5, 3)
    rows, columns = np.mgrid[0:3, 0:5]
    x, y = a * columns + c * rows, b * columns + d * rows
    shown = np.empty(orientation.swapped(5, 3)[::-1], dtype=int)
    shown[(y - y.min()).astype(int), (x - x.min()).astype(int)] = coded
    np.testing.assert_array_equal(orientation.upright(coded), shown)


def test_no_matrix_is_upright() -> None:
    assert Orientation.from_display_matrix(None) == Orientation(0, mirrored=False)


def test_odd_angle_is_refused() -> None:
    with pytest.raises(ValueError, match="quarters"):
        Orientation(45)
