"""The tracker with a landmarker whose answers are prescribed: the network is not what is tested."""

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdrl_cli.face import tracking
from cdrl_cli.face.landmarks import Face, Landmarker
from cdrl_cli.face.tracking import (
    BRIDGE_S,
    EXPRESSION_WINDOW_FRAMES,
    EXPRESSION_WINDOW_S,
    FORGET_S,
    LOOKAHEAD_FRAMES,
    LOOKAHEAD_S,
    RAMP_S,
    track_faces,
    track_faces_between,
)
from heads import coefficients, pose, toy_head
from pictures import ArrayFrame

GREY = np.full((54, 96, 3), 90, np.uint8)
ORANGE = np.full((54, 96, 3), (250, 120, 10), np.uint8)


class ScriptedLandmarker(Landmarker):
    """Answers with the faces prescribed for each successive picture."""

    def __init__(self, script):
        self._script = iter(script)

    def detect(self, picture):  # noqa: ARG002 - what is in it is prescribed
        return sorted(next(self._script), key=lambda face: -face.width_px)


@dataclass
class Clip:
    """Frames and what is seen in them."""

    times: list
    faces: list
    pictures: list

    def frames(self, taken=None):
        for index, (time, picture) in enumerate(zip(self.times, self.pictures, strict=True)):
            if taken is not None:
                taken.append(index)
            yield ArrayFrame(picture, index, time)

    def track(self, taken=None, **options):
        return track_faces(self.frames(taken), ScriptedLandmarker(self.faces), **options)


def face_at(x=48.0, y=27.0, scale=16.0, *, expression=None):
    return toy_head().face(pose(scale=scale, at=(x, y)), expression)


STILL = face_at()


def clip_of(faces, *, rate=25, times=None, pictures=None):
    count = len(faces)
    times = times or [Fraction(i) / Fraction(rate) for i in range(count)]
    return Clip(times, faces, pictures or [GREY] * count)


def seen_where(shown, rate=25):
    """A still face in the frames marked ``#``, none in those marked ``.``."""
    return clip_of([[STILL] if mark == "#" else [] for mark in shown], rate=rate)


def presences(clip):
    """Presence of the only face, frame by frame; 0 where it is not there."""
    return [sum(face.presence for face in frame.faces) for frame in clip.track()]


def numbers(clip):
    return [[face.number for face in frame.faces] for frame in clip.track()]


def middle(face):
    return face.landmarks_xyz[:, :2].mean(axis=0)


# Frames


@settings(max_examples=15)
@given(
    st.lists(st.sampled_from([1, 2, 10, 40, 100, 400, 2000]), max_size=60),
    st.lists(st.booleans(), min_size=61, max_size=61),
)
def test_every_frame_comes_out_once_and_in_order(steps_ms, shown):
    times = [Fraction(int(ms), 1000) for ms in np.cumsum([0, *steps_ms])]
    clip = clip_of([[STILL] if s else [] for s in shown[: len(times)]], times=times)
    came_out = list(clip.track())
    assert [frame.frame.index for frame in came_out] == list(range(len(times)))
    assert [frame.frame.time for frame in came_out] == times
    assert all(0 <= face.presence <= 1 for frame in came_out for face in frame.faces)


@pytest.mark.parametrize("rate", [5, 25, Fraction(30000, 1001), 60, 240])
def test_a_frame_waits_no_longer_than_the_lookahead(rate):
    taken = []
    for frame in seen_where("#" * 100, rate).track(taken):
        ahead = taken[-1] - frame.frame.index
        assert ahead <= LOOKAHEAD_FRAMES
        # The frame that ends the wait may itself lie a step beyond it.
        assert ahead / rate < LOOKAHEAD_S + 1.5 / rate


def test_a_clip_of_one_frame():
    (frame,) = seen_where("#").track()
    (face,) = frame.faces
    assert frame.starts_shot
    assert face.presence == 1.0
    np.testing.assert_allclose(face.face.landmarks_xyz, STILL.landmarks_xyz, atol=1e-3)


