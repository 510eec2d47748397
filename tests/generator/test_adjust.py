import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrl_cli.errors import UsageError
from cdrl_cli.face.blendshapes import COUNTERPARTS, EXPRESSION_NAMES, SHARES, channels
from cdrl_cli.generator.adjust import CONTROLS, Adjustment


@pytest.mark.parametrize("name", CONTROLS)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_control_leaves_speech_gaze_and_blinks_alone(name, sign):
    change = Adjustment(((name, float(sign)),)).change
    assert np.abs(change).max() > 0.3
    assert not change[SHARES == 0].any()
    np.testing.assert_array_equal(change, change[COUNTERPARTS])


@given(st.sampled_from(sorted(CONTROLS)), st.floats(-1, 1))
def test_both_sides_together_are_the_whole(name, amount):
    left, right = (Adjustment(((f"{name}-{side}", amount),)).change for side in ("left", "right"))
    np.testing.assert_allclose(left + right, Adjustment(((name, amount),)).change)
    assert not left[[i for i, one in enumerate(EXPRESSION_NAMES) if one.endswith("Right")]].any()


def test_a_control_with_two_ways_raises_or_lowers():
    lowered = Adjustment.parse("brows=-.5").change
    assert (lowered[channels("browDown")] == 0.45).all()
    assert not lowered[channels("browInnerUp", "browOuterUp")].any()
    less = Adjustment.parse("smile=-.5").change
    assert (less[channels("mouthSmile")] == -0.375).all()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("grin=.3", "no control 'grin'"),
        ("smile", "'smile' is no adjustment"),
        ("smile=much", "is no adjustment"),
        ("smile=1.2", r"smile=1\.2 is not within -1\.\.1"),
        ("smile=.1,smile=.2", "set twice"),
        (" , ", "empty"),
    ],
)
def test_what_is_no_adjustment_is_named(words, told):
    with pytest.raises(UsageError, match=told):
        Adjustment.parse(words)


def test_it_is_written_as_it_is_read():
    words = "smile=+0.3,brows-left=-0.2"
    assert str(Adjustment.parse(words)) == words
    assert not Adjustment()
    assert not Adjustment.parse("smile=0")


@pytest.mark.weights
@pytest.mark.parametrize("name", CONTROLS)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_full_amount_moves_a_face_about_as_far_as_a_strong_emotion(models, name, sign):
    change = Adjustment(((name, float(sign)),)).change
    moved = np.linalg.norm(np.tensordot(change, models.basis.displacement, axes=1), axis=1)
    assert 0.04 < moved.max() < 0.12
