import numpy as np
import pytest
import torch

from cdrl_cli.checkpoints.emotion import (
    APPEARANCE_SHARE,
    LOOKS,
    load_emotion,
    read_appearance,
    write_appearance,
)
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import WeightsError
from cdrl_cli.representation.appearance import ORDER, AppearanceReader

WIDTHS = (32, 32, 64, 128, 256)


def made_up_weights(bias):
    torch.manual_seed(0)
    weights = {"fc/weights": torch.zeros(256, 7), "fc/bias": torch.tensor(bias)}
    for block in range(4):
        for layer in range(4):
            name, into = f"dense{block}/conv{layer}", WIDTHS[block + (layer > 0)]
            weights[f"{name}/bias"] = torch.zeros(WIDTHS[block + 1])
            if block == layer == 0:
                weights[f"{name}/filters"] = 0.1 * torch.randn(3, 3, 3, 32)
                continue
            weights[f"{name}/depthwise_filter"] = 0.1 * torch.randn(3, 3, into, 1)
            weights[f"{name}/pointwise_filter"] = 0.1 * torch.randn(1, 1, into, WIDTHS[block + 1])
    return weights


@pytest.fixture
def sad_reader():
    """Whatever it sees, it says sad."""
    return AppearanceReader(made_up_weights([8.0 * (name == "sad") for name in ORDER])).eval()


def faces(count=3, side=112):
    return np.random.default_rng(0).integers(0, 255, (count, side, side, 3)).astype(np.uint8)


def test_evidence_is_in_our_order_and_adds_up_to_nothing(sad_reader):
    evidence = sad_reader(torch.from_numpy(faces(side=256)))
    assert int(evidence.argmax()) == Emotion.SAD.class_index
    assert float(evidence.sum()) == pytest.approx(0, abs=1e-4)


def test_what_is_said_of_everybody_counts_for_less(sad_reader):
    looks = torch.from_numpy(faces())
    before = sad_reader(looks)
    sad_reader.usual.copy_(sad_reader.opinion(looks))
    torch.testing.assert_close(sad_reader(looks), before / 2)


def test_a_file_gives_back_the_reader(sad_reader, tmp_path):
    path = tmp_path / "appearance.safetensors"
    sad_reader.usual.copy_(torch.arange(7.0))
    write_appearance(path, sad_reader, facts={"licence": "MIT"})
    looks = torch.from_numpy(faces())
    torch.testing.assert_close(read_appearance(path)(looks), sad_reader(looks), atol=1e-2, rtol=0)


def test_another_file_is_one_clear_error(tmp_path):
    (tmp_path / "other.safetensors").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="no reader of appearance"):
        read_appearance(tmp_path / "other.safetensors")


@pytest.mark.weights
def test_pixels_move_the_embedding_by_exactly_their_evidence(sad_reader):
    import dataclasses

    models = dataclasses.replace(load_emotion(), appearance=sad_reader)
    expressions = np.repeat(models.neutral[None], 5, axis=0)
    plain, moved = models.embed(expressions), models.embed(expressions, faces=faces(LOOKS + 9))
    assert float(moved.norm()) == pytest.approx(1, abs=1e-5)
    looks = np.linspace(0, LOOKS + 8, LOOKS).round().astype(int)
    evidence = sad_reader(torch.from_numpy(faces(LOOKS + 9)[looks]))
    gained = models.labels @ plain / models.temperature + APPEARANCE_SHARE * evidence
    told = models.labels @ moved / models.temperature
    torch.testing.assert_close(told / told.norm(), gained / gained.norm(), atol=1e-4, rtol=0)
    assert models.probabilities(moved)[Emotion.SAD] > models.probabilities(plain)[Emotion.SAD]


@pytest.mark.weights
def test_without_pixels_nothing_moves():
    models = load_emotion()
    expressions = np.repeat(models.neutral[None], 5, axis=0)
    torch.testing.assert_close(
        models.embed(expressions), models.embed(expressions, faces=faces(0)), rtol=0, atol=0
    )
