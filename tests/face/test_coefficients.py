import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrl_cli.checkpoints.files import open_coefficients
from cdrl_cli.checkpoints.load import find_weights
from cdrl_cli.face.blendshapes import EXPRESSION_NAMES
from pictures import read_pictures

pytestmark = pytest.mark.weights

WIDEST_APART = 0.005
"""Of one coefficient: the weights are in half precision, those of the landmarker are not."""

SMILES = [EXPRESSION_NAMES.index(f"mouthSmile{side}") for side in ("Left", "Right")]


@pytest.fixture(scope="module")
def read():
    return open_coefficients(find_weights("coefficients"))


@pytest.fixture(scope="module")
def faces(models, clips):
    """The largest face of a frame of each of some clips."""
    found = []
    for name in ("single_face.mp4", "joy.mp4", "grief.mp4", "face_noface.mov"):
        landmarker = models.open_landmarker()
        (picture,) = read_pictures(clips / name, 1)
        found.extend(landmarker.detect(picture)[:1])
    return found


def test_they_are_the_landmarkers_own(read, faces):
    assert len(faces) >= 3
    apart = np.abs(read(landmarks_of(faces)) - [face.expression for face in faces])
    assert apart.mean() < 1e-3
    assert apart.max() < WIDEST_APART


@given(st.floats(0.2, 5), st.floats(-500, 500), st.floats(-500, 500))
def test_place_and_size_do_not_matter(read, faces, scale, right, down):
    points = landmarks_of(faces)
    moved = scale * points + np.array([right, down, 0])
    np.testing.assert_allclose(read(moved), read(points), atol=5e-3)


def test_faces_are_read_each_by_itself(read, faces):
    points = landmarks_of(faces)
    alone = np.concatenate([read(one[None]) for one in points])
    np.testing.assert_allclose(read(points), alone, atol=2e-5)
    np.testing.assert_allclose(read(points[::-1]), alone[::-1], atol=2e-5)


def test_corners_of_the_mouth_that_rise_are_read_as_a_smile(read, faces):
    """In the face that smiles least."""
    face = min(faces, key=lambda one: one.expression[SMILES].sum())
    points = landmarks_of([face])
    width = np.linalg.norm(points[0, 61] - points[0, 291])
    smiling = points.copy()
    for corner, outwards in ((61, -1), (291, 1)):
        near = np.linalg.norm(points[0, :, :2] - points[0, corner, :2], axis=1) / width
        weight = np.exp(-((near / 0.25) ** 2))
        smiling[0] += 0.2 * width * weight[:, None] * np.array([outwards * 0.5, -1, 0])
    assert read(smiling)[0, SMILES].mean() > read(points)[0, SMILES].mean() + 0.05


def landmarks_of(faces):
    return np.stack([face.landmarks_xyz for face in faces]).astype(float)
