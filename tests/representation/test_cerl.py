import numpy as np
import pytest
import torch

from cdrl_cli.checkpoints.trained import load_emotion
from cdrl_cli.emotion import Emotion
from cdrl_cli.representation.cerl import EmotionEncoder, PromptTower
from cdrl_cli.representation.text_prior import WORDS, make_phrases


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return EmotionEncoder().eval()


def test_embeddings_are_unit_vectors(encoder):
    lengths = encoder(torch.rand(3, 10, 52)).norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(3))


def test_the_order_of_frames_does_not_matter(encoder):
    frames = torch.rand(2, 12, 52)
    torch.testing.assert_close(encoder(frames), encoder(frames.flip(1)))


def test_a_still_picture_has_an_embedding_and_a_slope(encoder):
    still = torch.rand(1, 1, 52, requires_grad=True)
    encoder(still)[0, 0].backward()
    assert torch.isfinite(still.grad).all()


def test_an_emotion_adds_its_learned_part_and_free_text_does_not():
    torch.manual_seed(0)
    tower = PromptTower(8)
    sentences = torch.randn(2, 384)
    labels = torch.tensor([0, 3])
    torch.testing.assert_close(tower(sentences, labels), tower(sentences))
    with torch.no_grad():
        tower.context[3] += 1
    assert not torch.allclose(tower(sentences, labels)[1], tower(sentences)[1])
    torch.testing.assert_close(tower(sentences, labels)[0], tower(sentences)[0])


def test_phrases_name_every_emotion_plainly_and_by_degree():
    phrases = make_phrases()
    assert len({phrase.text for phrase in phrases}) == len(phrases)
    for emotion, words in WORDS.items():
        own = [phrase for phrase in phrases if phrase.emotion is emotion]
        assert {w for w in words if any(p.text == w and p.is_plain for p in own)} == set(words)
        assert {phrase.strength for phrase in own} == {0.5, 1.0, 1.3}


@pytest.mark.weights
@pytest.mark.parametrize("weight_set", ["permissive", "research"])
def test_the_shipped_labels_lie_apart_and_near_their_words(weight_set):
    models = load_emotion(weight_set)
    cosines = models.labels @ models.labels.T
    assert (cosines - torch.eye(7)).max() < 0.7
    for emotion in Emotion:
        phrases = models.space.nearest_phrases(models.space.labels[emotion.class_index], count=3)
        known = {p.text: p.emotion for p in make_phrases() if p.is_plain}
        assert all(known[text] is emotion for text, _ in phrases)


@pytest.mark.weights
def test_a_textbook_smile_is_read_as_happy_and_no_change_as_neutral():
    from cdrl_cli.data.action_units import coded_expression

    models = load_emotion()
    smile = np.clip(models.neutral + coded_expression(Emotion.HAPPY), 0, 1).astype(np.float32)
    read = models.space.probabilities(models.reader.embed(np.repeat(smile[None], 20, axis=0)))
    assert max(read, key=read.get) is Emotion.HAPPY
    assert sum(read.values()) == pytest.approx(1, abs=1e-5)
