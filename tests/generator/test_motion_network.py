from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cdrl_cli.checkpoints.files import open_motion
from cdrl_cli.checkpoints.trained import write_motion
from cdrl_cli.face.blendshapes import (
    BLINKS,
    CEILINGS,
    COUNTERPARTS,
    EXPRESSION_NAMES,
    SHARES,
    SQUINTS,
)
from cdrl_cli.generator.condition import Condition, ConditionTrack
from cdrl_cli.generator.motion import (
    CONTEXT_AFTER,
    LEAST_SHARE,
    MAX_SHIFT,
    OWN_FRAMES,
    RATE_HZ,
    Window,
)
from cdrl_cli.generator.motion_network import PACE, MotionEditor, Observed
from cdrl_cli.limits import MAX_INTENSITY

SEEDS = st.integers(0, 2**31)
INTENSITIES = st.floats(0, MAX_INTENSITY)
ANGRY = np.eye(7)[0]
"""Likelihoods of an emotion that nobody doubts."""


@pytest.fixture(scope="module", autouse=True)
def _acted_as_learned():
    """Emotions by name go as far as the network was taught, as training has them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cdrl_cli.generator.condition.NAMED_GAINS", np.ones(7))
        patch.setattr("cdrl_cli.generator.condition.NAMED_SQUINTS", np.zeros(7))
        yield


@pytest.fixture(scope="module")
def editor():
    """As strong as a trained one, and as sure of what to let go."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = MotionEditor()
        for name, one in made.named_parameters():
            torch.nn.init.normal_(one, std=0.4 if name.startswith("feel") else 0.12)
        made.neutral_high.fill_(0.2)
        made.scale.fill_(0.1)
    return made.eval()


@pytest.fixture(scope="module")
def learned(editor, tmp_path_factory):
    path = tmp_path_factory.mktemp("motion") / "motion.onnx"
    write_motion(path, editor, facts={})
    return open_motion(path)


def talk(seconds=4.0, rate_hz=RATE_HZ, seed=0):
    """A talking face: a sum of slow waves in every channel, the same at any frame rate."""
    generator = np.random.default_rng(seed)
    times_s = np.arange(round(seconds * rate_hz)) / rate_hz
    return times_s, talk_at(times_s, generator)


def talk_at(times_s, generator):
    phases, rates = generator.uniform(0, 6, (2, 52)), generator.uniform(0.3, 1.0, 52)
    middle, size = generator.uniform(0, 1, 52), generator.uniform(0, 0.4, 52)
    waves = np.sin(2 * np.pi * rates * times_s[:, None] + phases[0])
    return (middle + size * waves).clip(0, 1).astype(np.float32)


def feeling(seed=0, shape=()):
    embedding = np.random.default_rng(seed).standard_normal((*shape, 64))
    return (embedding / np.linalg.norm(embedding, axis=-1, keepdims=True)).astype(np.float32)


def edit(editor, source, embedding, intensity):
    with torch.inference_mode():
        return editor(
            torch.from_numpy(source)[None],
            torch.from_numpy(embedding)[None],
            torch.tensor([intensity], dtype=torch.float32),
        )[0].numpy()


def window_at(times_s, source, now, *, back_s=1.95, ahead_s=0.2):
    near = (times_s >= times_s[now] - back_s - 1e-9) & (times_s <= times_s[now] + ahead_s + 1e-9)
    return Window(times_s[near] - times_s[now], source[near])


@given(SEEDS)
def test_intensity_zero_is_the_source_bit_for_bit(editor, seed):
    _, source = talk(1.0, seed=seed)
    np.testing.assert_array_equal(edit(editor, source, feeling(seed), 0.0), source)


@given(SEEDS, INTENSITIES, INTENSITIES)
def test_more_intensity_is_more_of_the_same(editor, seed, one, other):
    _, source = talk(1.0, seed=seed)
    less, more = (edit(editor, source, feeling(seed), i) - source for i in sorted((one, other)))
    assert (np.abs(more) >= np.abs(less) - 1e-6).all()
    assert (more * less >= -1e-9).all()


