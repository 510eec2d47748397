import math
from fractions import Fraction

import numpy as np
import pytest
from clips import Audio, Clip, make_clip

from cdrl_cli.errors import UnreadableInputError
from cdrl_cli.media.audio import SAMPLE_RATE_HZ, read_sound


def test_sound_is_one_channel_on_the_video_s_clock(tmp_path):
    clip = Clip(audio=(Audio(pitch_hz=440, start=Fraction(1, 5)),))
    sound = read_sound(make_clip(tmp_path / "a.mkv", clip))
    assert sound.start_s == pytest.approx(0.2, abs=0.06)
    assert len(sound.samples) / SAMPLE_RATE_HZ == pytest.approx(0.8, abs=0.1)
    spectrum = np.abs(np.fft.rfft(sound.samples[2000:10000]))
    assert int(spectrum.argmax()) * SAMPLE_RATE_HZ / 8000 == pytest.approx(440, abs=3)
    assert math.isclose(float(np.abs(sound.samples).max()), 0.3, abs_tol=0.1)


def test_a_transport_stream_s_sound_counts_from_its_first_moment(tmp_path):
    sound = read_sound(make_clip(tmp_path / "a.ts", Clip(audio=(Audio(codec="mp2"),))))
    assert abs(sound.start_s) < 0.1


def test_no_sound_and_no_samples_are_errors(tmp_path):
    with pytest.raises(UnreadableInputError, match="no audio stream"):
        read_sound(make_clip(tmp_path / "a.mp4", Clip(audio=())))
    whole = make_clip(tmp_path / "b.mkv", Clip(audio=(Audio(codec="flac"),), frames=5))
    data = bytearray(whole.read_bytes())
    place = data.index(b"A_FLAC")
    data[place : place + 6] = b"A_XLAC"
    whole.write_bytes(data)
    with pytest.raises(UnreadableInputError):
        read_sound(whole)