def test_a_clip_without_frames():
    assert list(clip_of([]).track()) == []


def test_a_clip_without_faces():
    assert numbers(seen_where("." * 30)) == [[]] * 30


def longest_window(clip, monkeypatch):
    lengths = []
    forget = tracking._forget

    def spy(window, waiting):
        forget(window, waiting)
        lengths.append(len(window))

    monkeypatch.setattr(tracking, "_forget", spy)
    assert len(list(clip.track())) == len(clip.times)
    return max(lengths)


@pytest.mark.parametrize("rate", [10, 25, 60])
def test_the_window_is_bounded_in_seconds(rate, monkeypatch):
    longest = longest_window(seen_where("." * rate * 5, rate), monkeypatch)
    assert longest <= (EXPRESSION_WINDOW_S + LOOKAHEAD_S) * rate + 3


def test_the_window_is_bounded_where_time_stands_still(monkeypatch):
    clip = clip_of([[STILL]] * 400, times=[Fraction(1)] * 400)
    assert longest_window(clip, monkeypatch) <= EXPRESSION_WINDOW_FRAMES + LOOKAHEAD_FRAMES + 1


def test_the_window_is_bounded_where_time_runs_back(monkeypatch):
    clip = clip_of([[]] * 400, times=[Fraction(-i, 25) for i in range(400)])
    assert longest_window(clip, monkeypatch) <= EXPRESSION_WINDOW_FRAMES + LOOKAHEAD_FRAMES + 1


def test_faces_long_gone_are_not_remembered():
    follower = tracking._Follower()
    # Every frame shows somebody new, as a crowd or a bad detector may.
    crowd = [[face_at(x=200.0 * (i % 7), y=100.0 * i)] for i in range(100)]
    landmarker = ScriptedLandmarker(crowd)
    for frame in clip_of(crowd).frames():
        follower.look(frame, landmarker, 1.0)
    assert len(follower._last) <= FORGET_S * 25 + 2


# Numbers


def test_numbers_count_from_one_larger_first():
    left, right = face_at(x=20, scale=8), face_at(x=70, scale=11)
    clip = clip_of([[left, right]] * 12)
    assert numbers(clip) == [[1, 2]] * 12
    first = next(iter(clip_of([[left, right]] * 12).track()))
    assert middle(first.faces[0].face)[0] > 48


def test_faces_keep_their_numbers_when_their_sizes_cross():
    growing = np.linspace(8, 13, 40)
    clip = clip_of([[face_at(x=20, scale=s), face_at(x=76, scale=21 - s)] for s in growing])
    for frame in clip.track():
        number_at = {middle(f.face)[0] > 48: f.number for f in frame.faces}
        assert number_at == {True: 1, False: 2}


def test_faces_are_listed_largest_first_whatever_their_numbers():
    growing = np.linspace(8, 13, 40)
    clip = clip_of([[face_at(x=20, scale=s), face_at(x=76, scale=21 - s)] for s in growing])
    for frame in clip.track():
        widths = [face.face.width_px for face in frame.faces]
        assert widths == sorted(widths, reverse=True)


def test_faces_keep_their_numbers_when_their_paths_cross_at_different_heights():
    walk = np.linspace(10, 86, 60)
    clip = clip_of([[face_at(x, 14, 9), face_at(96 - x, 44, 8)] for x in walk])
    for frame in clip.track():
        number_at = {middle(f.face)[1] > 30: f.number for f in frame.faces}
        assert number_at == {False: 1, True: 2}


def test_a_face_that_returns_soon_keeps_its_number():
    gap = int(FORGET_S * 25) - 2
    came_out = numbers(seen_where("#" * 20 + "." * gap + "#" * 20))
    assert {number for frame in came_out for number in frame} == {1}


