from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from c2pa import Reader
from certificates import make_identity
from hypothesis import given
from hypothesis import strategies as st

import sample_clips
from cdrl_cli.editing import (
    EditOptions,
    _average_reading,
    _doubt,
    _mark,
    _range_weight,
    _same_file,
    edit_video,
)
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import NoFaceError, UsageError
from cdrl_cli.face.tracking import RAMP_S
from cdrl_cli.media.credentials import SigningIdentity
from cdrl_cli.reference import read_reference

SECONDS = st.fractions(0, 60, max_denominator=1000)


def test_an_emotion_by_label_or_by_reference():
    assert EditOptions(emotion="happy").reference is None
    assert EditOptions(reference=Path("joy.mp4")).emotion is None


def test_words_cannot_be_followed():
    with pytest.raises(UsageError, match="follow"):
        EditOptions(emotion="happy", follow_reference=True)


def test_neither_or_both_are_refused():
    with pytest.raises(UsageError, match="either"):
        EditOptions()
    with pytest.raises(UsageError, match="either"):
        EditOptions(emotion="happy", reference=Path("joy.mp4"))


@pytest.mark.parametrize(
    ("word", "label"),
    [("happy", "happy"), ("Anger", "angry"), (" joy ", "happy"), ("surprise", "surprised")],
)
def test_common_words_for_an_emotion_become_its_label(word, label):
    assert EditOptions(emotion=word).emotion == label


def test_other_words_for_an_emotion_stay_as_they_are():
    assert EditOptions(emotion="  quietly\n furious ").emotion == "quietly furious"


@pytest.mark.parametrize("word", ["", " \t"])
def test_an_empty_emotion_is_refused_and_the_labels_named(word):
    with pytest.raises(UsageError, match="empty") as caught:
        EditOptions(emotion=word)
    assert "surprised" in caught.value.hint


@pytest.mark.parametrize("intensity", [-0.1, 2.01, float("nan"), float("inf")])
def test_an_intensity_out_of_range_is_refused(intensity):
    with pytest.raises(UsageError, match="intensity"):
        EditOptions(emotion="happy", intensity=intensity)


@pytest.mark.parametrize("intensity", [0.0, 1.0, 2.0])
def test_the_ends_of_the_range_are_in_it(intensity):
    assert EditOptions(emotion="happy", intensity=intensity).intensity == intensity


@given(SECONDS, SECONDS)
def test_the_start_is_before_the_end(start, end):
    if start < end:
        assert EditOptions(emotion="happy", start=start, end=end).start == start
    else:
        with pytest.raises(UsageError, match="not before"):
            EditOptions(emotion="happy", start=start, end=end)


@given(st.floats(-5, 100))
def test_without_a_range_the_edit_is_there_throughout(time_s):
    assert _range_weight(time_s, EditOptions(emotion="happy")) == 1.0


@given(SECONDS, st.floats(-1, 61), st.floats(0, 1))
def test_the_edit_is_ramped_in_after_the_start(start, time_s, later_s):
    options = EditOptions(emotion="happy", start=start)
    now, later = (_range_weight(t, options) for t in (time_s, time_s + later_s))
    assert 0 <= now <= later <= 1
    if time_s <= start:
        assert now == 0
    if time_s >= start + RAMP_S + 1e-6:
        assert now == 1
    assert later - now <= later_s / RAMP_S + 1e-9


@given(SECONDS, st.floats(-1, 61))
def test_out_is_the_mirror_image_of_in(end, before_s):
    out = _range_weight(float(end) - before_s, EditOptions(emotion="happy", end=end))
    into = _range_weight(before_s, EditOptions(emotion="happy", start=Fraction(0)))
    assert out == pytest.approx(into, abs=1e-6)


def test_a_range_too_short_for_its_ramps_stays_below_full():
    options = EditOptions(emotion="happy", start=Fraction(1), end=Fraction(11, 10))
    assert _range_weight(1.05, options) == pytest.approx(0.25)


