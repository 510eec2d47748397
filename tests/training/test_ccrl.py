import dataclasses

import numpy as np
import pytest
import torch

from cdrl_cli.checkpoints.trained import ContentModels, read_content, write_content
from cdrl_cli.data.pairs import draw_batch, pair_takes
from cdrl_cli.data.takes import Windows
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UsageError, WeightsError
from cdrl_cli.evaluation.ccrl import (
    measure_following,
    measure_leak,
    measure_retrieval,
    unknown_people,
)
from cdrl_cli.face.blendshapes import MOUTH_COEFFICIENTS
from cdrl_cli.representation.ccrl import ContentConfig, ContentEncoder, SpeechEncoder
from cdrl_cli.representation.losses import info_nce
from cdrl_cli.training.ccrl import draw_sound, measure_accuracy, train_ccrl
from cdrl_cli.training.ccrl_augment import augment
from cdrl_cli.training.ccrl_losses import ccrl_losses, encode_windows, find_triplets
from cdrl_cli.training.config import ScheduleConfig
from cdrl_cli.training.log import read_log
from cdrl_cli.training.loop import sum_losses
from cdrl_cli.training.recipes import CcrlConfig, ContentLossConfig, ContentSamplingConfig
from talkers import SPEECH_FEATURES, make_takes

MINIATURE = CcrlConfig(
    model=ContentConfig(frames=12, width=16, dimension=16),
    sampling=ContentSamplingConfig(takes=2, windows=8),
    schedule=ScheduleConfig(steps=60, validate_every=20, patience=9),
)


def models_of(result):
    return ContentModels(
        result.content, result.speech, "log-mel", result.identities, result.sentences
    )


def shuffled(takes):
    """The same sound with pictures that have nothing to do with it."""
    order = np.random.default_rng(5)
    return [
        dataclasses.replace(take, crops=take.crops[mix], coefficients=take.coefficients[mix])
        for take in takes
        for mix in [order.permutation(len(take.seen))]
    ]


@pytest.fixture(scope="module")
def takes():
    return make_takes(people=5)


@pytest.fixture(scope="module")
def learned(takes, tmp_path_factory):
    run = tmp_path_factory.mktemp("run")
    return train_ccrl(MINIATURE, takes, run=run), read_log(run / "log.jsonl")


def test_the_loss_falls_and_people_never_seen_are_understood(learned, takes):
    result, log = learned
    losses = [row["losses"]["total"] for row in log]
    assert losses[-1] < losses[0]
    models = models_of(result)
    strangers = unknown_people(models, takes)
    assert {take.clip.identity for take in strangers} == {"J05"}
    for row in measure_retrieval(models, strangers):
        assert row.speech_of_mouth.value > 0.5
        assert row.mouth_of_speech.value > 0.5


def test_the_code_follows_the_image_not_the_sound(learned, takes):
    result, _ = learned
    following = measure_following(models_of(result), unknown_people(models_of(result), takes))
    assert following.own.value > following.other_image.value + 0.2
    assert following.unlike_frames.value < 0.8


def test_with_unrelated_images_nothing_can_be_learned(takes, tmp_path):
    # The paper's objective falls to 0 here: its code may be a function of the audio alone.
    result = train_ccrl(MINIATURE, shuffled(takes), run=tmp_path)
    models = models_of(result)
    others = shuffled(make_takes(people=30, seed=9))
    for row in measure_retrieval(models, others):
        assert abs(row.speech_of_mouth.value - 0.1) < 0.06


@pytest.mark.parametrize("attention", ["none", "audio"])
def test_the_published_loss_is_won_by_audio_that_says_where_to_look(takes, tmp_path, attention):
    """On pictures that say nothing it falls, and one picture is as good as another."""
    config = dataclasses.replace(
        MINIATURE,
        model=dataclasses.replace(MINIATURE.model, attention=attention),
        sampling=ContentSamplingConfig(takes=2, windows=4),
        loss=ContentLossConfig(contrast="published"),
        schedule=ScheduleConfig(steps=30, validate_every=30, learning_rate=1e-2),
    )
    mixed = shuffled(takes)
    result = train_ccrl(config, mixed, run=tmp_path)
    (row,) = read_log(tmp_path / "log.jsonl")
    assert set(row["losses"]) == {"published", "total"}
    assert result.score == pytest.approx(1 - row["validation"]["published"] / 2)
    leak = measure_leak(models_of(result), mixed)[0]
    if attention == "audio":
        assert row["validation"]["published"] < 0.7
        assert leak.kept.value < 0.5
    else:
        assert row["validation"]["published"] > 0.85
        assert leak.kept.value == pytest.approx(1)


