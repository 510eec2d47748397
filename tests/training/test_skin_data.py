from pathlib import Path

import numpy as np

from cdrl_cli.data.datasets.photos import Photo, parse_emotions
from cdrl_cli.data.skin_pairs import MOST_TURN_DEG, FacePhotos
from cdrl_cli.training.skin_data import choose_pairs, how_often
from heads import pose


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
