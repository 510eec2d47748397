from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrl_cli.media.timebase import (
    common_timescale,
    next_ticks,
    seconds_from_ticks,
    ticks_from_seconds,
)

ticks = st.integers(-(2**40), 2**40)
time_bases = st.fractions(min_value=Fraction(1, 10**6), max_value=1).filter(bool)
times = st.fractions(min_value=0, max_value=10**4, max_denominator=10**5)


@given(ticks, time_bases)
def test_ticks_survive_the_way_to_seconds_and_back(tick: int, time_base: Fraction) -> None:
    assert ticks_from_seconds(seconds_from_ticks(tick, time_base), time_base) == tick


@given(times, time_bases)
def test_rounding_is_off_by_half_a_tick_at_most(time: Fraction, time_base: Fraction) -> None:
    tick = ticks_from_seconds(time, time_base)
    assert abs(seconds_from_ticks(tick, time_base) - time) <= time_base / 2


@given(times, times, time_bases)
def test_rounding_keeps_the_order(a: Fraction, b: Fraction, time_base: Fraction) -> None:
    early, late = sorted((a, b))
    assert ticks_from_seconds(early, time_base) <= ticks_from_seconds(late, time_base)


@given(times, time_bases)
def test_rounding_is_symmetric_about_zero(time: Fraction, time_base: Fraction) -> None:
    assert ticks_from_seconds(-time, time_base) == -ticks_from_seconds(time, time_base)


@given(st.lists(st.none() | st.integers(-100, 100), min_size=1), st.integers(0, 10))
def test_pictures_never_go_back_in_time(stated: list[int | None], period: int) -> None:
    previous, seen = None, []
    for each in stated:
        previous = next_ticks(each, previous, period)
        seen.append(previous)
    assert all(early < late for early, late in pairwise(seen))


@given(st.lists(st.integers(0, 10**6), unique=True, min_size=1))
def test_times_in_order_stay_as_they_are(stated: list[int]) -> None:
    previous = None
    for each in sorted(stated):
        previous = next_ticks(each, previous, 40)
        assert previous == each


def test_missing_time_is_a_period_after_the_one_before() -> None:
    assert next_ticks(None, None, 40) == 0
    assert next_ticks(None, 80, 40) == 120


@given(st.lists(times, max_size=3))
def test_common_timescale_holds_every_time(several: list[Fraction]) -> None:
    scale = common_timescale(several, multiple_of=1000, at_most=10**30)
    assert scale % 1000 == 0
    assert all((time * scale).denominator == 1 for time in several)


def test_common_timescale_gives_up_where_the_container_does() -> None:
    assert common_timescale([Fraction(1, 99991)], multiple_of=1000, at_most=10**6) == 1000


def test_drift_of_ntsc_is_zero_after_a_day() -> None:
    time_base, rate = Fraction(1, 30000), Fraction(30000, 1001)
    frames = 24 * 3600 * 30
    assert ticks_from_seconds(frames / rate, time_base) == frames * 1001


@pytest.mark.parametrize("seconds", [Fraction(1, 2), Fraction(3, 2)])
def test_tie_goes_away_from_zero(seconds: Fraction) -> None:
    assert ticks_from_seconds(seconds, Fraction(1)) == seconds + Fraction(1, 2)
