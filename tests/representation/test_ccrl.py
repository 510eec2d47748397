import pytest
import torch

from cdrl_cli.face.blendshapes import MOUTH_COEFFICIENTS
from cdrl_cli.representation.ccrl import VIEWS, ContentConfig, ContentEncoder, SpeechEncoder

COUNT, FRAMES = 3, 25


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return ContentEncoder().eval()


@pytest.fixture
def crops():
    return torch.rand(COUNT, FRAMES, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.fixture
def coefficients():
    return torch.rand(
        COUNT, FRAMES, len(MOUTH_COEFFICIENTS), generator=torch.Generator().manual_seed(2)
    )


@pytest.mark.parametrize(("pixels", "motion"), [(1, 0), (0, 1), (1, 1)])
def test_any_modality_makes_a_unit_code(encoder, crops, coefficients, pixels, motion):
    code = encoder(crops if pixels else None, coefficients if motion else None)
    assert code.shape == (COUNT, encoder.config.dimension)
    torch.testing.assert_close(code.norm(dim=1), torch.ones(COUNT))


def test_nothing_cannot_be_encoded(encoder):
    with pytest.raises(ValueError, match="nothing to encode"):
        encoder(None, None)


def test_views_are_what_the_encoder_says_of_each(encoder, crops, coefficients):
    views = encoder.encode_views(crops, coefficients)
    assert tuple(views) == VIEWS
    torch.testing.assert_close(views["crops"], encoder(crops, None))
    torch.testing.assert_close(views["coefficients"], encoder(None, coefficients))
    torch.testing.assert_close(views["both"], encoder(crops, coefficients))


def test_a_smile_that_stays_says_nothing(encoder, coefficients):
    smile = torch.rand(len(MOUTH_COEFFICIENTS))
    torch.testing.assert_close(
        encoder(None, coefficients + smile), encoder(None, coefficients), atol=1e-5, rtol=0
    )


def test_a_mouth_that_does_not_move_is_every_mouth(encoder, crops):
    still, other = (crops[[i]][:, :1].expand(1, FRAMES, -1, -1) for i in (0, 1))
    torch.testing.assert_close(encoder(still, None), encoder(other, None), atol=1e-3, rtol=0)


def test_the_order_of_frames_is_content(encoder, crops):
    code, reversed_code = encoder(crops, None), encoder(crops.flip(1), None)
    assert (code * reversed_code).sum(dim=1).max() < 0.99


def test_larger_crops_are_averaged_down(encoder, crops):
    large = crops.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    torch.testing.assert_close(encoder(large, None), encoder(crops, None))


def test_pixels_and_motion_get_gradients(encoder, crops, coefficients):
    crops.requires_grad_()
    coefficients.requires_grad_()
    encoder(crops, coefficients)[:, 0].sum().backward()
    assert crops.grad.abs().sum() > 0
    assert coefficients.grad.abs().sum() > 0


def test_loud_features_do_not_drown_the_rest():
    torch.manual_seed(0)
    encoder = SpeechEncoder(ContentConfig(speech_features=6)).eval()
    speech = torch.randn(1, FRAMES, 6)
    speech[..., 0] = 100
    louder = speech.clone()
    louder[..., 0] = 1000
    torch.testing.assert_close(encoder(speech), encoder(louder))


@pytest.fixture(scope="module")
def attentive():
    torch.manual_seed(0)
    config = ContentConfig(speech_features=6, width=16, dimension=16, attention="audio")
    return ContentEncoder(config).eval()


def test_what_is_heard_chooses_where_to_look(attentive, crops, coefficients):
    speech, other = torch.randn(2, COUNT, FRAMES, 6, generator=torch.Generator().manual_seed(3))
    one, two = (attentive.encode_views(crops, coefficients, sound) for sound in (speech, other))
    for view in ("crops", "both"):
        assert (one[view] - two[view]).abs().max() > 0.01
    torch.testing.assert_close(one["coefficients"], two["coefficients"])


def test_where_there_is_nothing_to_look_at_what_is_heard_says_nothing(attentive):
    """Flat pictures that flicker: wherever the audio looks, it sees the same."""
    light = torch.rand(COUNT, FRAMES, 1, 1, generator=torch.Generator().manual_seed(4))
    flat = (light * 2 - 1).expand(-1, -1, 32, 32)
    speech, other = torch.randn(2, COUNT, FRAMES, 6, generator=torch.Generator().manual_seed(3))
    codes = [attentive(flat, None, sound) for sound in (speech, other, None)]
    assert (codes[0][0] - codes[0][1]).abs().max() > 0.01
    for code in codes[1:]:
        torch.testing.assert_close(code, codes[0], atol=1e-4, rtol=0)


def test_attention_agrees_with_the_paper(attentive):
    """Query by query and position by position, scaled by the keys' own width."""
    attention = attentive.attention
    seen = torch.randn(1, 1, 48, 4, 4, generator=torch.Generator().manual_seed(5))
    speech = torch.randn(1, 1, 6, generator=torch.Generator().manual_seed(6))
    values = list(seen[0, 0].flatten(1).T)
    attended = []
    for query in attention.query(speech[0, 0]).view(16, 16):
        keys = [attention.key(values[i]) + attention.position[i] for i in range(16)]
        weights = torch.stack([(query @ key / 4).exp() for key in keys])
        weights = weights / weights.sum()
        attended.append(sum(w * v for w, v in zip(weights, values, strict=True)))
    expected = attention.output(torch.cat(attended))
    torch.testing.assert_close(attention(seen, speech)[0, 0], expected)


def test_an_encoder_without_attention_does_not_listen(encoder, crops, coefficients):
    speech = torch.randn(COUNT, FRAMES, encoder.config.speech_features)
    told = encoder.encode_views(crops, coefficients, speech)
    alone = encoder.encode_views(crops, coefficients)
    assert all(torch.equal(told[view], alone[view]) for view in VIEWS)


def test_both_encoders_are_small():
    networks = ContentEncoder(), SpeechEncoder()
    assert sum(p.numel() for network in networks for p in network.parameters()) < 1_000_000
