"""THEval's measures on made-up landmarks."""

import numpy as np
import pytest

from cdrl_cli.metrics.theval import BROWS, EYES, LIPS, brow_dynamics, lip_dynamics


@pytest.fixture
def still():
    rng = np.random.default_rng(0)
    face = rng.uniform(0, 200, (478, 3))
    return np.repeat(face[None], 6, axis=0)


def test_a_still_face_has_none(still):
    assert lip_dynamics(still) == pytest.approx(0)
    assert brow_dynamics(still) == pytest.approx(0)


def test_where_and_how_large_the_face_is_says_nothing(still):
    rng = np.random.default_rng(1)
    moving = still + rng.normal(0, 2, still.shape)
    other = 3 * moving + np.array([50.0, -20.0, 7.0])
    assert lip_dynamics(other) == pytest.approx(lip_dynamics(moving))
    assert brow_dynamics(other) == pytest.approx(brow_dynamics(moving))


def test_brows_that_rise_by_a_known_step_are_measured(still):
    for side in (0, 1):  # over each eye, so that the distance is the height
        still[:, BROWS[side], :2] = (100 * side, 0)
        still[:, EYES[side], :2] = (100 * side, 40)
        still[::2, BROWS[side], 1] -= 10
    assert brow_dynamics(still) == pytest.approx(10 / 100)


def test_lips_that_open_are_measured_and_brows_are_not(still):
    moved = still.copy()
    moved[::2, LIPS[:10], 1] += 5
    assert lip_dynamics(moved) > 1e-5
    assert brow_dynamics(moved) == 0


def test_one_frame_moves_no_brow(still):
    assert np.isnan(brow_dynamics(still[:1]))
