"""The recipe's loop on toy people; CERL and CCRL are the embedded ones, frozen."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cdrl_cli.checkpoints.trained import load_content, load_emotion, read_motion, write_motion
from cdrl_cli.data.action_units import coded_expression
from cdrl_cli.data.index import Clip
from cdrl_cli.data.motions import (
    MotionTake,
    align_takes,
    play_on,
    typical_differences,
)
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UsageError, WeightsError
from cdrl_cli.face.blendshapes import SHARES
from cdrl_cli.generator.motion import NeutralPrior
from cdrl_cli.generator.motion_network import MotionConfig, MotionEditor
from cdrl_cli.training.config import ScheduleConfig
from cdrl_cli.training.motion import train_motion
from cdrl_cli.training.motion_losses import part_closed_lips
from cdrl_cli.training.recipes import MotionSamplingConfig, MotionTrainingConfig
from heads import coefficients

pytestmark = pytest.mark.weights

PEOPLE = ("a", "b", "J05")
FELT = SHARES > 0


def toy_takes(strength=1.0, frames=40):
    """Everybody says one sentence, a wave of the speech channels, in every emotion."""
    generator = np.random.default_rng(0)
    wave = 0.2 + 0.15 * np.sin(np.arange(frames)[:, None] * generator.uniform(0.2, 0.6, 52))
    takes = []
    for person in PEOPLE:
        neutral = generator.uniform(0, 0.1, 52).astype(np.float32)
        talking = neutral + np.where(SHARES == 0, wave, 0)
        for emotion in Emotion:
            clip = Clip(
                Path(f"{person}-{emotion}.mp4"), None, "toy", "permissive", person, emotion, True,
                "one", "train",
            )  # fmt: skip
            shown = talking + strength * SHARES * coded_expression(emotion)
            takes.append(MotionTake(clip, shown.clip(0, 1).astype(np.float32), neutral))
    return takes


def recipe(steps, *, validate_every=50, **schedule):
    return MotionTrainingConfig(
        model=MotionConfig(width=16, hidden=32),
        sampling=MotionSamplingConfig(windows=8, frames=30),
        schedule=ScheduleConfig(
            steps=steps, validate_every=validate_every, learning_rate=5e-3, patience=99, **schedule
        ),
    )


def learn(takes, run, config, **more):
    neutral = NeutralPrior(np.full(52, 0.05), np.full(52, 0.12))
    return train_motion(config, takes, neutral, load_emotion(), load_content(), run=run, **more)


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    return learn(toy_takes(), tmp_path_factory.mktemp("run"), recipe(250))


@pytest.mark.parametrize("emotion", [Emotion.HAPPY, Emotion.SAD, Emotion.SURPRISED])
def test_a_person_never_seen_takes_on_the_emotion_asked_for(learned, emotion):
    calm = next(one for one in toy_takes() if one.clip.path.stem == "J05-neutral").expression
    label = load_emotion().labels[emotion.class_index]
    with torch.inference_mode():
        output = learned.editor(torch.from_numpy(calm)[None], label[None], torch.ones(1))[0]
    change = output.numpy().mean(axis=0) - calm.mean(axis=0)
    real = SHARES * coded_expression(emotion)
    assert change @ real / np.linalg.norm(change) / np.linalg.norm(real) > 0.5
    assert np.linalg.norm(change) > 0.3


def test_an_emotional_face_comes_back_to_neutral(learned):
    by_name = {one.clip.path.stem: one for one in toy_takes()}
    smiling, calm = (by_name[f"a-{x}"].expression for x in ("happy", "neutral"))
    label = load_emotion().labels[Emotion.NEUTRAL.class_index]
    with torch.inference_mode():
        output = learned.editor(torch.from_numpy(smiling)[None], label[None], torch.ones(1))[0]
    before, after = (np.linalg.norm((x - calm)[-1]) for x in (smiling, output.numpy()))
    assert after < 0.8 * before


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path):
    takes, config = toy_takes(), recipe(8, validate_every=3, save_every_s=0.0)
    whole = learn(takes, tmp_path / "whole", config)

    def stop(done, _):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn(takes, tmp_path / "cut", config, progress=stop)
    resumed = learn(takes, tmp_path / "cut", config, resume=True)
    for name, tensor in whole.editor.state_dict().items():
        torch.testing.assert_close(resumed.editor.state_dict()[name], tensor, rtol=0, atol=0)


def test_nobody_to_validate_on_is_refused(tmp_path):
    alone = [one for one in toy_takes() if one.clip.identity != "J05"]
    with pytest.raises(UsageError, match="validate"):
        learn(alone, tmp_path, recipe(250))


def test_an_editor_is_read_as_it_was_written(tmp_path):
    editor = MotionEditor(MotionConfig(width=8, hidden=16))
    write_motion(tmp_path / "m.onnx", editor, facts={"recipe": "a test"})
    back = read_motion(tmp_path / "m.onnx")
    assert back.config == editor.config
    for name, tensor in editor.state_dict().items():
        torch.testing.assert_close(back.state_dict()[name], tensor, rtol=0, atol=0)


def test_another_file_is_no_editor(tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"nothing of the kind")
    with pytest.raises(WeightsError, match="no motion editor"):
        read_motion(tmp_path / "m.onnx")


def test_takes_of_a_sentence_are_aligned_and_others_are_not():
    takes = toy_takes()
    pairs = align_takes(takes)
    assert len(pairs) == len(PEOPLE) * (len(Emotion) - 1)
    for pair in pairs:
        assert pair.neutral.clip.identity == pair.emotional.clip.identity
        real = pair.emotional.difference
        np.testing.assert_allclose(pair.change[20][FELT] * SHARES[FELT], real[FELT], atol=0.05)


def test_the_typical_difference_is_that_of_those_who_act_clearly():
    weak, clear = toy_takes(strength=0.05), toy_takes(strength=1.0)
    takes = [one for one in weak if one.clip.identity == "a"]
    takes += [one for one in clear if one.clip.identity != "a"]
    # They act alike, so that nothing is left for the action units.
    typical = typical_differences(takes, strength=0.9)
    happy = next(one for one in clear if one.clip.identity == "b" and one.emotion is Emotion.HAPPY)
    expected = 0.9 * happy.difference / happy.strength
    np.testing.assert_allclose(typical[Emotion.HAPPY.class_index], expected, atol=0.03)
    assert not typical[Emotion.NEUTRAL.class_index].any()


def test_where_nobody_acts_an_emotion_its_action_units_stand_in():
    takes = [one for one in toy_takes() if one.emotion is Emotion.NEUTRAL]
    typical = typical_differences(takes, strength=0.9)
    sad = SHARES * coded_expression(Emotion.SAD)
    np.testing.assert_allclose(
        typical[Emotion.SAD.class_index], 0.9 * sad / np.linalg.norm(sad), atol=1e-9
    )


def test_where_actors_contradict_one_another_the_action_units_decide():
    takes = toy_takes()
    mirrored = [
        replace(one, expression=2 * one.neutral - one.expression)
        if one.clip.identity == "a" and one.emotion is Emotion.SAD
        else one
        for one in takes
        if one.clip.identity in ("a", "b")
    ]
    typical = typical_differences(mirrored, strength=0.9)
    sad = SHARES * coded_expression(Emotion.SAD)
    np.testing.assert_allclose(
        typical[Emotion.SAD.class_index], 0.9 * sad / np.linalg.norm(sad), atol=1e-6
    )


def test_speech_played_on_a_calm_face_keeps_its_time():
    takes = {one.clip.path.stem: one.expression for one in toy_takes()}
    played = play_on(takes["a-happy"], takes["a-neutral"][::-1])
    speech = SHARES == 0
    np.testing.assert_array_equal(played[:, speech], takes["a-happy"][:, speech])
    np.testing.assert_array_equal(played[:, SHARES == 1], takes["a-neutral"][::-1][:, SHARES == 1])


def test_lips_may_move_while_they_are_open_and_not_while_they_are_closed():
    closed, opened = torch.zeros(1, 52), torch.from_numpy(coefficients(jawOpen=0.4)).float()[None]
    lips = torch.from_numpy(coefficients(mouthUpperUpLeft=0.5, mouthFunnel=0.5)).float()[None]
    brows = torch.from_numpy(coefficients(browInnerUp=1.0)).float()[None]
    assert part_closed_lips(closed, brows) == 0
    assert part_closed_lips(closed, lips) > 100 * part_closed_lips(opened, lips)


@pytest.mark.gpu
def test_it_learns_on_a_gpu_and_comes_back_from_it(tmp_path):
    emotion = load_emotion()
    neutral = NeutralPrior(np.full(52, 0.05), np.full(52, 0.12))
    result = train_motion(
        recipe(4, validate_every=2), toy_takes(), neutral, emotion, load_content(), run=tmp_path,
        device="cuda",
    )  # fmt: skip
    assert result.steps == 4
    assert next(result.editor.parameters()).device.type == "cpu"
    assert next(emotion.encoder.parameters()).device.type == "cpu"
