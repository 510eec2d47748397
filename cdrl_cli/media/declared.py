"""What a container declares of a stream and FFmpeg's demuxers do not tell through PyAV.

Cropping, Dolby Vision, spherical video, encryption; and of a photo how its tiles make a picture.
Two families of containers declare such things: ISO base media (MP4, MOV, HEIF; boxes, ISO/IEC
14496-12) and Matroska (elements, RFC 9559). A file that lies about its own sizes declares nothing.
"""

import io
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, Final

from cdrl_cli.media.orientation import Orientation

_HEADER_MAX_BYTES: Final = 64 << 20
"""Longest header that is looked at; those of films of many hours have a few megabytes."""
_VISUAL_ENTRY_BYTES: Final = 78
"""What stands before the boxes in a sample entry of a video (ISO/IEC 14496-12, 12.1.3)."""
_SPHERICAL_V1: Final = bytes.fromhex("ffcc8263f8554a938814587a02521fdd")
"""Identifier of Google's first box for spherical video."""
_MAX_TILES: Final = 4096


@dataclass(frozen=True, slots=True)
class Declared:
    """What a container says of one track."""

    is_encrypted: bool = False
    """Its packets cannot be decoded without a key."""
    dolby_vision_profile: int | None = None
    crop: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Pixels of the coded picture that are not to be shown: left, top, right, bottom."""
    is_spherical: bool = False
    """The picture surrounds the viewer."""
    is_stereo: bool = False
    """There is a picture for each eye."""
    has_alpha: bool = False
    """Transparency lies beside the pictures, for players that know it."""
    chroma_siting: tuple[int, int] = (0, 0)
    """Where Matroska says that chroma samples lie, across and down: 1 is at luma samples, 2 half
    way between two; 0 where it is not said."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A photo that is stored in tiles."""

    tiles: tuple[int, ...]
    """Identifiers of the streams that hold them, row by row."""
    rows: int
    columns: int
    width: int
    """Pixels of the whole, before it is turned; what the last tiles have beyond is no picture."""
    height: int
    orientation: Orientation
    """From the whole to upright."""


@dataclass(frozen=True, slots=True)
class Declarations:
    """What a container says of its tracks."""

    videos: tuple[Declared, ...] = ()
    """In the order of the tracks of pictures."""
    others: tuple[Declared, ...] = ()
    """In the order of the tracks of sound."""
    entries: tuple[tuple[int, bytes], ...] = ()
    """Identifier of each track of an ISO file, and what kind of samples it says to hold."""
    grid: Grid | None = None
    primary: int | None = None
    """Identifier of the stream that holds a photo which is no grid, if the container says so."""


def read_declarations(path: Path) -> Declarations:
    """Read what a file declares; nothing of one that is of another kind, or damaged."""
    try:
        with path.open("rb") as file:
            return declarations_in(file)
    except OSError:
        return Declarations()


def declarations_in(file: BinaryIO | io.BytesIO) -> Declarations:
    """The same of an open file."""
    with suppress(OSError, ValueError, IndexError, struct.error):
        head = file.read(12)
        file.seek(0)
        if head[4:8] in (b"ftyp", b"moov", b"wide", b"free", b"skip", b"mdat", b"styp"):
            return _read_iso(file)
        if head[:4] == b"\x1a\x45\xdf\xa3":
            return _read_matroska(file)
    return Declarations()


# ISO base media


@dataclass(frozen=True, slots=True)
class _Box:
    kind: bytes
    data: bytes


def _read_iso(file: BinaryIO | io.BytesIO) -> Declarations:
    size = file.seek(0, 2)
    at = 0
    while at + 8 <= size:
        file.seek(at)
        length, kind = struct.unpack(">I4s", file.read(8))
        begin = at + 8
        if length == 1:
            (length,) = struct.unpack(">Q", file.read(8))
            begin += 8
        length = length or size - at
        if length < begin - at:
            break
        if kind in (b"moov", b"meta") and length <= _HEADER_MAX_BYTES:
            data = file.read(at + length - begin)
            found = _read_moov(data) if kind == b"moov" else _read_photo(data)
            if found != Declarations():
                return found
        at += length
    return Declarations()


