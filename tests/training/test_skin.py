"""Light and creases on toy pairs: what the losses see, the closed form, the loop."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cdrl_cli.data.skin_pairs import RATIO_UNIT
from cdrl_cli.emotion import Emotion
from cdrl_cli.face.blendshapes import COUNTERPARTS
from cdrl_cli.generator.skin import RATIO_SIDE, SEEN_SIZE, WINDOW_SIZE
from cdrl_cli.generator.skin_network import SkinNetConfig
from cdrl_cli.training.config import ScheduleConfig
from cdrl_cli.training.recipes import SkinConfig
from cdrl_cli.training.skin import SkinTask, fit_expectation, train_skin
from cdrl_cli.training.skin_batches import light_of, mirror, read_batch, read_condition
from cdrl_cli.training.skin_data import SkinData
from cdrl_cli.training.skin_losses import LineEnergy, erased_texture


def toy_pairs(count=6):
    """Everybody's forehead darkens by what is asked of the first emotion, in a line."""
    rng = np.random.default_rng(0)
    size = (count, SEEN_SIZE, SEEN_SIZE)
    emotion = np.zeros((count, len(Emotion)), np.float32)
    emotion[:, 0] = np.linspace(0.5, 1, count)
    y, x = np.mgrid[:64, :64] / 31.5 - 1
    position = np.repeat(np.stack([x, y + 0.38, 0 * x + 0.1], axis=2)[None], count, axis=0)
    ratio = np.zeros((count, WINDOW_SIZE, WINDOW_SIZE))
    ratio[:, 80:84, 60:196] = -0.4
    flat = np.zeros((count, RATIO_SIDE, RATIO_SIDE))
    flat[:, 60:64, 40:168] = -0.4
    part = emotion[:, 0, None, None]
    return {
        "seen": rng.integers(90, 160, (*size, 3)).astype(np.uint8),
        "flow": rng.normal(0, 1, (count, 64, 64, 2)).astype(np.float16),
        "position": position.astype(np.float16),
        "mask": np.full(size, 255, np.uint8),
        "trust": np.full(size, 255, np.uint8),
        "ratio": np.rint(ratio * part / RATIO_UNIT).astype(np.int8),
        "flat": np.rint(flat * part / RATIO_UNIT).astype(np.int8),
        "source": rng.uniform(0, 0.2, (count, 52)).astype(np.float32),
        "change": rng.normal(0, 0.01, (count, 52)).astype(np.float32),
        "emotion": emotion,
    }


def recipe(steps, **changes):
    return SkinConfig(
        model=SkinNetConfig((8, 8, 16)),
        schedule=ScheduleConfig(steps=steps, validate_every=2, learning_rate=3e-3, patience=99),
        batch=2,
        rank=3,
        **changes,
    )


def data():
    pairs = toy_pairs()
    return SkinData(pairs, np.ones(6, np.float32), {k: v[:2] for k, v in pairs.items()})


def batch_of(pairs, rows, maps):
    whole, rows = torch.ones(len(rows)), np.array(rows)
    told = read_condition(pairs, rows, whole)
    return read_batch(pairs, rows, strength=whole, condition=told, maps=maps)


def test_the_closed_form_finds_what_all_have_in_common():
    pairs = toy_pairs()
    maps = fit_expectation(pairs, ridge=0.1, rank=3)
    asked = torch.zeros(1, 111)
    asked[0, 104] = 1.0
    position = torch.zeros(1, 3, SEEN_SIZE, SEEN_SIZE)
    cell = 61.5 / (RATIO_SIDE - 1) * 2 - 1
    position[:, 1] = 0.38 + 1.04 * cell
    assert float(maps(position, asked).mean()) == pytest.approx(-0.4, abs=0.04)
    position[:, 1] = 0.38
    assert abs(float(maps(position, asked).mean())) < 0.02


def test_what_is_expected_is_alike_on_both_sides():
    pairs = toy_pairs()
    pairs["flat"][:, :, :80] = 0
    pairs["emotion"][:] = 0
    pairs["change"][:, 1] = 1  # the left brow, seen on the right
    maps = fit_expectation(pairs, ridge=0.1, rank=6)
    torch.manual_seed(0)
    position = torch.rand(1, 3, SEEN_SIZE, SEEN_SIZE) - 0.5
    other = position * torch.tensor([-1.0, 1, 1]).view(1, 3, 1, 1)
    left, right = torch.zeros(2, 1, 111)
    left[0, 53], right[0, 52 + COUNTERPARTS[1]] = 1, 1
    torch.testing.assert_close(maps(position, left), maps(other, right), atol=5e-3, rtol=0)


