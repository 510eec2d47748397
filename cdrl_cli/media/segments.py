"""Encoded stretches of a video, each a file of its own until all are there.

Each segment is encoded by an encoder of its own, so that it begins with a key frame and nothing
refers across its ends: joined, they are one stream. Decoding times are set anew where they are
joined: the nth packet is decoded when the picture was shown that lies as many places before the nth
as the encoder reorders at most. That is what one encoder would have said of all pictures.
"""

import json
import os
import re
import shutil
import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, Final

from cdrl_cli.errors import PolicyError
from cdrl_cli.media.encoding import EncoderSetting
from cdrl_cli.media.frames import VideoFrame
from cdrl_cli.media.muxer import AnyPacket

_HEAD: Final = struct.Struct("<qqq?I")
"""Before each packet: presentation and decoding time and duration in ticks, whether it is a key
frame, and its size in bytes."""

_LONGEST: Final = 40
"""Characters of the output's name that a folder's name repeats."""


class SegmentEncoder:
    """Encodes one segment into a file; a context manager, which leaves a file upon success alone.

    Args:
        path: The file.
        setting: Of the encoder; the same for all segments.
    """

    def __init__(self, path: Path, setting: EncoderSetting) -> None:
        self._path = path
        self._setting = setting
        self._context = setting.open_context()
        self._file: BinaryIO = path.open("wb")

    def __enter__(self) -> "SegmentEncoder":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._file:
            if kind is None:
                self._keep(self._setting.in_decoding_order(self._context.encode(None)))
                self._file.flush()
                os.fsync(self._file.fileno())
        if kind is not None:
            self._path.unlink(missing_ok=True)

    def write(self, frame: VideoFrame) -> None:
        """Encode the next frame.

        Raises:
            OSError: If the disk is full.
            ValueError: If the frame is not of this package, or of another size.
        """
        self._keep(self._context.encode(self._setting.picture(frame)))

    def _keep(self, packets: list[AnyPacket]) -> None:
        for packet in packets:
            data = bytes(packet)
            head = (packet.pts or 0, packet.dts or 0, packet.duration or 0, packet.is_keyframe)
            self._file.write(_HEAD.pack(*head, len(data)))
            self._file.write(data)


class SegmentStore:
    """The finished segments of one edit: a hidden folder beside its output.

    It is locked while its process lives. What another edit of the same output has left there is
    removed.

    Args:
        output: The file that is to be written.
        key: Says what is encoded, and how: an edit with another one starts afresh.

    Raises:
        OSError: If the folder cannot be made.
        PolicyError: If another process works in it.
    """

    def __init__(self, output: Path, key: str) -> None:
        from filelock import FileLock, Timeout

        self.folder: Final = _folder(output, key)
        self.folder.mkdir(exist_ok=True)
        self._lock = FileLock(self.folder / "lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise PolicyError(
                f"{output}: another process is at this very edit", hint="Wait for it."
            ) from error

    def close(self) -> None:
        """Let another process in."""
        self._lock.release()

    def remove(self) -> None:
        """Leave nothing behind."""
        self._lock.release()
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, number: int) -> Path:
        """Where to write a segment."""
        return self.folder / f"{number:06d}.part"

    def keep(self, number: int, summary: Mapping[str, Any]) -> None:
        """Count a segment that was written as finished.

        Args:
            number: Of the segment, from 0.
            summary: What the next one must know of it; what JSON can hold.
        """
        self.path(number).replace(self._packets(number))
        written = self.path(number)
        with written.open("w", encoding="utf-8") as file:
            json.dump(summary, file)
            file.flush()
            os.fsync(file.fileno())
        written.replace(self._summary(number))

    def summary(self, number: int) -> dict[str, Any] | None:
        """What was kept of a segment; None if it is not finished."""
        try:
            found = json.loads(self._summary(number).read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) and self._packets(number).exists() else None

    def packets(self, count: int, time_base: Fraction) -> Iterator[AnyPacket]:
        """The packets of the first segments as one stream.

        Args:
            count: Of segments.
            time_base: Seconds in a tick.
        """
        shown = [[head[0] for head, _ in self._read(number)] for number in range(count)]
        depth = max(map(_reordering, shown), default=0)
        first = min(shown[0], default=0) if shown else 0
        step = self._step(shown)
        tail = [first - step * place for place in range(depth, 0, -1)]
        for number in range(count):
            times = tail + sorted(shown[number])
            tail = times[len(times) - depth :]
            for (head, data), dts in zip(self._read(number, with_data=True), times, strict=False):
                packet = AnyPacket(data)
                packet.pts, _, packet.duration, packet.is_keyframe, _ = head
                packet.dts, packet.time_base = dts, time_base
                yield packet

    @staticmethod
    def _step(shown: list[list[int]]) -> int:
        """Usual distance of two pictures, ticks."""
        times = sorted(shown[0]) if shown else []
        return max((times[-1] - times[0]) // max(len(times) - 1, 1), 1) if times else 1

    def _read(
        self, number: int, *, with_data: bool = False
    ) -> Iterator[tuple[tuple[int, int, int, bool, int], bytes]]:
        with self._packets(number).open("rb") as file:
            while head := file.read(_HEAD.size):
                facts = _HEAD.unpack(head)
                if with_data:
                    yield facts, file.read(facts[-1])
                else:
                    file.seek(facts[-1], os.SEEK_CUR)
                    yield facts, b""

    def _packets(self, number: int) -> Path:
        return self.folder / f"{number:06d}.packets"

    def _summary(self, number: int) -> Path:
        return self.folder / f"{number:06d}.json"


def count_finished(output: Path, key: str) -> int:
    """How many finished segments an edit of an output has left; 0 while a process is at them.

    Args:
        output: The file that is to be written.
        key: Says what is encoded, and how, as for :class:`SegmentStore`.
    """
    folder = _folder(output, key)
    if not folder.is_dir() or not _is_free(folder):
        return 0
    return sum(path.suffix == ".json" for path in folder.iterdir())


def _folder(output: Path, key: str) -> Path:
    """The hidden folder beside an output that keeps the segments of one edit of it."""
    target = output.resolve()
    return target.with_name(f".{target.name[:_LONGEST]}.{key}.resume")


def leftovers(output: Path, *, but: Path | None = None) -> list[Path]:
    """Folders of segments that edits of an output have left, and no living process is at.

    Args:
        output: The file that they were to write.
        but: One that is not named.
    """
    target = output.resolve()
    stem = re.escape(f".{target.name[:_LONGEST]}.")
    is_ours = re.compile(rf"{stem}[0-9a-f]{{16}}\.resume").fullmatch
    with suppress(OSError):
        # Not glob: a name may hold brackets.
        named = [path for path in sorted(target.parent.iterdir()) if is_ours(path.name)]
        return [path for path in named if path != but and _is_free(path)]
    return []


def _is_free(folder: Path) -> bool:
    from filelock import FileLock, Timeout

    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError):
        return False
    lock.release()
    return True


def _reordering(shown: list[int]) -> int:
    """How many places a packet comes before that of its picture, at most."""
    order = sorted(range(len(shown)), key=shown.__getitem__)
    ranks = [0] * len(shown)
    for rank, place in enumerate(order):
        ranks[place] = rank
    return max((place - rank for place, rank in enumerate(ranks)), default=0)
