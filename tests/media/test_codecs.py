import pytest

from cdrl_cli.media.codecs import encoder_fault
from cdrl_cli.media.encoder import ENCODERS, Encoder

SOFTWARE = [name for name, encoder in ENCODERS.items() if not encoder.is_hardware]
HARDWARE = [name for name, encoder in ENCODERS.items() if encoder.is_hardware]


@pytest.mark.parametrize("codec", SOFTWARE)
def test_every_encoder_that_needs_no_device_works_here(codec):
    assert encoder_fault(ENCODERS[codec]) is None


@pytest.mark.parametrize("codec", HARDWARE)
def test_one_that_needs_a_device_works_or_says_what_is_missing(codec):
    fault = encoder_fault(ENCODERS[codec])
    assert fault in (None, "this FFmpeg is built without it", "no driver or processor for it")


def test_one_that_is_not_there_says_so():
    fault = encoder_fault(Encoder("h264", "made-up", default_crf=14))
    assert fault == "this FFmpeg is built without it"
