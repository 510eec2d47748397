import numpy as np
import pytest

from cdrl_cli.checkpoints.load import find_weights
from cdrl_cli.checkpoints.models import load_models
from cdrl_cli.checkpoints.registry import read_manifest
from cdrl_cli.checkpoints.trained import load_emotion
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UsageError, WeightsError
from cdrl_cli.face.alignment import crop_face
from cdrl_cli.face.blendshapes import EXPRESSION_NAMES, SHARES
from cdrl_cli.face.compositing import paste_face
from cdrl_cli.face.stream import FaceTrack
from cdrl_cli.generator.motion import MAX_SHIFT, DifferenceMotion, LearnedMotion, Window
from cdrl_cli.generator.renderer import LearnedRenderer, WarpRenderer
from cdrl_cli.nn.networks import open_network
from cdrl_cli.nn.onnx import read_facts
from cdrl_cli.reference import OBSERVED_SHARE, condition_of_face, condition_of_label
from cdrl_cli.weight_set import WeightSet
from heads import toy_head
from pictures import ArrayFrame, read_pictures

pytestmark = pytest.mark.weights


def test_an_unknown_set_is_refused():
    with pytest.raises(UsageError):
        load_models("purple")


def test_neutral_asks_for_nothing_and_every_emotion_for_something_real(models):
    for emotion in Emotion:
        strength = np.linalg.norm(condition_of_label(emotion, models).difference)
        if emotion is Emotion.NEUTRAL:
            assert strength == 0
        else:
            assert 0.3 < strength <= MAX_SHIFT


@pytest.mark.parametrize("weight_set", WeightSet)
def test_doubt_about_a_reference_is_told_and_not_asked_for(weight_set):
    """Half a smile between raised brows, without pixels: the labels are doubted, the change is
    not."""
    models = load_models(weight_set)
    shown = models.neutral.mean + 0.6 * models.differences[Emotion.HAPPY.class_index]
    shown = shown + 0.3 * models.differences[Emotion.SURPRISED.class_index]
    nothing = np.zeros((0, 112, 112, 3), np.uint8)
    seen = FaceTrack(
        np.arange(4.0),
        np.tile(shown, (4, 1)).astype(np.float32),
        np.zeros(0),
        nothing,
        nothing,
        np.tile(models.head.canonical_xyz, (4, 1, 1)).astype(np.float32),
    )
    asked = condition_of_face(seen, models, rest=models.neutral.mean)
    assert asked.reading.sum() == pytest.approx(1)
    assert asked.reading.max() < 0.5
    assert asked.likelihood[Emotion.NEUTRAL.class_index] == 0
    assert asked.likelihood.sum() == pytest.approx(1 - asked.reading[Emotion.NEUTRAL.class_index])
    np.testing.assert_allclose(asked.difference, SHARES * (shown - models.neutral.mean), atol=1e-6)
    assert asked.observed == OBSERVED_SHARE
    assert np.linalg.norm(asked.embedding) == pytest.approx(1)


def test_the_core_alone_knows_no_learned_motion():
    assert isinstance(load_models(core=True).motion, DifferenceMotion)


@pytest.mark.parametrize("weight_set", WeightSet)
def test_a_neutral_face_asked_to_be_neutral_hardly_changes(weight_set):
    models = load_models(weight_set)
    calm = models.neutral.mean
    condition = condition_of_label(Emotion.NEUTRAL, models)
    shown = models.motion(calm, Window(np.zeros(1), calm[None]), condition, intensity=1.0)
    # A fifth of what a weak edit changes.
    assert np.linalg.norm(shown - calm) < 0.2


@pytest.mark.parametrize("weight_set", WeightSet)
@pytest.mark.parametrize("emotion", [one for one in Emotion if one is not Emotion.NEUTRAL])
def test_the_learned_motion_shows_the_emotion_to_cerl(weight_set, emotion):
    models, emotions = load_models(weight_set), load_emotion(weight_set)
    calm = models.neutral.mean
    condition = condition_of_label(emotion, models)
    shown = models.motion(calm, Window(np.zeros(1), calm[None]), condition, intensity=1.0)
    read = emotions.reader.embed(shown[None].astype(np.float32))
    probabilities = emotions.space.probabilities(read)
    assert max(probabilities, key=lambda one: probabilities[one]) is emotion


def test_emotions_leave_speech_alone(models):
    assert not models.differences[:, SHARES == 0].any()


