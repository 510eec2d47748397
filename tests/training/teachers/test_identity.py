"""SFace, rebuilt with a slope: from a small chain of the same layers, and from itself."""

import numpy as np
import pytest
import torch

from cdrl_cli.errors import WeightsError
from cdrl_cli.face.identity import align_to_template
from cdrl_cli.nn.networks import open_network
from cdrl_cli.training.teachers.identity import Likeness, template_grids
from networks import write_likeness


def upright_face():
    """Eyes, nose and mouth about where a crop of 256 has them."""
    points = np.full((478, 3), 128.0, np.float32)
    for index, (x, y) in {
        33: (70, 100), 133: (104, 100), 362: (152, 100), 263: (186, 100),
        4: (128, 140), 61: (100, 180), 291: (156, 180),
    }.items():  # fmt: skip
        points[index, :2] = x, y
    return points


def grids(points):
    return template_grids(torch.from_numpy(align_to_template(points)).float()[None])


def test_it_answers_what_onnx_runtime_answers(tmp_path):
    write_likeness(tmp_path / "chain.onnx")
    image, points = torch.rand(1, 3, 256, 256), upright_face()
    where = grids(points)
    face = torch.nn.functional.grid_sample(image, where, align_corners=True)
    (expected,) = open_network(tmp_path / "chain.onnx").run(None, {"data": 255 * face.numpy()})
    found = Likeness(tmp_path / "chain.onnx")(image, where)
    np.testing.assert_allclose(
        found.numpy(), expected / np.linalg.norm(expected), rtol=1e-3, atol=1e-5
    )


def test_pixels_have_a_slope(tmp_path):
    write_likeness(tmp_path / "chain.onnx")
    image = torch.rand(1, 3, 256, 256, requires_grad=True)
    Likeness(tmp_path / "chain.onnx")(image, grids(upright_face()))[0, 0].backward()
    assert image.grad.abs().max() > 0


def test_the_grid_is_the_alignment_turned_round():
    points = upright_face()
    corner_of_aligned = grids(points)[0, 0, 0].double().numpy()
    in_crop = (corner_of_aligned + 1) / 2 * 255
    back = align_to_template(points) @ [*in_crop, 1]
    np.testing.assert_allclose(back, [0, 0], atol=1e-3)


def test_another_network_is_refused(tmp_path):
    write_likeness(tmp_path / "other.onnx", last="Softmax")
    with pytest.raises(WeightsError, match="Softmax"):
        Likeness(tmp_path / "other.onnx")
