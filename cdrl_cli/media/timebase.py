"""Exact time: seconds are fractions, ticks are integers, and nothing is a float.

A container counts time in ticks of its stream's ``time_base`` seconds. Between two time bases a
time is carried as a fraction; it is rounded once, where it is written.
"""

from collections.abc import Iterable
from fractions import Fraction
from math import floor, lcm


def seconds_from_ticks(ticks: int, time_base: Fraction) -> Fraction:
    """Seconds of a timestamp.

    >>> seconds_from_ticks(1001, Fraction(1, 24000))
    Fraction(1001, 24000)
    """
    return ticks * time_base


def ticks_from_seconds(seconds: Fraction, time_base: Fraction) -> int:
    """The tick nearest to a time; a tie goes away from zero, as FFmpeg's ``av_rescale`` does.

    >>> ticks_from_seconds(Fraction(1, 3), Fraction(1, 1000))
    333
    >>> ticks_from_seconds(Fraction(-3, 2), Fraction(1))
    -2
    """
    exact = seconds / time_base
    nearest = floor(abs(exact) + Fraction(1, 2))
    return nearest if exact >= 0 else -nearest


def next_ticks(stated: int | None, previous: int | None, period: int) -> int:
    """Presentation timestamp of the next picture, in ticks, always later than the one before.

    Args:
        stated: What the stream says, or None where it says nothing.
        previous: Timestamp of the picture before, or None for the first.
        period: Usual distance of two pictures, in ticks; stands in for a missing statement.
    """
    if previous is None:
        return 0 if stated is None else stated
    if stated is None:
        return previous + max(period, 1)
    # One tick, not a period: after a wild timestamp the clock falls back into step soonest.
    return stated if stated > previous else previous + 1


def common_timescale(times: Iterable[Fraction], *, multiple_of: int, at_most: int) -> int:
    """Ticks per second in which every time is a whole number of ticks.

    Args:
        times: Seconds.
        multiple_of: The scale to start from; the answer where the exact one is out of reach.
        at_most: Largest scale the container can store.

    >>> common_timescale([Fraction(1, 44100)], multiple_of=1000, at_most=2**31 - 1)
    441000
    """
    scale = lcm(multiple_of, *(time.denominator for time in times))
    return scale if scale <= at_most else multiple_of
