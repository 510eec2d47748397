import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrl_cli.geometry.warp import carry, chain, fetch, invert, layers_of, resample, turn_flow
from pictures import noise, waves

SIZE = 64
SEEDS = st.integers(0, 2**32 - 1)


def similarity_matrix(angle, scale, tx, ty):
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([(c, -s, tx), (s, c, ty)])


def as_dtype(picture, dtype):
    return picture.astype(dtype) / 255 if dtype is np.float32 else picture.astype(dtype) * 257


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_without_flow_every_bit_stays(dtype):
    picture = noise(45, 61) if dtype is np.uint8 else as_dtype(noise(45, 61), dtype)
    picture = picture.astype(dtype)
    warped = warp(picture, np.zeros((45, 61, 2), np.float32))
    assert warped.dtype == dtype
    np.testing.assert_array_equal(warped, picture)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colours_are_read_as_each_of_them_would_be(dtype):
    picture = noise(45, 61, dtype=dtype)
    matrix = similarity_matrix(0.3, 1.2, 4, 2)
    crop = carry(picture, matrix, 40)
    y, x = np.mgrid[:40, :40].astype(np.float32)
    places = [m[0] * x + m[1] * y + m[2] for m in matrix.astype(np.float32)]
    white = np.iinfo(dtype).max
    for channel in range(3):
        alone = fetch(np.ascontiguousarray(picture[..., channel]), *places, smooth=True)
        np.testing.assert_allclose(crop[..., channel], alone, atol=max(white * 1e-3, 1))
    into = np.empty_like(crop)
    assert carry(picture, matrix, 40, into=into) is into
    np.testing.assert_array_equal(into, crop)


def grid(left, top, right, bottom):
    return np.stack(np.meshgrid(np.arange(left, right), np.arange(top, bottom)), axis=2)


def resample_flow(flow, matrix, box):
    """How far the pixels of a box come, x and y as the last axis, as on the crop."""
    turned = turn_flow(*layers_of(flow), matrix)
    return np.stack([resample(one, matrix, box) for one in turned], axis=2)


def warp(image, flow, at_xy=(0, 0)):
    (left, top), (rows, columns) = at_xy, flow.shape[:2]
    places = flow + grid(left, top, left + columns, top + rows).astype(np.float32)
    return fetch(image, *np.moveaxis(places, 2, 0).copy())


@given(SEEDS)
def test_bits_stay_wherever_the_flow_is_zero(seed):
    generator = np.random.default_rng(seed)
    flow = generator.normal(0, 5, (40, 50, 2)).astype(np.float32)
    still = generator.random((40, 50)) < 0.5
    flow[still] = 0
    picture = noise(40, 50, seed=seed)
    np.testing.assert_array_equal(warp(picture, flow)[still], picture[still])


@given(st.integers(-9, 9), st.integers(-9, 9))
def test_a_constant_flow_moves_the_picture_the_other_way(dx, dy):
    picture = noise(40, 50)
    warped = warp(picture, np.full((40, 50, 2), (dx, dy), np.float32))
    np.testing.assert_array_equal(warped[9:31, 9:41], picture[9 + dy : 31 + dy, 9 + dx : 41 + dx])


@given(SEEDS, st.integers(0, 20), st.integers(0, 30))
def test_a_part_is_warped_like_the_whole(seed, left, top):
    picture = noise(40, 50, seed=seed)
    flow = np.random.default_rng(seed).normal(0, 5, (40, 50, 2)).astype(np.float32)
    part = warp(picture, flow[top : top + 10, left : left + 30], at_xy=(left, top))
    whole = warp(picture, flow)
    np.testing.assert_array_equal(part, whole[top : top + 10, left : left + 30])


def test_beyond_the_edge_lies_the_edge():
    picture = noise(10, 10)
    warped = warp(picture, np.full((10, 10, 2), (0, 100), np.float32))
    np.testing.assert_array_equal(warped, np.broadcast_to(picture[-1:], picture.shape))


@given(st.floats(-2, 2), st.floats(-2, 2))
def test_between_pixels_a_smooth_picture_is_smooth(dx, dy):
    warped = warp(waves(60, 60), np.full((60, 60, 2), (dx, dy), np.float32))
    y, x = np.mgrid[:60, :60] + np.array([dy, dx])[:, None, None]
    expected = 127.5 + 100 * np.sin(np.stack([x / 17, y / 13, (x + y) / 23], axis=2))
    np.testing.assert_allclose(warped[4:-4, 4:-4], expected[4:-4, 4:-4], atol=2.0)


