"""Boxes of ISO base media put into files, for what no muxer at hand writes."""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np


def box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(data), kind) + data


def full(kind: bytes, data: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(kind, bytes([version]) + flags.to_bytes(3, "big") + data)


def _found(data: bytes, begin: int, end: int) -> Iterator[tuple[int, int, bytes]]:
    while begin < end:
        size, kind = struct.unpack_from(">I4s", data, begin)
        yield begin, size, kind
        begin += size


def add_to_sample_entry(source: Path, output: Path, extra: bytes, rename: bytes = b"") -> Path:
    """Give the sample entry of the first video of a file, whose index is at its end, a box."""
    data = bytearray(source.read_bytes())
    (moov,) = (each for each in _found(data, 0, len(data)) if each[2] == b"moov")
    assert moov[0] + moov[1] == len(data)
    chain = [moov]
    for kind in (b"trak", b"mdia", b"minf", b"stbl", b"stsd"):
        begin, size, _ = chain[-1]
        chain.append(next(e for e in _found(data, begin + 8, begin + size) if e[2] == kind))
    entry = chain[-1][0] + 16
    (size,) = struct.unpack_from(">I", data, entry)
    data[entry + size : entry + size] = extra
    for begin, length in [(each[0], each[1]) for each in chain] + [(entry, size)]:
        struct.pack_into(">I", data, begin, length + len(extra))
    if rename:
        data[entry + 4 : entry + 8] = rename
    output.write_bytes(data)
    return output


def dolby_vision(profile: int, compatibility: int) -> bytes:
    """A configuration of Dolby Vision, level 3, with metadata and base layer."""
    word = profile << 9 | 3 << 3 | 1 << 2 | 1
    data = struct.pack(">BBHB", 1, 0, word, compatibility << 4) + bytes(19)
    return box(b"dvcC" if profile <= 7 else b"dvvC", data)


def clean_aperture(width: int, height: int, right: int = 0, down: int = 0) -> bytes:
    return box(b"clap", struct.pack(">8i", width, 1, height, 1, right, 1, down, 1))


def write_photo(path: Path, rgb: np.ndarray, side: int, turns: int = 0) -> Path:
    """A photo of square tiles, as phones write them (HEIF, ISO/IEC 23008-12), turned by irot."""
    height, width = rgb.shape[:2]
    rows, columns = -(-height // side), -(-width // side)
    padded = np.pad(rgb, ((0, rows * side - height), (0, columns * side - width), (0, 0)), "edge")
    pictures, settings = [], b""
    for row in range(rows):
        for column in range(columns):
            tile = padded[row * side :, column * side :][:side, :side]
            settings, data = _encode_tile(np.ascontiguousarray(tile), path)
            pictures.append(data)
    size = (width, height)
    return _write_items(
        path, pictures, settings, layout=(rows, columns), size=size, side=side, turns=turns
    )


def _encode_tile(rgb: np.ndarray, path: Path) -> tuple[bytes, bytes]:
    """Decoder configuration and picture of a tile in H.265."""
    clip = path.with_suffix(".tile.mp4")
    with av.open(str(clip), "w") as output:
        stream = output.add_stream("libx265", rate=1)
        stream.width, stream.height, stream.pix_fmt = rgb.shape[1], rgb.shape[0], "yuv420p"
        stream.options = {"x265-params": "log-level=error:keyint=1:bframes=0", "crf": "18"}
        frame = av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format="yuv420p")
        frame.pts = 0
        output.mux([*stream.encode(frame), *stream.encode(None)])
    with av.open(str(clip)) as written:
        stream = written.streams.video[0]
        found = stream.codec_context.extradata, bytes(next(written.demux(stream)))
    clip.unlink()
    return found


def _write_items(
    path: Path,
    pictures: Sequence[bytes],
    settings: bytes,
    *,
    layout: tuple[int, int],
    size: tuple[int, int],
    side: int,
    turns: int,
) -> Path:
    count = len(pictures)
    grid = count + 1
    kinds = [b"hvc1"] * count + [b"grid"]
    infos = b"".join(
        full(b"infe", struct.pack(">HH4sB", number, 0, kind, 0), version=2)
        for number, kind in enumerate(kinds, start=1)
    )
    properties = box(b"hvcC", settings) + full(b"ispe", struct.pack(">II", side, side))
    properties += full(b"ispe", struct.pack(">II", *size)) + box(b"irot", bytes([turns]))
    links = b"".join(struct.pack(">HBBB", n, 2, 0x81, 0x02) for n in range(1, grid))
    links += struct.pack(">HBBB", grid, 2, 0x03, 0x84)
    description = struct.pack(">BBBBHH", 0, 0, layout[0] - 1, layout[1] - 1, *size)

    def meta(at: int) -> bytes:
        places = b""
        for number, picture in enumerate(pictures, start=1):
            places += struct.pack(">HHHHII", number, 0, 0, 1, at, len(picture))
            at += len(picture)
        places += struct.pack(">HHHHII", grid, 1, 0, 1, 0, len(description))
        return full(
            b"meta",
            full(b"hdlr", bytes(4) + b"pict" + bytes(13))
            + full(b"pitm", struct.pack(">H", grid))
            + full(b"iloc", struct.pack(">BBH", 0x44, 0, grid) + places, version=1)
            + full(b"iinf", struct.pack(">H", grid) + infos)
            + full(b"iref", box(b"dimg", struct.pack(f">HH{count}H", grid, count, *range(1, grid))))
            + box(
                b"iprp",
                box(b"ipco", properties) + full(b"ipma", struct.pack(">I", grid) + links),
            )
            + box(b"idat", description),
        )

    kind = box(b"ftyp", b"heic" + bytes(4) + b"mif1heic")
    begin = len(kind) + len(meta(0)) + 8
    path.write_bytes(kind + meta(begin) + box(b"mdat", b"".join(pictures)))
    return path