def test_the_published_loss_compares_with_another_moment_of_the_same_take(takes):
    pairs = pair_takes(takes)
    batch = draw_batch(
        takes, pairs, count=2, windows=4, frames=12, generator=torch.Generator().manual_seed(1)
    )
    triplets = find_triplets(batch)
    assert len(triplets) == len(batch.counterparts)
    assert triplets[:, :2].tolist() == batch.counterparts.tolist()
    assert (batch.take_of[triplets[:, 1]] == batch.take_of[triplets[:, 2]]).all()
    assert (triplets[:, 1] != triplets[:, 2]).all()


def test_the_published_loss_needs_the_same_words_in_two_emotions(takes, tmp_path):
    with pytest.raises(UsageError, match="needs the same words in two emotions"):
        dataclasses.replace(
            MINIATURE,
            loss=ContentLossConfig(contrast="published"),
            sampling=ContentSamplingConfig(emotion_aware=False),
        )
    config = dataclasses.replace(MINIATURE, loss=ContentLossConfig(contrast="published"))
    calm = [take for take in takes if take.clip.emotion is Emotion.NEUTRAL]
    with pytest.raises(UsageError, match="nobody says any"):
        train_ccrl(config, calm, run=tmp_path)


@pytest.mark.parametrize("aware", [True, False])
@pytest.mark.parametrize("attention", ["none", "audio"])
def test_a_resumed_run_equals_an_uninterrupted_one(takes, tmp_path, aware, attention):
    takes = [dataclasses.replace(take, noisy=(take.speech + 0.1,)) for take in takes]
    config = dataclasses.replace(
        MINIATURE,
        model=dataclasses.replace(MINIATURE.model, attention=attention),
        sampling=dataclasses.replace(MINIATURE.sampling, emotion_aware=aware),
        schedule=ScheduleConfig(steps=8, validate_every=2, save_every_s=0.0),
    )
    whole = train_ccrl(config, takes, run=tmp_path / "whole")

    class CutError(Exception):
        pass

    def cut(step, _):
        if step == 5:
            raise CutError

    with pytest.raises(CutError):
        train_ccrl(config, takes, run=tmp_path / "cut", progress=cut)
    later = train_ccrl(config, takes, run=tmp_path / "cut", resume=True)

    assert (later.steps, later.best_step, later.score) == (8, whole.best_step, whole.score)
    for network in ("content", "speech"):
        one, other = getattr(whole, network).state_dict(), getattr(later, network).state_dict()
        assert all(torch.equal(one[name], other[name]) for name in one)
    logs = [(tmp_path / run / "log.jsonl").read_text() for run in ("whole", "cut")]
    assert logs[0] == logs[1]


def test_training_ends_when_validation_no_longer_improves(takes, tmp_path):
    schedule = ScheduleConfig(steps=50, validate_every=1, patience=2, learning_rate=1e-9)
    result = train_ccrl(dataclasses.replace(MINIATURE, schedule=schedule), takes, run=tmp_path)
    assert result.steps < 50
    assert result.best_step < result.steps


def test_nobody_to_validate_on_is_said_before_training(takes, tmp_path):
    known = [take for take in takes if take.clip.identity != "J05"]
    with pytest.raises(UsageError, match="0 to validate on"):
        train_ccrl(MINIATURE, known, run=tmp_path)


def test_knowing_the_take_does_not_help_among_its_own_windows(takes):
    batch = draw_batch(
        takes, [], count=2, windows=8, frames=12, generator=torch.Generator().manual_seed(0)
    )
    # Codes that say which take it is, and nothing else.
    codes = torch.eye(8)[torch.from_numpy(batch.take_of)]

    def loss(negatives):
        config = ContentLossConfig(negatives=negatives, constant_weight=0.0)
        losses = ccrl_losses({"crops": codes}, codes, batch, temperature=0.1, config=config)
        return sum_losses(losses).item()

    assert loss("take") == pytest.approx(np.log(8), abs=1e-3)
    assert info_nce(codes, codes, temperature=0.1).item() == pytest.approx(loss("batch"), abs=1e-3)


def test_augmentation_mirrors_pictures_and_motion_alike(takes, learned):
    result, _ = learned
    windows = Windows.of([(takes[0], start) for start in range(30)], 12)
    changed = augment(
        windows,
        coefficient_scale=result.content.coefficient_scale,
        speech_scale=result.speech.scale,
        generator=torch.Generator().manual_seed(0),
    )
    for name in ("crops", "coefficients", "speech"):
        one, other = getattr(windows, name), getattr(changed, name)
        assert one.shape == other.shape
        assert torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1] > 0.6
    assert windows.coefficients.shape[2] == len(MOUTH_COEFFICIENTS)