@given(SEEDS, INTENSITIES)
def test_the_change_is_bounded_and_coefficients_stay_coefficients(editor, seed, intensity):
    _, source = talk(1.0, seed=seed)
    output = edit(editor, source, feeling(seed), intensity)
    assert output.min() >= 0
    assert (output <= CEILINGS.astype(np.float32)).all()
    length = np.linalg.norm(output - source, axis=1)
    assert length.max() <= MAX_SHIFT * max(1.0, intensity) + 1e-5


@given(SEEDS, INTENSITIES)
def test_speech_gaze_and_blinks_never_change(editor, seed, intensity):
    _, source = talk(1.0, seed=seed)
    output = edit(editor, source, feeling(seed), intensity)
    np.testing.assert_array_equal(output[:, SHARES == 0], source[:, SHARES == 0])


@given(SEEDS, INTENSITIES)
def test_a_face_alike_on_both_sides_stays_so(editor, seed, intensity):
    _, source = talk(1.0, seed=seed)
    source = (source + source[:, COUNTERPARTS]) / 2
    output = edit(editor, source, feeling(seed), intensity)
    np.testing.assert_allclose(output, output[:, COUNTERPARTS], atol=1e-6)


def test_slopes_reach_every_weight_and_the_embedding(editor):
    embedding = torch.from_numpy(feeling())[None].requires_grad_()
    source = torch.from_numpy(talk()[1])[None]
    observed = observe(editor, difference_of(0), 0.5)  # half by its name, half as a reference
    editor(source, embedding, torch.ones(1), observed).square().sum().backward()
    assert all(one.grad.abs().sum() > 0 for one in editor.parameters())
    assert embedding.grad.abs().sum() > 0
    editor.zero_grad()


def test_the_change_moves_with_the_speech_and_not_without(editor):
    _, talking = talk()
    still = np.tile(talking[:1], (len(talking), 1))
    moves = [np.ptp(edit(editor, x, feeling(), 1.0) - x, axis=0).max() for x in (talking, still)]
    assert moves[0] > 0.02
    assert moves[1] < 1e-5


def test_a_smile_that_lasts_is_taken_away_and_one_that_passes_is_not(editor):
    """By what differs from the same face without it: the network's own change is in both."""
    smile = EXPRESSION_NAMES.index("mouthSmileLeft")
    calm = np.full((80, 52), 0.1, np.float32)
    lasting, passing = calm.copy(), calm.copy()
    lasting[:, smile] = passing[-3:, smile] = 0.8
    plain, kept, lost = (
        edit(editor, x, feeling(), 1.0)[-1] - x[-1] for x in (calm, passing, lasting)
    )
    assert lost[smile] < plain[smile] - 0.1
    assert kept[smile] > lost[smile] + 0.05


def test_a_frame_needs_no_more_than_a_window(editor):
    _, source = talk(6.0)
    now, embedding = 100, feeling()
    whole = edit(editor, source, embedding, 1.0)[now]
    part = source[now + 1 - OWN_FRAMES : now + 1 + CONTEXT_AFTER]
    np.testing.assert_allclose(
        edit(editor, part, embedding, 1.0)[-1 - CONTEXT_AFTER], whole, atol=1e-5
    )


@settings(deadline=None)
@given(SEEDS, INTENSITIES, st.integers(0, 99))
def test_what_runs_agrees_with_what_was_trained(editor, learned, seed, intensity, now):
    times_s, source = talk(seed=seed)
    embedding = feeling(seed)
    expected = edit(editor, source, embedding, intensity)[now]
    shown = learned(
        source[now],
        window_at(times_s, source, now),
        Condition(np.zeros(52), embedding, ANGRY, ANGRY),
        intensity=intensity,
    )
    np.testing.assert_allclose(shown, expected, atol=2e-5)


