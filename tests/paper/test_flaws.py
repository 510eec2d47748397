"""The published objectives' flaws, each shown on data that has nothing to learn from."""

import pytest
import torch
from torch.nn import functional

from cdrl_cli.emotion import Emotion
from cdrl_cli.representation.cerl import EmotionConfig, EmotionEncoder
from cdrl_cli.representation.guided_content import (
    GuidedConfig,
    GuidedContent,
    guided_cosine_loss,
)
from cdrl_cli.representation.losses import class_info_nce, symmetric_info_nce
from cdrl_cli.training.cerl import set_contrast
from cdrl_cli.training.cerl_batches import Batch

SMALL = GuidedConfig(channels=16, places=4, blocks=1, speech_features=8)
CHANCE = float(torch.tensor(float(len(Emotion))).log())


def noise(*shape, generator):
    return torch.randn(*shape, generator=generator)


def learn(parameters, draw_loss, *, steps, rate=1e-3):
    adam = torch.optim.Adam(parameters, rate)
    for _ in range(steps):
        adam.zero_grad()
        loss = draw_loss()
        loss.backward()
        adam.step()
    return float(loss.detach())


def learn_emotions(heads, contrast):
    """CERL on pictures of noise: nothing in them says which emotion they are called."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    config = EmotionConfig(width=16, dimension=8, dropout=0.0, features=12, heads=heads)
    encoder = EmotionEncoder(config)
    prompts = functional.normalize(noise(7, 8, generator=generator), dim=1)
    labels = torch.arange(7).repeat(8)

    def draw_loss():
        differences = noise(len(labels), 3, 12, generator=generator)
        embeddings = encoder(differences, labels)
        batch = Batch(differences, labels, labels, set_size=7)
        if contrast == "text-to-image":
            return set_contrast(embeddings, prompts, batch, 0.07)
        return class_info_nce(embeddings, prompts, labels, temperature=0.5)

    learn(encoder.parameters(), draw_loss, steps=300, rate=3e-3)
    return float(torch.stack([draw_loss().detach() for _ in range(10)]).mean())


def test_a_head_for_each_emotion_wins_the_published_contrast_on_noise():
    assert learn_emotions("one-each", "text-to-image") < 0.1 * CHANCE


@pytest.mark.parametrize("contrast", ["text-to-image", "both-ways"])
def test_a_shared_head_stays_at_chance_on_noise(contrast):
    assert learn_emotions("shared", contrast) > 0.9 * CHANCE


def learn_content():
    """The published loss where pictures are noise: positives share the audio of their anchor."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    model = GuidedContent(SMALL)
    with torch.no_grad():  # a speech feature is something that voices differ in
        model.query.weight.mul_(3)

    def maps():
        return noise(16, 16, 4, 4, generator=generator)

    def draw_loss():
        one, other = (noise(16, 5, 8, generator=generator) for _ in range(2))
        return guided_cosine_loss(model(maps(), one), model(maps(), one), model(maps(), other))

    before = float(draw_loss().detach())
    after = learn(model.parameters(), draw_loss, steps=500, rate=2e-3)
    return model.eval(), maps, generator, before, after


def test_the_published_content_code_is_learned_without_a_look_at_the_picture():
    model, maps, generator, before, after = learn_content()
    assert after < 0.75 * before
    heard = noise(16, 5, 8, generator=generator)
    with torch.no_grad():
        one, unrelated = model(maps(), heard), model(maps(), heard)
        elsewhere = model(maps(), noise(16, 5, 8, generator=generator))
    same = functional.cosine_similarity(one, unrelated, dim=1).mean()
    other = functional.cosine_similarity(one, elsewhere, dim=1).mean()
    # Another picture under the same audio is nearly the same code: it says nothing of the mouth.
    assert same > other + 0.2


def test_codes_that_cannot_know_the_audio_learn_nothing_from_such_pictures():
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    seen, heard = torch.nn.Linear(16, 8), torch.nn.Linear(8, 8)

    def draw_loss():
        pictures, sound = noise(16, 16, generator=generator), noise(16, 8, generator=generator)
        codes = [functional.normalize(x, dim=1) for x in (seen(pictures), heard(sound))]
        return symmetric_info_nce(*codes, temperature=0.5)

    learn([*seen.parameters(), *heard.parameters()], draw_loss, steps=300)
    loss = torch.stack([draw_loss().detach() for _ in range(20)]).mean()
    assert loss > 0.97 * torch.tensor(16.0).log()


def test_attention_trained_with_one_scale_is_another_with_the_other():
    torch.manual_seed(0)
    codes = {}
    for scale in ("places", "channels"):
        torch.manual_seed(0)
        sizes = GuidedConfig(channels=16, places=8, blocks=1, speech_features=8, scale=scale)
        model = GuidedContent(sizes).eval()
        with torch.no_grad():
            model.position.normal_(0, 2)
            codes[scale] = model(torch.ones(1, 16, 8, 8).cumsum(3) / 4, torch.ones(1, 5, 8))
    assert (codes["places"] - codes["channels"]).abs().max() > 1e-3


def test_the_full_size_is_the_papers():
    model = GuidedContent()
    codes = model(torch.rand(1, 256, 28, 28), torch.rand(1, 5, 1024))
    assert codes.shape == (1, 256, 28 * 28)
    count = sum(one.numel() for one in model.parameters())
    assert 4e6 < count < 14e6
