"""What this machine's FFmpeg can do, tried and not merely listed."""

from fractions import Fraction

import av
import numpy as np

from cdrl_cli.media.encoder import Encoder, encoder_options, silence_library

_SIDE = 64
"""Pixels; the least that every encoder takes."""


def encoder_fault(encoder: Encoder) -> str | None:
    """Why an encoder does not work here, with the options of an edit; None where it does."""
    silence_library(encoder)
    try:
        context = av.CodecContext.create(encoder.library, "w")
        assert isinstance(context, av.VideoCodecContext)
        context.width = context.height = _SIDE
        context.pix_fmt = "yuv420p"
        context.framerate = Fraction(25)
        context.options = encoder_options(encoder, crf=None, preset=None, hdr=None)
        grey = np.full((_SIDE * 3 // 2, _SIDE), 128, np.uint8)
        picture = av.VideoFrame.from_ndarray(grey, format="yuv420p")
        picture.pts = 0
        packets = [*context.encode(picture), *context.encode(None)]
    except (av.FFmpegError, ValueError) as error:
        return str(error) or type(error).__name__
    return None if packets else "it gives no packets"
