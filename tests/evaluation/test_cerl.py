from pathlib import Path

import numpy as np
import pytest

from cdrl_cli.data.action_units import coded_expression
from cdrl_cli.data.index import Clip
from cdrl_cli.data.performances import Performance, find_neutrals
from cdrl_cli.emotion import Emotion
from cdrl_cli.evaluation.cerl import measure_accuracy, measure_leaks, unknown_performances
from cdrl_cli.metrics.linear_probe import nearest_centroid


def test_the_nearest_centroid_is_not_told_the_answer():
    """A clip that alone pulls its class's mean must not be counted in it."""
    features = np.array([[0.0], [0.2], [10.0], [9.0], [9.2], [9.4]])
    labels = np.array([0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(nearest_centroid(features, labels), [0, 0, 1, 1, 1, 1])


def play(identity, emotion, shown, generator, dataset="toy"):
    clip = Clip(Path("a.mp4"), None, dataset, "permissive", identity, emotion, True, None, "train")
    frames = np.clip(shown + 0.01 * generator.standard_normal((20, 52)), 0, 1)
    return Performance(clip, frames.astype(np.float32))


@pytest.mark.weights
def test_textbook_actors_are_read_right_and_not_recognised(models):
    reader, generator = models.emotion_reader, np.random.default_rng(0)
    neutral = reader.space.neutral
    bias = {name: generator.uniform(0, 0.15, 52) for name in ("x", "y", "z")}
    performances = [
        play(name, emotion, neutral + own + coded_expression(emotion), generator)
        for name, own in bias.items()
        for emotion in Emotion
    ]
    neutrals = find_neutrals(performances, neutral)
    assert unknown_performances(reader, performances) == performances
    own = measure_accuracy(reader, performances, neutrals)[0]
    assert own.accuracy.value > 0.9
    assert own.chance == pytest.approx(1 / 7)
    person = measure_leaks(reader, performances, neutrals)[0]
    assert person.name == "person, from the own neutral"
    assert person.accuracy.value < person.chance + 0.25


@pytest.mark.weights
def test_people_who_were_learned_from_are_not_asked(models):
    reader, generator = models.emotion_reader, np.random.default_rng(0)
    neutral = reader.space.neutral
    known = next(name for name in sorted(reader.space.identities) if name.startswith("J"))
    performances = [play(known, e, neutral, generator) for e in Emotion]
    assert unknown_performances(reader, performances) == []
