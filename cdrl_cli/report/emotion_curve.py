"""The emotion that a face shows over time, read while its frames pass: nothing of them is kept."""

from collections import deque
from typing import Final

import numpy as np

from cdrl_cli.array_types import Float
from cdrl_cli.emotion import Emotion
from cdrl_cli.representation.evidence import Evidence, EvidenceMean, EvidenceModel

WINDOW_S: Final = 1.0
"""Length of the window that one point of an emotion's curve is read from, seconds."""

STEP_S: Final = 0.5
"""Time between two points of the curves of emotions, seconds, where the clip is short."""

MOST_POINTS: Final = 400
"""Points of a curve, about, at most: in long clips they lie further apart."""

ROUNDING_S: Final = 1e-6


class EmotionCurve:
    """How likely a face shows each emotion, in the second around each of many moments.

    Args:
        reader: Reads it.
        first_s: Time of the clip's first frame, seconds: of the first moment, too.
        duration_s: Length of the clip, seconds; 0 where it is not known.
    """

    def __init__(self, reader: EvidenceModel, first_s: float, duration_s: float) -> None:
        self._reader = reader
        self._first_s = first_s
        steps = min(max(round(duration_s / STEP_S), 1), MOST_POINTS)
        # The last moment is the clip's end.
        self.step_s = duration_s / steps if duration_s > 0 else STEP_S
        self._open: deque[EvidenceMean] = deque()
        self._read: list[Float[np.ndarray, " 7"]] = []

    def wants(self, time_s: float) -> bool:
        """Whether a frame at a time lies in the window of any moment."""
        nearest = round((time_s - self._first_s) / self.step_s)
        return abs(time_s - self._moment_s(nearest)) <= WINDOW_S / 2 + ROUNDING_S

    def add(self, time_s: float, seen: Evidence) -> None:
        """Read what the next frame shows, at its time in seconds."""
        self._close_before(time_s)
        for place in range(len(self._read), self._newest(time_s) + 1):
            if place - len(self._read) >= len(self._open):
                self._open.append(EvidenceMean())
            self._open[place - len(self._read)].add(seen)

    def finish(self, end_s: float) -> tuple[Float[np.ndarray, " points"], "Curve"]:
        """The moments up to the clip's end, seconds, and how likely each emotion is there.

        Returns:
            NaN at moments without the face. Where the clip did not say how long it is, they are
            thinned out to :data:`MOST_POINTS`.
        """
        self._close_before(end_s + WINDOW_S)
        points = int((end_s - self._first_s) / self.step_s + ROUNDING_S) + 1
        gap = np.full(len(Emotion), np.nan)
        curve = np.stack([*self._read, *[gap] * points][:points])
        times_s = self._first_s + self.step_s * np.arange(points)
        thinned = slice(None, None, (points - 1) // (MOST_POINTS + 1) + 1)
        return times_s[thinned], curve[thinned]

    def _moment_s(self, place: int) -> float:
        return self._first_s + place * self.step_s

    def _newest(self, time_s: float) -> int:
        """Place of the last moment whose window has begun at a time."""
        return int((time_s + WINDOW_S / 2 + ROUNDING_S - self._first_s) / self.step_s)

    def _close_before(self, time_s: float) -> None:
        """Read the windows that end before a time."""
        while self._moment_s(len(self._read)) + WINDOW_S / 2 + ROUNDING_S < time_s:
            seen = self._open.popleft().value if self._open else None
            unknown = np.full(len(Emotion), np.nan)
            self._read.append(unknown if seen is None else self._reader.read(seen))


Curve = Float[np.ndarray, "points 7"]
"""How likely each emotion is at each moment, 0..1; NaN where nobody knows."""
