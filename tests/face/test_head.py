import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrl_cli.face.head import HeadModel, pitch_deg, yaw_deg
from heads import coefficients, pose, toy_head

YAWS, PITCHES, ROLLS = st.floats(-80, 80), st.floats(-60, 60), st.floats(-180, 180)


@given(YAWS, PITCHES, ROLLS, st.floats(5, 800))
def test_a_known_pose_is_found_again(yaw, pitch, roll, scale):
    known = pose(yaw_deg=yaw, pitch_deg=pitch, roll_deg=roll, scale=scale, at=(300, 200))
    found = toy_head().model.locate(toy_head().face(known))
    assert found.scale == pytest.approx(scale, rel=1e-3)
    np.testing.assert_allclose(found.rotation, known.rotation, atol=1e-3)
    np.testing.assert_allclose(found.translation, known.translation, atol=1e-3 * scale)


@given(YAWS, PITCHES, ROLLS)
def test_a_turn_and_a_nod_are_told_apart_however_the_head_is_tilted(yaw, pitch, roll):
    head = pose(yaw_deg=yaw, pitch_deg=pitch, roll_deg=roll)
    assert yaw_deg(head) == pytest.approx(yaw, abs=1e-6)
    assert abs(pitch_deg(head)) == pytest.approx(abs(pitch), abs=1e-6)


def nose_tip(head):
    """Where the nose points from between the eyes, in the picture."""
    face = toy_head().face(head).landmarks_xyz
    return face[1] - face[[33, 263]].mean(axis=0)


def test_positive_pitch_looks_down():
    level, nodded = pose(), pose(pitch_deg=20)
    if nose_tip(nodded)[1] < nose_tip(level)[1]:
        nodded = pose(pitch_deg=-20)
    assert pitch_deg(nodded) == pytest.approx(20)


def test_the_sign_of_yaw_tells_the_side():
    # Turned to the left of the picture, the nose tip is left of the eyes' middle.
    assert nose_tip(pose(yaw_deg=25))[0] < 0
    assert yaw_deg(pose(yaw_deg=25)) > 0 > yaw_deg(pose(yaw_deg=-25))


def test_what_emotes_does_not_move_the_head(generator):
    head, known = toy_head(), pose(yaw_deg=10, scale=120)
    moving = np.linalg.norm(head.basis, axis=(0, 2))
    rigidity = np.where(moving < np.median(moving), 1.0, 0.0)
    displaced = head.face(known)
    displaced.landmarks_xyz[rigidity == 0] += generator.normal(0, 30, (478, 3))[rigidity == 0]
    found = HeadModel(head.canonical_xyz, rigidity).locate(displaced)
    np.testing.assert_allclose(found.rotation, known.rotation, atol=1e-3)


def test_the_eye_distance_is_the_scale():
    face = toy_head().face(pose(scale=64.0), coefficients())
    across = face.landmarks_xyz[263] - face.landmarks_xyz[33]
    assert np.linalg.norm(across) == pytest.approx(64.0, rel=1e-5)