def _boxes(data: bytes) -> Iterator[_Box]:
    at = 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        begin = at + 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, begin)
            begin += 8
        length = length or len(data) - at
        if length < begin - at or at + length > len(data):
            return
        yield _Box(kind, data[begin : at + length])
        at += length


def _inside(data: bytes, *kinds: bytes) -> bytes:
    """The first box within a box within …; empty if there is none."""
    for kind in kinds:
        data = next((box.data for box in _boxes(data) if box.kind == kind), b"")
    return data


def _read_moov(data: bytes) -> Declarations:
    videos: list[Declared] = []
    others: list[Declared] = []
    entries: list[tuple[int, bytes]] = []
    for track in (box.data for box in _boxes(data) if box.kind == b"trak"):
        handler = _inside(track, b"mdia", b"hdlr")[8:12]
        entry = next(_boxes(_inside(track, b"mdia", b"minf", b"stbl", b"stsd")[8:]), None)
        if entry is None:
            entry = _Box(b"", b"")
        head = _inside(track, b"tkhd")
        entries.append((_integer(head, 20 if head[0] else 12, 4), entry.kind))
        if handler == b"vide":
            declared = _read_visual_entry(entry)
            uuids = (box.data[:16] for box in _boxes(track) if box.kind == b"uuid")
            if _SPHERICAL_V1 in uuids:
                declared = replace(declared, is_spherical=True)
            videos.append(declared)
        elif handler == b"soun":
            others.append(Declared(is_encrypted=entry.kind == b"enca"))
    return Declarations(tuple(videos), tuple(others), tuple(entries))


def _read_visual_entry(entry: _Box) -> Declared:
    width, height = struct.unpack_from(">2H", entry.data.ljust(28, b"\0"), 24)
    declared = Declared(is_encrypted=entry.kind in (b"encv", b"drmi"))
    for box in _boxes(entry.data[_VISUAL_ENTRY_BYTES:]):
        if box.kind in (b"dvcC", b"dvvC", b"dvwC"):
            declared = replace(declared, dolby_vision_profile=box.data[2] >> 1)
        elif box.kind == b"clap":
            declared = replace(declared, crop=_clean_aperture(box.data, width, height))
        elif box.kind == b"sv3d":
            declared = replace(declared, is_spherical=True)
        elif box.kind in (b"st3d", b"vexu"):
            mono = box.kind == b"st3d" and box.data[4:5] == b"\0"
            declared = replace(declared, is_stereo=not mono)
    if entry.kind in (b"dvh1", b"dvhe", b"dva1", b"dvav") and not declared.dolby_vision_profile:
        return replace(declared, dolby_vision_profile=5)
    return declared


def _clean_aperture(data: bytes, width: int, height: int) -> tuple[int, int, int, int]:
    """The borders around a clean aperture (ISO/IEC 14496-12, 12.1.4)."""
    numbers = struct.unpack_from(">8i", data)
    wide, high, right, down = (Fraction(numbers[i], numbers[i + 1] or 1) for i in range(0, 8, 2))
    if not (0 < wide <= width and 0 < high <= height):
        return 0, 0, 0, 0
    left, top = (width - wide) / 2 + right, (height - high) / 2 + down
    borders = (left, top, width - wide - left, height - high - top)
    # Half a pixel at a border is shown.
    whole = tuple(max(int(border), 0) for border in borders)
    return whole[0], whole[1], whole[2], whole[3]


