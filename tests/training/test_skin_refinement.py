"""The second stage of light and creases on toy pairs and toy edits."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from training.test_skin import CutError, Stop, data, recipe

from cdrl_cli.emotion import Emotion
from cdrl_cli.generator.skin import SEEN_SIZE, STRENGTHS, WINDOW_SIZE
from cdrl_cli.training.config import ScheduleConfig
from cdrl_cli.training.recipes import SkinRefinementConfig
from cdrl_cli.training.skin import train_skin
from cdrl_cli.training.skin_edits import SkinEdits, draw_edits, shade_picture
from cdrl_cli.training.skin_losses import jaggedness
from cdrl_cli.training.skin_refinement import RefinementTask, SkinTeachers, refine_skin
from cdrl_cli.training.teachers.emotion import Guide
from cdrl_cli.training.teachers.recognition import Recogniser


class DarkIsAngry(Guide):
    """Takes a dark face for an angry one."""

    side = 16
    order = tuple(emotion.value for emotion in Emotion)

    def read(self, picture):
        dark = 9 * (1 - picture.mean(dim=(1, 2, 3)))
        return torch.stack([dark, *[0 * dark] * 6], dim=1)


class Looks(Recogniser):
    """Knows people by their mean colour."""

    def __init__(self):
        nn.Module.__init__(self)

    def embed(self, face):
        return nn.functional.normalize(face.mean(dim=(2, 3)), dim=1)

    def look(self, face, *, features):
        return [face[:, :, ::2, ::2]] * features


def toy_edits(count=4):
    rng = np.random.default_rng(0)
    seen = np.zeros((count, 9, SEEN_SIZE, SEEN_SIZE), np.float16)
    seen[:, 5] = 1
    y, x = np.mgrid[:SEEN_SIZE, :SEEN_SIZE] / (SEEN_SIZE / 2) - 1
    seen[:, 6], seen[:, 7] = x, y + 0.38
    condition = np.zeros((count, 111), np.float32)
    condition[:, 60], condition[:, 104] = 0.3, 1
    landmarks = rng.uniform(60, 190, (2, 478, 3)).astype(np.float32)
    return SkinEdits(
        picture=rng.integers(120, 180, (count, 256, 256, 3)).astype(np.uint8),
        seen=seen,
        condition=condition,
        mask=np.full((count, WINDOW_SIZE, WINDOW_SIZE), 255, np.uint8),
        emotion=np.full(count, Emotion.ANGRY.class_index),
        person=np.arange(count) % 2,
        landmarks=landmarks,
        template=np.repeat(np.array([[[0.44, 0, 0], [0, 0.44, 0]]], np.float32), 2, axis=0),
        others=rng.integers(0, 255, (2, 8, 112, 112, 3)).astype(np.uint8),
        shown=np.array([[0, 3, -1, -2, -2, -2, -2, -2], [0, *[-2] * 7]]),
    )


TEACHERS = SkinTeachers([(DarkIsAngry(), {Emotion.ANGRY: 1.0})], Looks())


def refined(steps=3, **changes):
    stage = SkinRefinementConfig(
        schedule=ScheduleConfig(steps=steps, learning_rate=3e-3, validate_every=1),
        pairs=2,
        edits=2,
        **changes,
    )
    return replace(recipe(1, critic_from=0.3), refinement=stage)


@pytest.fixture(scope="module")
def begin(tmp_path_factory):
    """What was learned of pairs."""
    return train_skin(refined(), data(), run=tmp_path_factory.mktemp("pairs"))


@pytest.mark.slow
def test_a_resumed_refinement_equals_an_uninterrupted_one(begin, tmp_path):
    told = (refined(2), data(), begin, toy_edits(), TEACHERS)
    whole = refine_skin(*told, run=tmp_path / "whole")
    with pytest.raises(CutError):
        refine_skin(*told, run=tmp_path / "cut", progress=Stop(1))
    resumed = refine_skin(*told, run=tmp_path / "cut", resume=True)
    changed = False
    for one, other, first in zip(
        *(made.model.state_dict().values() for made in (whole, resumed, begin)), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
        changed |= bool((one != first).any())
    assert changed
    assert whole.facts["steps"] == "1 and 2"


@pytest.mark.slow
def test_it_draws_what_the_guides_see(begin):
    config = refined(4, identity=0.0, natural=0.0, perceptual=0.0, guide=500.0)
    device = torch.device("cpu")
    task = RefinementTask(config, data(), begin, toy_edits(), TEACHERS, device=device)
    batch = draw_edits(toy_edits(), 2, np.random.default_rng(0))

    def brightness():
        with torch.no_grad():
            return float(task.whole(batch.seen, batch.condition).mean())

    before = brightness()
    for step in range(4):
        for update in task.updates(step):
            update.apply()
    assert brightness() < before


def test_an_edit_is_told_as_strongly_as_it_is_shipped_and_held_to_another_emotion():
    batch = draw_edits(toy_edits(), 8, np.random.default_rng(1))
    torch.testing.assert_close(batch.condition[:, 104], torch.full((8,), float(STRENGTHS[0])))
    assert (batch.asked[:, 52] == 1).all()
    edits = toy_edits()
    angry = {tuple(one[0, 0]) for one in edits.others[:1].astype(int)[0][:1]}
    drawn = {tuple(np.rint(255 * one[:, 0, 0].numpy()).astype(int)) for one in batch.other}
    assert len(drawn) > 1
    mine = draw_edits(replace(edits, person=np.zeros(4, int)), 8, np.random.default_rng(1)).other
    assert not angry & {tuple(np.rint(255 * one[:, 0, 0].numpy()).astype(int)) for one in mine}


def test_a_shaded_picture_is_darker_where_the_window_says():
    shade = torch.zeros(1, 1, WINDOW_SIZE, WINDOW_SIZE)
    shade[..., 120:136, 120:136] = -0.5
    picture = shade_picture(torch.full((1, 3, 256, 256), 0.5), shade)
    changed = (picture[0] < 0.49).nonzero()
    assert len(changed)
    red, _, blue = picture[0].amin(dim=(1, 2))
    assert blue < red < 0.4
    assert picture[0, :, 0, 0].tolist() == pytest.approx([0.5] * 3)


def test_a_grid_of_pixels_is_jagged_and_a_soft_line_is_not():
    mask = torch.ones(1, 1, WINDOW_SIZE, WINDOW_SIZE)
    grid, line = torch.zeros(2, 1, 1, WINDOW_SIZE, WINDOW_SIZE)
    grid[..., ::2] = 0.1
    line[:] = 0.1 * torch.exp(-((torch.arange(WINDOW_SIZE) - 128) ** 2) / 18)
    assert jaggedness(grid, mask) > 30 * jaggedness(line, mask)
