"""THEval's measures on made-up landmarks."""

import numpy as np
import pytest

from cdrl_cli.metrics.theval import (
    BROWS,
    EYES,
    INNER_LIPS,
    LIPS,
    OUTER_EYE_CORNERS,
    brow_dynamics,
    lip_dynamics,
    lip_sync,
    silent_lip_stability,
)


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


def test_lips_that_rest_in_silence_are_stable_whatever_they_do_in_speech(still):
    silent = np.array([True, True, True, False, False, False])
    still[~silent, 13, 1] += 9
    assert silent_lip_stability(still, silent) == pytest.approx(0)
    assert np.isnan(silent_lip_stability(still, silent & (np.arange(6) < 1)))


def test_lips_that_open_in_silence_are_measured_in_eye_distances(still):
    for part, height in zip(INNER_LIPS, (50, 60), strict=True):
        still[:, list(part), 1] = height
    still[:, OUTER_EYE_CORNERS[0], :2] = (0, 0)
    still[:, OUTER_EYE_CORNERS[1], :2] = (100, 0)
    still[::2, list(INNER_LIPS[1]), 1] += 4  # half of the frames: 2 from the mean
    assert silent_lip_stability(still, np.ones(6, bool)) == pytest.approx(2 / 100)


def test_lips_that_open_with_the_sound_are_in_sync(still):
    loudness = np.array([0.0, 0.3, 0.1, 0.2, 0.05, 0.15])
    still[:, list(INNER_LIPS[0]), 1] = 50
    still[:, list(INNER_LIPS[1]), 1] = 60 + 100 * loudness[:, None]
    everywhere = np.ones(6, bool)
    assert lip_sync(still, everywhere, loudness) == pytest.approx(0, abs=1e-6)
    assert lip_sync(still, everywhere, loudness[::-1].copy()) > 0.2
    assert np.isnan(lip_sync(still, ~everywhere, loudness))
