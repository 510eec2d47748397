import sys
from typing import ClassVar

import numpy as np
import pytest
from conftest import require_weights
from hypothesis import given
from hypothesis import strategies as st

from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UsageError
from cdrl_cli.evaluation.judges import FacexJudge, Judge, cut_tight, load_judge, present, reorder
from cdrl_cli.evaluation.measures import judged_emotion
from cdrl_cli.media import open_video


class Bluish:
    """A judge that wants BGR from -1 to 1."""

    name: ClassVar[str] = "bluish"
    side_px: ClassVar[int] = 8
    channels: ClassVar[str] = "BGR"
    value_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    classes: ClassVar[tuple[Emotion, ...]] = tuple(reversed(Emotion))

    def probabilities(self, crops):
        return np.full((len(crops), 7), 1 / 7)


def corners(left, top, right, bottom):
    """Landmarks whose box is this."""
    points = np.full((478, 3), [(left + right) / 2, (top + bottom) / 2, 0.0])
    points[0, :2], points[1, :2] = (left, top), (right, bottom)
    return points


def test_both_are_judges():
    assert isinstance(Bluish(), Judge)
    assert isinstance(FacexJudge.__new__(FacexJudge), Judge)  # without its file


def test_a_crop_comes_in_the_order_and_range_that_is_declared():
    crop = np.zeros((8, 8, 3), np.uint8)
    crop[..., 0] = 255
    assert present(crop, Bluish())[0, 0].tolist() == [-1, -1, 1]
    with pytest.raises(ValueError, match="8 pixels"):
        present(crop[:4, :4], Bluish())


def test_every_judge_names_all_emotions_and_answers_come_in_our_order():
    answers = np.arange(7.0)[None]
    for judge in (Bluish, FacexJudge):
        assert set(judge.classes) == set(Emotion)
        ours = reorder(answers, judge.classes)[0]
        assert [judge.classes[int(i)] for i in ours] == list(Emotion)


@given(st.integers(10, 60), st.integers(10, 60), st.integers(12, 40), st.integers(12, 40))
def test_a_tight_crop_is_square_and_has_the_box_in_its_middle(left, top, width, height):
    picture = np.zeros((120, 120, 3), np.uint8)
    picture[top : top + height, left : left + width] = 255
    crop = cut_tight(picture, corners(left, top, left + width, top + height), 64, margin=0.1)
    assert crop.shape == (64, 64, 3)
    rows, columns = np.nonzero(crop[..., 0] > 127)
    assert rows.mean() == pytest.approx(31.5, abs=2.5)
    assert columns.mean() == pytest.approx(31.5, abs=2.5)
    assert max(np.ptp(rows), np.ptp(columns)) == pytest.approx(64 / 1.2, abs=8)


def test_a_face_at_the_edge_repeats_it():
    picture = np.full((40, 40, 3), 90, np.uint8)
    crop = cut_tight(picture, corners(-10, -10, 20, 20), 32)
    assert (crop == 90).all()


def test_without_litert_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(UsageError, match="LiteRT") as error:
        FacexJudge(tmp_path / "judge.tflite")
    assert "spfem[evaluate]" in error.value.hint


@pytest.mark.weights
def test_facex_sees_joy(clips, models):
    """On the actress of the sample clips, who laughs."""
    require_weights("judge")
    judge = load_judge()
    crops = []
    landmarker = models.open_landmarker()
    with open_video(clips / "joy.mp4") as video:
        for frame in video:
            picture = frame.picture(640)
            faces = landmarker.detect(picture)
            if frame.index % 10 == 0 and faces:
                crops.append(cut_tight(picture, faces[0].landmarks_xyz, judge.side_px))
    probabilities = judge.probabilities(crops)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-4)
    assert judged_emotion(probabilities) is Emotion.HAPPY
