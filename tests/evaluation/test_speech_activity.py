"""When a clip speaks and is silent, and how loud it is."""

import wave

import numpy as np
import pytest

from cdrl_cli.evaluation.speech_activity import (
    SpeechActivity,
    hear_speech,
    measure_volume,
)

RATE_HZ = 16_000


@pytest.fixture
def heard():
    """Speech from .5 to 1 and from 1.2 to 2 seconds."""
    return SpeechActivity(((0.5, 1.0), (1.2, 2.0)), 0.1, np.arange(50, dtype=np.float32))


def test_short_pauses_are_neither_speech_nor_silence(heard):
    time_s = np.array([0.0, 0.4, 0.6, 1.1, 1.5, 2.1, 2.5])
    assert heard.spoken(time_s).tolist() == [False, False, True, False, True, False, False]
    assert heard.silent(time_s).tolist() == [True, True, False, False, False, True, True]


def test_loudness_is_read_at_the_time_of_the_frame(heard):
    # The first window lies at .1 s, each further one .05 s later.
    assert heard.loudness(np.array([0.1, 0.125, 0.2])) == pytest.approx([0, 0.5, 2])


def test_volume_is_the_root_mean_square_around_each_moment():
    samples = np.concatenate([np.zeros(8000), np.full(8000, 0.5)]).astype(np.float32)
    volume = measure_volume(samples)
    assert len(volume) == 21
    assert volume[:10] == pytest.approx(0)
    assert volume[10] == pytest.approx(0.5 / np.sqrt(2))  # half of its window
    assert volume[11:20] == pytest.approx(0.5)


def test_what_is_silent_has_no_speech_and_what_has_no_sound_is_not_heard(tmp_path):
    pytest.importorskip("faster_whisper")
    with wave.open(str(tmp_path / "silent.wav"), "wb") as file:
        file.setparams((1, 2, RATE_HZ, 0, "NONE", "not compressed"))
        file.writeframes(bytes(2 * RATE_HZ))
    heard = hear_speech(tmp_path / "silent.wav")
    assert heard is not None
    assert heard.spoken_s == ()
    assert heard.silent(np.array([0.0, 0.5, 0.9])).all()
    assert hear_speech(tmp_path / "nothing.wav") is None
