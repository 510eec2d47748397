import pytest
import torch

from cdrl_cli.checkpoints.trained import load_content, open_prior
from cdrl_cli.errors import UsageError, WeightsError
from cdrl_cli.face.blendshapes import MOUTH_COEFFICIENTS
from cdrl_cli.weight_set import WeightSet


@pytest.mark.weights
@pytest.mark.parametrize("weight_set", WeightSet)
def test_shipped_encoders_encode_and_never_saw_whom_they_are_proved_on(weight_set):
    models = load_content(weight_set)
    frames = models.content.config.frames
    codes = models.content(None, torch.rand(2, frames, len(MOUTH_COEFFICIENTS)))
    heard = models.speech(torch.randn(2, frames, models.content.config.speech_features))
    assert codes.shape == heard.shape
    torch.testing.assert_close(codes.norm(dim=1), torch.ones(2))
    assert not models.identities & {"J05", "MEAD_W009", "GRID_s1", "GRID_bbaf2n"}
    assert "S04" not in models.sentences


def test_a_set_that_does_not_exist_is_refused():
    with pytest.raises(UsageError, match="secret"):
        load_content("secret")


def test_the_plain_prior_needs_no_weights():
    assert open_prior("log-mel").name == "log-mel"


def test_a_prior_that_is_missing_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("SPFEM_HOME", str(tmp_path))
    with pytest.raises(WeightsError) as caught:
        open_prior("whisper")
    assert "download-weights speech" in caught.value.hint


def test_an_unknown_prior_is_refused_and_the_known_ones_named():
    with pytest.raises(UsageError, match="no speech prior 'wisper'") as caught:
        open_prior("wisper")
    assert caught.value.hint == "one of: log-mel, whisper, xlsr-53"
