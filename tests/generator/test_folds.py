import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrl_cli.checkpoints.models import load_models
from cdrl_cli.generator.folds import DEPTH, MAP_HIGH, MAP_LOW, WEIGHTS, FoldMaps
from heads import coefficients

pytestmark = pytest.mark.weights
AMOUNTS = st.floats(0.05, 1.0)


@pytest.fixture(scope="module")
def face():
    return load_models(core=True).head.canonical_xyz


@pytest.fixture(scope="module")
def folds(face):
    return FoldMaps.draw(face)


@pytest.fixture(scope="module")
def position():
    """A crop that shows the canonical face from the front, twice as tall as it is wide."""
    x, y = np.meshgrid(
        np.linspace(MAP_LOW[0], MAP_HIGH[0], 256), np.linspace(MAP_LOW[1], MAP_HIGH[1], 256)
    )
    return np.stack([x, y]).astype(np.float32)


def at(shade, position, point, reach=0.05):
    """The darkest shade around a point of the face."""
    near = np.hypot(*(position - point[:2, None, None])) < reach
    return shade[near].min()


def test_without_change_nothing_folds(folds, position):
    assert not folds.shade(np.zeros(52), position).any()


@pytest.mark.parametrize(
    ("cause", "where"),
    [
        ({"browDownLeft": 0.8, "browDownRight": 0.8}, (8, 13)),
        ({"browInnerUp": 0.8}, (151, 13)),
        ({"noseSneerLeft": 0.8, "noseSneerRight": 0.8}, (6, 152)),
        ({"mouthSmileLeft": 0.8}, (426, 206)),
        ({"mouthSmileRight": 0.8}, (206, 426)),
    ],
)
def test_skin_folds_where_muscles_push_it(folds, position, face, cause, where):
    folded, smooth = where
    shade = folds.shade(coefficients(**cause), position)
    assert at(shade, position, face[folded]) < -0.05
    assert at(shade, position, face[smooth]) > -0.005


@given(AMOUNTS, AMOUNTS)
def test_more_folds_deeper_and_never_deeper_than_a_fold(folds, position, one, other):
    few, many = sorted((one, other))
    little, much = (
        folds.shade(coefficients(browDownLeft=x, browDownRight=x), position) for x in (few, many)
    )
    assert much.min() <= little.min() <= 0
    assert much.min() >= -DEPTH


def test_what_unfolds_is_left_alone(folds, position):
    assert not folds.shade(-coefficients(noseSneerLeft=0.5, noseSneerRight=0.5), position).any()


def test_a_fold_takes_hardly_any_light_from_the_face_as_a_whole(folds):
    assert len(folds.maps) == len(WEIGHTS)
    for one in folds.maps:
        assert abs(one.sum()) < 0.35 * np.abs(one).sum()


def test_a_box_is_found_around_all_that_may_fold(folds, position):
    left, top, columns, rows = folds.find(position, np.ones((256, 256), np.float32))
    everything = np.abs(folds.shade(np.full(52, 1.0), position))
    around = np.zeros((256, 256), bool)
    around[top : top + rows, left : left + columns] = True
    assert not everything[~around].any()
    assert around.sum() < 0.7 * around.size
    assert folds.find(position, np.zeros((256, 256), np.float32))[2:] == (0, 0)
