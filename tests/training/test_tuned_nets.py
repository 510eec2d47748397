from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import require_weights

from cdrl_cli.data.index import Clip
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UsageError
from cdrl_cli.training.config import ScheduleConfig
from cdrl_cli.training.published import BothNets
from cdrl_cli.training.tuned_nets import (
    Look,
    NetsRecipe,
    NetsTask,
    fit_sharpness,
    read_pictures,
    tune_nets,
    vary,
)

pytestmark = pytest.mark.weights


def look(emotion: Emotion, *, dataset: str = "CFEE", person: str = "a") -> Look:
    """A patch of a colour of its own in place of a face."""
    shares = np.zeros(len(Emotion), np.float32)
    shares[emotion.class_index] = 1
    rng = np.random.default_rng(emotion.class_index)
    patch = rng.integers(0, 256, (1, 4, 4, 3)).repeat(28, axis=1).repeat(28, axis=2)
    clip = Clip(
        Path(f"{person}.png"), None, dataset, "research", person, emotion, True, None, "train"
    )
    return Look(clip, shares, patch.astype(np.uint8), np.zeros(52), np.zeros((478, 3)))


@pytest.fixture
def nets() -> BothNets:
    require_weights("guides")
    return BothNets.published()


def recipe(steps: int) -> NetsRecipe:
    return NetsRecipe(
        schedule=ScheduleConfig(steps=steps, learning_rate=3e-3, validate_every=steps), batch=7
    )


def test_both_nets_learn_what_they_are_shown(nets, models, tmp_path):
    looks = [look(emotion) for emotion in Emotion]
    pictures = torch.from_numpy(np.concatenate([one.close_ups for one in looks]))
    pictures = pictures.permute(0, 3, 1, 2).float() / 255
    label = torch.arange(len(Emotion))

    def nats() -> torch.Tensor:
        with torch.no_grad():
            told = read_pictures(nets, pictures)
        return -told[label, :, label].mean(dim=0)

    before = nats()
    result = tune_nets(recipe(15), looks, [], nets, models.evidence, run=tmp_path / "run")
    assert (nats() < before - 0.1).all()
    assert result.nets.sharpness == 1  # nobody to ask
    assert np.isnan(result.read)


def test_an_emotion_that_nobody_shows_is_named(nets):
    with pytest.raises(UsageError, match="nobody in the data is fear"):
        NetsTask(recipe(1), [look(one) for one in Emotion if one is not Emotion.FEAR], nets)


def test_a_data_set_is_drawn_as_often_as_the_recipe_says(nets):
    looks = [look(emotion) for emotion in Emotion]
    looks += [look(emotion, dataset="MEAD") for emotion in Emotion]
    task = NetsTask(NetsRecipe(counted={"MEAD": 3.0}), looks, nets)
    rows = np.array([task._chance[:, emotion.class_index] for emotion in Emotion])
    np.testing.assert_allclose(rows[:, len(Emotion) :].sum(axis=1), 0.75)


def test_answers_that_are_too_sure_are_made_less_so(nets, models):
    """Colours say nothing of an emotion: the surer the nets, the worse."""
    proof = [look(emotion, person=str(number)) for number in range(2) for emotion in Emotion]
    nets.sharpness = 20.0
    sharpness, _ = fit_sharpness(nets.eval(), proof, models.evidence)
    assert sharpness < 1


def test_varied_pictures_are_pictures_and_the_draw_decides(nets):
    pictures = torch.rand(4, 3, 112, 112, generator=torch.Generator().manual_seed(0))
    one, same = (vary(pictures, np.random.default_rng(3)) for _ in range(2))
    torch.testing.assert_close(one, same)
    assert 0 <= one.min() <= one.max() <= 1
    assert not torch.allclose(one, vary(pictures, np.random.default_rng(4)))
