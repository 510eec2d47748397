import numpy as np
import pytest
import torch
from conftest import require_weights

from cdrl_cli.emotion import Emotion
from cdrl_cli.reference import Reference, read_track
from cdrl_cli.representation.expression_nets import LOOKS

pytestmark = pytest.mark.weights


@pytest.fixture(scope="module")
def laughing(models, clips):
    """Close-ups of a woman who laughs."""
    return read_track(Reference(clips / "joy.mp4"), models).close_ups


def test_both_nets_see_laughter(models, laughing):
    likely = np.exp(models.nets(laughing))
    assert (likely.argmax(axis=1) == Emotion.HAPPY.class_index).all()


def test_each_answer_is_one_distribution(models, laughing):
    (one,) = np.exp(models.nets(laughing[:1]))[None]
    np.testing.assert_allclose(one.sum(axis=1), 1, atol=1e-3)


def test_a_clip_is_the_mean_of_its_frames_in_any_order(models, laughing):
    few = laughing[:5]
    whole = models.nets(few)
    np.testing.assert_allclose(models.nets(few[::-1]), whole, atol=1e-3)
    alone = np.mean([models.nets(one[None]) for one in few], axis=0)
    np.testing.assert_allclose(alone, whole, atol=1e-3)


def test_a_long_clip_is_looked_at_in_few_frames(models, laughing):
    """Those that are left out may show anything."""
    spread = np.unique(np.linspace(0, len(laughing) - 1, LOOKS).round().astype(int))
    other = np.zeros_like(laughing)
    other[spread] = laughing[spread]
    assert len(laughing) > LOOKS
    np.testing.assert_allclose(models.nets(other), models.nets(laughing), atol=1e-6)


def test_they_are_the_published_nets(models, laughing):
    """Against the same weights in torch, as the renderer's training builds them."""
    require_weights("guides")
    from cdrl_cli.training.published import BothNets

    both = BothNets.published().eval()
    colour = torch.from_numpy(laughing[:3].transpose(0, 3, 1, 2) / np.float32(255))
    grey = torch.nn.functional.interpolate(
        (colour * torch.tensor([0.299, 0.587, 0.114]).reshape(1, 3, 1, 1)).sum(1, keepdim=True),
        (64, 64),
        mode="area",
    )
    with torch.inference_mode():
        expected = both(colour, grey).mean(dim=0).exp().numpy()
    # The weights are in half precision here, and the grey picture is shrunk in another way.
    np.testing.assert_allclose(np.exp(models.nets(laughing[:3])), expected, atol=0.05)
