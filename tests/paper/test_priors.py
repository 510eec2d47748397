"""The paper's priors on their real architectures with random weights: no file is downloaded."""

import warnings

import jaxtyping
import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from cdrl_cli.checkpoints.priors import open_arcface_prior, open_clip_prior, open_xlsr_prior
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import WeightsError
from cdrl_cli.nn.networks import open_network
from cdrl_cli.representation import arcface, clip_prior, xlsr
from cdrl_cli.representation.clip_prior import ContextPrompts, PromptConfig
from networks import write_likeness


@pytest.fixture(scope="module")
def clip():
    return open_clip_prior("random")


@pytest.fixture(scope="module")
def speech():
    return open_xlsr_prior("random")


@pytest.fixture(scope="module")
def recognition(tmp_path_factory):
    """An IResNet-50 as insightface ships one: ONNX, after the stages more layers."""
    torch.manual_seed(0)
    stages = arcface.IResNetStages().eval()
    for layer in stages.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.uniform_(-0.2, 0.2)
            layer.running_var.uniform_(0.5, 1.5)
            layer.weight.data.uniform_(0.2, 0.5)
    path = tmp_path_factory.mktemp("arcface") / "r50.onnx"
    whole = torch.nn.Sequential(stages, torch.nn.Conv2d(256, 8, 3, 2, 1), torch.nn.Flatten())
    with warnings.catch_warnings():  # insightface exported its networks in this way
        warnings.simplefilter("ignore", DeprecationWarning)
        jaxtyping.config.update("jaxtyping_disable", True)  # a trace has no shapes to check
        example = (torch.rand(1, 3, 32, 32),)
        torch.onnx.export(whole, example, path, dynamo=False, opset_version=17, input_names=["x"])
        jaxtyping.config.update("jaxtyping_disable", False)
    return path, stages.eval()  # the export has set it to training


def test_pictures_are_prepared_as_open_clip_prepares_them(clip):
    import open_clip

    rng = np.random.default_rng(0)
    rough = rng.integers(0, 255, (8, 8, 3)).astype(np.uint8)
    picture = Image.fromarray(rough).resize((256, 256), Image.Resampling.BICUBIC)
    ready = open_clip.image_transform(
        clip_prior.SIDE, is_train=False, mean=clip_prior.MEAN_RGB, std=clip_prior.SPREAD_RGB
    )(picture)[None]
    with torch.no_grad():
        expected = torch.nn.functional.normalize(clip.network.encode_image(ready), dim=1)
        ours = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None] / 255
        found = clip.encode_pictures(ours)
    assert open_clip.OPENAI_DATASET_MEAN == clip_prior.MEAN_RGB
    assert open_clip.OPENAI_DATASET_STD == clip_prior.SPREAD_RGB
    # Pillow rounds to whole numbers between its two passes.
    assert float((expected * found).sum()) > 0.9999


def test_a_prompt_without_learned_tokens_is_the_sentence(clip):
    """The tower that reads embedded tokens is open_clip's own."""
    sentences = [clip_prior.DESCRIPTIONS[emotion] for emotion in Emotion]
    tokens = clip.tokenize(sentences)
    with torch.no_grad():
        theirs = torch.nn.functional.normalize(clip.network.encode_text(tokens), dim=1)
        whole = clip.encode_embedded(clip.network.token_embedding(tokens), tokens.argmax(dim=1))
    torch.testing.assert_close(whole, theirs, atol=1e-5, rtol=1e-4)
    # What stands behind the longest sentence says nothing, and is left out.
    torch.testing.assert_close(clip.encode_sentences(sentences), theirs, atol=1e-5, rtol=1e-4)


def test_only_the_tokens_of_a_prompt_are_learned(clip):
    torch.manual_seed(0)
    prompts = ContextPrompts(clip)
    assert [tuple(one.shape) for one in prompts.parameters()] == [(7, 8, 512)]
    labels = prompts()
    assert labels.shape == (7, 512)
    torch.testing.assert_close(labels.norm(dim=1), torch.ones(7))
    labels[0, 0].backward()
    assert prompts.context.grad[0].abs().max() > 0
    assert prompts.context.grad[1].abs().max() == 0
    assert not any(one.requires_grad for one in clip.parameters())


