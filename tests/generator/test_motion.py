import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cdrl_cli.face.blendshapes import BLINKS, CEILINGS, EXPRESSION_NAMES, RAISED, SHARES
from cdrl_cli.generator.condition import Condition
from cdrl_cli.generator.motion import (
    MAX_SHIFT,
    DifferenceMotion,
    NeutralPrior,
    Window,
    pick_expressive,
)
from cdrl_cli.limits import MAX_INTENSITY
from heads import coefficients

PRIOR = NeutralPrior(mean=np.full(52, 0.05), high=np.full(52, 0.2))
MOTION = DifferenceMotion(PRIOR)
COEFFICIENTS = hnp.arrays(float, 52, elements=st.floats(0, 1))
NEUTRAL = hnp.arrays(float, 52, elements=st.floats(0, 0.2))
DIFFERENCES = hnp.arrays(float, 52, elements=st.floats(-1, 1))
INTENSITIES = st.floats(0, MAX_INTENSITY)

SPEECH = ("jaw", "mouthClose", "mouthLeft", "mouthRight", "eyeLook", "eyeBlink")
IS_SPEECH = np.array([name.startswith(SPEECH) for name in EXPRESSION_NAMES])


def condition_of(difference):
    """As a reference sets it: shares are in it."""
    return Condition(SHARES * difference, np.zeros(64), np.zeros(7), np.zeros(7))


def window_of(expressions):
    return Window(np.linspace(-1, 0, len(expressions)), expressions)


def shown(expression, expressions, difference, intensity):
    window = window_of(expressions)
    return MOTION(expression, window, condition_of(difference), intensity=intensity)


def channel(name):
    return EXPRESSION_NAMES.index(name)


@given(COEFFICIENTS, COEFFICIENTS, DIFFERENCES)
def test_intensity_zero_is_the_expression_itself(expression, mean, difference):
    np.testing.assert_array_equal(shown(expression, mean[None], difference, 0.0), expression)


@given(COEFFICIENTS, COEFFICIENTS, DIFFERENCES, INTENSITIES)
def test_speech_gaze_and_blinks_never_change(expression, mean, difference, intensity):
    changed = shown(expression, mean[None], difference, intensity) != expression
    assert not (changed & IS_SPEECH).any()


@given(COEFFICIENTS, COEFFICIENTS, DIFFERENCES, INTENSITIES)
def test_coefficients_stay_coefficients(expression, mean, difference, intensity):
    after = shown(expression, mean[None], difference, intensity)
    assert after.min() >= 0
    assert (after <= CEILINGS).all()


def test_brows_that_are_high_at_rest_can_rise_and_no_other_channel_leaves_its_range():
    high = np.ones(52)
    after = shown(high, np.zeros((1, 52)), np.ones(52), 1.0)
    brows = ("browInnerUp", "browOuterUpLeft", "browOuterUpRight")
    assert sorted(np.flatnonzero(after > 1)) == sorted(map(channel, brows))
    assert after.max() == pytest.approx(RAISED)


@given(COEFFICIENTS, COEFFICIENTS, DIFFERENCES, INTENSITIES)
def test_the_change_is_no_larger_than_that_of_real_faces(expression, mean, difference, intensity):
    change = shown(expression, mean[None], difference, intensity) - expression
    assert np.linalg.norm(change) <= MAX_SHIFT * max(1.0, intensity) + 1e-9


@given(COEFFICIENTS, NEUTRAL, DIFFERENCES, INTENSITIES, INTENSITIES)
def test_more_intensity_is_more_of_the_same(expression, mean, difference, one, other):
    less, more = sorted((one, other))
    change = [shown(expression, mean[None], difference, i) - expression for i in (less, more)]
    assert (np.abs(change[1]) >= np.abs(change[0]) - 1e-9).all()
    assert (change[1] * np.sign(difference) >= -1e-12).all()


@given(COEFFICIENTS, NEUTRAL, DIFFERENCES, INTENSITIES)
def test_a_neutral_source_has_nothing_to_lose(expression, mean, difference, intensity):
    calmer = np.where(np.isin(np.arange(52), BLINKS), mean, 0.0)  # blinks are no emotion
    one, other = (shown(expression, x[None], difference, intensity) for x in (mean, calmer))
    np.testing.assert_array_equal(one, other)


