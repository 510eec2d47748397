"""Which frames the networks are asked about, and what the others show."""

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from threading import Lock

import numpy as np
import pytest

from cdrl_cli.face.alignment import crop_face
from cdrl_cli.generator.answer import Answer
from cdrl_cli.generator.face_task import SUDDEN, FaceTask, FrameTask, lean
from cdrl_cli.generator.folds import FoldMaps
from cdrl_cli.generator.irises import Irises
from cdrl_cli.generator.renderer import LearnedRenderer, WarpRenderer
from heads import pose, toy_head
from pictures import ArrayFrame, noise

FRAMES = 9
STEP = 0.02
"""By so much the emotion grows from frame to frame."""


class CountingNetwork:
    """Reddens a face by as much of the first emotion as is asked for, and notes how much."""

    def __init__(self):
        self.asked = []
        self._lock = Lock()

    def run(self, _, feeds):
        (emotion,) = feeds["condition"][:, -7]
        with self._lock:
            self.asked.append(round(float(emotion), 4))
        mask = feeds["picture"][:, 5:6]
        return [np.zeros((1, 2, 128, 128), np.float32), emotion * np.repeat(mask, 3, 1)]


@pytest.fixture
def network():
    return CountingNetwork()


def tasks_of(network, emotions, *, period=Fraction(1, 25), first=0, cut=None, numbers=None):
    """A task for each frame of a clip, and whether a shot begins there."""
    toy = toy_head()
    core = WarpRenderer(toy.expression_basis, toy.mesh, toy.canonical_xyz)
    folds = FoldMaps(np.zeros((1, 256, 256), np.float32), np.zeros((1, 52), np.float32))
    renderer = LearnedRenderer(core, network, folds)
    face = toy.face(pose(scale=40, at=(70, 70)))
    for place, emotion in enumerate(emotions):
        frame = ArrayFrame(noise(140, 140), first + place, place * period)
        crop = crop_face(frame, face, toy.model.locate(face))
        task = FaceTask(
            crop, crop.expression, emotion * np.eye(7)[0], np.ones(2), renderer=renderer
        )
        number = numbers[place] if numbers else 1
        yield FrameTask(frame, {number: task}, None), place == cut


def steady(frames=FRAMES):
    return [STEP * place for place in range(frames)]


def test_every_second_frame_leans_on_its_neighbours(network):
    tasks = list(lean(tasks_of(network, steady())))
    assert [task.frame.index for task in tasks] == list(range(FRAMES))
    leaning = [task().pixels for task in tasks]
    assert network.asked == pytest.approx(sorted(steady()[::2]))
    each = [task().pixels for task, _ in tasks_of(network, steady())]
    for one, other in zip(leaning, each, strict=True):
        assert np.abs(one.astype(int) - other).max() <= 1
        assert one.any()


def test_any_number_of_threads_makes_the_same(network):
    made = []
    for workers in (1, 3):
        network.asked.clear()
        with ThreadPoolExecutor(workers) as pool:
            futures = [pool.submit(task) for task in lean(tasks_of(network, steady()))]
            made.append([one.result().pixels for one in futures])
        assert len(network.asked) == len(set(network.asked)) == (FRAMES + 1) // 2
    np.testing.assert_array_equal(*made)


def test_places_in_the_clip_decide_wherever_the_part_begins(network):
    for task in lean(tasks_of(network, steady(6), first=7)):
        task()
    assert network.asked == [0, 0.02, 0.06, 0.1]  # frames 7, which is the first, 8, 10, 12


@pytest.mark.parametrize(
    "unlike",
    [
        {"period": Fraction(1, 15)},
        {"cut": 4},
        {"numbers": [1, 1, 1, 1, 2, 2, 2, 2, 2]},
    ],
    ids=["frames are rare", "a cut", "somebody else"],
)
def test_frames_that_show_something_else_are_no_neighbours(network, unlike):
    for task in lean(tasks_of(network, steady(), **unlike)):
        task()
    assert 3 * STEP in network.asked


def test_the_networks_are_asked_about_a_sudden_change(network):
    emotions = [0, 0, 0, 2 * SUDDEN + 0.1, 0, 0, 0]
    for task in lean(tasks_of(network, emotions)):
        task()
    assert network.asked == [0, 0, pytest.approx(emotions[3]), 0, 0]


def test_what_leans_is_whole_along_a_moving_rim():
    irises = Irises(np.zeros((2, 2)), np.full(2, 4.8), np.zeros(2), np.zeros(2))

    def answer(columns):
        mask = np.zeros((128, 128), np.float32)
        mask[:, columns] = 1
        return Answer(np.stack([mask] * 2), np.stack([mask] * 3), mask, None, irises)

    left, middle, right = map(answer, (slice(0, 70), slice(0, 100), slice(60, 128)))
    between = Answer.between(left, right, middle.mask)
    np.testing.assert_array_equal(between.flow, middle.flow)
    np.testing.assert_array_equal(between.colour, middle.colour)
