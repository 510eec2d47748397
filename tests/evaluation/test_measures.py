import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrl_cli.emotion import Emotion
from cdrl_cli.evaluation import measures
from cdrl_cli.face.blendshapes import EXPRESSION_NAMES
from cdrl_cli.metrics import mouth
from cdrl_cli.metrics.mouth import INNER_PAIRS
from heads import coefficients, pose, toy_head

apertures = st.lists(st.floats(0, 0.3), min_size=5, max_size=30).map(np.array)
masks = st.lists(st.booleans(), min_size=1, max_size=30).map(np.array)


def probabilities(*winners):
    rows = np.full((len(winners), len(Emotion)), 0.05)
    for row, winner in zip(rows, winners, strict=True):
        row[winner.class_index] = 0.7
    return rows


def speaking(opening, at=None):
    """The toy head, its inner lips so far apart in each frame, in eye distances."""
    head = toy_head()
    frames = []
    for gap in opening:
        shown = head.canonical_xyz.copy()
        middle = shown[INNER_PAIRS].mean(axis=1)
        half = np.array([0, gap / 2, 0])
        shown[INNER_PAIRS[:, 0]], shown[INNER_PAIRS[:, 1]] = middle - half, middle + half
        frames.append((at or pose()).apply(shown))
    return np.stack(frames)


def test_a_clip_is_judged_by_its_mean_and_a_frame_by_itself():
    happy, sad = Emotion.HAPPY, Emotion.SAD
    shown = probabilities(happy, happy, sad)
    assert measures.judged_emotion(shown) is happy
    assert measures.frame_accuracy(shown, happy) == pytest.approx(2 / 3)
    assert measures.frame_accuracy(shown, sad) == pytest.approx(1 / 3)


def test_a_judges_opinion_of_the_face_at_rest_is_taken_out():
    sad = probabilities(Emotion.SAD, Emotion.SAD)
    assert measures.probability_rise(sad, sad, Emotion.SAD) == 0
    happy = probabilities(Emotion.HAPPY, Emotion.HAPPY)
    assert measures.probability_rise(sad, happy, Emotion.HAPPY) == pytest.approx(0.65)
    assert measures.probability_rise(sad, happy, Emotion.SAD) == pytest.approx(-0.65)


def test_confusion_has_what_was_asked_in_its_rows():
    table = measures.confusion(np.array([3, 3, 5]), np.array([3, 0, 0]))
    assert (table[3, 3], table[0, 3], table[0, 5], table.sum()) == (1, 1, 1, 3)


@given(
    st.lists(st.floats(0, 0.3), min_size=1, max_size=3),
    st.floats(-40, 40),
    st.floats(-30, 30),
    st.floats(20, 400),
)
def test_an_aperture_is_the_same_wherever_the_head_is(opening, yaw, roll, scale):
    seen = speaking(opening, pose(yaw_deg=yaw, roll_deg=roll, scale=scale, at=(50.0, 90.0)))
    np.testing.assert_allclose(mouth.lip_aperture(seen), opening, atol=1e-6)


@given(apertures, st.floats(0.2, 3), st.floats(-1, 1))
def test_correlation_is_blind_to_gain_and_offset_and_not_to_order(opening, gain, offset):
    if np.ptp(opening) < 1e-3:
        return
    assert mouth.correlation(opening, gain * opening + offset) == pytest.approx(1)
    assert mouth.correlation(opening, -opening) == pytest.approx(-1)


def test_lips_that_do_not_move_have_no_correlation():
    assert np.isnan(mouth.correlation(np.ones(5), np.arange(5.0)))


@given(apertures, st.floats(0.5, 2))
def test_the_narrowest_frame_is_closed_and_the_widest_is_not(opening, gain):
    opening = np.concatenate([[0.01, 0.2, 0.2, 0.2], 0.01 + opening]) * gain
    threshold = mouth.closed_threshold(opening)
    assert opening.min() < threshold < opening.max()


def test_lips_that_never_close_are_never_closed():
    assert mouth.closed_threshold(np.array([0.08, 0.2, 0.3])) == 0


@given(masks)
def test_the_same_closures_are_kept(mask):
    f1 = mouth.closure_f1(mask, mask)
    assert f1 == 1 if mask.any() else np.isnan(f1)


@given(masks, masks)
def test_f1_is_symmetric(one, other):
    length = min(len(one), len(other))
    one, other = one[:length], other[:length]
    np.testing.assert_equal(mouth.closure_f1(one, other), mouth.closure_f1(other, one))


def test_a_closure_may_be_a_frame_late_and_not_two():
    closed = np.arange(20) == 10
    assert mouth.closure_f1(closed, np.roll(closed, 1)) == 1
    assert mouth.closure_f1(closed, np.roll(closed, 2)) == 0
    assert mouth.closure_f1(closed, np.zeros(20, bool)) == 0
    assert mouth.closure_f1(closed, closed | (np.arange(20) == 15)) == pytest.approx(2 / 3)


