"""The network of generic features, by its architecture and, where it is there, by its weights."""

import numpy as np
import pytest
import torch

from cdrl_cli.checkpoints.load import find_weights
from cdrl_cli.errors import WeightsError
from cdrl_cli.evaluation.perceptual import Perception, PerceptualNetwork, read_network


@pytest.fixture(scope="module")
def untrained():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = PerceptualNetwork()
    return Perception(network.requires_grad_(requires_grad=False).eval())


def pictures(generator, count, side=64):
    return list(generator.integers(0, 256, (count, side, side, 3), np.uint8))


def test_it_is_efficientnet_lite0(untrained):
    classifier = 1000 * (1280 + 1)
    numbers = sum(one.numel() for one in untrained.network.parameters())
    assert numbers + classifier == 4_652_008  # as published
    features, maps = untrained.network(torch.zeros(1, 3, 224, 224))
    assert features.shape == (1, 1280)
    assert [tuple(one.shape[1:]) for one in maps] == [(24, 56, 56), (40, 28, 28), (112, 14, 14)]


def test_a_picture_does_not_depend_on_its_batch(untrained, generator):
    many = pictures(generator, 20)
    together = untrained.features(many)
    assert together.shape == (20, 1280)
    np.testing.assert_allclose(together[17:18], untrained.features(many[17:18]), atol=1e-4)
    assert untrained.features([]).shape == (0, 1280)


def test_distance_is_of_what_counts(untrained, generator):
    one, other = pictures(generator, 2)
    everything = np.ones((64, 64))
    assert untrained.distance(one, one, everything) == pytest.approx(0, abs=1e-6)
    assert untrained.distance(one, other, everything) > 0
    half = np.where(np.arange(64) < 32, 1.0, 0.0)[None].repeat(64, axis=0)
    changed = one.copy()
    changed[:, 60:] = other[:, 60:]
    assert untrained.distance(one, changed, half) < untrained.distance(one, changed, 1 - half)


@pytest.mark.weights
def test_published_weights_fit(generator):
    try:
        path = find_weights("perceptual")
    except WeightsError:
        pytest.skip("spfem download-weights perceptual")
    found = Perception(read_network(path)).features(pictures(generator, 2))
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert found.max() > 0.1