ANGLES = st.floats(-3.2, 3.2)
SCALES = st.floats(0.2, 5.0)
SHIFTS = st.floats(-30.0, 90.0)
CORNERS = st.tuples(st.integers(0, 30), st.integers(0, 30))


@given(ANGLES, SCALES, SHIFTS, SHIFTS, CORNERS)
def test_a_resampled_flow_is_what_the_definition_says(angle, scale, tx, ty, corner):
    left, top = corner
    matrix = similarity_matrix(angle, scale, tx, ty)
    linear, offset = matrix[:, :2], matrix[:, 2]
    slope, base = np.array([(0.02, -0.03), (0.04, 0.01)]), np.array([1.5, -2.0])
    y, x = np.mgrid[:SIZE, :SIZE]
    flow = (np.stack([x, y], axis=2) @ slope.T + base).astype(np.float32)

    spread = resample_flow(flow, matrix, (left, top, left + 40, top + 30))

    assert spread.shape == (30, 40, 2)
    for row, column in np.ndindex(30, 40):
        place = np.array([left + column, top + row], float)
        on_crop = linear @ place + offset
        if (on_crop < 0).any() or (on_crop > SIZE - 1).any():
            continue
        expected = np.linalg.inv(linear) @ (slope @ on_crop + base)
        # Places on the crop are rounded to 1/32 pixel.
        np.testing.assert_allclose(spread[row, column], expected, atol=0.005 / scale + 1e-4)


@given(ANGLES, SCALES, SHIFTS, SHIFTS)
def test_outside_the_crop_there_is_no_flow(angle, scale, tx, ty):
    matrix = similarity_matrix(angle, scale, tx, ty)
    spread = resample_flow(np.ones((SIZE, SIZE, 2), np.float32), matrix, (0, 0, 50, 50))
    y, x = np.mgrid[:50, :50]
    on_crop = np.stack([x, y], axis=2) @ matrix[:, :2].T + matrix[:, 2]
    outside = (on_crop < -1.1).any(axis=2) | (on_crop > SIZE + 0.1).any(axis=2)
    assert (spread[outside] == 0).all()


def test_a_flow_on_the_frame_itself_is_unchanged(generator):
    flow = generator.normal(size=(SIZE, SIZE, 2)).astype(np.float32)
    same = resample_flow(flow, np.eye(2, 3), (0, 0, SIZE, SIZE))
    np.testing.assert_allclose(same, flow, atol=1e-5)  # a sum with the place, and back


def test_a_box_is_a_part_of_the_whole(generator):
    values = generator.random((SIZE, SIZE)).astype(np.float32)
    matrix = similarity_matrix(0.3, 0.5, 8.0, -4.0)
    whole, part = (resample(values, matrix, box) for box in [(0, 0, 90, 80), (20, 30, 70, 60)])
    np.testing.assert_allclose(part, whole[30:60, 20:70], atol=0.07)
    assert np.abs(part - whole[30:60, 20:70]).mean() < 0.01


def test_a_flow_turns_and_shrinks_with_the_crop():
    # The crop is the frame turned by a quarter and doubled: 4 crop pixels to its right
    # are 2 frame pixels along the frame's own axis.
    matrix = similarity_matrix(np.pi / 2, 2.0, 60.0, 2.0)
    flow = np.full((SIZE, SIZE, 2), (4.0, 0.0), np.float32)
    spread = resample_flow(flow, matrix, (5, 5, 25, 25))
    np.testing.assert_allclose(spread, np.broadcast_to((0.0, -2.0), spread.shape), atol=1e-5)


@given(ANGLES, SCALES, SHIFTS, SHIFTS)
def test_there_and_back_is_nowhere(angle, scale, tx, ty):
    matrix = similarity_matrix(angle, scale, tx, ty)
    np.testing.assert_allclose(chain(invert(matrix), matrix), np.eye(2, 3), atol=1e-6)


def test_the_inner_matrix_comes_first():
    doubled, moved = np.array([(2.0, 0, 0), (0, 2, 0)]), np.array([(1.0, 0, 3), (0, 1, 0)])
    np.testing.assert_array_equal(chain(doubled, moved)[:, 2], [6, 0])
    np.testing.assert_array_equal(chain(moved, doubled)[:, 2], [3, 0])
