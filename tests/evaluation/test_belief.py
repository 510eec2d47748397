"""Measures of the picture, on pictures of which the answer is known."""

import cv2
import numpy as np
import pytest

from cdrl_cli.evaluation import belief

SIDE = 256
ANGLES = np.linspace(0, 2 * np.pi, 36, endpoint=False)
OUTLINE = 128 + 70 * np.stack([np.cos(ANGLES), 1.2 * np.sin(ANGLES)], axis=1)


def face(generator, colour=(150, 120, 100)):
    noise = generator.normal(0, 6, (SIDE, SIDE, 1))
    return (np.array(colour) + noise).clip(0, 255).astype(np.uint8)


def painted(picture, by, reach=1.0):
    """The picture with its face in another colour."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    points = 128 + reach * (OUTLINE - 128)
    cv2.fillPoly(mask, [np.round(points).astype(np.int32)], 1)
    shifted = (picture.astype(int) + by).clip(0, 255).astype(np.uint8)
    return np.where(mask[..., None] > 0, shifted, picture)


def test_a_face_in_another_light_than_its_neck_steps_at_the_rim(generator):
    picture = face(generator)
    assert belief.rim_step(picture, picture, OUTLINE) == 0
    step = belief.rim_step(picture, painted(picture, 20), OUTLINE)
    twice = belief.rim_step(picture, painted(picture, 40), OUTLINE)
    assert 5 < step < twice


def test_a_face_and_neck_of_one_new_light_do_not_step(generator):
    picture = face(generator)
    brighter = (picture.astype(int) + 20).clip(0, 255).astype(np.uint8)
    everywhere = belief.rim_step(picture, brighter, OUTLINE)
    assert everywhere < 0.05 * belief.rim_step(picture, painted(picture, 20), OUTLINE)


def test_what_changes_in_the_middle_of_the_face_is_no_step(generator):
    picture = face(generator)
    assert belief.rim_step(picture, painted(picture, 40, reach=0.6), OUTLINE) < 0.1


def test_patches_lie_in_the_face(generator):
    patches = belief.cut_patches(face(generator), OUTLINE)
    assert 4 <= len(patches) <= 16
    assert {patch.shape for patch in patches} == {(64, 64, 3)}


def features(generator, count, shift):
    return (generator.normal(size=(count, 20)) + shift).astype(np.float32)


def test_what_editing_leaves_behind_is_found_in_others(generator):
    known = np.concatenate([features(generator, 100, 0), features(generator, 100, 1)])
    is_edited = np.arange(200) >= 100
    real, edited = features(generator, 50, 0), features(generator, 50, 1)
    ratings = belief.rate_patches(known, is_edited, np.concatenate([real, edited]))
    assert belief.separation(ratings[50:], ratings[:50]) > 0.9


def test_edits_that_look_real_cannot_be_told(generator):
    known, is_edited = features(generator, 200, 0), np.arange(200) >= 100
    ratings = belief.rate_patches(known, is_edited, features(generator, 400, 0))
    assert belief.separation(ratings[200:], ratings[:200]) == pytest.approx(0.5, abs=0.1)


def test_separation_is_how_often_the_edited_one_is_rated_higher():
    assert belief.separation(np.array([0.0, 1.0]), np.array([0.0, 1.0])) == 0.5
    assert belief.separation(np.array([0.0]), np.array([1.0])) == 0
    assert np.isnan(belief.separation(np.zeros(0), np.ones(1)))


def test_a_person_is_found_by_another_picture():
    own, other = np.array([1.0, 0.0]), np.array([[0.0, 1.0]])
    assert belief.is_found_first(np.array([0.8, 0.6]), own, other)
    assert not belief.is_found_first(np.array([0.6, 0.8]), own, other)
    assert belief.is_found_first(np.array([0.6, 0.8]), own, other[:0])


def test_principal_axes_are_where_features_vary(generator):
    values = generator.normal(size=(50, 6)) * [9, 0.1, 5, 0.1, 0.1, 0.1]
    axes = belief.principal_axes(values, count=2)
    assert axes.shape == (6, 2)
    np.testing.assert_allclose(abs(axes[[0, 2], [0, 1]]), 1, atol=0.05)
