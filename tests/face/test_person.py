import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from cdrl_cli.face.person import LOOK_STEP_S, LOOKS, Person, PersonSelector
from cdrl_cli.face.tracking import RAMP_S, TrackedFace, TrackedFrame
from heads import pose, toy_head
from pictures import ArrayFrame

JANE = np.array([1.0, 0.0])
RATE = 25


class Looks:
    """An embedder that answers what it is told to, and a stream whose crops are nothing."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def embed(self, *_):
        return np.array(self.answers.pop(0), np.float32)

    def image(self):
        return None

    landmarks_xyz = np.zeros((478, 3), np.float32)

    def crop(self, _):
        return self

    def locate(self, _):
        return pose()


def frame(index, *numbers):
    faces = tuple(
        TrackedFace(n, toy_head().face(pose(scale=50)), np.zeros((1, 52), "f4"), np.zeros(1), 0.5)
        for n in numbers
    )
    blank = ArrayFrame(np.zeros((4, 4, 3), np.uint8), index, Fraction(index, RATE))
    return TrackedFrame(blank, faces, starts_shot=index == 0)


def test_the_face_most_like_the_person_is_chosen_from_its_first_frame_on():
    looks = Looks((0.6, 0.8), (0.8, 0.6), (0, 1))
    selector = PersonSelector(Person(Path("jane.jpg"), JANE), looks, looks)
    (face,) = selector.choose(frame(0, 1, 2, 3))
    assert (face.number, face.presence) == (2, 0.5)
    assert selector.nearest == (2, pytest.approx(0.8))


def test_a_face_is_looked_at_a_few_times_and_not_in_every_frame():
    looks = Looks(*[(1, 0)] * 100)
    selector = PersonSelector(Person(Path("jane.jpg"), JANE), looks, looks)
    for index in range(RATE * 4):
        selector.choose(frame(index, 1))
    assert len(looks.answers) == 100 - LOOKS


def test_a_changed_mind_fades_the_edit():
    looks = Looks((1, 0), *[(-0.9, 0.4)] * 10)
    selector = PersonSelector(Person(Path("jane.jpg"), JANE), looks, looks)
    shares = []
    for index in range(RATE):
        chosen = selector.choose(frame(index, 1))
        shares.append(chosen[0].presence / 0.5 if chosen else 0.0)
    turn = round(LOOK_STEP_S * RATE)
    assert shares[:turn] == [1.0] * turn
    steps = -np.diff(shares)
    assert (steps >= -1e-9).all()
    assert steps.max() <= 1 / RATE / RAMP_S + 1e-6
    assert shares[-1] == 0


def test_nobody_was_looked_at():
    looks = Looks()
    selector = PersonSelector(Person(Path("jane.jpg"), JANE), looks, looks)
    assert selector.choose(frame(0)) == ()
    assert selector.nearest is None


def test_another_one_goes_on_where_one_was():
    person = Person(Path("jane.jpg"), JANE)
    whole, first, rest = ([(0.9, 0.4), (-0.9, 0.4), (1, 0), (0.5, 0.8)] for _ in range(3))
    alone, before, after = (
        PersonSelector(person, looks, looks)
        for looks in (Looks(*whole), Looks(*first), Looks(*rest[2:]))
    )
    seen = [alone.choose(frame(index, 1)) for index in range(15)]
    for index in range(9):
        before.choose(frame(index, 1))
    after.restore(json.loads(json.dumps(before.state())))
    for index in range(9, 15):
        now = after.choose(frame(index, 1))
        assert [one.presence for one in now] == [one.presence for one in seen[index]]
