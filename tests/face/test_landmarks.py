import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from cdrl_cli.checkpoints.load import find_weights
from cdrl_cli.face.blendshapes import COEFFICIENTS, EXPRESSION_NAMES
from cdrl_cli.face.landmarks import LANDMARKS, MESH_LANDMARKS, Face, Landmarker
from commands import run_limited
from heads import toy_head
from pictures import read_pictures

pytestmark = pytest.mark.weights

MODEL = find_weights("face-landmarker")


def detect(*pictures, **options):
    """The faces of the last of some pictures, by a fresh landmarker."""
    with Landmarker(MODEL, **options) as landmarker:
        return [landmarker.detect(picture) for picture in pictures][-1]


@pytest.fixture(scope="module")
def picture(clips):
    return read_pictures(clips / "single_face.mp4", 1)[0]


@pytest.fixture(scope="module")
def face(picture):
    return detect(picture)[0]


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


def test_a_mirrored_picture_shows_the_mirrored_face(picture, face):
    (mirrored,) = detect(np.ascontiguousarray(picture[:, ::-1]))
    toy = toy_head()
    back = mirrored.landmarks_xyz[toy.mirror] * (-1, 1, 1) + (picture.shape[1], 0, 0)
    off = np.linalg.norm((back - face.landmarks_xyz)[:, :2], axis=1)
    assert off.mean() < 0.03 * face.width_px
    swapped = mirrored.expression[toy.mirror_names]
    assert np.abs(swapped - face.expression).mean() < 0.05


def test_two_faces_are_listed_larger_first(picture, face):
    left, top, right, bottom = (round(side) for side in face.box_xyxy)
    reach = round(0.35 * face.width_px)
    top, left = max(0, top - reach), max(0, left - reach)
    close = picture[top : bottom + reach, left : right + reach]
    both = np.full((close.shape[0], 2 * close.shape[1], 3), 128, np.uint8)
    both[:, close.shape[1] :] = close
    small = cv2.resize(close, None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA)
    both[: small.shape[0], : small.shape[1]] = small
    faces = detect(both, both, both)
    assert len(faces) == 2
    assert faces[0].width_px > 1.2 * faces[1].width_px
    assert faces[1].box_xyxy[2] < close.shape[1] < faces[0].box_xyxy[2]
    assert len(detect(both, both, both, max_faces=1)) == 1


def test_no_face_no_answer(picture):
    assert detect(np.full_like(picture, 128)) == []


def test_the_start_up_lines_stay_off_the_terminal(picture, capfd):
    detect(picture)
    assert capfd.readouterr().err == ""


def test_a_cut_to_another_place_is_followed(picture, face):
    """It looks afresh where it loses a face."""
    empty = np.full_like(picture, 128)
    (again,) = detect(picture, empty, empty, picture)
    off = np.linalg.norm((again.landmarks_xyz - face.landmarks_xyz)[:, :2], axis=1)
    assert off.mean() < 0.02 * face.width_px


@pytest.mark.parametrize("count", [0, -1])
def test_no_faces_at_all_cannot_be_asked_for(count):
    with pytest.raises(ValueError, match="max_faces"):
        Landmarker(MODEL, max_faces=count)


def test_control_c_waits_until_it_has_begun():
    script = f"""
import signal, sys
from pathlib import Path
from cdrl_cli.face.landmarks import Landmarker

def press(event, arguments):
    if event == "import" and "mediapipe.tasks.python" in sys.modules and not pressed:
        pressed.append(event)
        signal.raise_signal(signal.SIGINT)

pressed = []
sys.addaudithook(press)
try:
    Landmarker(Path({str(MODEL)!r}))
except KeyboardInterrupt:
    print("begun" if "mediapipe.tasks.python.vision.face_landmarker" in sys.modules else "half")
"""
    root = Path(__file__).parents[2]
    done = run_limited([sys.executable, "-c", script], cwd=root, env=os.environ, limit_s=60)
    assert (done.stdout, done.returncode) == ("begun\n", 0), done.stderr