def test_a_face_that_returns_late_gets_a_new_number():
    gap = int(FORGET_S * 25) + 2
    came_out = numbers(seen_where("#" * 20 + "." * gap + "#" * 20))
    assert came_out[0] == [1]
    assert came_out[-1] == [2]


def test_somebody_else_elsewhere_gets_a_new_number():
    clip = clip_of([[face_at(x=15, scale=8)]] * 15 + [[face_at(x=80, scale=8)]] * 15)
    assert numbers(clip)[0] == [1]
    assert numbers(clip_of(clip.faces))[-1] == [2]


def test_a_face_of_another_size_in_the_same_place_is_somebody_else():
    clip = clip_of([[face_at(scale=20)]] * 15 + [[face_at(scale=6)]] * 15)
    assert numbers(clip)[-1] == [2]


def test_faces_that_leave_take_no_other_face_with_them():
    two, one = [face_at(x=20, scale=12), face_at(x=76, scale=10)], [face_at(x=76, scale=10)]
    came_out = numbers(clip_of([two] * 20 + [one] * 20))
    assert came_out[0] == [1, 2]
    assert came_out[-1] == [2]


# Presence


def test_a_face_there_from_first_to_last_is_there_in_full():
    assert presences(seen_where("#" * 60)) == [1.0] * 60


@pytest.mark.parametrize("rate", [24, 25, 30, 50, 60, 120])
def test_a_face_that_appears_is_faded_in(rate):
    shown = presences(seen_where("." * rate + "#" * rate, rate))
    assert shown[:rate] == [0.0] * rate
    ramp = shown[rate:]
    assert ramp[0] == 0.0
    assert all(later >= earlier for earlier, later in pairwise(ramp))
    assert all(p < 1 for p in ramp[: int(RAMP_S * rate) - 1])
    assert all(p == 1 for p in ramp[int(RAMP_S * rate) + 1 :])


@pytest.mark.parametrize("rate", [24, 25, 30, 50, 60, 120])
def test_a_face_that_is_lost_is_faded_out_before(rate):
    shown = presences(seen_where("#" * rate + "." * rate, rate))
    assert shown[rate:] == [0.0] * rate
    ramp = shown[:rate]
    assert ramp[0] == 1.0
    assert ramp[-1] == 0.0
    assert all(later <= earlier for earlier, later in pairwise(ramp))
    half = round(min(RAMP_S, LOOKAHEAD_FRAMES / rate) * rate / 2)
    assert ramp[-1 - half] == pytest.approx(0.5, abs=0.11)


def test_no_step_of_a_ramp_is_large():
    shown = presences(seen_where("#" * 30 + "." * 30 + "#" * 30))
    assert max(abs(b - a) for a, b in pairwise(shown)) <= 0.04 / RAMP_S + 1e-9


@pytest.mark.parametrize("rate", [15, 24, 25, 30, 50, 60])
def test_a_short_gap_is_bridged(rate):
    missed = ceil(BRIDGE_S * rate) - 2  # the sightings around it lie one frame more apart
    shown = presences(seen_where("#" * rate + "." * missed + "#" * rate, rate))
    # At 50 frames a second and more the lookahead ends inside the gap, and a ramp begins in vain.
    assert min(shown) == pytest.approx(1.0) if rate < 50 else min(shown) > 0.8


def test_a_bridged_face_moves_on():
    path = np.linspace(30, 60, 40)
    faces = [[face_at(x=x)] for x in path]
    faces[20] = []
    frame = list(clip_of(faces).track())[20]
    assert middle(frame.faces[0].face)[0] == pytest.approx(middle(face_at(x=path[20]))[0], abs=0.1)


def test_a_long_gap_is_not_bridged():
    shown = presences(seen_where("#" * 25 + "." * 8 + "#" * 25))
    assert shown[25:33] == [0.0] * 8
    assert min(shown[:10]) == 1.0
    assert min(shown[-10:]) == 1.0


