from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrl_cli import target as module
from cdrl_cli.conditions import read_conditions
from cdrl_cli.edit_options import EditOptions
from cdrl_cli.edited_row import EditedRow
from cdrl_cli.emotion import Emotion
from cdrl_cli.planning import plan_edit
from cdrl_cli.preview import preview_edits
from cdrl_cli.report.asked import say_asked, settle
from cdrl_cli.schedule import Schedule, ScheduleRow
from cdrl_cli.target import Measured, _first_reaching, find_intensity, warn_of_targets


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


@pytest.mark.parametrize(
    ("target", "intensity"), [(0.1, 0.0), (0.2, 0.0), (0.3, 0.25), (0.5, 1.0), (0.9, 1.0)]
)
def test_half_of_the_samples_is_read_between_what_was_tried(target, intensity):
    readings = [(0.0, 0.2), (0.5, 0.4), (1.0, 0.5)]
    assert _first_reaching(readings, target) == pytest.approx(intensity)


def test_mixed_moods_and_targets_out_of_reach_are_said():
    found = Measured(Emotion.SAD, 0.5, 0.52, 1.0, (0.9, 1.1))
    assert list(found.warnings) == []
    (line,) = replace(found, intensity_range=(0.69, 1.8125)).warnings
    assert "moods are mixed" in line
    assert "0.69 and 1.8" in line
    (line,) = replace(found, intensity=0.0, intensity_range=(0.0, 0.0)).warnings
    assert line == "sad is read with 52% as it is: nothing is changed"
    (line,) = replace(found, reached=0.4).warnings
    assert "read with 40% at most" in line


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


def test_plan_and_preview_show_the_intensity_that_an_edit_would_choose(models, short, tmp_path):
    options = EditOptions(emotion="happy", target_emotion=0.2)
    plan = plan_edit(short, tmp_path / "out.mp4", options, models=models)
    (found,) = plan.targets
    assert found.emotion == "happy"
    assert found.reached >= found.target == 0.2
    low, high = found.intensity_range
    assert 0 <= low <= high <= 2
    said = EditOptions(emotion="happy", intensity=found.intensity)
    (moment,) = preview_edits(short, [options, said], models, times=[Fraction(1, 5)])
    np.testing.assert_array_equal(*(one.rgb() for one in moment.edited))


def test_a_report_says_what_was_found_for_a_target(models):
    options = EditOptions(emotion="happy", target_emotion=0.7)
    done = EditedRow(
        *(None, None, "largest", "happy", 0.5625, {}, 1.0, 9),
        target_emotion=0.7,
        measured=0.71,
    )
    asked, found = settle(Path("talk.mp4"), options, models, [done])
    assert (asked.intensity, asked.target_emotion) == (0.5625, None)
    words = "happy, at intensity 0.5625, found for 70% by measurement, which read 71%"
    assert words in say_asked(asked, found)


def test_a_report_says_the_way_and_a_pace_that_was_asked_for():
    said = say_asked(EditOptions(emotion="joy", way=2, pace=0.5))
    assert "happy, way 2, at intensity 1, pace 0.5<" in said
    assert "pace" not in say_asked(EditOptions(emotion="joy"))


def test_a_target_out_of_reach_is_said_of_its_row():
    found = Measured(Emotion.HAPPY, 0.9, 0.5, 2.0, (2.0, 2.0))
    rows = ScheduleRow("happy", end=Fraction(1)), ScheduleRow("sad", start=Fraction(1), line=3)
    (line,) = warn_of_targets(Schedule(rows), (None, found))
    assert line.startswith("row 2 (line 3): happy is read with 50% at most")
    (line,) = warn_of_targets(Schedule(rows[:1]), (found,))
    assert line.startswith("happy is read with")
