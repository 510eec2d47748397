"""Colour: the codes of ITU-T H.273, the matrix where none is stated, and HDR shown as sRGB."""

import struct
from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from typing import Final

import av
import numpy as np

from cdrl_cli.array_types import Float32, UInt8, UInt16
from cdrl_cli.media.frames import ColorTags, HdrMetadata

PRIMARIES: Final[Mapping[int, str]] = {
    1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "film",
    9: "bt2020", 10: "smpte428", 11: "smpte431", 12: "smpte432", 22: "ebu3213",
}  # fmt: skip
TRANSFERS: Final[Mapping[int, str]] = {
    1: "bt709", 4: "gamma22", 5: "gamma28", 6: "smpte170m", 7: "smpte240m", 8: "linear",
    9: "log100", 10: "log316", 11: "iec61966-2-4", 12: "bt1361e", 13: "iec61966-2-1",
    14: "bt2020-10", 15: "bt2020-12", 16: "smpte2084", 17: "smpte428", 18: "arib-std-b67",
}  # fmt: skip
MATRICES: Final[Mapping[int, str]] = {
    0: "gbr", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "ycgco",
    9: "bt2020nc", 10: "bt2020c", 12: "chroma-derived-nc", 13: "chroma-derived-c", 14: "ictcp",
}  # fmt: skip
UNSPECIFIED: Final = 2
LINEAR: Final = 8
SRGB: Final = 13
LIMITED_RANGE: Final = 1
FULL_RANGE: Final = 2
SWS_MATRICES: Final[Mapping[int, int]] = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}
"""Swscale's own numbers (SWS_CS_*) for H.273's, which PyAV asks for."""

LUMA_SHARES: Final[Mapping[int, tuple[float, float]]] = {
    1: (0.2126, 0.0722), 4: (0.30, 0.11), 5: (0.299, 0.114), 6: (0.299, 0.114),
    7: (0.212, 0.087), 9: (0.2627, 0.0593),
}  # fmt: skip
"""Shares of red and blue in luma (H.273, table 4) of the matrices that swscale knows."""

_SD_MAX_WIDTH: Final = 1279
_SD_MAX_HEIGHT: Final = 576
"""Largest pictures that players take for standard definition."""

REFERENCE_WHITE_CD_M2: Final = 203.0
"""Diffuse white of an HDR picture (ITU-R BT.2408, 5.1); shown as sRGB's white."""


def code_of(name: str | None, names: Mapping[int, str]) -> int:
    """H.273 code of a name; 2 (unspecified) for None."""
    return next((code for code, known in names.items() if known == name), UNSPECIFIED)


def range_code(tags: ColorTags) -> int:
    """FFmpeg's number for the tagged range: 0 unstated, 1 limited, 2 full."""
    if tags.full_range is None:
        return 0
    return FULL_RANGE if tags.full_range else LIMITED_RANGE


def color_tags(*, primaries: int, transfer: int, matrix: int, value_range: int) -> ColorTags:
    """Name the codes that a stream carries."""
    return ColorTags(
        primaries=PRIMARIES.get(primaries),
        transfer=TRANSFERS.get(transfer),
        matrix=MATRICES.get(matrix),
        full_range={LIMITED_RANGE: False, FULL_RANGE: True}.get(value_range),
    )


def working_matrix(tags: ColorTags, width: int, height: int) -> int:
    """H.273 code of the matrix between the planes and RGB; always one that swscale knows.

    Where none is stated, what players assume: BT.709 above standard definition, else BT.601.
    """
    match tags.matrix:
        case "bt709" | "fcc" | "bt470bg" | "smpte170m" | "smpte240m" | "bt2020nc":
            return code_of(tags.matrix, MATRICES)
        case "bt2020c":
            return code_of("bt2020nc", MATRICES)
        case _:
            is_sd = max(width, height) <= _SD_MAX_WIDTH and min(width, height) <= _SD_MAX_HEIGHT
            return code_of("smpte170m" if is_sd else "bt709", MATRICES)


def plane_matrix(tags: ColorTags) -> int:
    """H.273 code to tag YUV planes with: the source's, and none for a source that was RGB."""
    return UNSPECIFIED if tags.matrix == "gbr" else code_of(tags.matrix, MATRICES)


def working_range(tags: ColorTags) -> int:
    """Range of the planes: limited unless stated otherwise, as every player assumes."""
    return FULL_RANGE if tags.full_range else LIMITED_RANGE