def test_a_pair_in_a_mirror_is_a_pair():
    pairs = toy_pairs()
    maps = fit_expectation(pairs, ridge=1.0, rank=3)
    batch = batch_of(pairs, [0, 1], maps)
    again = mirror(mirror(batch))
    torch.testing.assert_close(again.picture, batch.picture)
    torch.testing.assert_close(again.condition, batch.condition)
    torch.testing.assert_close(mirror(batch).crease, batch.crease.flip(3))


def test_light_is_the_smooth_part_without_its_mean():
    ratio = torch.zeros(1, 1, WINDOW_SIZE, WINDOW_SIZE)
    ratio[..., :128] = 0.4
    light = light_of(ratio, torch.ones_like(ratio))
    assert abs(float(light.mean())) < 1e-4
    assert float(light[..., 5].mean()) == pytest.approx(0.2, abs=0.02)


@pytest.mark.parametrize("sign", [-1, 1])
def test_lines_are_told_by_direction_and_by_sign_and_not_by_their_very_place(sign):
    energy, mask = LineEnergy(), torch.ones(1, 1, WINDOW_SIZE, WINDOW_SIZE)
    lying, lower, upright = torch.zeros(3, 1, 1, WINDOW_SIZE, WINDOW_SIZE)
    lying[..., 100:103, :] = 0.3 * sign
    lower[..., 102:105, :] = 0.3 * sign
    upright[..., 100:103] = 0.3 * sign
    one, near, across, other = (energy(x, mask) for x in (lying, lower, upright, -lying))
    assert (one - near).abs().mean() < 0.5 * one.mean()
    assert (one - across).abs().mean() > 0.7 * one.mean()
    assert (one - other).abs().mean() > 0.7 * one.mean()
    assert not energy(torch.full_like(lying, 0.3), mask)[..., 2:-2, 2:-2].any()


def test_taking_texture_away_costs():
    pairs = toy_pairs()
    batch = batch_of(pairs, [0, 1], fit_expectation(pairs, ridge=1.0, rank=3))
    grey = (batch.picture[:, :3] / 2 + 0.5).mean(dim=1, keepdim=True)
    grain = torch.nn.functional.interpolate(grey - grey.mean(), scale_factor=2.0)
    less, more, none = (float(erased_texture(batch, share * grain)) for share in (-0.5, 0.5, 0.0))
    assert less > 5 * more
    assert less > 5 * none


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path):
    config = recipe(4, critic_from=0.3)
    whole = train_skin(config, data(), run=tmp_path / "whole")
    cut = recipe(4, critic_from=0.3)
    stop = Stop(3)
    with pytest.raises(CutError):
        train_skin(cut, data(), run=tmp_path / "cut", progress=stop)
    resumed = train_skin(cut, data(), run=tmp_path / "cut", resume=True)
    for one, other in zip(
        whole.model.state_dict().values(), resumed.model.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert whole.facts["recipe"] == "spfem train skin"


class CutError(Exception):
    """Somebody pulled the plug."""


class Stop:
    def __init__(self, step):
        self.step = step

    def __call__(self, done, _total):
        if done == self.step:
            raise CutError


def test_training_lowers_what_is_missed():
    pairs = toy_pairs()
    pairs["flat"][:] = 0  # nothing is expected: the network has all to learn
    y = np.linspace(-1, 1, WINDOW_SIZE)[None, :, None]
    shaded = 0.3 * y * pairs["emotion"][:, 0, None, None]
    pairs["ratio"] = np.rint(np.repeat(shaded, WINDOW_SIZE, 2) / RATIO_UNIT).astype(np.int8)
    config = replace(
        recipe(24), schedule=replace(recipe(24).schedule, learning_rate=0.01), critic_from=1.0
    )
    maps = fit_expectation(pairs, ridge=1.0, rank=3)
    task = SkinTask(config, SkinData(pairs, np.ones(6, np.float32), pairs), maps)
    missed = []
    for step in range(24):
        for update in task.updates(step):
            missed.append(float(update.losses[0].value.detach()))
            update.apply()
    assert np.mean(missed[-6:]) < 0.8 * np.mean(missed[:6])
