import numpy as np
import pytest
import torch

from cdrl_cli.generator.skin import RATIO_SIDE, SEEN_SIZE, WINDOW_SIZE
from cdrl_cli.generator.skin_network import (
    CHANNELS,
    CONDITION,
    MAX_CREASE,
    MAX_GLINT,
    MAX_LIGHT,
    Expectation,
    SkinModel,
    SkinNet,
    SkinNetConfig,
    dull_glints,
)
from cdrl_cli.nn.networks import open_network

SMALL = SkinNetConfig((8, 8, 16))


def network(strength=0.3):
    """Small, with weights that say something."""
    torch.manual_seed(0)
    net = SkinNet(SMALL)
    with torch.no_grad():
        for end in (net.light, net.crease):
            end.weight.normal_(0, strength)
    return net.eval()


def expectation():
    torch.manual_seed(3)
    maps = torch.rand(2, RATIO_SIDE, RATIO_SIDE) - 0.5
    return Expectation(torch.randn(59, 2), maps)


def picture(channels=CHANNELS):
    torch.manual_seed(1)
    seen = torch.rand(1, channels, SEEN_SIZE, SEEN_SIZE) - 0.5
    y, x = torch.meshgrid(*(2 * [torch.linspace(-0.9, 0.9, SEEN_SIZE)]), indexing="ij")
    seen[:, 5] = 0
    seen[:, 5, 24:100, 32:96] = 1
    seen[:, 6], seen[:, 7] = x, y + 0.38
    return seen


def asked(size):
    condition = torch.full((1, CONDITION), 0.2)
    condition[:, 52:] = 0
    condition[:, 60] = size
    return condition


def test_nothing_asked_nothing_shaded():
    with torch.no_grad():
        shade = SkinModel(expectation(), network())(picture(9), asked(0.0))
    assert shade.abs().max() < 1e-5


def test_bright_lines_are_dulled_and_dark_ones_and_broad_light_stay():
    line, broad = torch.zeros(2, 1, 1, WINDOW_SIZE, WINDOW_SIZE)
    line[..., 128:131] = 0.4
    broad[..., 64:192] = 0.3
    assert dull_glints(line).max() < MAX_GLINT + 0.4 * 5 / 8
    assert dull_glints(line)[..., 129].max() < 0.6 * 0.4
    assert torch.allclose(dull_glints(-line), -line, atol=0.12)
    assert dull_glints(-line).min() == pytest.approx(-0.4, abs=1e-6)
    model = SkinModel(expectation(), SkinNet(SMALL).eval(), dulled=True)
    with torch.no_grad():
        expected = model.expectation(picture(9)[:, 6:9], asked(0.5))
        torch.testing.assert_close(model(picture(9), asked(0.5)), dull_glints(expected))
    assert torch.allclose(dull_glints(broad)[..., 80:176], broad[..., 80:176], atol=1e-6)


def test_a_new_network_says_what_is_expected_of_everybody():
    model = SkinModel(expectation(), SkinNet(SMALL).eval())
    with torch.no_grad():
        shade = model(picture(9), asked(0.5))
        expected = model.expectation(picture(9)[:, 6:9], asked(0.5))
    torch.testing.assert_close(shade, expected)
    assert expected.abs().mean() > 0.01


def test_what_is_expected_is_linear_in_what_is_asked():
    with torch.no_grad():
        half, whole = (expectation()(picture(9)[:, 6:9], asked(x)) for x in (0.3, 0.6))
    torch.testing.assert_close(2 * half, whole)


def test_light_has_no_mean_over_the_face_and_both_are_bounded():
    seen = picture()
    with torch.no_grad():
        light, crease = network(strength=20.0)(seen, asked(1.0))
    mask = torch.nn.functional.avg_pool2d(seen[:, 5:6], 2)
    assert abs(float((light * mask).sum() / mask.sum())) < 1e-4
    assert 0 < light.abs().max() <= 2 * MAX_LIGHT
    assert 0 < crease.abs().max() <= MAX_CREASE


@pytest.mark.parametrize("smaller", [0.02, 0.1])
def test_the_gate_opens_with_the_change(smaller):
    with torch.no_grad():
        little, _ = network()(picture(), asked(smaller))
        much, _ = network()(picture(), asked(0.5))
    assert little.abs().mean() < 0.7 * much.abs().mean()


def test_a_small_change_of_what_is_asked_is_a_small_change_of_shade():
    """Steady over time: coefficients tremble by some thousandths from frame to frame."""
    model = SkinModel(expectation(), network())
    with torch.no_grad():
        one, other = (model(picture(9), asked(size)) for size in (0.5, 0.503))
    assert (one - other).abs().max() < 0.03 * one.abs().max() + 1e-3


def test_the_onnx_copy_equals_the_network(tmp_path):
    pytest.importorskip("onnx", reason="of the extra [train]")
    from cdrl_cli.checkpoints.trained import write_skin

    model = SkinModel(expectation(), network()).eval()
    write_skin(tmp_path / "skin.onnx", model, facts={"licence_class": "permissive"})
    (answer,) = open_network(tmp_path / "skin.onnx").run(
        None, {"picture": picture(9).numpy(), "condition": asked(0.5).numpy()}
    )
    with torch.no_grad():
        own = model(picture(9), asked(0.5)).numpy()
    # Its weights are stored in half precision.
    np.testing.assert_allclose(answer, own, atol=5e-3)
    assert list(tmp_path.iterdir()) == [tmp_path / "skin.onnx"]