def plane_weights(
    matrix: int, value_range: int, bit_depth: int
) -> tuple[tuple[tuple[float, float, float], float], ...]:
    """How luma and the chromas follow from colours: weights of red, green, blue, and black.

    Convention: colours from 0 to 1; a sample is ``black + weights @ colour`` (H.273, 8.3).

    Args:
        matrix: H.273 code; one that :func:`working_matrix` gives.
        value_range: Limited or full (:func:`working_range`).
        bit_depth: Of the samples.
    """
    red, blue = LUMA_SHARES[matrix]
    green = 1 - red - blue
    unit = 2.0 ** (bit_depth - 8)
    if value_range == FULL_RANGE:
        luma = chroma = 2.0**bit_depth - 1
        black = 0.0
    else:
        luma, chroma, black = 219 * unit, 224 * unit, 16 * unit
    to_blue, to_red = chroma / (2 * (1 - blue)), chroma / (2 * (1 - red))
    return (
        ((luma * red, luma * green, luma * blue), black),
        ((-red * to_blue, -green * to_blue, (1 - blue) * to_blue), 128 * unit),
        (((1 - red) * to_red, -green * to_red, -blue * to_red), 128 * unit),
    )


def is_hdr(tags: ColorTags) -> bool:
    """The transfer is PQ or HLG: its codes are not the brightness an sRGB screen shows."""
    return tags.transfer in ("smpte2084", "arib-std-b67")


def hdr_metadata(mastering: bytes | None, content_light: bytes | None) -> HdrMetadata | None:
    """Read FFmpeg's AVMasteringDisplayMetadata and AVContentLightMetadata."""
    if mastering is None and content_light is None:
        return None
    primaries: tuple[tuple[Fraction, Fraction], ...] | None = None
    luminance: tuple[Fraction, Fraction] | None = None
    if mastering is not None:
        *numbers, has_primaries, has_luminance = struct.unpack_from("=22i", mastering)
        pairs = zip(numbers[::2], numbers[1::2], strict=True)
        values = [Fraction(numerator, denominator or 1) for numerator, denominator in pairs]
        if has_primaries:
            primaries = tuple(zip(values[0:8:2], values[1:8:2], strict=True))
        if has_luminance:
            luminance = values[8], values[9]
    light = struct.unpack_from("=2I", content_light) if content_light is not None else (None, None)
    return HdrMetadata(primaries, luminance, *light)


def srgb_from_hdr(
    rgb: UInt16[np.ndarray, "height width 3"], transfer: str
) -> UInt8[np.ndarray, "height width 3"]:
    """Show a PQ or HLG picture of BT.2020 primaries as an ordinary screen would.

    Diffuse white becomes white, what is brighter is clipped: enough to find and read a face, and
    unlike a tone curve it leaves skin as bright as on an ordinary recording.

    Args:
        rgb: Coded values, 0..65535.
        transfer: ``smpte2084`` or ``arib-std-b67``.
    """
    light = np.clip(_light_of_code(transfer)[rgb] @ _BT709_FROM_BT2020.T, 0, 1)
    srgb: UInt8[np.ndarray, "height width 3"] = _srgb_of_light()[(light * 65535).astype(np.uint16)]
    return srgb


def srgb_from_floating(picture: av.VideoFrame, *, is_linear: bool) -> av.VideoFrame:
    """A picture of floating point with 16 bits a sample; light above white is clipped.

    Args:
        picture: RGB or grey, 0 is black and 1 is white.
        is_linear: Its samples are light (as in OpenEXR), and not coded for a screen.
    """
    light = picture.reformat(format="gbrpf32le", threads=1).to_ndarray().clip(0, 1)
    codes = (light * 65535).astype(np.uint16)
    if is_linear:
        codes = _srgb_of_light()[codes].astype(np.uint16) * 257
    coded = av.VideoFrame.from_ndarray(np.ascontiguousarray(codes), "rgb48le")
    coded.pts, coded.duration = picture.pts, picture.duration
    if picture.time_base is not None:
        coded.time_base = picture.time_base
    return coded


# ITU-R BT.2087, table 3; both white points are D65.
_BT709_FROM_BT2020: Final = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
    dtype=np.float32,
)

_HLG_KNEE: Final = 0.5
"""Code above which HLG is logarithmic (ITU-R BT.2100, table 5)."""
_SRGB_KNEE: Final = 0.0031308
"""Light below which sRGB is linear (IEC 61966-2-1)."""


@cache
def _light_of_code(transfer: str) -> Float32[np.ndarray, "65536"]:
    """Linear light of every 16-bit code, 1 at diffuse white (ITU-R BT.2100, tables 4 and 5)."""
    code = np.linspace(0, 1, 65536)
    if transfer == "smpte2084":
        root = code ** (1 / 78.84375)
        fraction = np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)
        light = 10000 / REFERENCE_WHITE_CD_M2 * fraction ** (1 / 0.1593017578125)
    else:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        scene = np.where(code <= _HLG_KNEE, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
        light = scene / ((np.exp((0.75 - c) / a) + b) / 12)  # code 0.75 is diffuse white
    return np.asarray(light, dtype=np.float32)


@cache
def _srgb_of_light() -> UInt8[np.ndarray, "65536"]:
    """SRGB code of linear light 0..1 in 65536 steps (IEC 61966-2-1)."""
    light = np.linspace(0, 1, 65536)
    code = np.where(light <= _SRGB_KNEE, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(255 * code), dtype=np.uint8)