@pytest.mark.parametrize(
    ("emotion", "name", "sign"),
    [
        (Emotion.HAPPY, "mouthSmileLeft", 1),
        (Emotion.SAD, "mouthFrownRight", 1),
        (Emotion.SAD, "browInnerUp", 1),
        (Emotion.ANGRY, "browDownLeft", 1),
        (Emotion.DISGUSTED, "noseSneerRight", 1),
        (Emotion.SURPRISED, "browOuterUpLeft", 1),
        (Emotion.FEAR, "eyeWideRight", 1),
        (Emotion.SAD, "mouthSmileLeft", -1),
    ],
)
def test_emotions_look_as_the_textbook_says(models, emotion, name, sign):
    assert sign * models.differences[emotion.class_index, EXPRESSION_NAMES.index(name)] > 0.05


def test_the_canonical_face_lies_in_head_space(models):
    canonical = models.head.canonical_xyz
    np.testing.assert_allclose(canonical[[33, 263]].mean(axis=0), 0, atol=1e-5)
    assert np.linalg.norm(canonical[263] - canonical[33]) == pytest.approx(1, abs=1e-5)
    assert canonical[33, 0] < canonical[263, 0]
    assert canonical[10, 1] < canonical[152, 1]
    assert canonical[1, 2] < canonical[33, 2]
    np.testing.assert_allclose(canonical[toy_head().mirror] * (-1, 1, 1), canonical, atol=1e-5)


def test_only_the_face_of_a_real_clip_changes(models, clips):
    (picture,) = read_pictures(clips / "single_face.mp4", 1)
    frame = ArrayFrame(picture)
    landmarker = models.open_landmarker()
    face = landmarker.detect(picture)[0]
    crop = crop_face(frame, face, models.head.locate(face))
    shown = models.motion(
        face.expression,
        Window(np.zeros(1), face.expression[None]),
        condition_of_label(Emotion.HAPPY, models),
        intensity=1.0,
    )
    asked = condition_of_label(Emotion.HAPPY, models).likelihood
    pasted = paste_face(frame, crop, models.renderer(crop, shown, asked)).pixels
    changed = np.argwhere((pasted != frame.pixels).any(axis=2))
    left, top, right, bottom = face.box_xyxy
    margin = 0.3 * (right - left)
    assert len(changed) > 1000
    assert changed[:, 1].min() > left - margin
    assert changed[:, 1].max() < right + margin
    assert changed[:, 0].min() > top - margin
    assert changed[:, 0].max() < bottom + margin

    # And read again, the face smiles more than it did: the mouth's coefficients are far from
    # linear near 0, so we compare by factors there.
    landmarker = models.open_landmarker()
    after = landmarker.detect(pasted)[0]
    smiles, squints = (
        [EXPRESSION_NAMES.index(f"{stem}{side}") for side in ("Left", "Right")]
        for stem in ("mouthSmile", "eyeSquint")
    )
    assert after.expression[smiles].mean() > 4 * face.expression[smiles].mean()
    assert after.expression[squints].mean() > face.expression[squints].mean() + 0.05


def test_a_folder_without_a_generator_is_one_clear_error(tmp_path):
    with pytest.raises(WeightsError, match=r"motion\.onnx: no such file"):
        load_models(generator=tmp_path)


def test_the_learned_generator_is_the_default_and_the_core_is_to_be_had():
    full, core = load_models(), load_models(core=True)
    assert isinstance(full.motion, LearnedMotion)
    assert isinstance(full.renderer, LearnedRenderer)
    assert isinstance(core.renderer, WarpRenderer)


@pytest.mark.parametrize("weight_set", list(WeightSet))
def test_a_renderers_int8_twin_was_made_from_the_renderer_that_is_shipped(weight_set):
    manifest, entry = read_manifest(), weight_set.entry("renderer")
    facts = read_facts(open_network(find_weights(weight_set.entry("renderer-int8"))))
    again = "the renderer is another one: python benchmarks/quantise.py"
    assert facts["made_from"] == manifest[entry].sha256, again


def test_the_twin_runs_where_bytes_are_multiplied_and_shows_the_same(monkeypatch, clips):
    (picture,) = read_pictures(clips / "single_face.mp4", 1)
    frame, shown = ArrayFrame(picture), {}
    for quick in (False, True):
        monkeypatch.setattr("cdrl_cli.checkpoints.models.multiplies_bytes", lambda q=quick: q)
        models = load_models(device="cpu")
        landmarker = models.open_landmarker()
        face = landmarker.detect(picture)[0]
        crop = crop_face(frame, face, models.head.locate(face))
        happy = models.differences[Emotion.HAPPY.class_index]
        asked = np.eye(7)[Emotion.HAPPY.class_index]
        rendering = models.renderer(crop, (face.expression + happy).clip(0, 1), asked)
        shown[quick] = paste_face(frame, crop, rendering).pixels.astype(int)
    assert (shown[True] != shown[False]).any()
    assert np.abs(shown[True] - shown[False]).mean() < 0.05
