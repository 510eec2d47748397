import pytest

from cdrl_cli.media.codecs import encoder_fault
from cdrl_cli.media.encoder import ENCODERS, Encoder


@pytest.mark.parametrize("codec", ENCODERS)
def test_every_encoder_works_here(codec):
    assert encoder_fault(ENCODERS[codec]) is None


def test_one_that_is_not_there_says_so():
    assert "made-up" in (encoder_fault(Encoder("h264", "made-up", default_crf=14)) or "")
