import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cdrl_cli.data.pairs import align, draw_batch, pair_takes, warping_path
from cdrl_cli.emotion import Emotion
from talkers import make_clip, make_take, make_takes, movement


def naive_cheapest(cost):
    """The cost of the cheapest way, by trying all ways backwards."""

    def cheapest(i, j):
        if i < 0 or j < 0:
            return np.inf
        if i == j == 0:
            return cost[0, 0]
        return cost[i, j] + min(cheapest(i - 1, j - 1), cheapest(i - 1, j), cheapest(i, j - 1))

    return cheapest(cost.shape[0] - 1, cost.shape[1] - 1)


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 99))
def test_the_path_is_the_cheapest_of_all(rows, columns, seed):
    cost = np.random.default_rng(seed).random((rows, columns))
    path = warping_path(cost)
    assert path[0].tolist() == [0, 0]
    assert path[-1].tolist() == [rows - 1, columns - 1]
    assert {tuple(step) for step in np.diff(path, axis=0)} <= {(0, 1), (1, 0), (1, 1)}
    assert cost[path[:, 0], path[:, 1]].sum() == pytest.approx(naive_cheapest(cost))


def test_a_recording_is_aligned_with_itself(generator):
    speech = generator.normal(size=(40, 6))
    np.testing.assert_array_equal(align(speech, speech), np.arange(40))


@pytest.mark.parametrize("speed", [0.5, 0.8, 1.5])
def test_a_known_warp_is_found(generator, speed):
    time = np.arange(80)
    events = generator.normal(size=(100, 8))
    slow = np.arange(int(79 / speed)) * speed

    def say(at):
        smooth = np.exp(-0.5 * ((at[:, None] - np.arange(100)) / 1.5) ** 2)
        return smooth @ events

    found = align(say(time.astype(float)), say(slow))
    error = found[:75] * speed - time[:75]
    assert np.abs(error).max() <= 2


def test_emotional_takes_find_the_neutral_one_of_their_person_and_sentence(generator):
    opening = movement(40, generator)
    wanted = [("A", Emotion.HAPPY, "S01"), ("A", Emotion.SAD, "S01")]
    others = [
        ("A", Emotion.NEUTRAL, "S01"),
        ("A", Emotion.HAPPY, "S02"),
        ("B", Emotion.HAPPY, "S01"),
        ("A", None, "S01"),
        ("A", Emotion.ANGRY, None),
    ]
    takes = [
        make_take(make_clip(identity=i, emotion=e, sentence=s), opening, generator)
        for i, e, s in wanted + others
    ]
    deaf = make_take(make_clip(emotion=Emotion.FEAR), opening, generator, speech=False)
    pairs = pair_takes([*takes, deaf])
    assert [pair.emotional.clip.emotion for pair in pairs] == [Emotion.HAPPY, Emotion.SAD]
    assert all(pair.neutral is takes[2] for pair in pairs)


def draw(takes, pairs, **other):
    fields = {"count": 4, "windows": 6, "frames": 25, "generator": torch.Generator().manual_seed(0)}
    return draw_batch(takes, pairs, **fields | other)


def test_counterparts_say_the_same():
    takes = make_takes()
    batch = draw(takes, pair_takes(takes))
    assert len(batch.counterparts)
    for neutral, emotional in batch.counterparts:
        (one, start), (other, late) = batch.windows[neutral], batch.windows[emotional]
        assert one.clip.emotion is Emotion.NEUTRAL
        assert other.clip.emotion is Emotion.HAPPY
        assert one.clip.identity == other.clip.identity
        assert abs((late + 12) - 2 * (start + 12)) <= 4  # it is twice as slow


def test_a_batch_has_several_windows_of_each_take():
    takes = make_takes()
    batch = draw(takes, [])
    for number in set(batch.take_of):
        starts = [start for i, (_, start) in enumerate(batch.windows) if batch.take_of[i] == number]
        assert len(starts) >= 6
    for a, b in itertools.combinations(range(len(batch.windows)), 2):
        same = batch.windows[a][0] is batch.windows[b][0]
        assert same == (batch.take_of[a] == batch.take_of[b])


def test_windows_stay_inside_what_was_seen():
    takes = make_takes(people=2)
    for take in takes:
        take.seen[20:25] = False
    for take, start in draw(takes, pair_takes(takes), frames=15).windows:
        assert take.seen[start : start + 15].all()
        assert start + 15 <= len(take.seen)


def test_the_same_generator_draws_the_same_batch():
    takes = make_takes()
    pairs = pair_takes(takes)
    one, other = draw(takes, pairs), draw(takes, pairs)
    assert [start for _, start in one.windows] == [start for _, start in other.windows]
    np.testing.assert_array_equal(one.counterparts, other.counterparts)