@pytest.mark.parametrize("rate", [1, 2, 5, 8])
def test_few_frames_a_second_are_no_gaps(rate):
    came_out = list(seen_where("#" * 12, rate).track())
    assert [[face.presence for face in frame.faces] for frame in came_out] == [[1.0]] * 12
    assert {face.number for frame in came_out for face in frame.faces} == {1}


def test_a_frame_that_stands_for_long_is_no_gap():
    steps = [40] * 20 + [300] + [40] * 20 + [900] + [40] * 20
    times = [Fraction(int(ms), 1000) for ms in np.cumsum([0, *steps])]
    assert presences(clip_of([[STILL]] * len(times), times=times)) == [1.0] * len(times)


# Shots


def test_a_cut_starts_a_shot_and_new_numbers():
    pictures = [GREY] * 20 + [ORANGE] * 20
    clip = clip_of([[STILL]] * 40, pictures=pictures)
    came_out = list(clip.track())
    assert [frame.frame.index for frame in came_out if frame.starts_shot] == [0, 20]
    assert [frame.faces[0].number for frame in came_out] == [1] * 20 + [2] * 20


def test_a_cut_is_no_reason_to_fade():
    clip = clip_of([[STILL]] * 40, pictures=[GREY] * 20 + [ORANGE] * 20)
    assert presences(clip) == [1.0] * 40


def test_nothing_is_smoothed_or_remembered_across_a_cut():
    before, after = coefficients(jawOpen=0.2), coefficients(jawOpen=0.8)
    faces = [[face_at(x=40, expression=before)]] * 20 + [[face_at(x=44, expression=after)]] * 20
    clip = clip_of(faces, pictures=[GREY] * 20 + [ORANGE] * 20)
    for frame in clip.track():
        (face,) = frame.faces
        expected = faces[frame.frame.index][0]
        np.testing.assert_allclose(face.face.landmarks_xyz, expected.landmarks_xyz, atol=1e-3)
        assert np.ptp(face.expressions, axis=0).max() == 0


def test_a_shot_without_a_face_between_two_with_one():
    pictures = [GREY] * 20 + [ORANGE] * 20 + [GREY] * 20
    clip = clip_of([[STILL]] * 20 + [[]] * 20 + [[STILL]] * 20, pictures=pictures)
    assert presences(clip) == [1.0] * 20 + [0.0] * 20 + [1.0] * 20


# Smoothing


def test_steady_motion_is_not_delayed():
    path = np.linspace(20, 76, 50)
    for frame in clip_of([[face_at(x=x)] for x in path]).track():
        expected = face_at(x=path[frame.frame.index])
        np.testing.assert_allclose(
            frame.faces[0].face.landmarks_xyz, expected.landmarks_xyz, atol=1e-2
        )


def test_steady_motion_is_not_delayed_at_a_variable_frame_rate(generator):
    times = [Fraction(int(ms), 1000) for ms in np.cumsum(generator.integers(5, 90, 60))]
    start = times[0]
    faces = [[face_at(x=20 + 10 * float(time - start))] for time in times]
    for frame in clip_of(faces, times=times).track():
        expected = faces[frame.frame.index][0]
        np.testing.assert_allclose(
            frame.faces[0].face.landmarks_xyz, expected.landmarks_xyz, atol=1e-2
        )


def test_jitter_is_reduced(generator):
    jitter = generator.normal(0, 1, (60, 478, 3)).astype(np.float32)
    faces = [[replace(STILL, landmarks_xyz=STILL.landmarks_xyz + j)] for j in jitter]
    smooth = [f.faces[0].face.landmarks_xyz - STILL.landmarks_xyz for f in clip_of(faces).track()]
    second = np.diff(smooth, n=2, axis=0).std() / np.diff(jitter, n=2, axis=0).std()
    assert second < 0.35
    assert np.std(smooth) < 0.75


