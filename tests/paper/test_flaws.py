"""The published objectives' flaws, each shown on data that has nothing to learn from."""

import pytest
import torch
from torch.nn import functional

from cdrl_cli.emotion import Emotion
from cdrl_cli.representation.ccrl import ContentConfig, ContentEncoder
from cdrl_cli.representation.cerl import EmotionConfig, EmotionEncoder
from cdrl_cli.representation.losses import (
    clamped_cosine_loss,
    class_info_nce,
    symmetric_info_nce,
)
from cdrl_cli.training.cerl import set_contrast
from cdrl_cli.training.cerl_batches import Batch

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


def guided(scale="channels", side=32):
    """CCRL's encoder with the paper's attention, in small maps of ArcFace."""
    config = ContentConfig(
        frames=2,
        speech_features=8,
        width=32,
        dimension=32,
        image="arcface",
        image_side=side,
        attention="audio",
        attention_scale=scale,
    )
    return ContentEncoder(config)


def learn_content():
    """The published loss where pictures are noise: positives share the audio of their anchor."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    model = guided()

    def maps():
        return noise(8, 2, 256, 4, 4, generator=generator)

    def encode(pictures, speech):
        return model.encode(*model.features(pictures, None, speech))

    def draw_loss():
        one, other = (noise(8, 2, 8, generator=generator) for _ in range(2))
        return clamped_cosine_loss(encode(maps(), one), encode(maps(), one), encode(maps(), other))

    before = float(draw_loss().detach())
    learn(model.parameters(), draw_loss, steps=25, rate=3e-3)
    after = float(torch.stack([draw_loss().detach() for _ in range(4)]).mean())
    return encode, maps, generator, before, after


def test_the_published_content_code_is_learned_without_a_look_at_the_picture():
    encode, maps, generator, before, after = learn_content()
    assert after < 0.75 * before
    heard = noise(8, 2, 8, generator=generator)
    with torch.no_grad():
        one, unrelated = encode(maps(), heard), encode(maps(), heard)
        elsewhere = encode(maps(), noise(8, 2, 8, generator=generator))
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


def test_the_published_attention_is_another_at_use_than_in_training():
    pictures, heard = torch.rand(1, 2, 256, 4, 4), torch.rand(1, 2, 8)
    apart = {}
    for scale in ("channels", "places", "as-published"):
        torch.manual_seed(0)
        model = guided(scale)
        with torch.no_grad():
            model.attention.position.normal_(0, 2)
            learned = model.train()(pictures, None, heard)
            used = model.eval()(pictures, None, heard)
        apart[scale] = float((learned - used).abs().max())
    assert apart["channels"] == apart["places"] == 0
    assert apart["as-published"] > 1e-3


def test_the_full_size_is_the_papers():
    model = ContentEncoder(
        ContentConfig(frames=2, speech_features=1024, width=512, image="arcface", attention="audio")
    )
    maps = torch.rand(1, 2, 256, 28, 28)
    assert model.features(maps, None, torch.rand(1, 2, 1024))[0].shape == (1, 2, 512)
    # A window without sound, as the generator has it, is looked at as well.
    assert model.features(maps, None)[0].shape == (1, 2, 512)
    sizes = {name: count(part) for name, part in model.named_children()}
    assert 5e6 < sizes["crop"] + sizes["attention"] < 14e6


def count(part):
    return sum(one.numel() for one in part.parameters())