def test_without_positions_the_order_of_words_says_less(clip):
    """The published text encoder drops the positional embedding: a flaw, here an option."""
    torch.manual_seed(0)
    apart = {}
    for position in ("kept", "dropped"):
        prompts = ContextPrompts(clip, PromptConfig(position=position))
        with torch.no_grad():
            before = prompts()
            # Two words in the middle of each sentence change places.
            prompts.embedded[:, [3, 5]] = prompts.embedded[:, [5, 3]]
            apart[position] = float((before - prompts()).norm(dim=1).mean())
    assert apart["dropped"] < 0.5 * apart["kept"]


def test_speech_has_50_features_a_second_and_is_normalised(speech):
    rng = np.random.default_rng(0)
    sound = rng.normal(0, 0.1, 8000).astype(np.float32)
    heard = speech.listen(sound)
    assert heard.shape == (25, xlsr.FEATURES)
    louder = speech.listen((3 * sound + 0.2).astype(np.float32))
    np.testing.assert_allclose(heard, louder, atol=2e-2)


def test_long_speech_is_heard_in_windows_that_join(speech, monkeypatch):
    rng = np.random.default_rng(0)
    sound = rng.normal(0, 0.1, 48000).astype(np.float32)  # 150 features
    heard = speech.listen(sound)
    assert heard.shape == (150, xlsr.FEATURES)
    assert np.abs(heard).sum(axis=1).min() > 0
    first = speech.listen(sound[: xlsr.WINDOW * xlsr.HOP])
    assert np.corrcoef(heard[20], first[20])[0, 1] > 0.8


def test_the_architecture_is_torchaudios_xlsr_53(speech):
    import torchaudio

    sizes = torchaudio.pipelines.WAV2VEC2_XLSR53._params
    with torch.device("meta"):
        theirs = torchaudio.models.wav2vec2_model(**sizes).state_dict()
    ours = speech._network.state_dict()
    assert {name: one.shape for name, one in theirs.items()} == {
        name: one.shape for name, one in ours.items()
    }
    assert torchaudio.pipelines.WAV2VEC2_XLSR53.sample_rate == 16_000
    assert sizes["encoder_num_layers"] >= xlsr.LAYER


def test_a_face_is_a_map_of_the_third_stage():
    prior = open_arcface_prior("random")
    again = open_arcface_prior("random").state_dict()
    assert all(torch.equal(one, again[name]) for name, one in prior.state_dict().items())
    faces = torch.rand(1, 3, 112, 112, requires_grad=True)
    maps = prior(faces)
    assert maps.shape == (1, arcface.MAP_CHANNELS, 14, 14)
    maps.square().mean().backward()
    assert faces.grad.abs().max() > 0


def test_the_stages_come_out_of_an_onnx_file(recognition):
    path, stages = recognition
    face = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        expected = stages((255 * face - 127.5) / 127.5)
        found = open_arcface_prior(str(path))(face)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)
    # The nodes are insightface's: norms of convolutions are folded into them.
    kinds = [node.op_type for node in onnx.load(path).graph.node]
    assert kinds.count("BatchNormalization") < 3 * 21


def test_pictures_reach_arcface_as_insightface_sends_them(recognition, tmp_path):
    from insightface.model_zoo.arcface_onnx import ArcFaceONNX

    path, _ = recognition
    theirs = ArcFaceONNX(str(path), open_network(path))
    assert (theirs.input_mean, theirs.input_std) == (arcface.MIDDLE, arcface.SCALE)


@pytest.mark.parametrize(
    ("opener", "entry"),
    [
        (open_clip_prior, "prior-clip"),
        (open_xlsr_prior, "prior-xlsr"),
        (open_arcface_prior, "prior-arcface"),
    ],
)
def test_a_missing_prior_is_one_line_with_the_command(opener, entry, tmp_path, monkeypatch):
    monkeypatch.setenv("SPFEM_HOME", str(tmp_path))
    with pytest.raises(WeightsError, match=f"weights '{entry}' are missing") as caught:
        opener("weights")
    assert f"spfem download-weights {entry} --from DIR" in caught.value.hint
    with pytest.raises(WeightsError, match="no such file") as caught:
        opener(str(tmp_path / "nowhere.bin"))
    (tmp_path / "damaged.bin").write_bytes(b"no weights")
    with pytest.raises(WeightsError, match=r"damaged\.bin"):
        opener(str(tmp_path / "damaged.bin"))


def test_another_network_is_no_iresnet(tmp_path):
    write_likeness(tmp_path / "sface.onnx")
    with pytest.raises(WeightsError, match="no IResNet-50"):
        open_arcface_prior(str(tmp_path / "sface.onnx"))
