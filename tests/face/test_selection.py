from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrl_cli.face.selection import (
    CLEARLY_LARGER,
    EYE_DISTANCE_LIMITS_PX,
    PITCH_LIMITS_DEG,
    YAW_LIMITS_DEG,
    FaceSelector,
    editability,
)
from cdrl_cli.face.tracking import TrackedFace, TrackedFrame
from heads import pose, toy_head
from pictures import ArrayFrame

FRAME = ArrayFrame(np.zeros((4, 4, 3), np.uint8), 0, Fraction(0))


def tracked(*, starts_shot=False, **scales):
    """A frame with faces ``n1=…, n2=…``: a number and an eye distance each."""
    faces = [
        TrackedFace(
            int(name[1:]), toy_head().face(pose(scale=s)), np.zeros((1, 52), "f4"), np.zeros(1), 1.0
        )
        for name, s in sorted(scales.items(), key=lambda item: -item[1])
    ]
    return TrackedFrame(FRAME, tuple(faces), starts_shot)


def chosen(selector, frame):
    return [face.number for face in selector.choose(frame)]


def test_the_largest_is_chosen_and_kept_while_it_is_about_as_large():
    selector = FaceSelector("largest")
    assert chosen(selector, tracked(starts_shot=True, n1=50, n2=40)) == [1]
    assert chosen(selector, tracked(n1=40, n2=50)) == [1]
    assert chosen(selector, tracked(n1=40, n2=CLEARLY_LARGER * 39)) == [1]


def test_another_takes_over_when_it_is_clearly_larger():
    selector = FaceSelector("largest")
    chosen(selector, tracked(starts_shot=True, n1=50, n2=40))
    assert chosen(selector, tracked(n1=40, n2=CLEARLY_LARGER * 41)) == [2]
    assert chosen(selector, tracked(n1=50, n2=50)) == [2]


def test_another_takes_over_when_the_face_is_gone():
    selector = FaceSelector("largest")
    chosen(selector, tracked(starts_shot=True, n1=50, n2=40))
    assert chosen(selector, tracked(n2=40)) == [2]
    assert chosen(selector, tracked()) == []
    assert chosen(selector, tracked(n1=50, n2=49)) == [2]


def test_a_shot_begins_with_its_own_largest_face():
    selector = FaceSelector("largest")
    chosen(selector, tracked(starts_shot=True, n1=50, n2=40))
    assert chosen(selector, tracked(starts_shot=True, n1=40, n2=41)) == [2]


def test_all_are_all():
    assert chosen(FaceSelector("all"), tracked(n1=50, n2=40, n7=5)) == [1, 2, 7]


def test_a_number_is_that_face_or_nobody():
    selector = FaceSelector(2)
    assert chosen(selector, tracked(n1=50, n2=10)) == [2]
    assert chosen(selector, tracked(n1=50)) == []


def test_a_frontal_level_large_face_takes_all_of_an_edit():
    assert editability(pose()) == 1.0


@given(st.floats(-180, 180))
def test_a_tilted_head_is_as_editable(roll):
    assert editability(pose(roll_deg=roll, yaw_deg=50)) == pytest.approx(
        editability(pose(yaw_deg=50)), abs=1e-6
    )


@pytest.mark.parametrize("side", [-1, 1])
def test_a_turning_face_fades_between_its_limits(side):
    full, none = YAW_LIMITS_DEG
    assert editability(pose(yaw_deg=side * (full - 1))) == 1.0
    assert editability(pose(yaw_deg=side * (full + none) / 2)) == pytest.approx(0.5)
    assert editability(pose(yaw_deg=side * (none + 1))) == 0.0
    assert editability(pose(yaw_deg=side * 150)) == 0.0


@pytest.mark.parametrize("side", [-1, 1])
def test_a_nodding_face_fades_between_its_limits(side):
    full, none = PITCH_LIMITS_DEG
    assert editability(pose(pitch_deg=side * (full - 1))) == 1.0
    assert editability(pose(pitch_deg=side * (full + none) / 2)) == pytest.approx(0.5)
    assert editability(pose(pitch_deg=side * (none + 1))) == 0.0


def test_a_small_face_fades_between_its_limits():
    none, full = EYE_DISTANCE_LIMITS_PX
    assert editability(pose(scale=none - 1)) == 0.0
    assert editability(pose(scale=(full + none) / 2)) == pytest.approx(0.5)
    assert editability(pose(scale=full + 1)) == 1.0


@given(st.floats(0, 89), st.floats(0, 89), st.floats(0, 5))
def test_the_farther_turned_the_less(yaw, pitch, more):
    assert editability(pose(yaw_deg=yaw + more, pitch_deg=pitch)) <= (
        editability(pose(yaw_deg=yaw, pitch_deg=pitch)) + 1e-9
    )
