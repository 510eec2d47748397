import numpy as np
import pytest
import torch

from cdrl_cli.checkpoints.files import open_appearance
from cdrl_cli.checkpoints.trained import load_emotion, write_appearance
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import WeightsError
from cdrl_cli.representation.appearance import ORDER, AppearanceReader, tighten
from cdrl_cli.representation.emotion_reader import APPEARANCE_SHARE, LOOKS
from cdrl_cli.training.teachers.emotion import ExpressionNet

WIDTHS = (32, 32, 64, 128, 256)


def made_up_weights(bias):
    generator = np.random.default_rng(0)

    def draw(*shape):
        return (0.1 * generator.standard_normal(shape)).astype(np.float32)

    weights = {"fc/weights": draw(256, 7), "fc/bias": np.array(bias, np.float32)}
    for block in range(4):
        for layer in range(4):
            name, into = f"dense{block}/conv{layer}", WIDTHS[block + (layer > 0)]
            weights[f"{name}/bias"] = draw(WIDTHS[block + 1])
            if block == layer == 0:
                weights[f"{name}/filters"] = draw(3, 3, 3, 32)
                continue
            weights[f"{name}/depthwise_filter"] = draw(3, 3, into, 1)
            weights[f"{name}/pointwise_filter"] = draw(1, 1, into, WIDTHS[block + 1])
    return weights


def made_up_net(bias):
    weights = made_up_weights(bias)
    return ExpressionNet({name: torch.from_numpy(one) for name, one in weights.items()})


def run_by(net):
    def run(pictures):
        with torch.inference_mode():
            return net(torch.from_numpy(pictures)).numpy()

    return run


@pytest.fixture(scope="module")
def sad_net():
    """Whatever it sees, it says sad."""
    return made_up_net([8.0 * (name == "sad") for name in ORDER])


@pytest.fixture
def sad_reader(sad_net):
    return AppearanceReader(run_by(sad_net))


def faces(count=3, side=112):
    return np.random.default_rng(0).integers(0, 255, (count, side, side, 3)).astype(np.uint8)


@pytest.mark.parametrize("side", [112, 256, 75])
def test_the_tight_picture_is_the_one_that_torch_would_make(side):
    looks = faces(side=side)
    top, bottom, left, right = (round(side * x) for x in (20 / 112, 104 / 112, 14 / 112, 98 / 112))
    tight = torch.from_numpy(looks[:, top:bottom, left:right]).permute(0, 3, 1, 2).float()
    expected = torch.nn.functional.interpolate(
        tight, (112, 112), mode="bilinear", antialias=True, align_corners=False
    )
    np.testing.assert_allclose(tighten(looks), expected.permute(0, 2, 3, 1), atol=1e-2)


def test_evidence_is_in_our_order_and_adds_up_to_nothing(sad_reader):
    evidence = sad_reader(faces(side=256))
    assert int(evidence.argmax()) == Emotion.SAD.class_index
    assert float(evidence.sum()) == pytest.approx(0, abs=1e-4)


def test_what_is_said_of_everybody_counts_for_less(sad_reader):
    looks = faces()
    before = sad_reader(looks)
    sad_reader.usual = sad_reader.opinion(looks)
    np.testing.assert_allclose(sad_reader(looks), before / 2, atol=1e-5)


def test_a_file_gives_back_the_reader(sad_net, sad_reader, tmp_path):
    path = tmp_path / "appearance.onnx"
    sad_reader.usual = np.arange(7, dtype=np.float32)
    write_appearance(path, sad_net, sad_reader.usual, facts={"licence": "MIT"})
    read = open_appearance(path)
    for side in (112, 256, 75):
        looks = faces(side=side)
        np.testing.assert_allclose(read(looks), sad_reader(looks), atol=1e-2)


def test_another_file_is_one_clear_error(tmp_path):
    (tmp_path / "other.onnx").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="no reader of appearance"):
        open_appearance(tmp_path / "other.onnx")


@pytest.mark.weights
def test_pixels_move_the_embedding_by_exactly_their_evidence(sad_reader):
    import dataclasses

    models = dataclasses.replace(load_emotion(), appearance=sad_reader)
    expressions = np.repeat(models.neutral[None], 5, axis=0)
    plain, moved = models.embed(expressions), models.embed(expressions, faces=faces(LOOKS + 9))
    assert float(moved.norm()) == pytest.approx(1, abs=1e-5)
    looks = np.linspace(0, LOOKS + 8, LOOKS).round().astype(int)
    evidence = torch.from_numpy(sad_reader(faces(LOOKS + 9)[looks]))
    gained = models.labels @ plain / models.temperature + APPEARANCE_SHARE * evidence
    told = models.labels @ moved / models.temperature
    torch.testing.assert_close(told / told.norm(), gained / gained.norm(), atol=1e-4, rtol=0)
    sadness = [models.likelihoods(one)[Emotion.SAD.class_index] for one in (plain, moved)]
    assert sadness[1] > sadness[0]


@pytest.mark.weights
def test_without_pixels_nothing_moves():
    models = load_emotion()
    expressions = np.repeat(models.neutral[None], 5, axis=0)
    torch.testing.assert_close(
        models.embed(expressions), models.embed(expressions, faces=faces(0)), rtol=0, atol=0
    )
