import numpy as np
import torch

from cdrl_cli.face.blendshapes import EXPRESSION_NAMES
from cdrl_cli.training.teachers.expression import train_reader

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


def test_it_reads_what_it_was_shown_and_has_a_slope():
    torch.set_num_threads(1)
    clips = [drawn_clip(seed) for seed in range(11)]
    reader, explained = train_reader(clips, steps=120, seed=0)
    assert explained > 0.6
    crop = torch.rand(1, 3, 256, 256, requires_grad=True)
    reader(crop)[0, JAW].backward()
    assert crop.grad is not None
    assert crop.grad.abs().max() > 0
    assert not any(one.requires_grad for one in reader.parameters())