@given(st.floats(0.01, 3))
def test_steady_motion_does_not_tremble_and_noise_does_in_proportion(amount):
    frames = np.arange(12)[:, None, None]
    moving = toy_head().canonical_xyz * 100 + frames * np.array([2.0, 1.0, 0.0])
    assert measures.jerkiness(moving) == pytest.approx(0, abs=1e-9)
    noise = np.random.default_rng(0).normal(size=(12, 1, 3)) * (1, 1, 0)
    once, more = (measures.jerkiness(moving + by * noise) for by in (1, amount))
    assert more == pytest.approx(amount * once)


def test_two_frames_cannot_tremble():
    with pytest.raises(ValueError, match="three frames"):
        measures.jerkiness(np.zeros((2, 478, 3)))


def test_a_change_is_the_length_of_its_mean():
    source = np.zeros((4, 52))
    output = source + coefficients(browInnerUp=0.6) + coefficients(jawOpen=0.8)
    assert measures.expression_change(source, output) == pytest.approx(1)
    noise = np.random.default_rng(0).normal(0, 0.1, (400, 52))
    assert measures.expression_change(np.zeros_like(noise), noise) < 0.1


@given(st.floats(-40, 40), st.floats(-20, 20), st.floats(30, 300))
def test_in_head_space_the_pose_is_gone(yaw, roll, scale):
    head = toy_head()
    smile = coefficients(mouthSmile=0.5)
    here = head.face(pose(), smile).landmarks_xyz
    there = head.face(pose(yaw_deg=yaw, roll_deg=roll, scale=scale), smile).landmarks_xyz
    one, other = (measures.head_space(xyz[None], head.model) for xyz in (here, there))
    assert measures.landmark_error(one, other) == pytest.approx(0, abs=1e-4)
    neutral = measures.head_space(head.face(pose()).landmarks_xyz[None], head.model)
    assert measures.landmark_error(one, neutral) > 1e-3


BROWS = [EXPRESSION_NAMES.index(name) for name in ("browInnerUp", "browDownLeft")]


def expressions(*rows):
    """Frames that show so much of :data:`BROWS`, and an open jaw that nobody asks about."""
    shown = np.zeros((len(rows), len(EXPRESSION_NAMES)))
    shown[:, BROWS] = rows
    shown[:, EXPRESSION_NAMES.index("jawOpen")] = 0.7
    return shown


def test_speech_gaze_and_blinks_are_no_emotion():
    named = {EXPRESSION_NAMES[index] for index in measures.EMOTION_CHANNELS}
    assert {"browInnerUp", "mouthSmileLeft", "noseSneerLeft", "eyeWideRight"} <= named
    assert not named & {"_neutral", "jawOpen", "mouthClose", "eyeLookUpLeft", "eyeBlinkLeft"}
    nothing = measures.emotion_change(expressions([0, 0]), np.zeros(len(EXPRESSION_NAMES)))
    assert not nothing.any()


def test_a_reference_shows_what_its_more_expressive_half_shows():
    neutral = expressions([0, 0])[0]
    clip = expressions([0, 0], [0, 0], [0.4, 0.2], [0.6, 0.2])
    change = measures.reference_change(clip, neutral)
    assert np.linalg.norm(change) == pytest.approx(np.hypot(0.5, 0.2))
    photo = measures.reference_change(clip[3:], neutral)
    assert np.linalg.norm(photo) == pytest.approx(np.hypot(0.6, 0.2))


@given(st.floats(0.01, 3), st.floats(0.01, 3))
def test_manner_does_not_ask_how_strongly(one, other):
    change = np.array([0.1, -0.3, 0.5])
    assert measures.manner(one * change, other * change) == pytest.approx(1)
    assert measures.manner(one * change, -other * change) == pytest.approx(-1)


def test_an_edit_that_does_nothing_has_no_manner():
    assert measures.manner(np.zeros(3), np.ones(3)) == 0


def test_everybodys_smile_is_not_the_references_own():
    mine, others = np.array([1.0, 0.0]), [np.array([0.0, 1.0]), np.array([1.0, 1.0])]
    assert measures.own_manner(mine, mine, others) == pytest.approx(1 - (0 + np.sqrt(0.5)) / 2)
    same = [mine, mine]
    assert measures.own_manner(np.ones(2), mine, same) == pytest.approx(0)
    assert np.isnan(measures.own_manner(mine, mine, []))


def test_rank_correlation_asks_for_the_order_alone():
    lengths = np.array([0.3, 0.1, 0.9, 0.5])
    assert measures.rank_correlation(lengths, np.exp(5 * lengths)) == pytest.approx(1)
    assert measures.rank_correlation(lengths, -lengths) == pytest.approx(-1)
    assert np.isnan(measures.rank_correlation(lengths, np.ones(4)))
    # Equal values share a rank: 1, 2.5, 2.5, 4 against 1, 2, 3, 4.
    tied = measures.rank_correlation(np.array([1.0, 2, 2, 3]), np.array([1.0, 2, 3, 4]))
    assert tied == pytest.approx(4.5 / np.sqrt(4.5 * 5))
