from fractions import Fraction
from math import radians

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrl_cli.face.alignment import CROP_SIZE, EYE_DISTANCE_PX, crop_face
from cdrl_cli.face.landmarks import Face
from heads import pose, toy_head
from pictures import ArrayFrame, noise, waves

HEIGHT, WIDTH = 240, 320
YAWS, PITCHES, ROLLS = st.floats(-40, 40), st.floats(-30, 30), st.floats(-180, 180)
SCALES = st.floats(12, 200)
PLACES = st.tuples(st.floats(-20, WIDTH + 20), st.floats(-20, HEIGHT + 20))
ASPECTS = st.sampled_from([Fraction(1), Fraction(4, 3), Fraction(16, 11), Fraction(1, 2)])


def crop_toy(head, *, expression=None, sample_aspect=Fraction(1), pixels=None):
    """The toy head's crop from a frame; the head's pose is in square pixels."""
    toy = toy_head()
    face = toy.face(head, expression)
    frame = ArrayFrame(waves(HEIGHT, WIDTH) if pixels is None else pixels)
    return crop_face(frame, face, toy.model.locate(face), sample_aspect=sample_aspect), face


@given(YAWS, PITCHES, ROLLS, SCALES, ASPECTS)
def test_the_crop_is_upright_centred_and_of_one_size(yaw, pitch, roll, scale, aspect):
    head = pose(yaw_deg=yaw, pitch_deg=pitch, roll_deg=roll, scale=scale, at=(150, 120))
    crop, _ = crop_toy(head, sample_aspect=aspect)
    placed = crop.crop_from_head
    middle = (CROP_SIZE - 1) / 2
    assert placed.scale == EYE_DISTANCE_PX
    np.testing.assert_allclose(placed.translation, [middle, middle, 0], atol=1e-3)
    # Upright: the head's x axis does not rise or fall in the crop, and points to the right.
    assert placed.rotation[1, 0] == pytest.approx(0, abs=1e-9)
    assert placed.rotation[0, 0] > 0


@given(YAWS, PITCHES, ROLLS, SCALES)
def test_head_and_frame_agree_on_the_crop(yaw, pitch, roll, scale):
    head = pose(yaw_deg=yaw, pitch_deg=pitch, roll_deg=roll, scale=scale, at=(150, 120))
    crop, _ = crop_toy(head)
    np.testing.assert_allclose(
        crop.crop_from_head.apply(toy_head().canonical_xyz), crop.landmarks_xyz, atol=0.3
    )


@given(ROLLS, SCALES, PLACES, ASPECTS)
def test_the_matrix_carries_the_landmarks_to_the_crop(roll, scale, place, aspect):
    crop, face = crop_toy(pose(roll_deg=roll, scale=scale, at=place), sample_aspect=aspect)
    in_frame = face.landmarks_xyz[:, :2] / (float(aspect), 1.0)
    carried = in_frame @ crop.crop_from_frame[:, :2].T + crop.crop_from_frame[:, 2]
    np.testing.assert_allclose(carried, crop.landmarks_xyz[:, :2], atol=1e-3)


@given(ROLLS, SCALES, PLACES, ASPECTS)
def test_the_box_holds_every_pixel_of_the_frame_that_the_crop_covers(roll, scale, place, aspect):
    crop, _ = crop_toy(pose(roll_deg=roll, scale=scale, at=place), sample_aspect=aspect)
    left, top, right, bottom = crop.box_xyxy
    assert 0 <= left < right <= WIDTH
    assert 0 <= top < bottom <= HEIGHT
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    on_crop = np.stack([x, y], axis=2) @ crop.crop_from_frame[:, :2].T + crop.crop_from_frame[:, 2]
    covered = ((on_crop >= 0) & (on_crop <= CROP_SIZE - 1)).all(axis=2)
    covered[top:bottom, left:right] = False
    assert not covered.any()


@pytest.mark.parametrize("place", [(-900, 100), (900, 100), (100, -900), (100, 900), (900, 900)])
def test_a_face_wholly_outside_the_frame_still_has_a_box_in_it(place):
    crop, _ = crop_toy(pose(scale=40, at=place))
    left, top, right, bottom = crop.box_xyxy
    assert 0 <= left < right <= WIDTH
    assert 0 <= top < bottom <= HEIGHT
    assert crop.cutout.rgb.shape == (bottom - top, right - left, 3)


def test_a_small_faces_pixels_are_the_frames_own():
    pixels = noise(HEIGHT, WIDTH, dtype=np.uint16)
    crop, _ = crop_toy(pose(scale=30, at=(150, 120)), pixels=pixels)
    left, top, right, bottom = crop.box_xyxy
    np.testing.assert_array_equal(crop.cutout.rgb, pixels[top:bottom, left:right])


