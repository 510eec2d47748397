import numpy as np
import pytest

from cdrl_cli.report.emotion_curve import MOST_POINTS, STEP_S, WINDOW_S, EmotionCurve
from cdrl_cli.representation.evidence import Evidence


class Echo:
    """Answers the first coefficient and the first opinion that it is told."""

    def read(self, seen):
        judged = np.nan if seen.judged is None else seen.judged[0, 0]
        return np.array([seen.expression[0], judged, 0, 0, 0, 0, 0])


def frame(value, judged=None):
    return Evidence(
        np.full(52, value), np.zeros((478, 3)), None if judged is None else np.full((2, 7), judged)
    )


@pytest.mark.parametrize("duration", [2.4, 0.0, 300.0, 900.0])
def test_each_moment_is_the_mean_of_the_second_around_it(duration):
    seen_s = np.arange(0.0, duration or 3.0, 0.125)
    seen_s = seen_s[(seen_s < 0.9) | (seen_s > 2.1)]  # the face is away for a while
    curve = EmotionCurve(Echo(), 0.0, duration)
    for time_s in seen_s:
        if curve.wants(time_s):
            curve.add(time_s, frame(time_s, judged=2 * time_s))
    times_s, read = curve.finish(duration or 3.0)
    assert len(times_s) == min(round((duration or 3.0) / STEP_S), MOST_POINTS) + 1
    assert times_s[-1] == pytest.approx(duration or 3.0)
    for moment_s, point in zip(times_s, read, strict=True):
        inside = seen_s[np.abs(seen_s - moment_s) <= WINDOW_S / 2 + 1e-6]
        if not len(inside):
            assert np.isnan(point).all()
            continue
        np.testing.assert_allclose(point[:2], [inside.mean(), 2 * inside.mean()])


def test_a_face_whose_pixels_were_not_looked_at_is_read_without_them():
    curve = EmotionCurve(Echo(), 0.0, 0.0)
    curve.add(0.0, frame(0.25))
    _, read = curve.finish(0.1)
    assert read[0, 0] == 0.25
    assert np.isnan(read[0, 1])
