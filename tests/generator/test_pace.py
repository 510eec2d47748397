import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrl_cli.generator import pace
from cdrl_cli.generator.condition import ConditionTrack
from cdrl_cli.generator.pace import OwnPace, read_pace, steady_pace, typical_pace

LONG_S = np.arange(0, 120, 0.01)
TIMES_S = np.arange(0, 6, 0.04)
"""Of a clip of six seconds, 25 frames a second."""


def change(strength: np.ndarray) -> np.ndarray:
    """One direction, at these strengths."""
    direction = np.zeros(52)
    direction[[3, 4, 10]] = 0.5
    return strength[:, None] * direction


def gains(of: pace.Pace, times_s: np.ndarray = LONG_S) -> np.ndarray:
    return np.array([of(float(time_s)) for time_s in times_s])


def test_a_typical_pace_is_one_in_the_mean_and_varies_as_actors_do():
    found = gains(typical_pace)
    assert found.mean() == pytest.approx(1, abs=0.01)
    assert all(found[until >= LONG_S].mean() == pytest.approx(1, abs=0.05) for until in (2, 3, 5))
    assert found[0] < 0.8  # it builds up
    assert found.std() == pytest.approx(pace.SPREAD, rel=0.05)
    assert np.abs(found - 1).max() < 0.4
    assert np.abs(np.diff(found)).max() / 0.01 < 1  # a second at least from nothing to all


def test_a_clip_s_own_waves_are_found_in_its_strength():
    waves = 0.12 * np.sin(2 * np.pi * TIMES_S / 3)
    found = gains(read_pace(TIMES_S, change(0.8 * (1 + waves))), TIMES_S)
    assert np.corrcoef(found, waves)[0, 1] > 0.99
    assert found.mean() == pytest.approx(1, abs=0.02)
    assert found.std() == pytest.approx(waves.std(), rel=0.15)  # smoothed a little


def test_a_blink_is_no_change_of_mind_and_a_long_wave_is_bounded():
    blink = np.where(np.abs(TIMES_S - 3) < 0.08, 0.3, 1.0)
    assert np.abs(gains(read_pace(TIMES_S, change(blink)), TIMES_S) - 1).max() < 0.2
    wild = read_pace(TIMES_S, change(np.where(TIMES_S < 1, 3.0, 0.2)))
    assert np.abs(gains(wild, TIMES_S) - 1).max() <= pace.FARTHEST + 1e-9


@pytest.mark.parametrize(
    ("times_s", "changes"),
    [
        (TIMES_S[:1], change(np.ones(1))),  # a picture
        (TIMES_S[:30], change(np.ones(30))),  # 1.2 s
        (TIMES_S, change(np.full(len(TIMES_S), 0.01))),  # it shows nothing
    ],
)
def test_what_says_nothing_of_pace_gets_the_typical_one(times_s, changes):
    assert read_pace(times_s, changes) is typical_pace


@given(time_s=st.floats(-1, 1e5), step_s=st.floats(0, 0.04))
def test_a_clip_s_pace_goes_on_without_a_jump(time_s, step_s):
    own = OwnPace(1 + 0.1 * np.sin(np.arange(25.0)))
    assert 0.9 <= own(time_s) <= 1.1
    assert abs(own(time_s + step_s) - own(time_s)) <= 0.1 * 0.4 + 1e-6


def test_a_share_of_nothing_holds_the_strength():
    track = ConditionTrack(np.zeros(1), (), typical_pace)
    assert track.gain(0.6, 0.0) == 1
    assert track.gain(0.6, 1.0) == typical_pace(0.6) != 1
    assert track.gain(0.6, 2.0) - 1 == pytest.approx(2 * (typical_pace(0.6) - 1))
    assert steady_pace(0.6) == 1
