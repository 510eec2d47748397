"""LSE: its sound features against python_speech_features, and known shifts."""

import numpy as np
import pytest
import torch

from cdrl_cli.evaluation.syncnet import SyncNet, compare, mel_cepstra


def test_cepstra_are_those_of_python_speech_features():
    """The numbers are of its release 0.6: mfcc(sound, 16000)[9]."""
    time = np.arange(3200)
    low, high = (np.sin(2 * np.pi * hertz * time / 16000) for hertz in (300, 1900))
    cepstra = mel_cepstra(np.round(8000 * low + 2000 * high))
    assert cepstra.shape == (19, 13)
    expected = [19.514, 9.9415, -10.2109, 18.0437, 21.5335, -33.1895, -51.3231, -8.9364, -2.7608]
    np.testing.assert_allclose(cepstra[9, :9], expected, atol=1e-4)


@pytest.mark.parametrize("shift", [0, 4])
def test_a_shift_of_the_sound_is_found_and_costs_nothing(shift):
    seen = torch.randn(60, 32, generator=torch.Generator().manual_seed(0))
    heard = compare(seen, seen.roll(shift, dims=0))
    other = compare(seen, torch.randn(60, 32, generator=torch.Generator().manual_seed(1)))
    assert heard.distance < 0.2 * other.distance
    assert heard.confidence > 5
    assert other.confidence < 1


def test_the_towers_take_what_they_were_trained_on():
    network = SyncNet().eval()
    with torch.inference_mode():
        assert network.see(torch.rand(1, 3, 5, 224, 224)).shape == (1, 1024)
        assert network.hear(torch.rand(1, 13, 20)).shape == (1, 1024)
    # The names of syncnet_v2.model.
    names = network.state_dict()
    assert names["netcnnlip.0.weight"].shape == (96, 3, 5, 7, 7)
    assert names["netcnnaud.18.weight"].shape == (512, 256, 5, 4)
    assert names["netfclip.3.weight"].shape == (1024, 512)