def _read_photo(meta: bytes) -> Declarations:
    data = meta[4:]
    main = _inside(data, b"pitm")
    if not main:
        return Declarations()
    primary = _integer(main, 4, 2 if main[0] == 0 else 4)
    kinds = dict(_item_kinds(_inside(data, b"iinf")))
    if kinds.get(primary) != b"grid":
        return Declarations(primary=primary)
    tiles = _references(_inside(data, b"iref"), b"dimg", primary)
    layout = _item_data(_inside(data, b"iloc"), _inside(data, b"idat"), primary)
    rows, columns = layout[2] + 1, layout[3] + 1
    size = 4 if layout[1] & 1 else 2
    if len(tiles) != rows * columns or len(tiles) > _MAX_TILES:
        return Declarations()
    return Declarations(
        grid=Grid(
            tiles=tiles,
            rows=rows,
            columns=columns,
            width=_integer(layout, 4, size),
            height=_integer(layout, 4 + size, size),
            orientation=_photo_orientation(_inside(data, b"iprp"), primary),
        )
    )


def _integer(data: bytes, at: int, size: int) -> int:
    piece = data[at : at + size]
    if len(piece) < size:
        raise ValueError("the box ends early")
    return int.from_bytes(piece, "big")


def _item_kinds(info: bytes) -> Iterator[tuple[int, bytes]]:
    for box in _boxes(info[6 if info[0] == 0 else 8 :]):
        wide = box.data[0] >= 3  # noqa: PLR2004 - the version with longer identifiers
        at = 8 if wide else 6
        yield _integer(box.data, 4, at - 4), box.data[at + 2 : at + 6]


def _references(data: bytes, kind: bytes, item: int) -> tuple[int, ...]:
    size = 2 if data[0] == 0 else 4
    for box in _boxes(data[4:]):
        if box.kind == kind and _integer(box.data, 0, size) == item:
            count = _integer(box.data, size, 2)
            starts = (size + 2 + index * size for index in range(count))
            return tuple(_integer(box.data, at, size) for at in starts)
    return ()


def _item_data(locations: bytes, held: bytes, item: int) -> bytes:
    """The bytes of an item that lies in the box of small items (ISO/IEC 14496-12, 8.11.3)."""
    version = locations[0]
    sizes = _integer(locations, 4, 2)
    offset_size, length_size, base_size, index_size = ((sizes >> s) & 15 for s in (12, 8, 4, 0))
    wide = version == 2  # noqa: PLR2004 - the version with longer identifiers
    count, at = _integer(locations, 6, 4 if wide else 2), 10 if wide else 8
    for _ in range(count):
        number = _integer(locations, at, 4 if wide else 2)
        at += 4 if wide else 2
        at += (2 if version else 0) + 2
        base = _integer(locations, at, base_size)
        extents = _integer(locations, at + base_size, 2)
        at += base_size + 2
        for _ in range(extents):
            at += index_size if version else 0
            begin = base + _integer(locations, at, offset_size)
            length = _integer(locations, at + offset_size, length_size)
            at += offset_size + length_size
            if number == item:
                return held[begin : begin + length]
    raise ValueError("the item lies nowhere")


def _photo_orientation(properties: bytes, item: int) -> Orientation:
    known = list(_boxes(_inside(properties, b"ipco")))
    table = _inside(properties, b"ipma")
    size, wide = (4 if table[0] else 2), table[3] & 1
    count, at = _integer(table, 4, 4), 8
    for _ in range(count):
        number = _integer(table, at, size)
        links = table[at + size]
        at += size + 1
        turned = Orientation()
        for _ in range(links):
            index = _integer(table, at, 2) & 0x7FFF if wide else table[at] & 0x7F
            at += 2 if wide else 1
            box = known[index - 1]
            if box.kind == b"irot":  # counts quarter turns the other way
                turn = (turned.rotation_deg - 90 * (box.data[0] & 3)) % 360
                turned = Orientation(turn, turned.mirrored)
            elif box.kind == b"imir":
                flip = 180 if not box.data[0] & 1 else 0  # top to bottom: left to right, turned
                turned = Orientation((turned.rotation_deg + flip) % 360, mirrored=True)
        if number == item:
            return turned
    return Orientation()


# Matroska