def test_a_smile_is_lost_when_the_face_is_to_look_sad():
    smiling, sad = coefficients(mouthSmile=0.8), coefficients(mouthFrown=0.5)
    after = shown(smiling, np.tile(smiling, (20, 1)), sad, 1.0)
    smile, frown = channel("mouthSmileLeft"), channel("mouthFrownLeft")
    assert after[smile] == pytest.approx(PRIOR.high[smile])
    assert after[frown] == pytest.approx(0.5)


def test_what_is_lost_does_not_grow_beyond_what_was_there():
    smiling = coefficients(mouthSmile=0.8)
    window, nothing = np.tile(smiling, (20, 1)), np.zeros(52)
    at_one, at_two = (shown(smiling, window, nothing, i) for i in (1.0, 2.0))
    np.testing.assert_allclose(at_two, at_one)


def test_a_passing_smile_is_not_the_sources_emotion():
    smiling, talking = coefficients(mouthSmile=0.8), np.zeros((39, 52))
    after = shown(smiling, np.concatenate([talking, smiling[None]]), np.zeros(52), 1.0)
    np.testing.assert_array_equal(after, smiling)


@given(st.floats(0, 1), st.floats(0, 1))
def test_narrow_eyes_take_their_part(left, right):
    narrow = coefficients(eyeBlinkLeft=left, eyeBlinkRight=right)
    wide = coefficients(eyeWide=0.6, eyeSquint=0.3)
    after = shown(narrow, narrow[None], wide, 1.0)
    for side, closed in (("Left", left), ("Right", right)):
        assert after[channel(f"eyeWide{side}")] == pytest.approx(0.6 * (1 - closed))
        assert after[channel(f"eyeSquint{side}")] == pytest.approx(0.3 * (1 - closed))


@given(st.floats(0, 0.4), st.floats(0.25, 1))
def test_a_blink_keeps_its_lids_however_weakly_it_is_read(usual, more):
    """A quick blink of narrow eyes: the coefficient rises by a quarter."""
    blinking, before = (coefficients(eyeBlink=min(1.0, usual + x)) for x in (more, 0.0))
    after = shown(blinking, before[None], coefficients(eyeWide=0.6, eyeSquint=0.3), 1.0)
    for name in ("eyeWide", "eyeSquint"):
        for side in ("Left", "Right"):
            assert after[channel(f"{name}{side}")] == pytest.approx(0)


def test_the_lips_shared_with_speech_take_a_part():
    difference = coefficients(mouthPucker=1.0, mouthUpperUp=0.5, browInnerUp=0.3)
    after = shown(np.zeros(52), np.zeros((1, 52)), difference, 1.0)
    assert 0 < after[channel("mouthPucker")] < 0.5
    assert 0 < after[channel("mouthUpperUpLeft")] < 0.25
    assert after[channel("browInnerUp")] == pytest.approx(0.3)


def test_the_source_is_not_changed_in_place():
    expression, window = np.full(52, 0.5), np.full((3, 52), 0.5)
    difference = SHARES * 0.4
    condition = Condition(difference.copy(), np.zeros(64), np.zeros(7), np.zeros(7))
    MOTION(expression, window_of(window), condition, intensity=2.0)
    assert (expression == 0.5).all()
    assert (window == 0.5).all()
    np.testing.assert_array_equal(condition.difference, difference)


def test_a_reference_is_read_from_its_more_expressive_half():
    smiling = coefficients(mouthSmile=0.9)
    frames = np.concatenate([np.tile(PRIOR.mean, (10, 1)), np.tile(smiling, (10, 1))])
    np.testing.assert_array_equal(pick_expressive(frames, PRIOR.mean), frames[10:])


def test_a_reference_of_one_frame_is_that_frame():
    smiling = coefficients(mouthSmile=0.9)[None]
    np.testing.assert_array_equal(pick_expressive(smiling, PRIOR.mean), smiling)


def test_what_a_reference_says_does_not_make_it_expressive():
    smiling, talking = coefficients(mouthSmile=0.9), coefficients(jawOpen=1.0, eyeBlink=1.0)
    talking[~IS_SPEECH] = PRIOR.mean[~IS_SPEECH]
    picked = pick_expressive(np.stack([talking, smiling, talking, smiling]), PRIOR.mean)
    np.testing.assert_array_equal(picked, [smiling, smiling])
