from dataclasses import replace

import cv2
import numpy as np
import pytest

from cdrl_cli.face.blendshapes import COEFFICIENTS, EXPRESSION_NAMES
from cdrl_cli.face.detector import FaceDetector
from cdrl_cli.face.landmarks import DETECTION_STEP, LANDMARKS, MESH_LANDMARKS, Face, Landmarker
from heads import toy_head
from pictures import read_pictures

pytestmark = pytest.mark.weights


class CountingDetector(FaceDetector):
    """A detector that counts what it is shown."""

    def __init__(self, detector):
        self.detector, self.calls = detector, 0

    def __call__(self, picture):
        self.calls += 1
        return self.detector(picture)


@pytest.fixture
def detect(models):
    """The faces of the last of some pictures, by a fresh landmarker."""
    return lambda *pictures, **options: [
        landmarker.detect(picture)
        for landmarker in [models.open_landmarker(**options)]
        for picture in pictures
    ][-1]


@pytest.fixture
def counted(models):
    """A landmarker, and its detector, which counts."""
    networks = models.landmark_networks
    detector = CountingDetector(networks.detector)
    return Landmarker(replace(networks, detector=detector)), detector


@pytest.fixture(scope="module")
def picture(clips):
    return read_pictures(clips / "single_face.mp4", 1)[0]


@pytest.fixture(scope="module")
def face(models, picture):
    return models.open_landmarker().detect(picture)[0]


@pytest.fixture(scope="module")
def both(picture, face):
    """Two faces side by side; the right one is larger."""
    left, top, right, bottom = (round(side) for side in face.box_xyxy)
    reach = round(0.35 * face.width_px)
    top, left = max(0, top - reach), max(0, left - reach)
    close = picture[top : bottom + reach, left : right + reach]
    both = np.full((close.shape[0], 2 * close.shape[1], 3), 128, np.uint8)
    both[:, close.shape[1] :] = close
    small = cv2.resize(close, None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA)
    both[: small.shape[0], : small.shape[1]] = small
    return both


def test_the_names_are_one_to_each_coefficient():
    assert COEFFICIENTS == len(set(EXPRESSION_NAMES)) == 52
    assert LANDMARKS == MESH_LANDMARKS + 10


def test_the_box_is_the_smallest_around_the_landmarks():
    landmarks = np.zeros((478, 3), np.float32)
    landmarks[7], landmarks[9] = (-3, 4, 5), (10, 20, -8)
    face = Face(landmarks, np.zeros(52, np.float32))
    assert face.box_xyxy == (-3, 0, 10, 20)
    assert face.width_px == 13


def test_a_face_has_landmarks_in_the_picture_and_coefficients(picture, face):
    height, width = picture.shape[:2]
    left, top, right, bottom = face.box_xyxy
    assert 0 < left < right < width
    assert 0 < top < bottom < height
    assert face.expression.min() >= 0
    assert face.expression.max() <= 1
    assert face.expression.max() > 0.1


def test_the_axes_are_those_of_the_picture(face):
    right_eye, left_eye, nose, chin = face.landmarks_xyz[[33, 263, 1, 152]]
    assert right_eye[0] < left_eye[0]
    assert nose[1] < chin[1]
    assert nose[2] < right_eye[2]


def test_a_mirrored_picture_shows_the_mirrored_face(detect, picture, face):
    (mirrored,) = detect(np.ascontiguousarray(picture[:, ::-1]))
    toy = toy_head()
    back = mirrored.landmarks_xyz[toy.mirror] * (-1, 1, 1) + (picture.shape[1], 0, 0)
    off = np.linalg.norm((back - face.landmarks_xyz)[:, :2], axis=1)
    assert off.mean() < 0.03 * face.width_px
    swapped = mirrored.expression[toy.mirror_names]
    assert np.abs(swapped - face.expression).mean() < 0.05


def test_a_face_that_leans_is_read_as_one_that_stands(detect, picture, face):
    height, width = picture.shape[:2]
    middle = face.landmarks_xyz[:, :2].mean(axis=0).tolist()
    turn = cv2.getRotationMatrix2D(middle, 25, 1.0)
    (leaning,) = detect(cv2.warpAffine(picture, turn, (width, height)))
    expected = face.landmarks_xyz[:, :2] @ turn[:, :2].T + turn[:, 2]
    off = np.linalg.norm(leaning.landmarks_xyz[:, :2] - expected, axis=1)
    assert off.mean() < 0.02 * face.width_px


def test_two_faces_are_listed_larger_first(detect, both):
    faces = detect(both, both, both)
    assert len(faces) == 2
    assert faces[0].width_px > 1.2 * faces[1].width_px
    assert faces[1].box_xyxy[2] < both.shape[1] / 2 < faces[0].box_xyxy[2]
    assert len(detect(both, both, both, max_faces=1)) == 1


def test_no_face_no_answer(detect, picture):
    assert detect(np.full_like(picture, 128)) == []


def test_the_terminal_stays_empty(detect, picture, capfd):
    detect(picture)
    assert capfd.readouterr().err == ""


def test_a_cut_to_another_place_is_followed(detect, picture, face):
    """It looks afresh where it loses a face."""
    empty = np.full_like(picture, 128)
    (again,) = detect(picture, empty, empty, picture)
    off = np.linalg.norm((again.landmarks_xyz - face.landmarks_xyz)[:, :2], axis=1)
    assert off.mean() < 0.02 * face.width_px


def test_a_face_that_is_followed_is_not_sought_again_in_every_picture(counted, picture):
    landmarker, detector = counted
    for _ in range(2 * DETECTION_STEP):
        assert len(landmarker.detect(picture)) == 1
    assert detector.calls == 2


def test_a_face_that_comes_in_is_found_in_a_few_pictures(models, both):
    alone = both.copy()
    alone[:, : both.shape[1] // 2] = 128
    landmarker = models.open_landmarker()
    landmarker.detect(alone)
    counts = [len(landmarker.detect(both)) for _ in range(DETECTION_STEP + 1)]
    assert counts[-1] == 2


def test_a_face_that_is_lost_is_sought_in_every_picture(counted, both):
    landmarker, detector = counted
    landmarker.detect(both)
    gone = both.copy()
    gone[:, : both.shape[1] // 2] = 128
    before = detector.calls
    assert [len(landmarker.detect(gone)) for _ in range(3)] == [1, 1, 1]
    assert detector.calls == before + 3
    assert len(landmarker.detect(both)) == 2


def test_what_is_forgotten_is_found_again(counted, picture):
    landmarker, detector = counted
    landmarker.detect(picture)
    landmarker.forget()
    assert len(landmarker.detect(picture)) == 1
    assert detector.calls == 2


@pytest.mark.parametrize("count", [0, -1])
def test_no_faces_at_all_cannot_be_asked_for(models, count):
    with pytest.raises(ValueError, match="max_faces"):
        models.open_landmarker(max_faces=count)
