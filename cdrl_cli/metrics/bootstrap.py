"""How far a number can be trusted."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cdrl_cli.array_types import Float, Int

RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Interval:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float
    count: int
    """Of what was resampled: clips."""

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap(
    count: int,
    statistic: Callable[[Int[np.ndarray, " count"]], float],
    *,
    generator: np.random.Generator,
) -> Interval:
    """Percentile bootstrap (Efron 1979) of any statistic of a sample.

    Args:
        count: Size of the sample.
        statistic: Of the members whose positions it is given, some more than once.
        generator: Randomness.

    Returns:
        Its count is 0, and all else NaN, where there is no sample, or the statistic is undefined
        (NaN) for every one that is drawn.
    """
    unknown = Interval(float("nan"), float("nan"), float("nan"), 0)
    if not count:
        return unknown
    draws = [statistic(generator.integers(0, count, count)) for _ in range(RESAMPLES)]
    if np.isnan(draws).all():
        return unknown
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return Interval(float(statistic(np.arange(count))), float(low), float(high), count)


def bootstrap_mean(
    values: Float[np.ndarray, " count"], *, generator: np.random.Generator
) -> Interval:
    """Mean and its interval."""
    return bootstrap(len(values), lambda drawn: float(values[drawn].mean()), generator=generator)
