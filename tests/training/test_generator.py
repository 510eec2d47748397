"""The generator's training, on faces made of numbers."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cdrl_cli.checkpoints.trained import load_content, load_emotion, load_motion
from cdrl_cli.data.augment import Light
from cdrl_cli.data.faces import MOMENTS, FaceBatch, FaceSampler
from cdrl_cli.data.prepared import load_crops, save_fields
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UsageError
from cdrl_cli.generator.unet import UNetConfig
from cdrl_cli.training.checkpoint import digest_data, run_facts
from cdrl_cli.training.config import ScheduleConfig
from cdrl_cli.training.differentiable import Chain
from cdrl_cli.training.generator import GeneratorTask
from cdrl_cli.training.image_losses import optical_flow
from cdrl_cli.training.log import read_log
from cdrl_cli.training.loop import Trainer
from cdrl_cli.training.recipes import (
    EditingConfig,
    GeneratorConfig,
    GeneratorLossConfig,
    GeneratorSamplingConfig,
)
from cdrl_cli.training.requests import Edits, RequestSampler, ask, change_expressions
from cdrl_cli.training.supervision import Supervision, cut_mouths
from cdrl_cli.training.teachers.emotion import Guide
from cdrl_cli.training.teachers.expression import ExpressionReader
from cdrl_cli.training.teachers.identity import Likeness
from heads import toy_head
from networks import write_likeness
from pictures import waves
from talking_faces import face_clip

pytestmark = pytest.mark.weights


class BrightnessGuide(Guide):
    """Takes a bright face for a happy one."""

    side = 32
    order = tuple(emotion.value for emotion in Emotion)

    def read(self, picture):
        happy = 4 * picture.mean(dim=(1, 2, 3))
        rest = picture.new_zeros(len(picture), len(Emotion))
        return rest.index_fill(1, torch.tensor([Emotion.HAPPY.class_index]), 1.0) * happy[:, None]


@pytest.fixture(scope="module")
def faces():
    return [
        face_clip(identity, emotion, seed)
        for seed, (identity, emotion) in enumerate(
            [("a", Emotion.NEUTRAL), ("a", Emotion.HAPPY), ("b", Emotion.NEUTRAL)]
        )
    ]


def new_trainer(faces, run, *, steps, resume=False, loss=None, edits=1, guided=False):
    toy = toy_head()
    recipe = GeneratorConfig(
        model=UNetConfig(widths=(8, 16)),
        editing=EditingConfig(begins=0.25, guided_pixels=guided),
        sampling=GeneratorSamplingConfig(pairs=2, edits=edits),
        loss=loss or GeneratorLossConfig(),
        schedule=ScheduleConfig(steps=steps, validate_every=2, threads=1),
    )
    torch.manual_seed(0)
    reader = ExpressionReader().requires_grad_(requires_grad=False).eval()
    trust = dict.fromkeys(Emotion, 1.0)
    likeness = run.parent / "likeness.onnx"
    write_likeness(likeness)
    task = GeneratorTask(
        recipe,
        faces,
        Chain(toy.mesh, toy.canonical_xyz, toy.basis),
        load_motion(),
        Supervision(
            load_emotion(), load_content(), reader, Likeness(likeness), [(BrightnessGuide(), trust)]
        ),
        device=torch.device("cpu"),
    )
    facts = run_facts(recipe, digest_data(one.expression for one in faces))
    return task, Trainer(run, task, recipe.schedule, facts, resume=resume)


def train(faces, run, *, until=None, **more):
    task, trainer = new_trainer(faces, run, **more)
    trainer.fit(until=until)
    return task


def losses_of(updates):
    """Apply updates in turn; the losses of all."""
    found = {}
    for update in updates:
        found |= {loss.name: float(loss.value.detach()) for loss in update.losses}
        found |= {name: float(value) for name, value in update.measures.items()}
        update.apply()
    return found


def test_a_run_that_was_cut_goes_on_as_if_it_had_not_been(faces, tmp_path):
    whole = train(faces, tmp_path / "whole", steps=4)
    train(faces, tmp_path / "cut", steps=4, until=3)
    rest = train(faces, tmp_path / "cut", steps=4, resume=True)
    for name, part in whole.parts.items():
        if isinstance(part, torch.nn.Module):
            other = rest.parts[name].state_dict()
            for key, value in part.state_dict().items():
                assert torch.equal(value, other[key]), f"{name} {key}"
    assert whole.price.value == rest.price.value
    logs = [(tmp_path / run / "log.jsonl").read_text() for run in ("whole", "cut")]
    assert logs[0] == logs[1]
    rows = read_log(tmp_path / "whole/log.jsonl")
    assert [row["step"] for row in rows] == [2, 4]
    assert {"picture", "guide", "emotion", "content", "identity"} <= set(rows[0]["losses"])
    assert {"warp", "still", "alike", "price"} <= set(rows[0]["measures"])


def test_every_part_learns_and_the_frozen_ones_do_not(faces, tmp_path):
    before = load_motion().state_dict()
    task = train(faces, tmp_path, steps=3)
    assert task.average.last.weight.abs().max() > 0
    moved = [(value - before[name]).abs().max() for name, value in task.editor.state_dict().items()]
    assert max(moved) > 0
    fresh = load_emotion().encoder.state_dict()
    for name, value in task.frozen.emotion.encoder.state_dict().items():
        torch.testing.assert_close(value, fresh[name])


@pytest.mark.parametrize("term", ["emotion", "content"])
def test_an_ablation_has_the_term_no_more(faces, tmp_path, term):
    loss = replace(GeneratorLossConfig(), **{term: 0.0})
    task, _ = new_trainer(faces, tmp_path, steps=2, loss=loss)
    values = losses_of(task.updates(1))
    assert term not in values
    assert "guide" in values


def test_edits_learned_together_are_each_read_as_if_alone(faces, tmp_path):
    task, _ = new_trainer(faces, tmp_path, steps=2)
    frozen, rng = task.frozen, np.random.default_rng(3)
    moments = [task.sampler.draw_moments() for _ in range(2)]
    moments.append([(clip, 0) for clip in (*faces, faces[0])])  # as stills are: of several clips
    sampler = RequestSampler(faces, load_emotion())
    requests = [sampler.draw(rng) for _ in moments]
    shown = torch.rand(len(moments) * MOMENTS, 52)
    together = Edits(moments, requests)
    alone = [Edits([one], [request]) for one, request in zip(moments, requests, strict=True)]
    each = shown.split(MOMENTS)
    for loss in (frozen.emotion_loss, frozen.request_loss):
        expected = torch.stack([loss(one, edit) for one, edit in zip(each, alone, strict=True)])
        torch.testing.assert_close(loss(shown, together), expected.mean())
    editor, before = task.editor, load_motion()
    shifts = [change_expressions(edit, editor, before) for edit in alone]
    now, was, trembling = change_expressions(together, editor, before)
    torch.testing.assert_close(now, torch.cat([one[0] for one in shifts]))
    torch.testing.assert_close(was, torch.cat([one[1] for one in shifts]))
    assert trembling > 0


def test_likeness_costs_more_while_it_is_missed_and_less_while_it_is_not(faces, tmp_path):
    task, _ = new_trainer(faces, tmp_path, steps=4)
    was = task.price.value
    values = losses_of(task.updates(1))
    task.price.settle(np.mean)
    assert (task.price.value > was) == (values["alike"] < task.config.editing.alike)
    assert task.price.value != was


@pytest.mark.parametrize("guided", [False, True])
def test_pixels_are_guided_only_where_asked(faces, tmp_path, guided):
    task, _ = new_trainer(faces, tmp_path, steps=4, guided=guided, edits=2)
    losses_of(task.updates(0))  # the network begins with nothing to say
    before = {name: value.clone() for name, value in task.renderer.state_dict().items()}
    losses_of(task.edit_updates(ramp=1.0))
    moved = {
        name
        for name, value in task.renderer.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert moved == ({"drawings.cells"} if guided else set())


def test_another_recipe_does_not_go_on(faces, tmp_path):
    train(faces, tmp_path, steps=2, until=1)
    with pytest.raises(UsageError, match="another recipe"):
        train(faces, tmp_path, steps=3, resume=True)


def test_pairs_are_of_one_person_and_turned_alike(faces):
    sampler = FaceSampler(faces, np.random.default_rng(0))
    others = 0
    for _ in range(50):
        (one, i), (other, j) = sampler.draw_pair()
        assert one.clip.identity == other.clip.identity
        assert one is not other or i != j
        others += one is not other
        lines = [clip.crops.crop_from_head[k, 2, :3] for clip, k in ((one, i), (other, j))]
        lines = [line / np.linalg.norm(line) for line in lines]
        assert np.linalg.norm(lines[0] - lines[1]) < 0.15
    assert others > 5


def test_moments_follow_each_other(faces):
    moments = FaceSampler(faces, np.random.default_rng(0)).draw_moments()
    clips, places = zip(*moments, strict=True)
    assert len(moments) == MOMENTS
    assert all(clip is clips[0] for clip in clips)
    assert np.diff(places).tolist() == [1] * (MOMENTS - 1)
    batch = FaceBatch.of(moments)
    assert batch.image.shape == (MOMENTS, 3, 256, 256)
    assert 0 <= batch.image.min() < batch.image.max() <= 1


def test_another_light_changes_colours_and_nothing_else(faces):
    batch = FaceBatch.of([(faces[0], 0), (faces[1], 0)])
    other = batch.relit(Light.draw(4, np.random.default_rng(0)))
    assert (other.image - batch.image).abs().mean() > 0.01
    assert 0 <= other.image.min() < other.image.max() <= 1
    # What was brighter stays so.
    order = batch.image[0, 1].flatten().argsort()
    assert (other.image[0, 1].flatten()[order].diff() >= -1e-6).all()
    assert other.landmarks is batch.landmarks


def test_what_is_asked_of_the_renderer_is_the_label_and_never_neutral():
    emotions = load_emotion()
    for emotion in Emotion:
        asked = ask(emotions, emotions.labels[emotion.class_index])
        assert asked[Emotion.NEUTRAL.class_index] == 0
        if emotion is not Emotion.NEUTRAL:
            assert int(asked.argmax()) == emotion.class_index
        else:
            assert asked.sum() < 0.5


@pytest.mark.parametrize("moved", [(3, 0), (0, -2)])
def test_optical_flow_says_where_a_pixel_comes_from(moved):
    image = torch.from_numpy(waves(256, 256)).permute(2, 0, 1)[None].float() / 255
    # What was at p is at p + moved, so a pixel's source lies at -moved from it.
    target = image.roll(moved[::-1], dims=(2, 3))
    found = optical_flow(image, target)[0, :, 32:-32, 32:-32]
    for axis in (0, 1):
        assert float((found[axis] + moved[axis]).abs().median()) < 0.3


def test_nothing_moves_between_equal_pictures():
    image = torch.from_numpy(waves(256, 256)).permute(2, 0, 1)[None].float() / 255
    assert optical_flow(image, image).abs().max() < 0.1


def test_the_mouth_is_cut_as_prepared_clips_hold_it(faces):
    from cdrl_cli.preparation import cut_mouth

    batch = FaceBatch.of([(faces[0], 0)])
    mouth = torch.from_numpy(toy_head().canonical_xyz[[13, 14]].mean(axis=0)).float()
    found = cut_mouths(batch.image, batch.crop_from_head, mouth)[0].numpy()
    middle = batch.crop_from_head[0, :2, :3] @ mouth + batch.crop_from_head[0, :2, 3]
    kept = cut_mouth(faces[0].crops.image[0], middle.double().numpy()).astype(float) / 255
    smaller = kept.reshape(32, 2, 32, 2).mean(axis=(1, 3))
    assert np.abs(found - smaller).mean() < 0.03


def test_crops_are_read_as_they_were_written(faces, tmp_path):
    crops = faces[0].crops
    save_fields(crops, tmp_path / "a.npz")
    again = load_crops(crops.clip, tmp_path / "a.npz")
    np.testing.assert_array_equal(again.image, crops.image)
    np.testing.assert_array_equal(again.time_s, crops.time_s)
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]