def test_attention_is_learned_with_audio_and_without(takes, tmp_path):
    model = dataclasses.replace(MINIATURE.model, attention="audio")
    result = train_ccrl(dataclasses.replace(MINIATURE, model=model), takes, run=tmp_path)
    alone = measure_retrieval(models_of(result), takes)
    assert min(row.speech_of_mouth.value for row in alone) > 0.5
    # Only where to look was chosen by the audio, and yet the code repeats it.
    for leak in measure_leak(models_of(result), takes):
        assert leak.told.value > 0.5
        assert leak.kept.value < 0.99


def test_half_the_windows_are_encoded_with_their_own_audio(takes):
    torch.manual_seed(0)
    sizes = ContentConfig(12, SPEECH_FEATURES, width=16, dimension=16, attention="audio")
    content = ContentEncoder(sizes).eval()
    windows = Windows.spread(takes[0], 12, 7)
    codes = encode_windows(content, windows, torch.Generator().manual_seed(0))["crops"]
    told = content(windows.crops, None, windows.speech)
    alone = content(windows.crops, None)
    close = torch.stack([((codes - one).abs().amax(dim=1) < 1e-5) for one in (told, alone)])
    assert close.sum(dim=1).tolist() == [4, 3]
    assert close.any(dim=0).all()


def test_each_version_of_the_sound_is_drawn_alike(takes):
    noisy = (takes[0].speech + 1, takes[0].speech + 2)
    take = dataclasses.replace(takes[0], noisy=noisy)
    drawn = draw_sound([(take, 3)] * 600, torch.Generator().manual_seed(0))
    lifted = np.array([round(float((one.speech - take.speech).mean())) for one, _ in drawn])
    assert np.abs(np.bincount(lifted) - 200).max() < 40
    assert {start for _, start in drawn} == {3}


def test_clean_sound_takes_no_draw(takes):
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    assert draw_sound([(takes[0], 3)], generator) == [(takes[0], 3)]
    assert torch.equal(generator.get_state(), before)


def test_validation_is_by_clean_sound(takes, learned):
    result, _ = learned
    deafened = [dataclasses.replace(take, noisy=(0 * take.speech,)) for take in takes]
    clean, other = (
        measure_accuracy(result.content, result.speech, some) for some in (takes, deafened)
    )
    assert clean == other


@pytest.mark.parametrize("attention", ["none", "audio"])
def test_the_attention_of_a_file_is_that_of_its_encoders(tmp_path, takes, attention):
    sizes = ContentConfig(12, SPEECH_FEATURES, width=16, dimension=16, attention=attention)
    models = ContentModels(ContentEncoder(sizes), SpeechEncoder(sizes), "log-mel")
    write_content(tmp_path / "ccrl.safetensors", models, facts={})
    read = read_content(tmp_path / "ccrl.safetensors")
    assert read.content.config == sizes
    windows = Windows.spread(takes[0], 12, 5)
    for speech in (None, windows.speech):
        one, other = (
            m.content.eval()(windows.crops, windows.coefficients, speech) for m in (models, read)
        )
        assert (one * other).sum(dim=1).min() > 0.999


def test_encoders_survive_their_file(learned, tmp_path, takes):
    models = models_of(learned[0])
    path = tmp_path / "ccrl.safetensors"
    write_content(path, models, facts=learned[0].facts)
    read = read_content(path)
    assert (read.prior, read.identities, read.sentences) == (
        "log-mel",
        models.identities,
        models.sentences,
    )
    windows = Windows.spread(takes[0], 12, 5)
    one, other = (m.content(windows.crops, windows.coefficients) for m in (models, read))
    assert (one * other).sum(dim=1).min() > 0.999
    assert not any(p.requires_grad for p in read.content.parameters())


def test_a_file_that_holds_no_encoders_is_named(tmp_path):
    path = tmp_path / "ccrl.safetensors"
    path.write_bytes(b"nothing")
    with pytest.raises(WeightsError, match=r"ccrl\.safetensors"):
        read_content(path)


@pytest.mark.gpu
def test_it_learns_on_a_gpu_and_comes_back_from_it(takes, tmp_path):
    result = train_ccrl(MINIATURE, takes, run=tmp_path, device="cuda")
    assert result.score > 0.5
    assert result.content.coefficient_scale.device.type == "cpu"