def test_a_large_face_is_read_no_larger_than_the_crop_needs():
    toy = toy_head()
    face = toy.face(pose(scale=4.5 * EYE_DISTANCE_PX, at=(1000, 1000)))
    frame = ArrayFrame(waves(2000, 2000))
    crop = crop_face(frame, face, toy.model.locate(face))
    assert max(crop.cutout.rgb.shape) < 2 * CROP_SIZE


@given(YAWS, PITCHES, ROLLS, SCALES)
def test_all_of_a_face_and_its_ring_lie_on_the_crop(yaw, pitch, roll, scale):
    head = pose(yaw_deg=yaw, pitch_deg=pitch, roll_deg=roll, scale=scale, at=(150, 120))
    landmarks = crop_toy(head)[0].landmarks_xyz
    assert landmarks[:, :2].min() > 0
    assert landmarks[:, :2].max() < CROP_SIZE - 1


def dotted_frame(face, aspect, dtype):
    """White dots on black where the outer eye corners and the chin are."""
    pixels = np.zeros((HEIGHT * 4, WIDTH * 4, 3), np.uint8)
    for x, y, _ in face.landmarks_xyz[[33, 263, 152]]:
        centre = round(x / float(aspect)), round(y)
        cv2.ellipse(pixels, (centre, (12 / float(aspect), 12), 0), (255, 255, 255), -1)
    return ArrayFrame(pixels.astype(dtype) * (257 if dtype is np.uint16 else 1))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("aspect", [Fraction(1), Fraction(4, 3)])
@pytest.mark.parametrize("roll", [0, 37, -120, 180])
@pytest.mark.parametrize("scale", [80.0, 220.0])
def test_the_image_shows_the_face_where_the_landmarks_say(dtype, aspect, roll, scale):
    toy = toy_head()
    face = toy.face(pose(roll_deg=roll, scale=scale, at=(500, 450)))
    frame = dotted_frame(face, aspect, dtype)
    crop = crop_face(frame, face, toy.model.locate(face), sample_aspect=aspect)
    image = crop.image()
    assert image.dtype == np.uint8
    assert image.shape == (CROP_SIZE, CROP_SIZE, 3)
    for mark in (33, 263, 152):
        x, y = crop.landmarks_xyz[mark, :2]
        reach = np.mgrid[:CROP_SIZE, :CROP_SIZE] - np.array([y, x])[:, None, None]
        near = np.hypot(*reach) < 12
        weights = image[..., 0] * near
        middle = [(weights * axis).sum() / weights.sum() for axis in np.mgrid[:256, :256]]
        np.testing.assert_allclose(middle, [y, x], atol=1.0)
    # Upright: the right eye (of the picture's left) is on the left, the chin below.
    right_eye, left_eye, chin = crop.landmarks_xyz[[33, 263, 152], :2]
    assert right_eye[0] < left_eye[0]
    assert right_eye[1] == pytest.approx(left_eye[1], abs=0.5)
    assert chin[1] > left_eye[1]


def test_a_mirrored_face_is_not_mirrored_back():
    toy = toy_head()
    face = toy.face(pose(yaw_deg=20, roll_deg=15, scale=60, at=(150, 120)))
    flipped = face.landmarks_xyz[toy.mirror] * (-1, 1, 1) + (WIDTH - 1, 0, 0)
    twin = Face(flipped.astype(np.float32), face.expression[toy.mirror_names])
    frame = ArrayFrame(waves(HEIGHT, WIDTH))
    mirrored = ArrayFrame(frame.pixels[:, ::-1].copy())
    one = crop_face(frame, face, toy.model.locate(face))
    other = crop_face(mirrored, twin, toy.model.locate(twin))
    difference = one.image()[:, ::-1].astype(int) - other.image()
    assert np.abs(difference).max() <= 3


def test_a_large_face_is_smoothed_before_it_is_shrunk():
    toy, fine = toy_head(), np.zeros((900, 900, 3), np.uint8)
    fine[::2] = 255  # finer than the crop can show
    face = toy.face(pose(scale=400, at=(450, 450)))
    image = crop_face(ArrayFrame(fine), face, toy.model.locate(face)).image()
    assert image.std() < 25


def test_roll_is_what_the_crop_takes_out():
    crop, _ = crop_toy(pose(roll_deg=30, scale=EYE_DISTANCE_PX, at=(150, 120)))
    c, s = np.cos(radians(30)), np.sin(radians(30))
    np.testing.assert_allclose(crop.crop_from_frame[:, :2], [(c, s), (-s, c)], atol=1e-4)
