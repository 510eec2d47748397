from pathlib import Path

import numpy as np
import pytest
import torch

from cdrl_cli.data.index import Clip
from cdrl_cli.data.performances import (
    Performance,
    SetSampler,
    acted_clips,
    code_performances,
    find_neutrals,
)
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UsageError
from cdrl_cli.representation.cerl import EmotionConfig
from cdrl_cli.representation.text_prior import make_phrases
from cdrl_cli.training.cerl import accuracy, train_cerl
from cdrl_cli.training.config import DataConfig, ScheduleConfig
from cdrl_cli.training.recipes import CerlConfig, EmotionSamplingConfig
from cdrl_cli.training.wording import Wording

PEOPLE = ("a", "b", "c", "J05")


def perform(identity, emotion, expression, dataset="toy", split="train"):
    clip = Clip(
        Path(f"{identity}-{emotion}.mp4"), None, dataset, "permissive", identity, emotion, True,
        None, split,
    )  # fmt: skip
    return Performance(clip, expression.astype(np.float32))


def toy_performances(*, signal):
    """Every emotion moves a channel of its own, in every person, by ``signal``."""
    generator = np.random.default_rng(0)
    performances = []
    for person in PEOPLE:
        bias = generator.uniform(0, 0.3, 52)
        for emotion in Emotion:
            for _ in range(2):
                frames = bias + 0.05 * generator.standard_normal((30, 52))
                frames[:, 3 + 5 * emotion.class_index] += signal
                performances.append(perform(person, emotion, frames.clip(0, 1)))
    return performances


def toy_wording():
    """Sentences whose features are the emotion's own axis, and some noise."""
    generator = np.random.default_rng(0)
    phrases = make_phrases()
    features = 0.05 * generator.standard_normal((len(phrases), 384))
    for row, phrase in zip(features, phrases, strict=True):
        row[phrase.emotion.class_index] += 1
    return Wording(phrases, features.astype(np.float32))


def recipe(steps=60, **sampling):
    return CerlConfig(
        data=DataConfig(),
        model=EmotionConfig(width=32, dimension=16, dropout=0.1),
        sampling=EmotionSamplingConfig(sets=4, frames=10, coded_performances=0, **sampling),
        schedule=ScheduleConfig(steps=steps, validate_every=20, learning_rate=1e-2, patience=99),
    )


def learn(performances, run, config=None, **more):
    neutrals = find_neutrals(performances, np.zeros(52, np.float32))
    return train_cerl(config or recipe(), performances, neutrals, toy_wording(), run=run, **more)


def test_a_person_never_seen_is_read_after_seconds(tmp_path):
    performances = toy_performances(signal=0.5)
    result = learn(performances, tmp_path)
    assert result.score > 0.8
    assert "J05" not in result.models.identities


def test_noise_is_not_learned(tmp_path):
    """Flaw 1 of the published objective: with a head per emotion its loss reaches 0 on noise."""
    performances = toy_performances(signal=0.0)
    result = learn(performances, tmp_path, recipe(steps=100))
    neutrals = find_neutrals(performances, np.zeros(52, np.float32))
    unseen = [one for one in performances if one.clip.identity == "J05"]
    share = accuracy(result.models.encoder, result.models.labels, unseen, neutrals)
    assert share < 0.4  # chance is 1/7; 28 readings


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path):
    performances = toy_performances(signal=0.5)
    whole = learn(performances, tmp_path / "whole", recipe(steps=40))

    def stop(done, _):
        if done == 20:
            raise KeyboardInterrupt

    config = recipe(steps=40)
    eager = CerlConfig(
        config.data, config.model, config.sampling, config.loss,
        ScheduleConfig(**{**_fields(config.schedule), "save_every_s": 0.0}),
    )  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        learn(performances, tmp_path / "cut", eager, progress=stop)
    resumed = learn(performances, tmp_path / "cut", eager, resume=True)
    for name, tensor in whole.models.encoder.state_dict().items():
        torch.testing.assert_close(
            resumed.models.encoder.state_dict()[name], tensor, rtol=0, atol=0, msg=name
        )


def test_nobody_to_validate_on_is_refused(tmp_path):
    alone = [one for one in toy_performances(signal=0.5) if one.clip.identity != "J05"]
    with pytest.raises(UsageError, match="validate"):
        learn(alone, tmp_path)


def test_sets_have_every_emotion_and_no_data_set_drowns_another():
    many = [perform(f"p{i}", e, np.zeros((1, 52)), "stills") for i in range(99)
            for e in (Emotion.HAPPY, Emotion.NEUTRAL)]  # fmt: skip
    acted = [
        perform(p, e, np.zeros((9, 52)), "acted") for p in "ab" for e in Emotion for _ in "1234"
    ]
    sampler = SetSampler(many + acted, torch.Generator().manual_seed(0))
    sets = [sampler.draw_set() for _ in range(200)]
    assert all([one.label for one in members] == list(range(7)) for members in sets)
    happy = [members[Emotion.HAPPY.class_index].clip.dataset for members in sets]
    assert 0.7 < happy.count("acted") / len(happy) < 0.95


def test_made_up_performances_move_what_the_textbook_moves():
    from cdrl_cli.data.action_units import coded_expression

    talking = [perform("a", Emotion.NEUTRAL, np.full((5, 52), 0.3))]
    made = code_performances(talking, count=20, generator=np.random.default_rng(0))
    assert len(made) == 6 * 20
    for one in made:
        change = one.expression.mean(axis=0) - 0.3
        units = coded_expression(one.clip.emotion)
        assert change[units == 0] == pytest.approx(0, abs=1e-6)
        assert change @ units > 0


def _fields(value):
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def test_only_data_sets_that_act_say_what_is_usual():
    stills = [perform(p, e, np.zeros((1, 52)), "stills").clip for p in "xy"
              for e in (Emotion.HAPPY, Emotion.NEUTRAL)]  # fmt: skip
    acted = [perform("a", e, np.zeros((1, 52)), "acted").clip for e in Emotion]
    assert acted_clips(stills + acted) == acted


@pytest.mark.gpu
def test_it_learns_on_a_gpu_and_comes_back_from_it(tmp_path):
    performances = toy_performances(signal=0.5)
    result = learn(performances, tmp_path, device="cuda")
    assert result.score > 0.8
    assert result.models.labels.device.type == "cpu"
