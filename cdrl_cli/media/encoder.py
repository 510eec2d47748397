"""Which encoder writes a video, in which pixel format, how well and how fast."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import av

from cdrl_cli.errors import UsageError
from cdrl_cli.media.frames import HdrMetadata, VideoInfo
from cdrl_cli.media.planes import PlanarFormat, editable_format, planar_format

PRESETS: Final = (
    "ultrafast", "superfast", "veryfast", "faster", "fast",
    "medium", "slow", "slower", "veryslow", "placebo",
)  # fmt: skip


_QUICK_X264: Final = "weightb=0:mixed-refs=0:partitions=p8x8,i8x8,i4x4"
"""What x264 does otherwise than at its preset ``fast``, where no speed is asked for.

On 20 clips of faces, beside its ``medium``: .71 of the processor time and 1.01 of the bytes at .18
dB less of 50. Below the ``subme=6`` of ``fast`` fine dither becomes squares.
"""

_EVEN_X265: Final = "aq-mode=2:aq-strength=1"
"""What x265 does otherwise than at its preset ``superfast``, where no speed is asked for: what is
flat and dark gets its bits, too, or noise is wiped away there.

On 8 clips of faces, beside its ``medium``: .60 of the processor time and 1.00 of the bytes at 51.0
dB instead of 51.5.
"""


@dataclass(frozen=True, slots=True)
class Encoder:
    """A codec and the library that encodes it."""

    codec: str
    """The name a user gives."""
    library: str
    """FFmpeg's name of the encoder."""
    default_crf: int | None
    """Near-lossless quality; None where the codec is lossless."""
    default_preset: str = "medium"
    """Speed, by x264's names, where none is asked for."""
    default_params: str = ""
    """What its library is then told beside that, in the library's own words."""
    max_crf: int = 51
    needs_even_size: bool = False
    """Subsampled chroma must divide the size."""
    states_aspect: bool = True
    """The stream itself says how wide its pixels are."""
    knows_fields: bool = False
    """Interlaced pictures stay marked as such."""
    knows_light: bool = False
    """Static HDR metadata can be written into the stream."""
    knows_captions: bool = False
    """Closed captions are written with each frame."""
    max_rate: int | None = None
    """Most frames per second that the library takes for its hints; None for any."""
    is_hardware: bool = False
    """A part of a graphics processor encodes, where there is one; tried before it is used."""

    @property
    def stored(self) -> str:
        """What a player calls the codec.

        >>> ENCODERS["h264_nvenc"].stored
        'h264'
        """
        return self.codec.partition("_")[0]


