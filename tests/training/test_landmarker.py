import zipfile

import numpy as np
import pytest
from conftest import require_weights

from cdrl_cli.checkpoints.load import find_weights
from cdrl_cli.nn.litert import open_interpreter
from cdrl_cli.nn.networks import open_network
from cdrl_cli.training.landmarker import DETECTOR_FILE, LANDMARKS_FILE, convert_landmarker

pytestmark = pytest.mark.weights

NETWORKS = {
    DETECTOR_FILE: ("face_detector.tflite", 128, lambda levels: levels / 127.5 - 1),
    LANDMARKS_FILE: ("face_landmarks_detector.tflite", 256, lambda levels: levels / 255),
}


@pytest.fixture(scope="module")
def bundle():
    require_weights("face-landmarker")
    return find_weights("face-landmarker")


@pytest.fixture(scope="module")
def converted(bundle, tmp_path_factory):
    return {
        one.name: one for one in convert_landmarker(bundle, tmp_path_factory.mktemp("networks"))
    }


@pytest.mark.parametrize("name", NETWORKS)
def test_a_converted_network_answers_as_litert_does(bundle, converted, tmp_path, name):
    member, side, prepare = NETWORKS[name]
    with zipfile.ZipFile(bundle) as archive:
        archive.extract(member, tmp_path)
    oracle = open_interpreter(tmp_path / member)
    coarse = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8)
    pictures = np.repeat(np.repeat(coarse, side // 16, axis=1), side // 16, axis=2)
    answers = open_network(converted[name], threads=1).run(None, {"pictures": pictures})
    for number, picture in enumerate(pictures):
        oracle.set_tensor(
            oracle.get_input_details()[0]["index"], prepare(picture[None].astype(np.float32))
        )
        oracle.invoke()
        for told, answer in zip(oracle.get_output_details(), answers, strict=False):
            expected = oracle.get_tensor(told["index"]).ravel()
            tolerance = 1e-5 * np.abs(expected).max()
            np.testing.assert_allclose(answer[number].ravel(), expected, atol=tolerance)


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_shipped_is_what_is_converted(converted, name):
    shipped = find_weights(name.removesuffix(".onnx"))
    pictures = np.full((1, NETWORKS[name][1], NETWORKS[name][1], 3), 90, np.uint8)
    one, other = (
        open_network(file, threads=1).run(None, {"pictures": pictures})
        for file in (shipped, converted[name])
    )
    for mine, theirs in zip(one, other, strict=True):
        np.testing.assert_array_equal(mine, theirs)
