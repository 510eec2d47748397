import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cdrl_cli.checkpoints.models import load_models
from cdrl_cli.emotion import Emotion
from cdrl_cli.face.blendshapes import SHARES
from cdrl_cli.reference import Reference, gather_evidence, read_track
from cdrl_cli.representation.evidence import FLOOR, NETS, Evidence
from cdrl_cli.weight_set import WeightSet

pytestmark = pytest.mark.weights
COEFFICIENTS = hnp.arrays(float, 52, elements=st.floats(0, 1))
EMOTIONS = st.sampled_from(Emotion)


@pytest.fixture(scope="module", params=WeightSet)
def evidence(request):
    return load_models(request.param, core=True).evidence


def judged_as(emotion, *, surely=0.9):
    """Both nets alike."""
    likely = np.full(len(Emotion), (1 - surely) / (len(Emotion) - 1))
    likely[emotion.class_index] = surely
    return np.log(np.tile(likely, (NETS, 1)))


def average_face(evidence, *, expression=None, judged=None):
    shown = evidence.neutral if expression is None else expression
    return Evidence(shown, evidence.shape_mean, judged)


def test_of_a_face_like_all_others_the_mean_neutral_face_is_estimated(evidence):
    estimate = evidence.estimate_neutral(average_face(evidence))
    np.testing.assert_allclose(estimate, evidence.neutral, atol=0.1)


@given(COEFFICIENTS, EMOTIONS)
def test_an_estimate_is_a_face(evidence, expression, emotion):
    seen = average_face(evidence, expression=expression, judged=judged_as(emotion))
    estimate = evidence.estimate_neutral(seen)
    assert estimate.min() >= 0
    assert estimate.max() <= 1


@pytest.mark.parametrize("emotion", [one for one in Emotion if one is not Emotion.NEUTRAL])
def test_most_of_an_emotion_is_not_taken_for_the_face(evidence, models, emotion):
    """The estimate stays nearer to the mean than to what is shown."""
    shown = (evidence.neutral + models.differences[emotion.class_index]).clip(0, 1)
    seen = average_face(evidence, expression=shown, judged=judged_as(emotion))
    moved = SHARES * (evidence.estimate_neutral(seen) - evidence.neutral)
    asked = SHARES * (shown - evidence.neutral)
    assert np.linalg.norm(asked - moved) > 0.5 * np.linalg.norm(asked)


@given(COEFFICIENTS, EMOTIONS)
def test_a_neutral_face_that_is_given_takes_the_place_of_the_mean_one(
    evidence, expression, emotion
):
    """Whoever shows no more than at rest reads as the mean neutral face, however they look."""
    judged = judged_as(emotion)
    seen = average_face(evidence, expression=expression, judged=judged)
    calm = average_face(evidence, judged=judged)
    np.testing.assert_allclose(evidence.read(seen, expression), evidence.read(calm), atol=1e-9)


@given(COEFFICIENTS, COEFFICIENTS, EMOTIONS)
def test_a_reading_is_a_distribution(evidence, expression, own, emotion):
    seen = average_face(evidence, expression=expression, judged=judged_as(emotion))
    for neutral in (None, own):
        reading = evidence.read(seen, neutral)
        assert reading.min() > 0
        assert reading.sum() == pytest.approx(1)


@pytest.mark.parametrize("emotion", Emotion)
def test_what_both_nets_are_sure_of_is_read(evidence, emotion):
    reading = evidence.read(average_face(evidence, judged=judged_as(emotion)))
    assert reading.argmax() == emotion.class_index
    surer = evidence.read(average_face(evidence, judged=judged_as(emotion, surely=0.99)))
    assert surer.max() >= reading.max()


def test_a_net_that_excludes_an_emotion_is_not_believed_beyond_the_floor(evidence):
    doubts = judged_as(Emotion.SAD, surely=1 - 1e-12)
    floored = doubts.clip(min=FLOOR)
    one, other = (evidence.read(average_face(evidence, judged=j)) for j in (doubts, floored))
    np.testing.assert_allclose(one, other)


def test_the_order_of_the_nets_does_not_matter(evidence):
    judged = np.stack([judged_as(Emotion.SAD)[0], judged_as(Emotion.FEAR)[0]])
    readings = [evidence.read(average_face(evidence, judged=j)) for j in (judged, judged[::-1])]
    np.testing.assert_allclose(*readings)


@pytest.mark.parametrize(("name", "emotion"), [("joy", Emotion.HAPPY), ("grief", Emotion.SAD)])
def test_real_clips_read_as_what_they_show(models, clips, name, emotion):
    """Her lips are pressed and wide in grief, which the coefficients call a smile."""
    shown = gather_evidence(read_track(Reference(clips / f"{name}.mp4"), models), models.nets)
    reading = models.evidence.read(shown)
    assert reading.argmax() == emotion.class_index
    assert reading.max() > 0.5