def test_a_single_jump_of_the_mouth_peaks_when_it_happens():
    faces = [[face_at(expression=coefficients(jawOpen=1.0 if i == 20 else 0.0))] for i in range(40)]
    jaw = int(coefficients(jawOpen=1.0).argmax())
    opened = [frame.faces[0].face.expression[jaw] for frame in clip_of(faces).track()]
    assert int(np.argmax(opened)) == 20
    np.testing.assert_allclose(opened[15:20], opened[21:26][::-1], atol=1e-6)


def test_smoothed_coefficients_stay_coefficients(generator):
    shown = generator.integers(0, 2, (30, 52)).astype(float)
    for frame in clip_of([[face_at(expression=e)] for e in shown]).track():
        assert frame.faces[0].face.expression.min() >= 0
        assert frame.faces[0].face.expression.max() <= 1


def test_the_remembered_expressions_are_those_around_the_frame():
    levels = np.linspace(0, 1, 120)
    faces = [[face_at(expression=coefficients(jawOpen=level))] for level in levels]
    jaw = int(coefficients(jawOpen=1.0).argmax())
    for frame in clip_of(faces).track():
        remembered = frame.faces[0].expressions[:, jaw]
        now = levels[frame.frame.index]
        assert (np.diff(remembered) > 0).all()
        assert remembered.min() <= now <= remembered.max()
        step = 25 * (levels[1] - levels[0])
        assert remembered.max() <= now + (LOOKAHEAD_S + 0.05) * step
        assert remembered.min() >= now - EXPRESSION_WINDOW_S * step


# Pixels


def test_landmarks_are_in_pixels_of_the_frame_not_of_the_picture_searched():
    seen = face_at(x=320, y=180, scale=80)
    clip = clip_of([[seen]], pictures=[np.zeros((720, 1280, 3), np.uint8)])
    (frame,) = clip.track()  # searched at 640 x 360
    np.testing.assert_allclose(
        frame.faces[0].face.landmarks_xyz, 2 * seen.landmarks_xyz, rtol=1e-5, atol=1e-3
    )


def test_landmarks_are_in_square_pixels():
    aspect = Fraction(4, 3)
    frame = ArrayFrame(np.zeros((576, 720, 3), np.uint8), sample_aspect=aspect)
    searched = frame.picture(640)
    seen = face_at(x=searched.shape[1] / 2, y=searched.shape[0] / 2, scale=80)
    (tracked,) = track_faces([frame], ScriptedLandmarker([[seen]]), sample_aspect=aspect)
    face: Face = tracked.faces[0].face
    np.testing.assert_allclose(
        face.landmarks_xyz[:, 0], seen.landmarks_xyz[:, 0] * 960 / searched.shape[1], rtol=1e-4
    )
    np.testing.assert_allclose(
        face.landmarks_xyz[:, 1], seen.landmarks_xyz[:, 1] * 576 / searched.shape[0], rtol=1e-4
    )


def test_outside_of_a_stretch_no_face_is_sought():
    times = [Fraction(n, 25) for n in range(250)]
    clip = Clip(times, [[face_at()]] * 250, [GREY] * 250)
    start, end = Fraction(5), Fraction(6)
    near = list(
        track_faces_between(clip.frames(), ScriptedLandmarker(clip.faces), start=start, end=end)
    )
    assert [one.frame.index for one in near] == list(range(250))
    tracked = [one.frame.time for one in near if one.faces]
    assert (tracked[0], tracked[-1]) == (Fraction(69, 25), Fraction(157, 25))
    whole = list(clip.track())
    for one, other in zip(near, whole, strict=True):
        if start <= one.frame.time < end:
            (face,), (same,) = one.faces, other.faces
            assert face.presence == same.presence == 1
            np.testing.assert_array_equal(face.offsets_s, same.offsets_s)
