import numpy as np
import pytest

from cdrl_cli.face.blendshapes import COUNTERPARTS, EXPRESSION_NAMES
from cdrl_cli.generator.lips import PAIRS
from cdrl_cli.generator.unseen_movements import UNSEEN_CHANNELS, move_unseen

LEFT_CHEEK, RIGHT_CHEEK, LEFT_WING, ROOT_OF_NOSE = 330, 101, 278, 285
TENTH = 0.1


@pytest.fixture(scope="module")
def canonical(models):
    return models.head.canonical_xyz


@pytest.fixture(scope="module")
def moved(canonical):
    return move_unseen(np.ones((52, 478, 3)), canonical)


def channel(basis, name):
    return basis[EXPRESSION_NAMES.index(name)]


def test_a_raised_cheek_rises_on_its_own_side(moved):
    raised = channel(moved, "cheekSquintLeft")
    assert raised[LEFT_CHEEK, 1] < -TENTH / 2
    assert abs(raised[RIGHT_CHEEK, 1]) < TENTH / 1000


def test_a_wrinkled_nose_lifts_its_wing_and_lowers_the_brow(moved):
    wrinkled = channel(moved, "noseSneerLeft")
    assert wrinkled[LEFT_WING, 1] < -TENTH / 3
    assert wrinkled[ROOT_OF_NOSE, 1] > 0


def test_no_movement_is_larger_than_an_acted_emotion_or_reaches_the_lips(moved):
    found = moved[UNSEEN_CHANNELS]
    assert np.abs(found).max() < TENTH
    assert np.abs(found[:, PAIRS]).max() < TENTH / 50


def test_both_sides_are_mirrors_and_other_channels_stay(moved, canonical):
    mirrored = move_unseen(np.ones((52, 478, 3)), canonical * (-1, 1, 1)) * (-1, 1, 1)
    for index in UNSEEN_CHANNELS:
        np.testing.assert_allclose(mirrored[COUNTERPARTS[index]], moved[index], atol=1e-6)
    assert (np.delete(moved, UNSEEN_CHANNELS, axis=0) == 1).all()


@pytest.mark.weights
def test_what_is_loaded_has_them(models):
    assert np.abs(models.basis.displacement[UNSEEN_CHANNELS]).max(axis=(1, 2)).min() > TENTH / 3
