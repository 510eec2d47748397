from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrl_cli import target as module
from cdrl_cli.edit_options import EditOptions
from cdrl_cli.editing import read_conditions
from cdrl_cli.planning import plan_edit
from cdrl_cli.target import find_intensity


@given(st.floats(0.05, 0.9), st.floats(0.5, 4))
def test_the_least_intensity_that_reaches_the_target_is_found(target, gain):
    def read(intensity):
        return float(np.tanh(gain * intensity))

    intensity, reached = find_intensity(read, target)
    assert reached == read(intensity)
    if read(2.0) < target:
        assert intensity == 2.0
    else:
        assert reached >= target
        assert read(intensity - 0.0626) < target or intensity == 0


def test_where_none_reaches_it_the_best_is_taken():
    readings = {0.0: 0.1, 0.5: 0.2, 1.0: 0.4, 1.5: 0.3, 2.0: 0.2}
    assert find_intensity(readings.__getitem__, 0.9) == (1.0, 0.4)


def test_what_is_there_already_needs_no_edit():
    assert find_intensity(lambda _: 0.8, 0.5) == (0.0, pytest.approx(0.8))


@pytest.mark.parametrize("read_through_s", [20, 0])
def test_samples_lie_all_over_what_is_edited(models, clips, monkeypatch, read_through_s):
    monkeypatch.setattr(module, "SAMPLES", 3)
    monkeypatch.setattr(module, "READ_THROUGH_S", read_through_s)
    options = EditOptions(emotion="sad", target_emotion=0.7, start=Fraction(1, 2))
    (track,) = read_conditions(options, models)
    (row,) = options.plan.rows
    source = clips / "single_face.mp4"
    samples = list(module._Measure(source, options, models, row, track, {}).samples())
    times = [float(one.tracked.frame.time) for one in samples]
    assert len(times) == 3
    assert 0.5 < times[0] < 1.0
    assert 1.7 < times[2] < 2.4


def test_a_plan_says_the_intensity_that_an_edit_would_choose(models, short, tmp_path):
    options = EditOptions(emotion="happy", target_emotion=0.2)
    plan = plan_edit(short, tmp_path / "out.mp4", options, models=models)
    (found,) = plan.targets
    assert found.emotion == "happy"
    assert found.reached >= found.target == 0.2
