"""The recogniser's layers, rebuilt from a file of the same kind."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from cdrl_cli.errors import WeightsError
from cdrl_cli.training.teachers import recognition
from cdrl_cli.training.teachers.recognition import Recogniser
from cdrl_cli.training.tflite import Layer, TfliteNetwork

RNG = np.random.default_rng(0)
KERNEL = RNG.normal(size=(4, 3, 3, 3)).astype(np.float32)
DEEP = RNG.normal(size=(1, 3, 3, 4)).astype(np.float32)
BIAS, SLOPE = (RNG.normal(size=4).astype(np.float32) for _ in range(2))
SAME, VALID = (SimpleNamespace(strideW=step, padding=kind) for step, kind in ((2, 0), (1, 1)))


def network(*more):
    """A convolution, a slope in pieces, a convolution by channel, the sum of both."""
    layers = (
        Layer("CONV_2D", (0, 10, 11), 1, SAME),
        Layer("RELU", (1,), 2, None),
        Layer("ABS", (1,), 3, None),
        Layer("SUB", (1, 3), 4, None),
        Layer("MUL", (12, 4), 5, None),
        Layer("ADD", (2, 5), 6, None),
        Layer("DEPTHWISE_CONV_2D", (6, 13, 11), 7, SimpleNamespace(strideW=1, padding=0)),
        Layer("ADD", (6, 7), 8, None),
        Layer("RESHAPE", (8,), 9, None),
        *more,
    )
    return TfliteNetwork(layers, {10: KERNEL, 11: BIAS, 12: SLOPE, 13: DEEP}, (), 0, (9,))


@pytest.fixture
def recogniser(tmp_path, monkeypatch):
    def build(*more):
        file = tmp_path / "net.tflite"
        file.write_bytes(b"")
        monkeypatch.setattr(recognition, "read_tflite", lambda _: network(*more))
        return Recogniser(file)

    return build


def test_it_answers_as_the_layers_say_and_has_a_slope(recogniser):
    face = torch.rand(1, 3, 7, 7, requires_grad=True)
    (answer,) = recogniser().embed(face)
    # TensorFlow adds to an odd side of 7 at stride 2 one pixel at either end.
    x = np.pad((255 * face.detach().numpy()[0] - 127.5) / 128, ((0, 0), (1, 1), (1, 1)))
    first = np.array(
        [
            [[(x[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3] * k).sum() for j in range(4)]
             for i in range(4)]
            for k in KERNEL.transpose(0, 3, 1, 2)
        ]
    ) + BIAS[:, None, None]  # fmt: skip
    sloped = np.maximum(first, 0) + SLOPE[:, None, None] * (first - np.abs(first))
    padded = np.pad(sloped, ((0, 0), (1, 1), (1, 1)))
    second = np.array(
        [
            [[(padded[c, i : i + 3, j : j + 3] * DEEP[0, :, :, c]).sum() for j in range(4)]
             for i in range(4)]
            for c in range(4)
        ]
    ) + BIAS[:, None, None]  # fmt: skip
    expected = (sloped + second).ravel()
    np.testing.assert_allclose(
        answer.detach(), expected / np.linalg.norm(expected), atol=1e-5, rtol=0
    )
    answer.sum().backward()
    assert face.grad.abs().sum() > 0


def test_its_first_sums_are_unit_vectors_at_each_place(recogniser):
    (seen,) = recogniser().look(torch.rand(2, 3, 8, 8), features=1)
    assert seen.shape == (2, 4, 4, 4)
    torch.testing.assert_close(seen.square().sum(dim=1), torch.ones(2, 4, 4))


def test_another_network_is_refused(recogniser):
    with pytest.raises(WeightsError, match="SOFTMAX is none of its layers"):
        recogniser(Layer("SOFTMAX", (9,), 14, None))


def test_a_missing_file_is_said_in_one_line(tmp_path):
    with pytest.raises(WeightsError, match="no network of recognition"):
        Recogniser(tmp_path / "none.tflite")
