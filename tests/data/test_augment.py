import numpy as np
import pytest

from cdrl_cli.data.augment import GAIN_DB, SNR_DB, Noise, add_noise, draw_noises

RATE_HZ = 16_000


@pytest.fixture
def sound(generator):
    return (3000 * generator.normal(size=2 * RATE_HZ)).astype(np.int16)


def power(samples):
    return np.mean(np.square(samples, dtype=np.float64))


@pytest.mark.parametrize("colour", ["white", "pink"])
@pytest.mark.parametrize("snr_db", [8.0, 20.0])
def test_noise_is_as_loud_as_it_says(sound, colour, snr_db):
    samples = sound.astype(np.float32) / 32767
    noise = add_noise(samples, Noise(0.0, snr_db, colour, 1)) - samples
    assert 10 * np.log10(power(samples) / power(noise)) == pytest.approx(snr_db, abs=0.01)


def test_white_noise_is_alike_at_all_frequencies_and_pink_in_all_octaves(sound):
    samples = sound.astype(np.float32) / 32767
    for colour, slope_db in (("white", 3.0), ("pink", 0.0)):
        noise = add_noise(samples, Noise(0.0, 10.0, colour, 1)) - samples
        spectrum = np.abs(np.fft.rfft(noise)) ** 2
        octaves = [spectrum[2**k : 2 ** (k + 1)].sum() for k in range(8, 14)]
        slopes_db = np.diff(10 * np.log10(octaves))
        assert slopes_db.mean() == pytest.approx(slope_db, abs=0.3)


def test_gain_makes_the_whole_recording_louder_and_what_leaves_the_scale_clips(sound):
    samples = sound.astype(np.float32) / 32767
    plain, softer, louder = (
        add_noise(samples, Noise(g, 10.0, "pink", 1)) for g in (0.0, -6.0, 30.0)
    )
    np.testing.assert_allclose(softer, plain * 10 ** (-6 / 20), atol=1e-6)
    assert np.abs(louder).max() == 1


def test_silence_stays_silent():
    silent = np.zeros(RATE_HZ, np.float32)
    assert not add_noise(silent, Noise(6.0, 8.0, "pink", 1)).any()


def test_versions_are_the_same_each_time_and_differ_from_each_other(sound):
    drawn = draw_noises(sound, count=40)
    assert drawn == draw_noises(sound, count=40)
    assert drawn[:3] == draw_noises(sound, count=3)
    assert drawn[:3] != draw_noises(sound[1:], count=3)
    assert len({noise.label for noise in drawn}) == 40
    assert {noise.colour for noise in drawn} == {"white", "pink"}
    assert all(GAIN_DB[0] <= noise.gain_db <= GAIN_DB[1] for noise in drawn)
    assert all(SNR_DB[0] <= noise.snr_db <= SNR_DB[1] for noise in drawn)
