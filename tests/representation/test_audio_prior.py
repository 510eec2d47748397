import numpy as np
import pytest

from cdrl_cli.representation.audio_prior import (
    SAMPLE_RATE_HZ,
    LogMelPrior,
    SpeechPrior,
    features_at,
    log_mel,
    mel_bank,
)


def tone(frequency_hz, seconds=1.0):
    time_s = np.arange(int(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return (0.5 * np.sin(2 * np.pi * frequency_hz * time_s)).astype(np.float32)


def test_the_plain_prior_is_a_prior():
    prior = LogMelPrior()
    assert isinstance(prior, SpeechPrior)
    assert prior.listen(tone(440)).shape == (prior.rate_hz, 80)


@pytest.mark.parametrize("frequency_hz", [150, 440, 1000, 3000, 7000])
def test_a_tone_sounds_in_its_band(frequency_hz):
    loudest = log_mel(tone(frequency_hz))[10:-10].mean(axis=0).argmax()
    bins_hz = np.linspace(0, SAMPLE_RATE_HZ / 2, mel_bank().shape[1])
    reach = bins_hz[mel_bank()[loudest] > 0]
    assert reach.min() - 40 <= frequency_hz <= reach.max() + 40


def test_loudness_shifts_nothing_but_the_level():
    quiet, loud = log_mel(0.1 * tone(440)), log_mel(tone(440))
    np.testing.assert_allclose(loud - quiet, 2 / 4, atol=1e-4)


def test_a_click_is_heard_when_it_happens():
    samples = np.zeros(SAMPLE_RATE_HZ, np.float32)
    samples[8000] = 1
    assert log_mel(samples).mean(axis=1).argmax() == 50


def test_agrees_with_whisper():
    reference = pytest.importorskip("faster_whisper.feature_extractor")
    samples = np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE_HZ).astype(np.float32)
    expected = reference.FeatureExtractor(feature_size=80)(samples, padding=0).T
    np.testing.assert_allclose(log_mel(samples), expected, atol=1e-5)


def test_times_between_features_are_blended():
    ramp = np.arange(100, dtype=np.float32)[:, None]
    time_s = np.array([0.5, 0.505, 0.73])
    found = features_at(ramp, 100, time_s, duration_s=0.01)
    np.testing.assert_allclose(found[:, 0], time_s * 100, rtol=1e-6)


def test_an_interval_holds_its_features_around_its_middle():
    ramp = np.arange(100, dtype=np.float32)[:, None]
    found = features_at(ramp, 100, np.array([0.5]), duration_s=0.04)
    np.testing.assert_allclose(found[0], [48.5, 49.5, 50.5, 51.5], rtol=1e-6)


@pytest.mark.parametrize(("time_s", "expected"), [(-3.0, 0.0), (9.0, 99.0)])
def test_the_ends_go_on(time_s, expected):
    ramp = np.arange(100, dtype=np.float32)[:, None]
    assert features_at(ramp, 100, np.array([time_s]), duration_s=0.02).tolist() == [[expected] * 2]
