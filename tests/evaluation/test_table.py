"""Rows held against each other."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cdrl_cli.data.index import Clip
from cdrl_cli.emotion import Emotion
from cdrl_cli.evaluation.markdown import draw_report
from cdrl_cli.evaluation.plan import Task
from cdrl_cli.evaluation.protocol import EDITED_EMOTIONS
from cdrl_cli.evaluation.scores import (
    Acted,
    ActedLook,
    Belief,
    Evaluation,
    Likeness,
    PhotoScore,
    Score,
)
from cdrl_cli.evaluation.table import compare, summarise, summarise_ceiling, summarise_photos
from cdrl_cli.metrics import bootstrap as bootstrapping


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """What is asked here shows in few resamples too."""
    monkeypatch.setattr(bootstrapping, "RESAMPLES", 60)


RISE = "rise of the emotion's probability"


BELIEF = Belief(
    separation=0.7,
    rim_step=1.5,
    features=np.zeros((2, 0), np.float32),
    features_source=np.zeros((2, 0), np.float32),
    features_real=np.zeros((0, 0), np.float32),
    is_found_first=True,
    other_picture=0.6,
    other_picture_source=0.8,
)


def score(row, number, rise, closures=1.0, *, asking="label", read_as=None):
    """One of 24 edits; only what the tests ask about differs."""
    emotion = EDITED_EMOTIONS[number % len(EDITED_EMOTIONS)]
    source, shown = (
        Clip(Path(f"{name}.mp4"), None, "made up", "permissive", "a", what, True, None, "val")
        for name, what in ((f"source-{number}", Emotion.NEUTRAL), ("reference", emotion))
    )
    return Score(
        row=row,
        task=Task(source, emotion, asking, shown, None),
        path=source.path if row == "no edit" else Path(f"{row}-{number}.mp4"),
        read_as=read_as,
        judged=read_as or Emotion.NEUTRAL,
        frame_hits=0.0,
        probability_rise=rise,
        lip_correlation=1.0,
        closure_f1=closures,
        identity=0.9,
        identity_low=0.8,
        jerkiness=1.0,
        jerkiness_source=1.0,
        change=0.5,
        inside=1.0,
        likeness=None,
        belief=BELIEF,
        target=None,
        sync=None,
        sync_source=None,
        faces=np.zeros((1, 4), np.float32),
        faces_source=np.zeros((1, 4), np.float32),
        changed_outside=None,
        edit_s=1.0,
        measure_s=1.0,
    )


def evaluation(core, full, closures=None):
    closures = closures or [1.0] * len(core)
    scores = [
        *(score("no edit", i, 0.0) for i in range(len(core))),
        *(score("core", i, rise) for i, rise in enumerate(core)),
        *(score("full", i, rise, closures[i]) for i, rise in enumerate(full)),
    ]
    shown = score("no edit", 0, 0.0).task.reference
    acted = Acted(shown, Emotion.NEUTRAL, frame_hits=0.5, inside=1.0, change=0.9)
    return Evaluation(("no edit", "core", "full"), tuple(scores), (acted,), 1.0)


def test_a_difference_that_hard_and_easy_clips_hide_shows_clip_by_clip():
    hardness = np.random.default_rng(0).uniform(0, 1, 24)
    found = evaluation(hardness, hardness + 0.1)
    _, core, full = summarise(found)
    assert core.values[RISE].high > full.values[RISE].low
    (against,) = compare(found)
    assert (against.row, against.other) == ("full", "core")
    difference = against.values[RISE]
    np.testing.assert_allclose([difference.value, difference.low, difference.high], 0.1, rtol=1e-6)


def test_no_difference_is_none():
    noise = np.random.default_rng(0).normal(0, 1, (2, 24))
    (against,) = compare(evaluation(*noise))
    assert against.values[RISE].low < 0 < against.values[RISE].high


def test_a_clip_that_one_row_lacks_a_measure_of_counts_for_neither():
    closures = [float("nan")] * 4 + [0.5] * 20
    (against,) = compare(evaluation([0.0] * 24, [0.0] * 24, closures))
    assert against.values["lips: F1 of closures"].count == 20
    assert against.values["lips: F1 of closures"].value == -0.5


def test_the_page_shows_it():
    found = evaluation([0.0] * 24, [0.25] * 24)
    page = "\n".join(draw_report(found, summarise(found)))
    assert "full less another row, clip by clip:" in page
    assert f"| {RISE} | 0.250 [0.250, 0.250] |" in page


def test_a_report_says_which_references_were_read_as_meant():
    """Whoever is misread is judged as he was read."""
    misread = {Emotion.FEAR: Emotion.SURPRISED, Emotion.DISGUSTED: Emotion.HAPPY}
    scores = []
    for number in range(12):
        emotion = EDITED_EMOTIONS[number % 6]
        one = score("full", number, 0.1, asking="reference", read_as=misread.get(emotion, emotion))
        reference = replace(one.task.reference, path=Path(f"{emotion}.mp4"))
        # The judge itself takes fear for something else.
        judged = Emotion.NEUTRAL if emotion is Emotion.FEAR else emotion
        task = replace(one.task, reference=reference)
        scores.append(replace(one, task=task, reference_judged=judged))
    acted = Acted(scores[0].task.reference, Emotion.NEUTRAL, frame_hits=0.5, inside=1.0, change=0.9)
    found = Evaluation(("full",), tuple(scores), (acted,), 1.0)
    text = "\n".join(draw_report(found, summarise(found)))
    assert "| full | 4 of 6 | 1.00 (8) | 0.00 (4) | 0.83 |" in text


def likened(row, number, manner, length, length_reference):
    return replace(
        score(row, number, 0.1, asking="reference", read_as=Emotion.HAPPY),
        likeness=Likeness(manner, manner - 0.5, length, length_reference),
    )


MANNER = "manner: cosine with the reference's change"
OWN = "manner, less that with other people's references"
LENGTH = "strength: length of the change, of the reference's"
ORDER = "strength: rank correlation of lengths within an emotion"


def test_manner_counts_emotions_alike_and_strength_is_ranked_within_them():
    scores = [
        # Six emotions thrice: within each, a stronger reference gives a stronger edit, half as
        # strong; across them the order is another.
        likened("full", number, 0.5 + 0.05 * (number % 6), 0.5 * length, length)
        for number, length in enumerate(
            0.1 * (1 + number // 6) + (5 - number % 6) for number in range(18)
        )
    ]
    shown = scores[0].task.reference
    acted = Acted(shown, Emotion.NEUTRAL, frame_hits=0.5, inside=1.0, change=0.9)
    (full,) = summarise(Evaluation(("full",), tuple(scores), (acted,), 1.0))
    np.testing.assert_allclose(full.values[MANNER].value, 0.625)
    np.testing.assert_allclose(full.values[OWN].value, 0.125)
    np.testing.assert_allclose(full.values[LENGTH].value, 0.5)
    np.testing.assert_allclose(full.values[ORDER].value, 1)
    assert full.manner_by_emotion[EDITED_EMOTIONS[5]] == 0.75


def test_references_without_a_known_neutral_count_for_no_manner():
    scores = [likened("full", number, 0.8, 0.5, 0.5) for number in range(6)]
    scores += [replace(one, likeness=None) for one in scores]
    shown = scores[0].task.reference
    acted = Acted(shown, Emotion.NEUTRAL, frame_hits=0.5, inside=1.0, change=0.9)
    (full,) = summarise(Evaluation(("full",), tuple(scores), (acted,), 1.0))
    assert full.values[MANNER].count == 6


def test_the_page_says_of_each_reference_what_came_out():
    scores = [likened("full", number, 0.8, 0.4, 0.5) for number in range(12)]
    shown = scores[0].task.reference
    acted = Acted(shown, Emotion.NEUTRAL, frame_hits=0.5, inside=1.0, change=0.9)
    found = Evaluation(("full",), tuple(scores), (acted,), 1.0)
    page = "\n".join(draw_report(found, summarise(found)))
    line = "| a reference | made up | angry | 0.50 | – | happy | happy 2 | 0.80 | 0.30 | 0.40 |"
    assert line in page


def test_belief_is_a_line_of_the_table_each():
    found = evaluation([0.0] * 24, [0.0] * 24)
    full = summarise(found)[-1]
    name = "identity: cosine to another picture, times the source's"
    assert full.values[name].value == pytest.approx(0.75)
    assert full.values["identity: found first among 100 people"].value == 1
    assert full.values["belief: patches told from real acted ones (AUC)"].value == pytest.approx(
        0.7
    )
    generic = "belief: generic features (Fréchet) to real photos, times the source's"
    assert full.values[generic].count == 0


def test_features_nearer_to_those_of_real_photos_count_as_nearer():
    generator = np.random.default_rng(0)
    real, far = generator.normal(size=(2, 40, 3)).astype(np.float32)
    scores = [
        replace(
            score("full", number, 0.1),
            belief=replace(
                BELIEF,
                features=real[number : number + 2] + 1,
                features_source=far[number : number + 2] + 2,
                features_real=real,
            ),
        )
        for number in range(24)
    ]
    acted = Acted(scores[0].task.reference, Emotion.NEUTRAL, 0.5, 1.0, 0.9)
    (full,) = summarise(Evaluation(("full",), tuple(scores), (acted,), 1.0))
    generic = "belief: generic features (Fréchet) to real photos, times the source's"
    assert 0.1 < full.values[generic].value < 0.5


def test_real_acted_clips_are_held_against_a_neutral_one_as_edits_are():
    generator = np.random.default_rng(0)
    real, far = generator.normal(size=(2, 40, 3)).astype(np.float32)
    clip = score("full", 0, 0.1).task.reference
    looks = [
        ActedLook(0.9, near, 0.8, features=real + 1, features_source=far + 2, features_real=real)
        for near in (0.8, 0.7, np.nan)
    ]
    acted = [Acted(clip, Emotion.NEUTRAL, 0.5, 1.0, 0.9, look) for look in [*looks, None]]
    *_, everybody = summarise_ceiling(acted)
    assert everybody.identity == pytest.approx(0.9)
    assert everybody.other_picture == pytest.approx(1.5 / 1.6)
    assert 0.1 < everybody.features < 0.5
    unknown = summarise_ceiling(acted[-1:])[-1]
    assert np.isnan([unknown.identity, unknown.other_picture, unknown.features]).all()


def test_photos_are_summed_by_row_and_emotion():
    photos = [
        PhotoScore("full", "label", "P1", Emotion.HAPPY, 0.1, 0.2),
        PhotoScore("full", "label", "P2", Emotion.SAD, 0.3, 0.3),
        PhotoScore("no edit", "label", "P1", Emotion.HAPPY, 0.2, 0.2),
    ]
    found = replace(evaluation([0.0] * 6, [0.0] * 6), photos=tuple(photos))
    nothing, full = summarise_photos(found)
    assert (nothing.row, nothing.distance.value) == ("no edit", 1)
    assert full.distance.value == pytest.approx(0.8)
    assert full.by_emotion == pytest.approx({Emotion.HAPPY: 0.5, Emotion.SAD: 1.0})
    page = "\n".join(draw_report(found, summarise(found)))
    assert "| full | label | 0.800 [" in page
