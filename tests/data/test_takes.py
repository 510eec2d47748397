import numpy as np
import pytest

from cdrl_cli.data.augment import Noise
from cdrl_cli.data.prepared import PreparedClip
from cdrl_cli.data.takes import Windows, time_grid
from cdrl_cli.face.blendshapes import MOUTH_COEFFICIENTS
from cdrl_cli.preparation import read_takes
from cdrl_cli.representation.audio_prior import LogMelPrior
from talkers import make_clip


def prepared(time_s, *, sound_s=3.0, sound_start_s=0.0):
    count = len(time_s)
    sound = np.zeros(int(16000 * sound_s), np.int16)
    if len(sound):
        sound[int((1.0 - sound_start_s) * 16000)] = 30000  # a click at 1 s of the video's clock
    return PreparedClip(
        clip=make_clip(),
        time_s=np.asarray(time_s, np.float64),
        landmarks_xyz=np.zeros((count, 478, 3), np.float32),
        expression=np.asarray(time_s, np.float32)[:, None].repeat(52, axis=1),
        face=np.zeros((count, 112, 112, 3), np.uint8),
        mouth=np.arange(count, dtype=np.uint8)[:, None, None] * np.ones((1, 64, 64), np.uint8),
        sound=sound,
        sound_start_s=sound_start_s,
    )


def read(tmp_path, *clips):
    return list(read_takes(clips, LogMelPrior(), tmp_path))


@pytest.mark.parametrize("rate_hz", [23.976, 25, 30000 / 1001, 60])
@pytest.mark.parametrize("start_s", [0.0, 0.02, 1.0])
def test_the_grid_is_the_multiples_of_40_ms_within(rate_hz, start_s):
    time_s = start_s + np.arange(90) / rate_hz
    grid_s = time_grid(time_s)
    assert all(moment == round(moment * 25) / 25 for moment in grid_s)
    assert time_s[0] - 1e-6 <= grid_s[0] < time_s[0] + 0.04
    assert time_s[-1] - 0.04 < grid_s[-1] <= time_s[-1] + 1e-6


def test_at_25_frames_a_second_the_grid_is_the_frames(tmp_path):
    (take,) = read(tmp_path, prepared(np.arange(50) / 25))
    assert take.crops[:, 0, 0].tolist() == list(range(50))


def test_coefficients_are_interpolated_and_pictures_the_nearest(tmp_path):
    (take,) = read(tmp_path, prepared(np.arange(60) * 1001 / 30000))
    assert take.coefficients.shape[1] == len(MOUTH_COEFFICIENTS)
    np.testing.assert_allclose(take.coefficients[:, 0], take.time_s, atol=1e-6)
    np.testing.assert_array_equal(take.crops[:, 0, 0], np.round(take.time_s * 30000 / 1001))


@pytest.mark.parametrize("start_s", [0.0, 0.3, -0.2])
def test_sound_is_heard_on_the_clock_of_the_video(tmp_path, start_s):
    (take,) = read(tmp_path, prepared(np.arange(50) / 25, sound_start_s=start_s))
    assert take.time_s[take.speech.mean(axis=1).argmax()] == pytest.approx(1.0)


def test_no_window_spans_a_gap(tmp_path):
    time_s = np.concatenate([np.arange(20), np.arange(40, 60)]) / 25
    (take,) = read(tmp_path, prepared(time_s))
    starts = take.starts(10)
    assert set(starts) == {*range(11), *range(40, 51)} | set(starts[(starts > 10) & (starts < 40)])
    assert all(take.seen[start : start + 10].all() for start in starts)
    assert not take.seen[25:35].any()


def test_silent_clips_have_no_speech_and_stills_are_no_takes(tmp_path):
    mute, still = prepared(np.arange(50) / 25, sound_s=0), prepared([0.0])
    (take,) = read(tmp_path, mute, still)
    assert not take.has_speech
    assert take.speech.shape == (50, 0)


class Deaf(LogMelPrior):
    def listen(self, samples):  # noqa: ARG002
        raise AssertionError


def test_what_was_heard_once_is_kept(tmp_path):
    clip = prepared(np.arange(50) / 25)
    (first,) = read(tmp_path, clip)
    (again,) = read_takes([clip], Deaf(), tmp_path)
    np.testing.assert_array_equal(first.speech, again.speech)


def test_noisy_sound_is_heard_beside_the_clean_and_kept(tmp_path):
    clip = prepared(np.arange(50) / 25)
    loud = Noise(-6.0, 10.0, "white", 1), Noise(0.0, 20.0, "pink", 2)
    (plain,) = read(tmp_path / "plain", clip)
    (take,) = read_takes([clip], LogMelPrior(), tmp_path, noises=lambda _: loud)
    (again,) = read_takes([clip], Deaf(), tmp_path, noises=lambda _: loud)
    np.testing.assert_array_equal(take.speech, plain.speech)
    assert not plain.noisy
    assert [version.speech.shape for version in take.versions] == [take.speech.shape] * 3
    for noisy, kept in zip(take.noisy, again.noisy, strict=True):
        assert np.abs(noisy - take.speech).max() > 0.1
        np.testing.assert_array_equal(noisy, kept)
    assert np.abs(take.noisy[0] - take.noisy[1]).max() > 0.1


def test_silent_clips_have_no_noisy_speech_either(tmp_path):
    mute = prepared(np.arange(50) / 25, sound_s=0)
    noise = Noise(0.0, 10.0, "pink", 1)
    (take,) = read_takes([mute], LogMelPrior(), tmp_path, noises=lambda _: [noise])
    assert not any(version.has_speech for version in take.versions)


def test_spread_windows_reach_both_ends(tmp_path):
    (take,) = read(tmp_path, prepared(np.arange(50) / 25))
    windows = Windows.spread(take, 25, 10)
    assert windows.crops.shape == (10, 25, 32, 32)
    assert windows.crops[0, 0].unique() == -1
    assert windows.coefficients[-1, -1, 0].item() == pytest.approx(49 / 25)


def test_late_sound_is_moved_back(tmp_path):
    clip = prepared(np.arange(50) / 25)
    (take,) = read_takes([clip], LogMelPrior(), tmp_path, sound_late_s={"a": 0.2})
    assert take.time_s[take.speech.mean(axis=1).argmax()] == pytest.approx(0.8)