@pytest.mark.parametrize("rate_hz", [15, 24, 30000 / 1001, 50, 60, 120])
def test_the_answer_is_the_same_at_any_frame_rate(learned, rate_hz):
    answers = []
    for rate in (25, rate_hz):
        generator = np.random.default_rng(3)
        times_s = np.sort(2.0 + np.arange(-60 * rate // 25, 8 * rate // 25) / rate)
        source = talk_at(times_s, generator)
        now = int(np.abs(times_s - 2.0).argmin())
        assert times_s[now] == pytest.approx(2.0)
        condition = Condition(np.zeros(52), feeling(), ANGRY, ANGRY)
        window = window_at(times_s, source, now)
        answers.append(learned(source[now], window, condition, intensity=1.0) - source[now])
    assert np.abs(answers[0]).max() > 0.2
    # As far apart as interpolation is, in the mean; a channel that is about to stop may differ.
    assert np.abs(answers[0] - answers[1]).mean() < 0.01


def test_and_at_a_varying_one(learned):
    generator = np.random.default_rng(5)
    even_s = 2 + np.arange(-60, 8) / 25
    jittered_s = np.sort(np.concatenate([even_s[::2], 2 + generator.uniform(-2.4, 0.3, 90)]))
    answers = []
    for times_s in (even_s, jittered_s):
        source = talk_at(times_s, np.random.default_rng(3))
        now = int(np.abs(times_s - 2.0).argmin())
        condition = Condition(np.zeros(52), feeling(), ANGRY, ANGRY)
        window = window_at(times_s, source, now)
        answers.append(learned(source[now], window, condition, intensity=1.0) - source[now])
    # As far apart as interpolation is, in the mean; a channel that is about to stop may differ.
    assert np.abs(answers[0] - answers[1]).mean() < 0.01


def test_a_single_frame_is_enough(learned):
    expression = np.full(52, 0.3, np.float32)
    condition = Condition(np.zeros(52), feeling(), ANGRY, ANGRY)
    shown = learned(expression, Window(np.zeros(1), expression[None]), condition, intensity=1.0)
    assert np.abs(shown - expression).max() > 0.01


def test_an_embedding_for_each_frame_is_used_in_its_frame(editor):
    _, source = talk(1.0)
    embeddings = feeling(1, (25,))
    output = edit(editor, source, embeddings, 1.0)
    for frame in (0, 12, 24):
        np.testing.assert_allclose(
            output[frame], edit(editor, source, embeddings[frame], 1.0)[frame], atol=1e-6
        )


def test_a_track_passes_smoothly_from_one_emotion_to_the_next_and_holds_its_ends():
    one, other = (
        Condition(np.full(52, x), feeling(seed), ANGRY, ANGRY) for seed, x in ((0, 0.0), (1, 1.0))
    )
    track = ConditionTrack(np.array([1.0, 2.0]), (one, other))
    assert track.at(0.0) is one
    assert track.at(9.0) is other
    between = track.at(1.25)
    np.testing.assert_allclose(between.difference, 0.25)
    assert np.linalg.norm(between.embedding) == pytest.approx(1)
    assert between.embedding @ one.embedding > between.embedding @ other.embedding
    steps = np.stack([track.at(t).embedding for t in np.arange(0.5, 2.5, 0.04)])
    assert np.linalg.norm(np.diff(steps, axis=0), axis=1).max() < 0.1


def test_it_is_small(editor):
    assert sum(one.numel() for one in editor.parameters()) < 300_000


def test_what_is_hardly_an_emotion_asks_for_hardly_anything(learned):
    times_s, source = talk(seed=4)
    window = window_at(times_s, source, 60)
    sizes = []
    for likely in (1.0, 0.5, 0.1, 0.0):
        condition = Condition(np.zeros(52), feeling(), likely * ANGRY, ANGRY)
        shown = learned(source[60], window, condition, intensity=1.0)
        sizes.append(float(np.linalg.norm(shown - source[60])))
    assert sizes[0] == sizes[1] > sizes[2] > sizes[3]


def test_where_nothing_is_asked_for_and_nothing_let_go_nothing_changes(learned):
    calm = np.zeros((50, 52), np.float32)
    window = Window(np.arange(-46, 4) / RATE_HZ, calm)
    nothing = Condition(np.zeros(52), feeling(), 0.0 * ANGRY, ANGRY)
    np.testing.assert_array_equal(learned(calm[0], window, nothing, intensity=1.0), calm[0])


def test_what_is_left_alone_stays_so_in_double_precision(learned):
    _, source = talk(seed=6)
    expression = source[47] + np.random.default_rng(0).uniform(0, 1e-9, 52)
    window = Window(np.arange(-47, 4) / RATE_HZ, source[:51])
    condition = Condition(np.zeros(52), feeling(), ANGRY, ANGRY)
    shown = learned(expression, window, condition, intensity=1.0)
    np.testing.assert_array_equal(shown[SHARES == 0], expression[SHARES == 0])


@pytest.mark.parametrize("blink", [0.0, 1.0])
def test_a_named_disgust_narrows_eyes_that_are_open(learned, monkeypatch, blink):
    expression = np.full(52, 0.1)
    expression[BLINKS] = blink
    window = Window(np.zeros(1), expression[None])
    condition = Condition(np.zeros(52), feeling(), ANGRY, ANGRY)
    plain = learned(expression, window, condition, intensity=0.5)
    monkeypatch.setattr("cdrl_cli.generator.condition.NAMED_SQUINTS", 0.2 * ANGRY)
    added = learned(expression, window, condition, intensity=0.5) - plain
    expected = np.zeros(52)
    expected[SQUINTS] = 0.1 * (1 - blink)
    np.testing.assert_allclose(added, expected, atol=1e-6)


def observe(editor, difference, share, rest=None):
    """What a reference shows, for every frame of one sequence."""
    return Observed(
        torch.from_numpy(difference)[None].float(),
        torch.full((1, 1), share),
        (editor.neutral_high if rest is None else torch.from_numpy(rest).float())[None],
    )


def difference_of(seed, length=0.6):
    """A change within the channels that may move."""
    change = SHARES * np.random.default_rng(seed).normal(size=52)
    return (length / np.linalg.norm(change) * change).astype(np.float32)


@given(SEEDS)
def test_where_a_name_asks_what_a_reference_would_show_does_not_matter(editor, seed):
    _, source = talk(1.0, seed=seed)
    given = torch.from_numpy(source)[None], torch.from_numpy(feeling(seed))[None], torch.ones(1)
    with torch.inference_mode():
        plain = editor(*given)
        observed = editor(*given, observe(editor, difference_of(seed), 0.0))
    assert torch.equal(plain, observed)


@given(SEEDS)
def test_a_reference_is_paced_and_not_replaced(editor, seed):
    """On a face at rest each channel goes the reference's way, within its pace and the bound."""
    _, waves = talk(2.0, seed=seed)
    source = 0.1 * waves
    source[:, BLINKS] = 0
    difference = difference_of(seed)
    rest = np.ones(52, np.float32)
    with torch.inference_mode():
        change = editor.change(
            torch.from_numpy(source)[None],
            torch.from_numpy(feeling(seed))[None],
            observe(editor, difference, 1.0, rest),
        )[0].numpy()
    moved = change[:, difference != 0] / difference[difference != 0]
    assert moved.min() > 0
    assert moved.max() < 1 + PACE
    longest = (1 + PACE) * np.linalg.norm(difference)
    shrunk = MAX_SHIFT * np.tanh(longest / MAX_SHIFT) / longest
    assert moved.min() > shrunk * (1 - PACE) - 1e-6


def test_an_editor_that_has_not_learned_to_pace_shows_the_reference_itself():
    fresh, difference = MotionEditor().eval(), difference_of(1, length=0.2)
    calm = np.zeros((10, 52), np.float32)
    with torch.inference_mode():
        change = fresh.change(
            torch.from_numpy(calm)[None],
            torch.from_numpy(feeling())[None],
            observe(fresh, difference, 1.0),
        )[0].numpy()
    np.testing.assert_allclose(change, np.tile(difference, (10, 1)), rtol=0.02, atol=1e-6)


@settings(deadline=None)
@given(SEEDS, st.floats(0, 1), INTENSITIES)
def test_what_runs_shows_references_as_what_was_trained_does(
    editor, learned, seed, share, intensity
):
    now = 80
    times_s, source = talk(seed=seed)
    embedding, difference, empty = feeling(seed), difference_of(seed), np.zeros(52, np.float32)
    rest = np.random.default_rng(seed).uniform(0, 0.5, 52).astype(np.float32)
    with torch.inference_mode():
        expected = editor(
            torch.from_numpy(source)[None],
            torch.from_numpy(embedding)[None],
            torch.tensor([intensity], dtype=torch.float32),
            # A share of what the network is told is shown, and a reference's change in full.
            observe(editor, difference / share if share > LEAST_SHARE else empty, share, rest),
        )[0, now].numpy()
    window = replace(window_at(times_s, source, now), rest=rest)
    condition = Condition(difference, embedding, ANGRY, ANGRY, observed=share)
    shown = learned(source[now], window, condition, intensity=intensity)
    np.testing.assert_allclose(shown, expected, atol=2e-5)