def test_the_mark_says_what_was_done_and_not_with_whom():
    mark = _mark(EditOptions(reference=Path("secret/jane.mp4"), intensity=0.5))
    assert mark.startswith("AI-edited")
    assert "0.5" in mark
    assert "jane" not in mark
    assert "sad" in _mark(EditOptions(emotion="sad"))


def test_a_file_is_itself_by_every_name(tmp_path):
    (tmp_path / "a").touch()
    (tmp_path / "b").touch()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert _same_file(tmp_path / "a", tmp_path / "link")
    assert not _same_file(tmp_path / "a", tmp_path / "b")
    assert not _same_file(tmp_path / "a", tmp_path / "none")


@pytest.mark.weights
def test_what_is_read_from_a_reference_adds_up(models, clips):
    reading = _average_reading(read_reference(clips / "WolfgangLanger_Pexels.mp4", models))
    assert list(reading) == list(Emotion)
    assert sum(reading.values()) == pytest.approx(1)


def test_a_reference_that_reads_as_neutral_is_doubted():
    calm = dict.fromkeys(Emotion, 0.05) | {Emotion.NEUTRAL: 0.7}
    glad = dict.fromkeys(Emotion, 0.05) | {Emotion.HAPPY: 0.7}
    (line,) = _doubt(EditOptions(reference=Path("calm.mp4")), calm)
    assert line.startswith("calm.mp4: reads as neutral (70%)")
    assert not list(_doubt(EditOptions(reference=Path("glad.mp4")), glad))
    assert not list(_doubt(EditOptions(emotion="neutral"), calm))


def test_an_edit_comes_out_the_same_each_time(models, clips, tmp_path):
    source = tmp_path / "talk.mp4"
    sample_clips.cut_clip(clips / "single_face.mp4", source, start=Fraction(0), end=Fraction(2, 5))
    outputs = [tmp_path / name for name in ("first.mkv", "second.mkv")]
    for output in outputs:
        # Without loss: x264 itself does not compress the same frames the same way each time.
        edit_video(source, output, EditOptions(emotion="happy", codec="ffv1"), models=models)
    first, second = map(_planes, outputs)
    assert len(first) == 12
    np.testing.assert_array_equal(first, second)


@pytest.mark.weights
def test_a_start_after_the_end_of_the_clip_is_named(models, clips, tmp_path):
    clip = tmp_path / "a.mp4"
    sample_clips.cut_clip(clips / "single_face.mp4", clip, start=Fraction(0), end=Fraction(1, 3))
    options = EditOptions(emotion="sad", start=Fraction(100))
    with pytest.raises(NoFaceError, match=r"last frame is at 0\.3 s, .* to start at 100 s"):
        edit_video(clip, tmp_path / "out.mp4", options, models=models)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.weights
def test_an_edit_is_signed_by_whoever_says_so(models, clips, tmp_path):
    source, output = tmp_path / "talk.mp4", tmp_path / "out.mp4"
    sample_clips.cut_clip(clips / "single_face.mp4", source, start=Fraction(0), end=Fraction(1, 5))
    options = EditOptions(emotion="happy", signing=make_identity(tmp_path / "me"))
    edit_video(source, output, options, models=models)
    edited = str(Reader(output).get_active_manifest()["assertions"])
    assert "compositeWithTrainedAlgorithmicMedia" in edited
    assert _mark(options) in edited


def test_what_cannot_be_signed_is_refused_before_work(models, tmp_path, clips):
    options = EditOptions(emotion="happy", signing=SigningIdentity(Path("a.pem"), Path("b.pem")))
    for name in ("out.mkv", "out.mp4"):
        with pytest.raises(UsageError):
            edit_video(clips / "single_face.mp4", tmp_path / name, options, models=models)
    assert not list(tmp_path.iterdir())


def _planes(path: Path) -> np.ndarray:
    with av.open(path) as container:
        return np.stack([frame.to_ndarray() for frame in container.decode(video=0)])
