"""What this machine's FFmpeg can do, tried and not merely listed."""

from fractions import Fraction
from functools import cache

import av
import numpy as np

from cdrl_cli.errors import DeviceError
from cdrl_cli.media.encoder import Encoder, encoder_options
from cdrl_cli.media.encoding import open_encoder

_SIDE, _HARDWARE_SIDE = 64, 256
"""Pixels; the least that every encoder takes, and every one of a graphics processor."""


def encoder_fault(encoder: Encoder) -> str | None:
    """Why an encoder does not work here, with the options of an edit; None where it does."""
    if encoder.library not in av.codecs_available:
        return "this FFmpeg is built without it"
    return _fault(encoder)


def _fault(encoder: Encoder) -> str | None:
    try:
        context = av.CodecContext.create(encoder.library, "w")
        assert isinstance(context, av.VideoCodecContext)
        side = _HARDWARE_SIDE if encoder.is_hardware else _SIDE
        context.width = context.height = side
        context.pix_fmt = "nv12" if encoder.is_hardware else "yuv420p"
        context.framerate = Fraction(25)
        context.options = encoder_options(encoder, crf=None, preset=None, hdr=None)
        open_encoder(context)
        grey = np.full((side * 3 // 2, side), 128, np.uint8)
        picture = av.VideoFrame.from_ndarray(grey, format="yuv420p")
        picture.pts = 0
        packets = [*context.encode(picture), *context.encode(None)]
    except (av.FFmpegError, ValueError) as error:
        if encoder.is_hardware:
            return "no driver or processor for it"
        return str(error) or type(error).__name__
    return None if packets else "it gives no packets"


@cache
def check_hardware(encoder: Encoder) -> None:
    """Refuse an encoder of a graphics processor that does not work here; others are not tried.

    One that works is tried once; one that does not, again each time.

    Raises:
        DeviceError: If it does not.
    """
    fault = encoder_fault(encoder) if encoder.is_hardware else None
    if fault is not None:
        raise DeviceError(
            f"codec {encoder.codec}: does not work here ({fault})",
            hint=f"--codec {encoder.stored} needs no GPU; spfem doctor lists what works here",
        )
