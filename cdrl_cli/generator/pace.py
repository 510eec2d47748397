"""How the strength of an emotion varies while it is shown.

Filmed actors do not hold a face still: 129 takes of MEAD and Java-SED vary by .29 of their mean in
the median (MEAD .17), in waves of one to two seconds. What is said, and how loudly, explains 6 % of
that in people left out, so the waves are the reference's own, or typical ones, and not made from
the speech.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cdrl_cli.array_types import Float

Pace = Callable[[float], float]
"""From seconds since the emotion began to the factor of its strength; 1 in the mean."""

STEP_S = 0.1
"""Time between two gains of a pace that was read, seconds."""

SHORTEST_S = 2.0
"""A clip must last so long for its own pace to be shown, seconds."""

LEAST_LENGTH = 0.1
"""A change (L2) must be so long for its pace to be told from noise; actors' are .6 to 1.3."""

SMOOTHED_S = 0.7
"""Width of the Hann window that a pace is smoothed by, seconds: a blink is no change of mind."""

SPREAD = 0.15
"""Standard deviation of a typical pace, near that of MEAD's takes (.17); largest one of a pace that
was read."""

FARTHEST = 0.35
"""Most that a pace that was read may differ from 1."""

WAVES = ((1.7, -0.25), (3.1, 0.0), (5.3, -0.25))
"""Of a typical pace: period, seconds, and where it begins, in turns. So it builds up at first, as
takes do, is 1, within .05, in the mean of its first two seconds and more, and does not repeat for
minutes."""


def steady_pace(_: float) -> float:
    """The same strength throughout."""
    return 1.0


def typical_pace(time_s: float) -> float:
    """Where nobody shows it: a label, words, a picture."""
    turns = (time_s / period_s + begins for period_s, begins in WAVES)
    waves = sum(math.sin(2 * math.pi * each) for each in turns)
    return 1.0 + SPREAD * math.sqrt(2 / len(WAVES)) * waves


@dataclass(frozen=True, slots=True)
class OwnPace:
    """Of a clip; where it ends it is played backwards, and so on."""

    gains: Float[np.ndarray, " moments"]
    """Every :data:`STEP_S`."""

    def __call__(self, time_s: float) -> float:
        """See :data:`Pace`."""
        last = len(self.gains) - 1
        place = abs(time_s / STEP_S) % (2 * last)
        return float(np.interp(min(place, 2 * last - place), np.arange(last + 1), self.gains))


def read_pace(
    times_s: Float[np.ndarray, " frames"], changes: Float[np.ndarray, "frames 52"]
) -> Pace:
    """The pace of a clip; :func:`typical_pace` for a picture, or what is too short to say.

    Args:
        times_s: Of its frames, growing.
        changes: Coefficients minus the person's neutral ones, frame by frame.
    """
    mean = changes.mean(axis=0)
    length = float(np.linalg.norm(mean))
    lasts_s = float(times_s[-1] - times_s[0])
    if lasts_s < SHORTEST_S or length < LEAST_LENGTH:
        return typical_pace
    grid_s = np.arange(0.0, lasts_s, STEP_S)
    shown = np.interp(grid_s, times_s - times_s[0], changes @ mean / length**2)
    window = np.hanning(round(SMOOTHED_S / STEP_S) + 2)[1:-1]
    margin = len(window) // 2
    padded = np.pad(shown, (margin, len(window) - 1 - margin), mode="edge")
    waves = np.convolve(padded, window / window.sum(), mode="valid")
    waves -= waves.mean()
    waves *= min(1.0, SPREAD / max(float(waves.std()), 1e-9))
    return OwnPace(1.0 + waves.clip(-FARTHEST, FARTHEST))