# Near-lossless: the copy should measure like its source, not be small. On talking heads of 360
# lines these numbers all give a PSNR of 50 dB (planes, before the edit) at about the source's
# size; x264's usual "visually lossless" 18 gives 48 dB.
ENCODERS: Final[Mapping[str, Encoder]] = {
    encoder.codec: encoder
    for encoder in (
        Encoder(
            "h264",
            "libx264",
            default_crf=14,
            default_preset="fast",
            default_params=_QUICK_X264,
            needs_even_size=True,
            knows_fields=True,
            knows_light=True,
            knows_captions=True,
        ),
        Encoder(
            "hevc",
            "libx265",
            default_crf=12,
            default_preset="superfast",
            default_params=_EVEN_X265,
            needs_even_size=True,
            knows_light=True,
            knows_captions=True,
        ),
        Encoder("vp9", "libvpx-vp9", default_crf=8, max_crf=63, states_aspect=False),
        Encoder(
            "av1",
            "libsvtav1",
            default_crf=14,
            max_crf=63,
            needs_even_size=True,
            states_aspect=False,
            knows_light=True,
            max_rate=240,
        ),
        Encoder("ffv1", "ffv1", default_crf=None, knows_fields=True),
        # Of NVIDIA's, Intel's and Apple's processors.
        *(
            Encoder(name, name, default_crf=crf, needs_even_size=True, is_hardware=True)
            for stored, crf in (("h264", 16), ("hevc", 16))
            for name in (f"{stored}_nvenc", f"{stored}_qsv", f"{stored}_videotoolbox")
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Container:
    """A kind of output file."""

    suffix: str
    muxer: str
    """FFmpeg's name of the format."""
    codecs: tuple[str, ...]
    """Video codecs we write into it, the most widely played first."""

    @property
    def is_iso(self) -> bool:
        """MP4 and its parent, QuickTime."""
        return self.muxer in ("mp4", "mov")


CONTAINERS: Final[Mapping[str, Container]] = {
    container.suffix: container
    for container in (
        Container(".mp4", "mp4", ("h264", "hevc", "vp9", "av1")),
        Container(".mov", "mov", ("h264", "hevc")),
        Container(".mkv", "matroska", ("h264", "hevc", "vp9", "av1", "ffv1")),
        Container(".webm", "webm", ("vp9", "av1")),
    )
}


def container_for(output: Path) -> Container:
    """The container that a file name asks for.

    Raises:
        UsageError: If we cannot write such files.
    """
    container = CONTAINERS.get(output.suffix.lower())
    if container is None:
        known = ", ".join(CONTAINERS)
        raise UsageError(
            f"{output}: cannot write files of kind {output.suffix or '(no suffix)'}",
            hint=f"Name an output that ends in one of {known}.",
        )
    return container


def choose_encoder(container: Container, codec: str | None, like: VideoInfo) -> Encoder:
    """The encoder asked for, or the one that suits the source.

    By default the most widely played codec of the container that keeps the pixel format: hevc for
    more than 8 bits, and vp9 for an odd size, which h264 and hevc can only hold with chroma blown
    up to full resolution (a profile that few players know).

    Raises:
        UsageError: If the codec is unknown or not for this container.
    """
    if codec is not None:
        return _named_encoder(container, codec)
    source = editable_format(like.pixel_format).format
    if source.is_deep:
        preferred: tuple[str, ...] = ("hevc", "av1")
    elif not _divides(source, like):
        preferred = ("vp9", "h264")
    else:
        preferred = ("h264", "vp9")
    return ENCODERS[next(codec for codec in preferred if codec in container.codecs)]


def _named_encoder(container: Container, codec: str) -> Encoder:
    if codec not in ENCODERS:
        raise UsageError(f"unknown codec {codec}", hint=f"Choose one of {', '.join(ENCODERS)}.")
    if ENCODERS[codec].stored not in container.codecs:
        raise UsageError(
            f"{container.suffix} files cannot hold {codec}",
            hint=f"Choose one of {', '.join(container.codecs)}, or another kind of file.",
        )
    return ENCODERS[codec]


def takes_quality(codec: str | None) -> bool:
    """Whether crf and preset mean something to a codec; None is one that suits the source.

    >>> takes_quality("ffv1"), takes_quality("h264"), takes_quality(None)
    (False, True, True)
    """
    encoder = None if codec is None else ENCODERS.get(codec)
    return encoder is None or encoder.default_crf is not None


def check_takes_quality(codec: str | None, word: str) -> None:
    """Refuse ``crf`` or ``preset``, whichever the word is, of a codec that takes none.

    Raises:
        UsageError: If the codec is lossless.
    """
    if not takes_quality(codec):
        raise UsageError(f"{codec} is lossless and takes no {word}", hint=f"Leave out --{word}.")


def check_encoding(
    output: Path, *, codec: str | None = None, crf: int | None = None, preset: str | None = None
) -> None:
    """Refuse a file name and options that no source could be encoded with.

    Raises:
        UsageError: If suffix, codec, crf or preset do not go together.
    """
    container = container_for(output)
    # Without a codec the source decides, among those of the container.
    codecs = container.codecs if codec is None else (codec,)
    encoders = [_named_encoder(container, each) for each in codecs]
    loosest = max(encoders, key=lambda encoder: (encoder.default_crf is not None, encoder.max_crf))
    encoder_options(loosest, crf=crf, preset=preset, hdr=None)


def encoder_format(encoder: Encoder, like: VideoInfo) -> PlanarFormat:
    """The pixel format nearest to the source's that the encoder takes.

    Chroma resolution and depth are kept where that can be, then raised, and lowered last.
    """
    source = editable_format(like.pixel_format).format
    if encoder.is_hardware:  # their pictures have both chromas in one plane, at half resolution
        deep = source.is_deep and encoder.stored == "hevc"
        return PlanarFormat("p010le", 10, 1, 1) if deep else PlanarFormat("nv12", 8, 1, 1)
    known = av.codec.Codec(encoder.library, "w").video_formats or []
    names = [each.name for each in known if each.name.startswith("yuv") and each.name[3] != "a"]
    formats = [
        layout
        for layout in map(planar_format, names)
        if not encoder.needs_even_size or _divides(layout, like)
    ]

    def distance(layout: PlanarFormat) -> tuple[bool, int, int, bool]:
        chroma = (
            layout.chroma_shift_x - source.chroma_shift_x,
            layout.chroma_shift_y - source.chroma_shift_y,
        )
        depth = layout.bit_depth - source.bit_depth
        loses = max(chroma) > 0 or depth < 0
        return loses, abs(depth), abs(chroma[0]) + abs(chroma[1]), layout.name != source.name

    return min(formats, key=distance)


def _divides(layout: PlanarFormat, like: VideoInfo) -> bool:
    """Every chroma sample serves a whole block of pixels."""
    sideways = like.rotation_deg in (90, 270)
    width, height = (like.height, like.width) if sideways else (like.width, like.height)
    return not (width % (1 << layout.chroma_shift_x) or height % (1 << layout.chroma_shift_y))


def encoder_options(
    encoder: Encoder, *, crf: int | None, preset: str | None, hdr: HdrMetadata | None
) -> dict[str, str]:
    """Options of the encoder's library for a quality and a speed.

    Args:
        encoder: Whose.
        crf: Constant rate factor, lower is better; None is near-lossless.
        preset: One of x264's names; other encoders get their own speed of about the same rank.
            None is the encoder's default, for x264 and x265 one of our own.
        hdr: Static metadata to write into the stream; h264, hevc and av1 can.

    Raises:
        UsageError: If quality or preset are not the encoder's.
    """
    named = preset or encoder.default_preset
    if named not in PRESETS:
        raise UsageError(f"unknown preset {preset}", hint=f"Choose one of {', '.join(PRESETS)}.")
    for word, value in (("crf", crf), ("preset", preset)):
        if value is not None:
            check_takes_quality(encoder.codec, word)
    if crf is not None and not 0 <= crf <= encoder.max_crf:
        raise UsageError(f"crf of {encoder.codec} is 0 to {encoder.max_crf}, got {crf}")
    quality = str(encoder.default_crf if crf is None else crf)
    slowness = PRESETS.index(named)
    own = "" if preset else encoder.default_params
    if encoder.is_hardware:
        return _hardware_options(encoder, quality=int(quality), slowness=slowness)
    match encoder.codec:
        case "h264":
            # With AVX-512, x264 reads past the rows of pictures of many widths, and its decisions
            # change with what lies there.
            same = "cpu-independent=1"
            light = _light(hdr, maximum="cll", display="mastering-display")
            params = ":".join(filter(None, (same, own, light)))
            return {"crf": quality, "preset": named, "x264-params": params}
        case "hevc":
            light = _light(hdr, maximum="max-cll", display="master-display")
            quiet = "log-level=error"  # x265 speaks to stderr past FFmpeg's log
            return {
                "crf": quality,
                "preset": named,
                "a53cc": "1",
                "x265-params": ":".join(filter(None, (quiet, own, light))),
            }
        case "vp9":
            # 8..5 of "realtime", which wipes fine dither away, then 4..0 of "good".
            live = slowness < PRESETS.index("fast")
            return {
                "crf": quality,
                "b": "0",  # else the crf is a ceiling to a bit rate
                "deadline": "realtime" if live else "good",
                "cpu-used": str(max(8 - slowness, 0)),
                "row-mt": "1",
            }
        case "av1":
            # SVT counts its speeds down; above 10 it is not meant for watching.
            words = {"crf": quality, "preset": str(min(12 - slowness, 10))}
            light = _svt_light(hdr)
            return words | ({"svtav1-params": light} if light else {})
        case _:
            return {"level": "3", "slicecrc": "1"}


def _hardware_options(encoder: Encoder, *, quality: int, slowness: int) -> dict[str, str]:
    """The same in the words of a graphics processor's encoder, at constant quality."""
    match encoder.codec.rpartition("_")[2]:
        case "nvenc":  # p1 is the quickest of seven
            speed = f"p{min(1 + slowness * 7 // len(PRESETS), 7)}"
            return {"rc": "vbr", "cq": str(quality), "b": "0", "preset": speed}
        case "qsv":  # the names that it shares with x264
            speed = PRESETS[min(max(slowness, 2), 8)]
            return {"global_quality": str(max(quality, 1)), "preset": speed}
        case _:  # VideoToolbox: 100 is the best
            best = round(100 - quality * 100 / encoder.max_crf)
            return {"flags": "+qscale", "global_quality": str(best * _QP2LAMBDA)}


_QP2LAMBDA: Final = 118
"""FFmpeg's unit of a quality that a number gives."""


def _light(hdr: HdrMetadata | None, *, maximum: str, display: str) -> str:
    """HDR metadata in the words of x264 and x265: units of 0.00002 and of 0.0001 cd/m2."""
    if hdr is None:
        return ""
    words = []
    if hdr.primaries_xy is not None and hdr.luminance_range is not None:
        red, green, blue, white = (
            f"({round(x * 50_000)},{round(y * 50_000)})" for x, y in hdr.primaries_xy
        )
        darkest, brightest = (round(level * 10_000) for level in hdr.luminance_range)
        words.append(f"{display}=G{green}B{blue}R{red}WP{white}L({brightest},{darkest})")
    if hdr.max_content_light is not None:
        words.append(f"{maximum}={hdr.max_content_light},{hdr.max_frame_average_light or 0}")
    return ":".join(words)


def _svt_light(hdr: HdrMetadata | None) -> str:
    """HDR metadata in the words of SVT-AV1: plain numbers."""
    if hdr is None:
        return ""
    words = []
    if hdr.primaries_xy is not None and hdr.luminance_range is not None:
        red, green, blue, white = (f"({float(x):.5f},{float(y):.5f})" for x, y in hdr.primaries_xy)
        darkest, brightest = (f"{float(level):.4f}" for level in hdr.luminance_range)
        display = f"G{green}B{blue}R{red}WP{white}L({brightest},{darkest})"
        words.append(f"mastering-display={display}")
    if hdr.max_content_light is not None:
        words.append(f"content-light={hdr.max_content_light},{hdr.max_frame_average_light or 0}")
    return ":".join(words)


def frame_rate_hint(like: VideoInfo, encoder: Encoder) -> Fraction:
    """Frames per second for the encoder's key frame distance and level; not a clock."""
    rate = like.frame_rate or Fraction(25)
    return rate if encoder.max_rate is None else min(rate, Fraction(encoder.max_rate))
