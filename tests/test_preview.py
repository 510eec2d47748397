from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cdrl_cli.cli.app import run
from cdrl_cli.contact_sheet import draw_sheet
from cdrl_cli.edit_options import EditOptions
from cdrl_cli.errors import NoFaceError, UsageError
from cdrl_cli.media import probe_video
from cdrl_cli.preview import Moment, _places, check_edited, preview_edits
from pictures import ArrayFrame, noise

F = Fraction
HAPPY = EditOptions(emotion="happy")


def test_moments_are_spread_over_the_part_that_is_edited(short):
    info = replace(probe_video(short), duration=F(60))
    middles = [places[0] for places in _places(info, [HAPPY], (), 3)]
    assert middles == [10, 30, 50]
    part = replace(HAPPY, start=F(30), end=F(50))
    assert [places[0] for places in _places(info, [part], (), 2)] == [35, 45]
    assert _places(info, [HAPPY], [F(9), F(2)], 3) == [[2], [9]]


def test_a_clip_of_unknown_length_wants_times(short):
    info = replace(probe_video(short), duration=None)
    with pytest.raises(UsageError, match="how long"):
        _places(info, [HAPPY], (), 3)


def test_a_moment_beyond_the_end_is_refused(short, models):
    with pytest.raises(UsageError, match=r"no frame at 0:09\.000 or later"):
        list(preview_edits(short, [HAPPY], models, times=[F(9)]))


def test_each_edit_is_shown_beside_the_source(short, models):
    edits = [HAPPY, replace(HAPPY, intensity=0.0)]
    (moment,) = preview_edits(short, edits, models, times=[F(1, 5)])
    assert moment.time == F(1, 5)
    assert moment.untouched == (None, "nothing is asked for")
    source, happy, nothing = (one.rgb().astype(int) for one in (moment.source, *moment.edited))
    np.testing.assert_array_equal(nothing, source)
    left, top, right, bottom = map(round, moment.face_xyxy)
    changed = np.abs(happy - source).max(axis=2) > 8
    assert changed[top:bottom, left:right].sum() > 0.8 * changed.sum() > 500


def test_what_shows_no_edit_is_refused():
    frame = ArrayFrame(noise(64, 96))
    moment = Moment(frame, (frame,), ("no face",), None)
    with pytest.raises(NoFaceError, match=r"no face can be edited at 0:00\.000"):
        check_edited(Path("talk.mp4"), [moment])
    check_edited(Path("talk.mp4"), [replace(moment, untouched=("nothing is asked for",))])


def test_a_sheet_has_a_row_for_each_moment_and_a_column_for_each_edit():
    frame = ArrayFrame(noise(180, 320))
    dark = ArrayFrame(np.zeros((180, 320, 3), np.uint8))
    moment = Moment(frame, (dark, frame), (None, "no face"), (100.0, 60.0, 180.0, 140.0))
    sheet = draw_sheet([moment, moment], ["happy", "sad"], side_px=160)
    assert isinstance(sheet, Image.Image)
    assert sheet.width == pytest.approx(10 + 3 * (128 + 10), abs=3)
    assert sheet.height == 30 + 2 * (160 + 30) + 10
    pixels = np.asarray(sheet)
    assert pixels[30 + 10 : 30 + 150, 10 + 138 + 10 : 10 + 138 + 118].max() == 0
    whole = draw_sheet([moment], ["happy", "sad"], crop="frame", side_px=160)
    assert whole.height == 30 + 90 + 30 + 10
    with pytest.raises(ValueError, match="names go with edits"):
        draw_sheet([moment], ["happy"])


def test_moments_are_named_or_chosen(capsys):
    assert run(["preview", "talk.mp4", "--at", "1", "--moments", "2"]) == 2
    assert "--at names the moments" in capsys.readouterr().err


def test_a_way_without_an_emotion_to_act_is_refused(capsys):
    assert run(["preview", "talk.mp4", "--ref", "joy.mp4", "--way", "1"]) == 2
    assert "only references are shown" in capsys.readouterr().err
