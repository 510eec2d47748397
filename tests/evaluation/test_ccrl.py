import dataclasses

import numpy as np
import pytest
import torch

from cdrl_cli.checkpoints.trained import ContentModels
from cdrl_cli.emotion import Emotion
from cdrl_cli.evaluation.ccrl import (
    mean_codes,
    measure_following,
    measure_leak,
    measure_readability,
    measure_retrieval,
    measure_window_readability,
    unknown_people,
    unknown_sentences,
)
from cdrl_cli.representation.ccrl import VIEWS, ContentConfig, ContentEncoder, SpeechEncoder
from talkers import SPEECH_FEATURES, make_clip, make_take, make_takes, movement


@pytest.fixture(scope="module")
def models():
    torch.manual_seed(0)
    config = ContentConfig(frames=12, speech_features=SPEECH_FEATURES, width=16, dimension=16)
    return ContentModels(
        ContentEncoder(config).eval(),
        SpeechEncoder(config).eval(),
        "log-mel",
        frozenset({"A0"}),
        frozenset({"S01"}),
    )


def test_encoders_that_learned_nothing_are_at_chance(models):
    rows = measure_retrieval(models, make_takes(people=6))
    assert [row.view for row in rows] == list(VIEWS)
    for row in rows:
        assert row.speech_of_mouth.value < 0.25
        assert row.speech_of_mouth.count == 12


def test_silent_clips_are_not_asked_for_their_speech(models, generator):
    opening = movement(40, generator)
    silent = make_take(make_clip(), opening, generator, speech=False)
    assert measure_retrieval(models, [silent])[0].speech_of_mouth.count == 0


def test_following_compares_a_mouth_with_its_own_speech_and_other_images(models):
    following = measure_following(models, make_takes())
    assert -1 <= following.unlike_frames.value < 1
    assert abs(following.own.value - following.other_image.value) < 0.2


class Parrot(ContentEncoder):
    """Repeats what it is told, without a look at the mouth."""

    def __init__(self, speech):
        super().__init__(speech.config)
        self.repeated = speech

    def encode_views(self, crops, coefficients, speech=None):
        assert len(crops) == len(coefficients) == len(speech)
        return dict.fromkeys(VIEWS, self.repeated(speech))


def test_an_encoder_that_repeats_what_it_is_told_is_found_out(models):
    parrot = dataclasses.replace(models, content=Parrot(models.speech))
    for leak in measure_leak(parrot, make_takes()):
        assert leak.told.value == leak.still.value == leak.drawn.value == 1
        assert leak.kept.value < 0.9
        assert leak.told.count == 6


def test_an_encoder_that_does_not_listen_leaks_nothing(models):
    takes = make_takes()[:4]
    found = {row.view: row.speech_of_mouth for row in measure_retrieval(models, takes)}
    for leak in measure_leak(models, takes):
        assert leak.told == leak.each == found[leak.view]
        assert leak.kept.value == pytest.approx(1)
        assert leak.still.value < 0.25
        # Untrained, it takes any other speech for its own as often as not.
        assert abs(leak.drawn.value - 0.5) < 0.2


def test_proof_is_by_people_never_learned_from(models, generator):
    takes = make_takes(people=3)
    assert {take.clip.identity for take in unknown_people(models, takes)} == {"A1", "J05"}
    opening = movement(40, generator)
    told = make_take(make_clip(identity="A0", sentence="S04"), opening, generator)
    assert unknown_sentences(models, [*takes, told]) == [told]


def test_a_smile_is_read_from_coefficients_and_not_from_codes(models, generator):
    takes = []
    for person in range(4):
        for emotion, smile in ((Emotion.NEUTRAL, 0.0), (Emotion.HAPPY, 0.4)) * 3:
            clip = make_clip(identity=f"P{person}", emotion=emotion)
            takes.append(make_take(clip, movement(30, generator), generator, smile=smile))
    rows = {row.features: row for row in measure_readability(models, takes)}
    assert rows["raw coefficients"].accuracy.value > 0.95
    assert rows["raw coefficients"].chance == 0.5
    assert abs(rows["coefficients"].accuracy.value - 0.5) < 0.25


@pytest.mark.parametrize(("moves", "low", "high"), [(0.0, 0.9, 1.0), (1.0, 0.2, 0.75)])
def test_one_window_tells_how_a_mouth_moves_not_what_it_always_does(models, moves, low, high):
    """Half the clips smile throughout; the first time they also keep still."""
    generator = np.random.default_rng(0)
    takes = []
    for person in range(5):
        for emotion, smile in ((Emotion.HAPPY, 0.4), (Emotion.SAD, 0.0)):
            clip = make_clip(identity=f"P{person}", emotion=emotion)
            shown = movement(30, generator) * (moves if smile else 1)
            takes.append(make_take(clip, shown, generator, smile=smile))
    rows = {row.features: row for row in measure_window_readability(models, takes, asked={"P0"})}
    assert rows["one window's coefficients"].chance == 0.5
    assert rows["one window's coefficients"].accuracy.count == 2
    everyone = {row.features: row for row in measure_window_readability(models, takes)}
    assert low <= everyone["one window's coefficients"].accuracy.value <= high


def test_mean_codes_do_not_know_the_sound(models):
    take = make_takes()[0]
    mute = dataclasses.replace(take, speech=np.zeros((len(take.seen), 0), np.float32))
    for view in VIEWS:
        np.testing.assert_array_equal(
            mean_codes(models.content, take)[view], mean_codes(models.content, mute)[view]
        )
