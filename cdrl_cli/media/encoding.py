"""How an output's video is encoded: the settings of an encoder's context, and what it is given."""

import os
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Final

import av
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext

from cdrl_cli.media import color
from cdrl_cli.media.encoder import (
    ENCODERS,
    PRESETS,
    Container,
    Encoder,
    choose_encoder,
    container_for,
    encoder_format,
    encoder_options,
    frame_rate_hint,
)
from cdrl_cli.media.frames import VideoFrame, VideoInfo
from cdrl_cli.media.muxer import AnyPacket
from cdrl_cli.media.picture import DecodedFrame
from cdrl_cli.media.timebase import ticks_from_seconds
from cdrl_cli.processors import keep_scheduling, usable_cores

LIBRARIES: Final = repr(sorted(av.library_versions.items()))
"""The versions of FFmpeg's libraries: others may encode otherwise."""

_BLIND_X265: Final = 2
"""Of a video of no more pictures x265 leaves the decoding times to chance, for with the third it
learns how long it delays them. At the end of a longer video more than so many packets come."""

_PIXELS_A_THREAD: Final = 640 * 360
"""At its usual preset x264 encodes a hundred pictures of so many pixels a second on one thread,
more than are edited. A second thread only takes a core from what renders: with one, an edit of ten
seconds at 360 lines takes 6 % less time on two cores."""

_FEW_PICTURES: Final = 100
"""Of a shorter clip those that x264 looks ahead are a good part, and when it comes to them nothing
is left to render: with two threads a clip of 48 takes 6 % less time."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a video is to be encoded."""

    output: Path
    """File to write; its suffix chooses the container."""
    codec: str | None = None
    """``h264``, ``hevc``, ``vp9``, ``av1`` or ``ffv1``; None chooses."""
    crf: int | None = None
    """Quality of the encoder, lower is better; None is near-lossless."""
    preset: str | None = None
    """Speed of the encoder, by x264's names; None is the codec's default."""
    x264_params: str = ""
    """What x264 is told beside that."""
    threads: int | None = None
    """Of x264; None for as many as keep up with an edit."""


@dataclass(frozen=True, slots=True)
class EncoderSetting:
    """The settings of the encoder of one video; several contexts with them encode alike.

    Raises:
        UsageError: If suffix, codec, crf or preset do not go together.
    """

    like: VideoInfo
    container: Container
    encoder: Encoder
    options: dict[str, str]
    threads: int | None = None
    """Of x264; None for as many as keep up with an edit."""

    @classmethod
    def choose(cls, like: VideoInfo, encoding: Encoding) -> "EncoderSetting":
        """The settings for a video that is to be encoded in some way."""
        container = container_for(encoding.output)
        encoder = choose_encoder(container, encoding.codec, like)
        options = encoder_options(encoder, crf=encoding.crf, preset=encoding.preset, hdr=like.hdr)
        if encoding.x264_params:
            told = (options.get("x264-params"), encoding.x264_params)
            options["x264-params"] = ":".join(filter(None, told))
        return cls(like, container, encoder, options, encoding.threads)

    @property
    def rate(self) -> Fraction:
        """Frames per second, as the encoder is told."""
        return frame_rate_hint(self.like, self.encoder)

    def apply(self, context: VideoCodecContext) -> None:
        """Set up the context of an encoder that is not yet open."""
        like, options = self.like, self.options
        sideways = like.rotation_deg in (90, 270)
        context.width, context.height = (
            (like.height, like.width) if sideways else (like.width, like.height)
        )
        context.pix_fmt = encoder_format(self.encoder, like).name
        context.time_base = like.time_base
        context.sample_aspect_ratio = 1 / like.sample_aspect if sideways else like.sample_aspect
        context.color_primaries = color.code_of(like.color.primaries, color.PRIMARIES)
        context.color_trc = color.code_of(like.color.transfer, color.TRANSFERS)
        context.colorspace = color.plane_matrix(like.color)
        context.color_range = color.range_code(like.color)
        context.thread_type = "AUTO"
        if self.encoder.codec == "h264":
            context.thread_count = self.threads or _threads_beside_edit(like, options["preset"])
        context.flags |= Flags.global_header  # all our containers want it; tee does not say so
        if like.chroma_location is not None:
            options = options | {"chroma_sample_location": like.chroma_location}
        context.options = options
        if like.interlaced:
            context.flags |= Flags.interlaced_dct
        if self.encoder.stored == "hevc" and self.container.is_iso:
            context.codec_tag = "hvc1"  # Apple's players know no other

    def open_context(self) -> VideoCodecContext:
        """An open encoder outside of any file."""
        context = av.CodecContext.create(self.encoder.library, "w")
        assert isinstance(context, VideoCodecContext)
        context.framerate = self.rate
        self.apply(context)
        open_encoder(context)
        return context

    def picture(self, frame: VideoFrame) -> av.VideoFrame:
        """A frame as the encoder takes it.

        Raises:
            ValueError: If the frame is not of this package, or of another size.
        """
        if not isinstance(frame, DecodedFrame):
            raise ValueError(f"only frames of a reader can be written, got {type(frame).__name__}")  # noqa: TRY004
        if (frame.width, frame.height) != (self.like.width, self.like.height):
            raise ValueError(
                f"a video of {self.like.width} x {self.like.height} takes no frame of "
                f"{frame.width} x {frame.height}"
            )
        picture = frame.for_encoder()
        picture.time_base = self.like.time_base
        picture.pts = ticks_from_seconds(frame.time, self.like.time_base)
        picture.duration = ticks_from_seconds(frame.duration, self.like.time_base)
        # Else the encoder repeats the source's choice of key frames.
        picture.pict_type = 0
        return picture

    def in_decoding_order(self, packets: list[AnyPacket]) -> list[AnyPacket]:
        """The packets that an encoder gives at its end, decoded in the order that they come in.

        Decoding times are ours where x265 leaves them to chance: of a video of one or two pictures.
        """
        if self.encoder.library != "libx265" or len(packets) > _BLIND_X265:
            return packets
        times = [packet.pts or 0 for packet in packets]
        ordered = sorted(times)
        delay = max((early - shown for early, shown in zip(ordered, times, strict=True)), default=0)
        for packet, time in zip(packets, ordered, strict=True):
            packet.dts = time - delay
        return packets


def open_encoder(context: VideoCodecContext) -> None:
    """Open an encoder that is set up, without messages or real-time threads of its library.

    SVT-AV1 speaks to standard error past FFmpeg's log, and as root it makes threads real-time
    (:func:`~cdrl_cli.processors.keep_scheduling`).

    Raises:
        av.FFmpegError: If it cannot be opened.
    """
    if context.name == ENCODERS["av1"].library:
        os.environ.setdefault("SVT_LOG", "1")  # errors only
    with keep_scheduling():
        context.open()


def _threads_beside_edit(like: VideoInfo, preset: str) -> int:
    """How many threads x264 needs to keep up with an edit; each holds pictures of its own.

    One more than there are cores: with as many, a core waits now and then, and 1080 lines take 5 %
    longer. Each has at least two rows of macroblocks.
    """
    is_short = like.frame_count is not None and like.frame_count < _FEW_PICTURES
    is_slow = PRESETS.index(preset) > PRESETS.index("medium")
    least = usable_cores() if is_short or is_slow else 1
    wanted = max(ceil(like.width * like.height / _PIXELS_A_THREAD), least)
    return max(1, min(wanted, usable_cores() + 1, like.height // 32))
