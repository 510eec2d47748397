import numpy as np
import pytest
import torch

from cdrl_cli.face.blendshapes import EXPRESSION_NAMES
from cdrl_cli.training.checkpoint import RunFacts
from cdrl_cli.training.config import ScheduleConfig
from cdrl_cli.training.teachers import expression
from cdrl_cli.training.teachers.expression import train_expression_reader

JAW = EXPRESSION_NAMES.index("jawOpen")


def drawn_clip(seed, frames=40):
    """Crops and coefficients: a black mouth on a grey face: its height is jawOpen."""
    rng = np.random.default_rng(seed)
    opened = rng.uniform(0, 1, frames)
    expression = np.zeros((frames, 52), np.float32)
    expression[:, JAW] = opened
    faces = np.full((frames, 112, 112, 3), 140, np.uint8)
    for face, much in zip(faces, opened, strict=True):
        face[70 : 70 + round(30 * much), 40:72] = 10
    return faces, expression


FACTS = RunFacts({}, "digest", "commit")


def learn(clips, run, *, steps, save_every_s=0.0, **more):
    schedule = ScheduleConfig(steps=steps, validate_every=steps // 2, save_every_s=save_every_s)
    return train_expression_reader(clips, schedule, FACTS, run=run, **more)


def test_it_reads_what_it_was_shown_and_has_a_gradient(tmp_path, monkeypatch):
    monkeypatch.setattr(expression, "BATCH", 16)
    clips = [drawn_clip(seed) for seed in range(11)]
    reader, explained = learn(clips, tmp_path, steps=120, save_every_s=60.0)
    assert explained > 0.6
    crop = torch.rand(1, 3, 256, 256, requires_grad=True)
    reader(crop)[0, JAW].backward()
    assert crop.grad is not None
    assert crop.grad.abs().max() > 0
    assert not any(one.requires_grad for one in reader.parameters())


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path):
    clips = [drawn_clip(seed, frames=6) for seed in range(3)]
    whole, score = learn(clips, tmp_path / "whole", steps=4)

    def stop(done, _):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn(clips, tmp_path / "cut", steps=4, progress=stop)
    later, again = learn(clips, tmp_path / "cut", steps=4, resume=True)
    read, _ = learn(clips, tmp_path / "cut", steps=4, resume=True)
    assert again == score
    for other in (later, read):
        for name, value in whole.state_dict().items():
            assert torch.equal(value, other.state_dict()[name])