_SEGMENT, _CLUSTER, _TRACKS, _ENTRY = 0x18538067, 0x1F43B675, 0x1654AE6B, 0xAE
_TYPE, _VIDEO, _ENCODINGS, _ENCODING, _ENCRYPTION = 0x83, 0xE0, 0x6D80, 0x6240, 0x5035
_CROPS: Final = (0x54CC, 0x54BB, 0x54DD, 0x54AA)
"""Left, top, right, bottom."""
_COLOUR, _SITINGS = 0x55B0, (0x55B7, 0x55B8)
_ALPHA, _STEREO, _PROJECTION, _PROJECTION_TYPE = 0x53C0, 0x53B8, 0x7670, 0x7671
_MAPPING, _MAPPING_TYPE, _MAPPING_DATA = 0x41E4, 0x41E7, 0x41ED
_DOLBY: Final = tuple(int.from_bytes(kind, "big") for kind in (b"dvcC", b"dvvC", b"dvwC"))
_VIDEO_TRACK, _AUDIO_TRACK = 1, 2


def _read_matroska(file: BinaryIO | io.BytesIO) -> Declarations:
    for entries in _track_lists(file):
        videos: list[Declared] = []
        others: list[Declared] = []
        for entry in _children(entries, _ENTRY):
            track_type = _number(entry, _TYPE)
            if track_type == _VIDEO_TRACK:
                videos.append(_read_track(entry))
            elif track_type == _AUDIO_TRACK:
                others.append(Declared(is_encrypted=_is_encrypted(entry)))
        return Declarations(tuple(videos), tuple(others))
    return Declarations()


def _track_lists(file: BinaryIO | io.BytesIO) -> Iterator[bytes]:
    """The lists of tracks of a file; an editor may have put a new one behind the pictures."""
    size = file.seek(0, 2)
    at = 0
    while at < size:
        file.seek(at)
        head = file.read(16)
        kind, begin, end = next(_elements(head, 0, len(head)))
        is_unknown = end == len(head) and kind in (_SEGMENT, _CLUSTER)
        if kind == _TRACKS and end - begin <= _HEADER_MAX_BYTES:
            file.seek(at + begin)
            yield file.read(end - begin)
        if kind == _CLUSTER and is_unknown:
            return
        at += begin if kind == _SEGMENT else end


def _read_track(entry: bytes) -> Declared:
    video = next(iter(_children(entry, _VIDEO)), b"")
    left, top, right, bottom = (_number(video, kind) for kind in _CROPS)
    projection = next(iter(_children(video, _PROJECTION)), b"")
    colour = next(iter(_children(video, _COLOUR)), b"")
    across, down = (_number(colour, kind) for kind in _SITINGS)
    profile = None
    for mapping in _children(entry, _MAPPING):
        if _number(mapping, _MAPPING_TYPE) in _DOLBY:
            profile = _children(mapping, _MAPPING_DATA)[0][2] >> 1
    return Declared(
        is_encrypted=_is_encrypted(entry),
        dolby_vision_profile=profile,
        crop=(left, top, right, bottom),
        is_spherical=_number(projection, _PROJECTION_TYPE) > 0,
        is_stereo=_number(video, _STEREO) > 0,
        has_alpha=_number(video, _ALPHA) > 0,
        chroma_siting=(across, down),
    )


def _is_encrypted(entry: bytes) -> bool:
    encodings = next(iter(_children(entry, _ENCODINGS)), b"")
    return any(_children(each, _ENCRYPTION) for each in _children(encodings, _ENCODING))


def _elements(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Identifier, begin and end of the elements of a level (RFC 8794)."""
    while at < end:
        length = 9 - data[at].bit_length()
        kind = _integer(data, at, length)
        at += length
        length = 9 - data[at].bit_length()
        size = _integer(data, at, length) & ((1 << 7 * length) - 1)
        at += length
        is_unknown = size == (1 << 7 * length) - 1  # of one that was streamed
        yield kind, at, end if is_unknown else at + size
        at = end if is_unknown else at + size


def _children(data: bytes, kind: int) -> list[bytes]:
    return [data[b:e] for found, b, e in _elements(data, 0, len(data)) if found == kind]


def _number(data: bytes, kind: int) -> int:
    found = _children(data, kind)
    return int.from_bytes(found[0], "big") if found else 0
