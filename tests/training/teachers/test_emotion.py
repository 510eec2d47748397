"""The emotion nets, rebuilt: from made-up files of the right shape."""

import json

import numpy as np
import pytest
import torch

from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import WeightsError
from cdrl_cli.training.teachers.emotion import FaceApi, MiniXception


def face_api_layout():
    yield "dense0/conv0/filters", (3, 3, 3, 32)
    yield "dense0/conv0/bias", (32,)
    widths = (32, 32, 64, 128, 256)
    for block in range(4):
        for layer in range(4):
            if (block, layer) == (0, 0):
                continue
            into = widths[block] if layer == 0 else widths[block + 1]
            name = f"dense{block}/conv{layer}"
            yield f"{name}/depthwise_filter", (3, 3, into, 1)
            yield f"{name}/pointwise_filter", (1, 1, into, widths[block + 1])
            yield f"{name}/bias", (widths[block + 1],)
    yield "fc/weights", (256, 7)
    yield "fc/bias", (7,)


def write_face_api(folder, bias):
    rng, entries, data = np.random.default_rng(0), [], b""
    for name, shape in face_api_layout():
        if name == "fc/bias":
            entries.append({"name": name, "shape": shape})
            data += np.asarray(bias, np.float32).tobytes()
        else:
            entries.append(
                {
                    "name": name,
                    "shape": shape,
                    "quantization": {"dtype": "uint8", "scale": 0.001, "min": -0.128},
                }
            )
            data += rng.integers(0, 255, shape).astype(np.uint8).tobytes()
    (folder / "face_expression_model.bin").write_bytes(data)
    layout = [{"weights": entries, "paths": ["face_expression_model.bin"]}]
    (folder / "face_expression_model-weights_manifest.json").write_text(json.dumps(layout))


def test_its_last_layer_says_which_emotion(tmp_path):
    bias = np.zeros(7)
    bias[6] = 50.0  # face-api's seventh is surprise
    write_face_api(tmp_path, bias)
    likely = FaceApi(tmp_path)(torch.rand(2, 3, 150, 150)).softmax(dim=1)
    assert likely.argmax(dim=1).tolist() == [Emotion.SURPRISED.class_index] * 2


def test_pixels_have_a_slope(tmp_path):
    write_face_api(tmp_path, np.zeros(7))
    faces = torch.rand(1, 3, 112, 112, requires_grad=True)
    FaceApi(tmp_path)(faces)[0, 0].backward()
    assert faces.grad is not None
    assert faces.grad.abs().max() > 0


@pytest.mark.parametrize("guide", [FaceApi, MiniXception])
def test_missing_files_are_one_clear_error(tmp_path, guide):
    with pytest.raises(WeightsError, match="no weights"):
        guide(tmp_path / "nothing")


def write_xception(path):
    h5py = pytest.importorskip("h5py", reason="of the extra [train]")
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:

        def put(layer, kind, shape):
            value = rng.normal(0, 0.3, shape).astype(np.float32)
            value = np.abs(value) + 0.5 if kind == "moving_variance" else value
            file[f"model_weights/{layer}/{layer}_1/{kind}:0"] = value

        norms = [8, 8]
        put("conv2d_1", "kernel", (3, 3, 1, 8))
        put("conv2d_2", "kernel", (3, 3, 8, 8))
        for number, (into, out) in enumerate([(8, 16), (16, 32), (32, 64), (64, 128)]):
            put(f"conv2d_{3 + number}", "kernel", (1, 1, into, out))
            for half, width in ((1, into), (2, out)):
                name = f"separable_conv2d_{2 * number + half}"
                put(name, "depthwise_kernel", (3, 3, width, 1))
                put(name, "pointwise_kernel", (1, 1, width, out))
            norms += [out] * 3
        for number, width in enumerate(norms, start=1):
            for kind in ("gamma", "beta", "moving_mean", "moving_variance"):
                put(f"batch_normalization_{number}", kind, (width,))
        put("conv2d_7", "kernel", (3, 3, 128, 7))
        put("conv2d_7", "bias", (7,))


def test_the_second_one_answers_in_our_order_and_has_a_slope(tmp_path):
    write_xception(tmp_path / "model.hdf5")
    guide = MiniXception(tmp_path / "model.hdf5")
    faces = torch.rand(2, 3, 100, 100, requires_grad=True)
    told = guide(faces)
    own = guide.read(
        torch.nn.functional.interpolate(
            faces, (64, 64), mode="bilinear", antialias=True, align_corners=False
        )
    )
    torch.testing.assert_close(told[:, Emotion.HAPPY.class_index], own[:, 3])
    told.sum().backward()
    assert faces.grad is not None
    assert faces.grad.abs().max() > 0
