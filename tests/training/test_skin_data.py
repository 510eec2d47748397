from pathlib import Path

import numpy as np
import pytest

from cdrl_cli.checkpoints.models import load_models
from cdrl_cli.data.datasets.photos import Photo, parse_emotions
from cdrl_cli.data.skin_pairs import MOST_TURN_DEG, FacePhotos
from cdrl_cli.emotion import Emotion
from cdrl_cli.face.blendshapes import EXPRESSION_NAMES
from cdrl_cli.representation.expression_nets import ExpressionNets
from cdrl_cli.training.skin_data import (
    agreement,
    ask_for,
    choose_pairs,
    how_often,
    read_clearly,
)
from heads import coefficients, pose


def photo(identity, emotion, dataset="CFEE", split="train"):
    return Photo(
        Path(f"{identity}-{emotion}.jpg"), dataset, identity, emotion, parse_emotions(emotion),
        True, "research", split,
    )  # fmt: skip


def faces_of(turns):
    poses = [pose(yaw_deg=turn) for turn in turns]
    count = len(turns)
    return FacePhotos(
        image=np.zeros((count, 256, 256, 3), np.uint8),
        landmarks_xyz=np.zeros((count, 478, 3), np.float32),
        window_from_head=np.stack(
            [np.column_stack([p.scale * p.rotation, p.translation]) for p in poses]
        ).astype(np.float32),
        expression=np.zeros((count, 52), np.float32),
        zoom=np.ones(count, np.float32),
        row=np.arange(count, dtype=np.float32),
    )


def test_pairs_are_of_one_person_and_end_in_an_emotion():
    shown = [
        photo("a", "neutral"), photo("a", "happy"), photo("a", "sadly_angry"),
        photo("b", "neutral"), photo("b", "fear"), photo("c", "happy"), photo("c", "disgusted"),
    ]  # fmt: skip
    pairs = set(choose_pairs(faces_of([0.0] * len(shown)), shown))
    assert {(0, 1), (0, 2), (3, 4), (5, 6), (6, 5)} <= pairs
    for first, second in pairs:
        assert shown[first].identity == shown[second].identity
        assert shown[second].emotion != "neutral"
        assert shown[first].emotion != shown[second].emotion


def test_heads_of_a_pair_are_turned_alike():
    shown = [photo("a", "neutral"), photo("a", "neutral"), photo("a", "happy"), photo("a", "fear")]
    pairs = set(choose_pairs(faces_of([0.0, 8.0, 7.0, 8.0 + MOST_TURN_DEG + 5]), shown))
    assert (1, 2) in pairs
    assert not any(3 in pair for pair in pairs)


def test_what_is_sure_and_simple_is_drawn_more_often():
    calm, happy, mixed = photo("a", "neutral"), photo("a", "happy"), photo("a", "sadly_angry")
    smile = photo("x", "happy", dataset="London")
    assert how_often(calm, happy) == 1
    assert how_often(calm, mixed) < 1
    assert how_often(happy, mixed) < how_often(calm, mixed)
    assert how_often(photo("x", "neutral", dataset="London"), smile) < 1


def test_actors_who_move_as_the_edit_does_are_drawn_more_often():
    raised = coefficients(browInnerUp=0.6, browOuterUp=0.6)
    asked = np.tile(raised, (4, 1)).astype(np.float32)
    acted = np.stack([raised, raised / 2, coefficients(jawOpen=1.0), -raised]).astype(np.float32)
    shown = [(Emotion.SURPRISED,)] * 3 + [(Emotion.FEAR,)]
    agrees = agreement(asked, acted, shown)
    assert agrees[0] > agrees[1] > 3 * agrees[2] > 0
    np.testing.assert_allclose(agrees[:3].mean(), 1, atol=1e-6)
    assert agrees[3] == 1  # nobody else shows fear


@pytest.mark.weights
@pytest.mark.parametrize("seed", range(6))
def test_a_photograph_is_asked_for_what_an_edit_asks_and_its_jaw_stays(seed):
    models = load_models("permissive")
    expressions = np.stack([np.zeros(52), coefficients(jawOpen=0.8, browInnerUp=1)])
    rng = np.random.default_rng(seed)
    change = ask_for(expressions.astype(np.float32), (Emotion.SURPRISED,), models, rng)
    assert not change[EXPRESSION_NAMES.index("jawOpen")]
    assert 0.2 < change[EXPRESSION_NAMES.index("browInnerUp")] <= 1.35


def test_a_photograph_that_does_not_look_like_its_name_is_drawn_less():
    faces = faces_of([0.0])
    faces.landmarks_xyz[0, :, :2] = np.linspace(60, 200, 478)[:, None]
    likely = np.full((1, 2, 7), 1e-3)
    likely[0, 1, [Emotion.SAD.class_index, Emotion.ANGRY.class_index]] = 0.6, 0.2

    class Network:
        def run(self, _names, given):
            assert given["colour"].shape == (1, 3, 112, 112)
            return [np.log(likely)]

    nets = ExpressionNets(Network())
    assert read_clearly(faces, 0, (Emotion.SAD, Emotion.ANGRY), nets) == pytest.approx(0.8)
    assert read_clearly(faces, 0, (Emotion.HAPPY,), nets) < 0.01
