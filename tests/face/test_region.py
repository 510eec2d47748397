from math import pi

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrl_cli.face.detector import INPUT_SIDE, draw_anchors, merge_boxes
from cdrl_cli.face.region import FaceRegion, Placement

regions = st.builds(
    FaceRegion,
    st.tuples(st.floats(-50, 500), st.floats(-50, 500)),
    st.floats(10, 400),
    st.floats(-pi, pi),
)


@given(regions, st.sampled_from([128, 256]))
def test_a_crops_middle_is_the_regions_and_its_side_too(region, side):
    matrix = region.picture_from_crop(side)
    corners = (
        np.array([(0, 0), (side, 0), (side, side), (0, side)]) @ matrix[:, :2].T + matrix[:, 2]
    )
    np.testing.assert_allclose(corners.mean(axis=0), region.centre_xy, atol=1e-6)
    edges = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    np.testing.assert_allclose(edges, region.side_px, rtol=1e-9)
    across = corners[1] - corners[0]
    assert np.cos(np.arctan2(across[1], across[0]) - region.angle_rad) == pytest.approx(1)


@given(regions)
def test_a_region_overlaps_itself_entirely(region):
    assert region.overlap(region) == pytest.approx(1)


def test_squares_side_by_side_do_not_overlap_and_half_of_one_is_a_third():
    one = FaceRegion((50.0, 50.0), 100.0, 0.0)
    assert one.overlap(FaceRegion((150.0, 50.0), 100.0, 0.0)) == 0
    assert one.overlap(FaceRegion((450.0, 50.0), 100.0, 0.0)) == 0
    assert one.overlap(FaceRegion((100.0, 50.0), 100.0, 0.0)) == pytest.approx(1 / 3)


@given(regions, st.floats(0.5, 2), st.floats(-40, 40))
def test_a_face_that_turns_and_grows_takes_its_region_along(region, scale, shift):
    landmarks = np.zeros((478, 3), np.float32)
    landmarks[:4, :2] = (-30, 0), (30, 0), (-30, 60), (30, 60)
    landmarks[[33, 263], :2] = (-20, 10), (20, 10)
    placement = Placement.between(landmarks, region)
    same = placement.region(landmarks)
    np.testing.assert_allclose(same.centre_xy, region.centre_xy, atol=1e-3)
    assert same.side_px == pytest.approx(region.side_px)
    turned = landmarks.copy()
    quarter = np.array([[0, -1], [1, 0]])
    turned[:, :2] = scale * landmarks[:, :2] @ quarter.T + shift
    moved = placement.region(turned)
    assert moved.side_px == pytest.approx(scale * region.side_px, rel=1e-4)
    expected = scale * quarter @ np.array(region.centre_xy) + shift
    np.testing.assert_allclose(moved.centre_xy, expected, atol=1e-2)
    assert np.cos(moved.angle_rad - region.angle_rad - pi / 2) == pytest.approx(1, abs=1e-5)


def test_a_placement_between_two_lies_between_them():
    one, other = Placement(1.0, (0.0, 0.2), 0.1), Placement(2.0, (0.4, 0.0), -0.1)
    assert one.towards(other, 0.0) == one
    assert one.towards(other, 0.5).side == pytest.approx(1.5)
    np.testing.assert_allclose(one.towards(other, 0.5).shift_xy, (0.2, 0.1))


def test_a_crop_shows_what_lies_there():
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[10:20, 30:40] = 200
    crop = np.empty((10, 10, 3), np.uint8)
    FaceRegion((35.0, 15.0), 10.0, 0.0).crop(picture, crop)
    assert (crop == 200).all()
    FaceRegion((-50.0, -50.0), 10.0, 0.0).crop(picture + 7, crop, black_outside=True)
    assert (crop == 0).all()
    FaceRegion((-50.0, -50.0), 10.0, 0.0).crop(picture + 7, crop)
    assert (crop == 7).all()


def test_the_anchors_are_the_middles_of_cells():
    anchors = draw_anchors()
    assert anchors.shape == (896, 2)
    assert (anchors.min(), anchors.max()) == (4, INPUT_SIDE - 4)
    assert len(np.unique(anchors[:512], axis=0)) == 256
    assert len(np.unique(anchors[512:], axis=0)) == 64


def test_boxes_of_one_face_become_their_weighted_mean_and_others_stay():
    box = np.array([(0, 0), (10, 10), (3, 4), (7, 4)], float)
    boxes = np.stack([box + 50, box, box + 1])
    first, second = merge_boxes(boxes, np.array([0.6, 0.9, 0.45]))
    np.testing.assert_allclose(first, box + 1 / 3)
    np.testing.assert_allclose(second, box + 50)
    assert merge_boxes(boxes[:0], np.zeros(0)) == []
