from fractions import Fraction

import numpy as np
import pytest

from cdrl_cli.conditions import read_conditions
from cdrl_cli.edit_options import EditOptions
from cdrl_cli.emotion import Emotion
from cdrl_cli.generator.pace import typical_pace
from cdrl_cli.media import open_video
from cdrl_cli.media.stacked import StackedWriter
from cdrl_cli.report import Untouched
from cdrl_cli.report.reading import _ask, _stretches


def test_frames_left_alone_for_one_reason_are_one_stretch():
    frames = [(0.0, "no face"), (0.1, "no face"), (0.2, None), (0.3, "too small"), (0.4, "no face")]
    assert list(_stretches(frames, 0.5)) == [
        Untouched(0.0, 0.2, "no face"),
        Untouched(0.3, 0.4, "too small"),
        Untouched(0.4, 0.5, "no face"),
    ]


def test_what_is_asked_for_has_the_time_and_the_strength_of_the_options(models):
    options = EditOptions(emotion="sad", intensity=0.5, start=Fraction(1), end=Fraction(3))
    asked = _ask(
        options, read_conditions(options, models), "largest", 0.0, np.array([0.5, 2.0, 3.5])
    )
    assert not asked[[0, 2]].any()
    assert asked[1].argmax() == Emotion.SAD.class_index
    assert asked[1].max() == pytest.approx(0.5 * typical_pace(1.0), rel=0.1)


def test_both_pictures_and_the_sound_are_in_one_small_file(short, tmp_path):
    path = tmp_path / "both.mp4"
    with (
        open_video(short) as video,
        StackedWriter(path, like=video.info, sound_from=short) as writer,
    ):
        frames = list(video)
        dark = [frame.with_patch((0, 0, 640, 360), *_black()) for frame in frames]
        for frame, other in zip(frames, dark, strict=True):
            writer.add(frame, other)
        assert writer.size == (640, 360)
    with open_video(path) as video:
        assert {stream.kind for stream in video.info.streams} == {"video", "audio"}
        written = list(video)
    assert [one.time for one in written] == [one.time for one in frames]
    picture = written[5].rgb()
    assert picture.shape == (720, 640, 3)
    assert picture[360:].max() < 20
    assert np.abs(picture[:360].astype(int) - frames[5].rgb()).mean() < 5


def _black():
    return np.zeros((360, 640, 3), np.uint8), np.ones((360, 640), np.float32)
