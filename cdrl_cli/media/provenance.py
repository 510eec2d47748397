"""The mark that says to machines that a trained network made a part of a video.

It is IPTC's *digital source type*, by which search engines, editors and platforms know edited
media. MP4 and QuickTime carry it as XMP, the other containers as a tag.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from cdrl_cli.media.encoder import Container
from cdrl_cli.media.xmp import is_readable, make_packet

PARTLY_GENERATED: Final = (
    "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
)
"""IPTC's name for a recording of which a trained network made a part."""

SOURCE_TYPE_TAG: Final = "DIGITAL_SOURCE_TYPE"
"""Tag of Matroska and WebM that says the same; they have no place for XMP."""

_XMP_UUID: Final = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_HEADER: Final = struct.Struct(">I4s")
_WIDE: Final = struct.Struct(">Q")


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a file says of how it came about."""

    description: str
    """What was done, in a sentence."""
    source_xmp: str | None = None
    """The source's own XMP packet, which is kept where the output can hold one."""

    def tags(self, container: Container) -> dict[str, str]:
        """What is said by tags, in containers without XMP."""
        return {} if container.is_iso else {SOURCE_TYPE_TAG: PARTLY_GENERATED}

    def losses(self, container: Container) -> Iterator[str]:
        """A warning where what the source says of itself cannot be kept."""
        if self.source_xmp is not None and not container.is_iso:
            yield f"the source's XMP is left out: {container.suffix} files cannot hold it"
        elif self.source_xmp is not None and not is_readable(self.source_xmp):
            yield "the source's XMP is left out: it is damaged"

    def add_to(self, file: Path, container: Container) -> None:
        """Add what is said by XMP to a finished file, where its container holds it.

        Raises:
            OSError: If it cannot be written.
        """
        if container.is_iso:
            add_xmp(file, self.packet(), is_quicktime=container.suffix == ".mov")

    def packet(self) -> bytes:
        """As XMP: ISO 16684-1; properties of IPTC's Video Metadata Hub."""
        return make_packet(self.description, PARTLY_GENERATED, self.source_xmp)


def add_xmp(file: Path, packet: bytes, *, is_quicktime: bool) -> None:
    """Add an XMP packet to a finished MP4 or QuickTime file, behind all that is there.

    QuickTime holds it among the movie's user data, MP4 in a box of its own (ISO 16684-3, 2.3 and
    2.4). No offset in the file changes: it grows at its end.

    Args:
        file: The file.
        packet: The whole packet.
        is_quicktime: Its kind.

    Raises:
        OSError: If it cannot be written.
    """
    with file.open("r+b") as stream:
        if not (is_quicktime and _extend_movie(stream, _box(b"XMP_", packet))):
            stream.seek(0, 2)
            stream.write(_box(b"uuid", _XMP_UUID + packet))


def _box(kind: bytes, content: bytes) -> bytes:
    return _HEADER.pack(_HEADER.size + len(content), kind) + content


def _extend_movie(stream: BinaryIO, box: bytes) -> bool:
    """Add a box to the movie's user data; tells whether that lies at the end of the file."""
    end = stream.seek(0, 2)
    movie = _last_box(stream, 0, end)
    if movie is None or movie[1] != b"moov":
        return False
    start = movie[0]
    last = _last_box(stream, start + _HEADER.size, end)
    grown = [start]
    if last is not None and last[1] == b"udta":
        grown.append(last[0])
    else:
        box = _box(b"udta", box)
    for at in grown:
        stream.seek(at)
        (size,) = struct.unpack(">I", stream.read(4))
        stream.seek(at)
        stream.write(struct.pack(">I", size + len(box)))
    stream.seek(end)
    stream.write(box)
    return True


def _last_box(stream: BinaryIO, start: int, end: int) -> tuple[int, bytes] | None:
    """Place and kind of the last box of a stretch; None if its size takes more than 32 bits."""
    at, found = start, None
    while at < end:
        stream.seek(at)
        size, kind = _HEADER.unpack(stream.read(_HEADER.size))
        found = (at, kind) if size > 1 else None
        if size == 1:
            (size,) = _WIDE.unpack(stream.read(_WIDE.size))
        at = end if size == 0 else at + size
    return found
