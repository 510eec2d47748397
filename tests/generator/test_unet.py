import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from cdrl_cli.emotion import Emotion
from cdrl_cli.generator.unet import (
    CHANNELS,
    CONDITION,
    DRAWN_FLOW_PX,
    DRAWN_SHADE,
    MAX_FLOW_PX,
    MAX_SHADE,
    MAX_TINT,
    Drawings,
    RendererNet,
    UNetConfig,
    convolve_squares,
)
from cdrl_cli.nn.networks import open_network


def network(strength=0.5):
    """Small, with weights that say something."""
    torch.manual_seed(0)
    net = RendererNet(UNetConfig((8, 16)))
    with torch.no_grad():
        net.last.weight.normal_(0, strength)
    return net.eval()


def picture(count=1):
    torch.manual_seed(1)
    seen = torch.rand(count, CHANNELS, 256, 256)
    seen[:, 5] = 0
    seen[:, 5, 64:192, 64:192] = 1
    return seen


def change(size, count=1):
    condition = torch.zeros(count, CONDITION)
    condition[:, :52] = 0.3
    condition[:, 60] = size
    return condition


def test_nothing_asked_nothing_touched():
    with torch.no_grad():
        flow, colour = network()(picture(), change(0.0))
    # The gate's root has a floor so that its slope is finite; a millionth of a pixel is nothing.
    assert flow.abs().max() < 1e-4
    assert colour.abs().max() < 1e-5


def test_a_new_network_is_the_core():
    with torch.no_grad():
        flow, colour = RendererNet(UNetConfig((8, 16)))(picture(), change(0.8))
    assert not flow.any()
    assert not colour.any()


def test_outside_the_mask_nothing_changes_and_inside_it_is_bounded():
    with torch.no_grad():
        flow, colour = network(strength=20.0)(picture(), change(1.0))
    outside = picture()[:, 5] == 0
    assert not flow[:, :, outside[0]].any()
    assert not colour[:, :, outside[0]].any()
    assert 0 < flow.abs().max() <= MAX_FLOW_PX
    assert 0 < colour.abs().max() <= MAX_SHADE + MAX_TINT


@pytest.mark.parametrize("smaller", [0.02, 0.1])
def test_the_gate_opens_with_the_change(smaller):
    with torch.no_grad():
        little, _ = network()(picture(), change(smaller))
        much, _ = network()(picture(), change(0.5))
    assert little.abs().mean() < 0.7 * much.abs().mean()


def test_the_onnx_copy_equals_the_network_at_half_the_side(tmp_path):
    onnx = pytest.importorskip("onnx", reason="of the extra [train]")
    from cdrl_cli.checkpoints.trained import write_renderer

    net, told = network(), change(0.7)
    seen = functional.avg_pool2d(picture(), 2)
    write_renderer(tmp_path / "renderer.onnx", net, facts={"licence_class": "permissive"})
    answers = open_network(tmp_path / "renderer.onnx").run(
        None, {"picture": seen.numpy(), "condition": told.numpy()}
    )
    with torch.no_grad():
        for own, other in zip(net.at_half(seen, told), answers, strict=True):
            np.testing.assert_allclose(other, own.numpy(), atol=1e-4)
    stored = onnx.load(tmp_path / "renderer.onnx")
    assert {one.key: one.value for one in stored.metadata_props}["licence_class"] == "permissive"
    assert list(tmp_path.iterdir()) == [tmp_path / "renderer.onnx"]


def test_squares_are_convolved_as_unshuffled_pixels_are():
    torch.manual_seed(3)
    convolution, values = nn.Conv2d(12, 5, 3, padding=1), torch.rand(2, 3, 8, 12)
    torch.testing.assert_close(
        convolve_squares(convolution, values), convolution(functional.pixel_unshuffle(values, 2))
    )


def test_the_finer_flow_leaves_the_meeting_lips_alone():
    seen = picture()
    x, y = torch.meshgrid(
        torch.linspace(-0.5, 0.5, 256), torch.linspace(0.4, 1.1, 256), indexing="xy"
    )
    seen[0, 5], seen[0, 6], seen[0, 7] = 1, x, y
    with torch.no_grad():
        flow, _ = network()(seen, change(1.0))
    # It is answered at half the side, and the rim's neighbours show through.
    lips = ((x / 0.30) ** 2 + ((y - 0.77) / 0.10) ** 2) < 0.9
    assert not flow[0, :, lips].any()
    assert flow[0, :, y < 0.6].abs().mean() > 0.01


def drawing(strength=5.0):
    torch.manual_seed(2)
    drawings = Drawings().requires_grad_(requires_grad=False)
    drawings.cells.normal_(0, strength)
    return drawings


def on_the_face():
    """Positions over the canonical face, x to the right, y downwards."""
    y, x = torch.meshgrid(torch.linspace(-0.9, 1.6, 256), torch.linspace(-1, 1, 256), indexing="ij")
    return torch.stack([x, y])[None]


def test_drawings_are_symmetric_and_bounded_and_fade_to_the_rim():
    asked = torch.zeros(1, len(Emotion))
    asked[0, 2] = 1.0
    flow, shade = drawing()(on_the_face(), asked)
    # Its mean over the face is taken off, so that the face keeps the light of the neck.
    assert shade.abs().max() <= 1.3 * DRAWN_SHADE
    assert abs(float(shade.mean())) < 0.01 * float(shade.abs().max())
    assert flow.abs().max() <= DRAWN_FLOW_PX
    assert shade.abs().max() > 0.05
    torch.testing.assert_close(shade, shade.flip(3), atol=1e-4, rtol=0)
    mirrored = flow.flip(3) * torch.tensor([-1.0, 1.0]).view(1, 2, 1, 1)
    torch.testing.assert_close(flow, mirrored, atol=1e-3, rtol=0)
    for edge in (shade[..., 0, :], shade[..., -1, :], shade[..., 0], shade[..., -1]):
        assert not edge.any()


def test_no_emotion_draws_nothing():
    flow, shade = drawing()(on_the_face(), torch.zeros(1, len(Emotion)))
    assert not flow.any()
    assert not shade.any()


@pytest.mark.parametrize(
    "where", [(0.345, 0.0), (0.0, 0.77), (0.3, 0.77), (0.0, 0.56), (-0.1, 0.95)],
    ids=["eye", "lips", "corner of the mouth", "upper lip", "under the lip"],
)  # fmt: skip
def test_neither_eyes_nor_mouth_are_shaded(where):
    asked = torch.ones(1, len(Emotion))
    position = torch.tensor(where).view(1, 2, 1, 1).expand(-1, -1, 256, 256)
    _, shade = drawing()(position, asked)
    assert not shade.any()
