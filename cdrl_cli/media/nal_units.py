"""NAL units of H.264 and H.265: what a packet holds, and the parameter sets of a stream's header.

Packets carry their units in one of two forms: each behind its length, as MP4 and Matroska store
them (ISO/IEC 14496-15), or behind start codes, as encoders give them (annex B of both standards).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_START: Final = b"\0\0\1"
_H264_SLICES: Final = range(1, 6)
_H264_IDR: Final = 5
_H264_SEQUENCE: Final = 7
_H264_PICTURE: Final = 8
_H265_SLICES: Final = range(32)
_H265_IDR: Final = (19, 20)
_HIGH_PROFILES: Final = (100, 110, 122, 144)
"""Profiles of H.264 whose header ends in a statement of chroma format and depth."""
_FULL_CHROMA: Final = 3
"""Number of the chroma format 4:4:4, after which one more bit is stated."""
_LOOKED_AT: Final = 24
"""Bytes of a parameter set that hold all numbers we read."""
_MOST_SEQUENCES: Final = 31
_MOST_PICTURES: Final = 255


def split_units(data: bytes, length_bytes: int | None) -> Iterator[bytes]:
    """The NAL units of a packet, without what parts them.

    Args:
        data: The packet.
        length_bytes: Bytes of the length before each unit, 1 to 4; None for start codes.
    """
    if length_bytes is None:
        for unit in data.split(_START)[1:]:
            if unit := unit.rstrip(b"\0"):  # a longer start code, or padding; no unit ends in 0
                yield unit
        return
    place = 0
    while place + length_bytes <= len(data):
        begin = place + length_bytes
        place = begin + int.from_bytes(data[place:begin], "big")
        if begin < place <= len(data):
            yield data[begin:place]


def with_lengths(data: bytes, length_bytes: int) -> bytes:
    """A packet with start codes in the form that has lengths.

    Raises:
        OverflowError: If a unit is too long for such a length.
    """
    units = split_units(data, None)
    return b"".join(len(unit).to_bytes(length_bytes, "big") + unit for unit in units)


def is_closed_entry(codec: str, data: bytes, length_bytes: int | None) -> bool:
    """Whether nothing after a key frame refers to anything before it.

    Args:
        codec: ``h264``, ``hevc``, or another one, whose key frames all are so.
        data: The key frame's packet.
        length_bytes: As of :func:`split_units`.
    """
    if codec == "h264":
        kinds = (unit[0] & 0x1F for unit in split_units(data, length_bytes))
        return next((kind for kind in kinds if kind in _H264_SLICES), None) == _H264_IDR
    if codec == "hevc":
        kinds = (unit[0] >> 1 & 0x3F for unit in split_units(data, length_bytes))
        return next((kind for kind in kinds if kind in _H265_SLICES), None) in _H265_IDR
    return True


def stated_length_bytes(codec: str, header: bytes | None) -> int | None:
    """Bytes of the length before each unit by a stream's header; None where start codes part them.

    Args:
        codec: FFmpeg's name.
        header: The codec's global header ("extradata"): avcC or hvcC, if it has lengths.
    """
    if not header or header[0] != 1:
        return None
    if codec == "h264" and len(header) > 6:  # noqa: PLR2004
        return (header[4] & 3) + 1
    if codec == "hevc" and len(header) > 22:  # noqa: PLR2004
        return (header[21] & 3) + 1
    return None


@dataclass(frozen=True, slots=True)
class H264Header:
    """The header of an H.264 stream as MP4 and Matroska store it (avcC, ISO/IEC 14496-15 5.3.3)."""

    profile: int
    constraints: int
    level: int
    length_bytes: int
    sequences: tuple[bytes, ...]
    """Sequence parameter sets."""
    pictures: tuple[bytes, ...]
    """Picture parameter sets."""
    trailer: bytes
    """What follows: chroma format and depth."""

    @classmethod
    def read(cls, header: bytes | None) -> "H264Header | None":
        """Read one; None if it is none, or holds no parameter sets."""
        if stated_length_bytes("h264", header) is None:
            return None
        assert header is not None
        place = 5
        found: list[tuple[bytes, ...]] = []
        for mask in (0x1F, 0xFF):
            if place >= len(header):
                return None
            count, place = header[place] & mask, place + 1
            sets = []
            for _ in range(count):
                begin = place + 2
                place = begin + int.from_bytes(header[place:begin], "big")
                sets.append(header[begin:place])
            found.append(tuple(sets))
        if place > len(header) or not all(found) or not all(map(all, found)):
            return None
        sequences, pictures = found
        profile, constraints, level, lengths = header[1:5]
        trailer = header[place:]
        return cls(profile, constraints, level, (lengths & 3) + 1, sequences, pictures, trailer)

    @classmethod
    def of_encoder(cls, header: bytes) -> "H264Header | None":
        """From what an encoder gives: parameter sets behind start codes."""
        units = list(split_units(header, None))
        sequences = tuple(unit for unit in units if unit[0] & 0x1F == _H264_SEQUENCE)
        pictures = tuple(unit for unit in units if unit[0] & 0x1F == _H264_PICTURE)
        if not sequences or not pictures:
            return None
        profile, constraints, level = sequences[0][1:4]
        return cls(profile, constraints, level, 4, sequences, pictures, b"")

    def lacks_sets_of(self, data: bytes) -> bool:
        """Whether a packet brings parameter sets of its own that are not these."""
        sets = (*self.sequences, *self.pictures)
        return any(
            unit[0] & 0x1F in (_H264_SEQUENCE, _H264_PICTURE) and unit not in sets
            for unit in split_units(data, self.length_bytes)
        )

    @property
    def numbers(self) -> frozenset[int]:
        """Numbers by which sequence parameter sets are referred to, 0..31."""
        return frozenset(_first_number(unit[4:]) for unit in self.sequences)

    @property
    def picture_numbers(self) -> frozenset[int]:
        """Numbers by which picture parameter sets are referred to, 0..255."""
        return frozenset(_first_number(unit[1:]) for unit in self.pictures)

    def joined(self, other: "H264Header") -> bytes | None:
        """The header of a stream that holds both streams' packets; None if there can be none.

        Both must have their own numbers. Profile and level are the higher ones, and of the
        constraints those that hold for both.
        """
        shared = self.numbers & other.numbers or self.picture_numbers & other.picture_numbers
        sequences = self.sequences + other.sequences
        pictures = self.pictures + other.pictures
        if shared or len(sequences) > _MOST_SEQUENCES or len(pictures) > _MOST_PICTURES:
            return None
        higher = max(self, other, key=lambda one: (one.profile in _HIGH_PROFILES, one.profile))
        header = bytearray([1, higher.profile, self.constraints & other.constraints])
        header += bytes([max(self.level, other.level), 0xFC | self.length_bytes - 1])
        header.append(0xE0 | len(sequences))
        for unit in sequences:
            header += len(unit).to_bytes(2, "big") + unit
        header.append(len(pictures))
        for unit in pictures:
            header += len(unit).to_bytes(2, "big") + unit
        if higher.profile in _HIGH_PROFILES:
            header += self.trailer or other.trailer or _trailer(higher.sequences[0])
        return bytes(header)


def _trailer(sequence: bytes) -> bytes:
    """Chroma format and depth of a sequence parameter set, as the header ends in them."""
    _, chroma, *rest = _numbers(sequence[4:], 5)
    luma_depth, chroma_depth = rest[1:3] if chroma == _FULL_CHROMA else rest[:2]
    return bytes([0xFC | chroma, 0xF8 | luma_depth, 0xF8 | chroma_depth, 0])


def _first_number(payload: bytes) -> int:
    return _numbers(payload, 1)[0]


def _numbers(payload: bytes, count: int) -> list[int]:
    """Numbers at the beginning of a unit's payload, in Exp-Golomb code (H.264, 9.1)."""
    # Where two zero bytes would look like a start code, a 3 was put behind them.
    plain = payload[:_LOOKED_AT].replace(b"\0\0\3", b"\0\0").ljust(_LOOKED_AT, b"\0")
    bits = "".join(f"{byte:08b}" for byte in plain)
    numbers, place = [], 0
    for _ in range(count):
        length = bits.index("1", place) - place + 1 if "1" in bits[place:] else 1
        numbers.append(int(bits[place + length - 1 : place + 2 * length - 1] or "1", 2) - 1)
        place += 2 * length - 1
    return numbers
