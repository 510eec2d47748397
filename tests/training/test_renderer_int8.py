import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from cdrl_cli.generator.unet import CHANNELS, CONDITION, RendererNet, UNetConfig
from cdrl_cli.training.calibration import ByteRange, measure_ranges
from cdrl_cli.training.renderer_int8 import write_int8


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    made = RendererNet(UNetConfig(widths=(16, 24, 32))).eval()
    nn.init.normal_(made.last.weight, std=0.05)
    nn.init.normal_(made.drawings.cells)
    for name, one in made.named_parameters():
        if ".norm." in name:
            nn.init.normal_(one, std=0.5)
    return made


def questions(count):
    rng = np.random.default_rng(0)
    for _ in range(count):
        coarse = torch.from_numpy(rng.normal(size=(1, CHANNELS, 8, 8)).astype(np.float32))
        picture = nn.functional.interpolate(coarse, size=128, mode="bicubic").numpy()
        picture[:, 5] = picture[:, 5].clip(0, 1)
        yield {"picture": picture, "condition": rng.random((1, CONDITION)).astype(np.float32) / 3}


def test_the_network_in_int8_answers_as_the_float_network_does(network, tmp_path):
    asked = list(questions(2))
    write_int8(tmp_path / "twin.onnx", network, measure_ranges(network, asked), facts={"a": "b"})
    session = onnxruntime.InferenceSession(tmp_path / "twin.onnx")
    assert session.get_modelmeta().custom_metadata_map == {"a": "b"}
    for one in asked:
        with torch.no_grad():
            exact = network.at_half(*(torch.from_numpy(values) for values in one.values()))
        for quick, wanted in zip(session.run(None, one), exact, strict=True):
            assert quick.shape == wanted.shape
            off = np.abs(quick - wanted.numpy())
            assert off.mean() < 0.1 * np.abs(wanted.numpy()).mean()


def test_where_nothing_is_asked_the_network_in_int8_changes_nothing(network, tmp_path):
    asked = list(questions(1))
    write_int8(tmp_path / "twin.onnx", network, measure_ranges(network, asked), facts={})
    asked[0]["condition"][:, 52:] = 0
    session = onnxruntime.InferenceSession(tmp_path / "twin.onnx")
    assert not any(values.any() for values in session.run(None, asked[0]))


def test_bytes_stand_for_all_numbers_of_a_range_and_for_zero_exactly():
    some = ByteRange.of(-1.5, 7.0)
    scale, zero = float(some.scale), int(some.zero)
    assert -scale * zero == pytest.approx(-1.5, abs=scale / 2)
    assert scale * (255 - zero) == pytest.approx(7.0, abs=scale / 2)
    assert ByteRange.of(2.0, 3.0).zero == 0
