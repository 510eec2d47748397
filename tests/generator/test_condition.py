import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrl_cli.emotion import Emotion
from cdrl_cli.generator.condition import (
    NAMED_GAINS,
    NAMED_SQUINTS,
    NO_NAME_FROM,
    Condition,
    ConditionTrack,
)

TIMES = st.floats(-1, 5)


def condition(difference=0.0, *, emotion=Emotion.SAD, likely=1.0, observed=0.0):
    embedding = np.zeros(64)
    embedding[emotion.class_index] = 1
    likelihood = np.zeros(7)
    likelihood[emotion.class_index] = likely
    return Condition(np.full(52, difference), embedding, likelihood, likelihood, observed)


@pytest.fixture
def track():
    """From a name to a reference, then to one that shows more."""
    return ConditionTrack(
        np.array([0.0, 1.0, 3.0]),
        (
            condition(0.0, emotion=Emotion.SAD),
            condition(0.1, emotion=Emotion.HAPPY, likely=0.5, observed=1.0),
            condition(0.2, emotion=Emotion.HAPPY, observed=1.0),
        ),
    )


@given(st.floats(-1, 1))
def test_the_strength_is_the_length_of_the_change(amount):
    assert condition(amount).strength == pytest.approx(abs(amount) * np.sqrt(52))


def test_what_is_unlikely_to_be_an_emotion_is_less_of_one():
    amounts = [
        condition(emotion=Emotion.HAPPY, likely=likely).amount for likely in (0.0, 0.1, 0.3, 0.5, 1)
    ]
    whole = NAMED_GAINS[Emotion.HAPPY.class_index]
    np.testing.assert_allclose(amounts, np.array([0, 0.2, 0.6, 1, 1]) * whole)


def test_names_of_weakly_acted_emotions_are_acted_more_and_references_are_not():
    gain = NAMED_GAINS[Emotion.SAD.class_index]
    assert condition().amount == pytest.approx(gain)
    assert condition(observed=NO_NAME_FROM / 2).amount == pytest.approx((1 + gain) / 2)
    assert condition(observed=NO_NAME_FROM).amount == 1


def test_eyes_are_narrowed_where_a_name_asks_and_not_where_a_reference_does():
    squint = NAMED_SQUINTS[Emotion.SAD.class_index]
    assert condition().squint == pytest.approx(squint)
    assert squint > 0
    assert condition(likely=0.5).squint == pytest.approx(squint / 2)
    assert condition(observed=NO_NAME_FROM).squint == 0
    assert condition(emotion=Emotion.FEAR).squint == 0


def test_a_name_is_not_something_that_was_observed():
    assert condition().observed == 0


def test_between_two_moments_all_is_in_between(track):
    middle = track.at(0.5)
    assert middle.observed == pytest.approx(0.5)
    np.testing.assert_allclose(middle.difference, 0.05)
    assert np.linalg.norm(middle.embedding) == pytest.approx(1)
    assert middle.likelihood.sum() == pytest.approx(0.75)
    assert track.at(2.0).strength == pytest.approx(
        (track.at(1.0).strength + track.at(3.0).strength) / 2
    )


@given(TIMES)
def test_a_track_holds_its_ends_and_leaps_nowhere(time_s):
    one, other = condition(0.1, observed=1.0), condition(0.3, emotion=Emotion.FEAR, observed=1.0)
    track = ConditionTrack(np.array([1.0, 2.0]), (one, other))
    now, soon = track.at(time_s), track.at(time_s + 0.01)
    assert one.strength - 1e-9 <= now.strength <= other.strength + 1e-9
    assert np.linalg.norm(soon.difference - now.difference) < 0.02
    assert np.linalg.norm(soon.embedding - now.embedding) < 0.05
    assert now.observed == pytest.approx(1)


@given(TIMES)
def test_a_track_of_one_moment_is_that_moment(time_s):
    only = condition(0.2)
    assert ConditionTrack(np.zeros(1), (only,)).at(time_s) is only
