import pytest
import torch

from cdrl_cli.representation.content import (
    MOUTH_COEFFICIENTS,
    VIEWS,
    ContentConfig,
    ContentEncoder,
    SpeechEncoder,
)

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


def test_both_encoders_are_small():
    networks = ContentEncoder(), SpeechEncoder()
    assert sum(p.numel() for network in networks for p in network.parameters()) < 1_000_000
