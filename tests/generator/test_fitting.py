import numpy as np
import pytest

from cdrl_cli.emotion import Emotion
from cdrl_cli.face.alignment import crop_face
from cdrl_cli.face.blendshapes import SHARES
from cdrl_cli.generator.condition import Condition
from cdrl_cli.generator.fitting import (
    EDITED,
    LONGEST_CORRECTION,
    STRENGTHENING,
    FittedChange,
)
from cdrl_cli.generator.lips import keep_aperture
from pictures import ArrayFrame, read_pictures

pytestmark = pytest.mark.weights
SHOWN = [one for one in Emotion if one is not Emotion.NEUTRAL]


@pytest.fixture(scope="module", params=["single_face.mp4", "joy.mp4"])
def crop(request, models, clips):
    """A real face."""
    (picture,) = read_pictures(clips / request.param, 1)
    landmarker = models.open_landmarker()
    face = landmarker.detect(picture)[0]
    return crop_face(ArrayFrame(picture), face, models.head.locate(face))


def answer(models, crop, asked):
    """How the landmarker's network reads the face's change when it is moved as asked."""
    from cdrl_cli.checkpoints.files import open_coefficients
    from cdrl_cli.checkpoints.load import find_weights

    read = open_coefficients(find_weights("coefficients"))
    points = crop.landmarks_xyz.astype(float)
    moved = np.tensordot(asked, models.basis.displacement, axes=1)
    moved = keep_aperture(points, crop.crop_from_head.apply_direction(moved))
    before, after = read(np.stack([points, points + moved]))
    return (SHARES > 0) * (after - before)


def cosine(one, other):
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def test_fitted_requests_are_read_as_what_was_asked_for(models, crop):
    """Nearer in kind for every emotion, and nearer in all over the emotions."""
    plain_errors, fitted_errors = [], []
    for emotion in SHOWN:
        asked = models.differences[emotion.class_index]
        fitted = models.fitter.fit(crop, asked)
        plain, better = (
            answer(models, crop, request) for request in (asked, asked + fitted.correction)
        )
        assert cosine(better, asked) > cosine(plain, asked) - 0.01, emotion
        plain_errors.append(np.linalg.norm(plain - asked))
        fitted_errors.append(np.linalg.norm(better - asked))
    assert np.mean(fitted_errors) < 0.9 * np.mean(plain_errors)


def test_nothing_asked_is_nothing_corrected(models, crop):
    fitted = models.fitter.fit(crop, np.zeros(52))
    assert not fitted.correction.any()


@pytest.mark.parametrize("emotion", [Emotion.HAPPY, Emotion.DISGUSTED])
def test_a_correction_is_bounded_and_leaves_speech_alone(models, crop, emotion):
    asked = models.differences[emotion.class_index]
    correction = models.fitter.fit(crop, asked).correction
    assert not correction[SHARES == 0].any()
    assert np.isin(np.flatnonzero(correction), EDITED).all()
    longest = STRENGTHENING[1] * LONGEST_CORRECTION + (STRENGTHENING[1] - 1) * np.abs(asked).max()
    assert np.abs(correction).max() <= longest


def condition_of(difference):
    return Condition(difference, np.zeros(64), np.zeros(7), np.zeros(7), observed=1.0)


def test_a_part_of_the_change_gets_that_part_of_the_correction():
    """As in a reference that is followed: no more than all of it, and nothing of the opposite."""
    change, correction = np.zeros((2, 52))
    change[3], correction[5] = 0.8, 0.4
    fitted = FittedChange(change, correction)
    shares = {1.0: 1.0, 0.5: 0.5, 0.0: 0.0, -1.0: 0.0, 3.0: 1.0}
    for part, share in shares.items():
        np.testing.assert_allclose(fitted.at(condition_of(part * change)), share * correction)


def test_no_change_has_no_correction():
    fitted = FittedChange(np.zeros(52), np.zeros(52))
    assert not fitted.at(condition_of(np.ones(52))).any()


def test_a_face_that_laughs_already_is_fitted_without_its_own_laughter(models, clips):
    """Else a smile would be answered by nothing, and asked for without end."""
    (picture,) = read_pictures(clips / "joy.mp4", 1)
    landmarker = models.open_landmarker()
    face = landmarker.detect(picture)[0]
    laughing = crop_face(ArrayFrame(picture), face, models.head.locate(face))
    own = np.maximum(face.expression - models.neutral.high, 0)
    laughter = models.differences[Emotion.HAPPY.class_index]
    blind, seeing = (
        models.fitter.fit(laughing, laughter, own=given).correction for given in (None, own)
    )
    assert np.linalg.norm(seeing) < np.linalg.norm(blind)


def test_nothing_of_its_own_is_as_before(models, crop):
    change = models.differences[Emotion.SAD.class_index]
    one, other = (
        models.fitter.fit(crop, change, own=own).correction for own in (None, np.zeros(52))
    )
    np.testing.assert_array_equal(one, other)
