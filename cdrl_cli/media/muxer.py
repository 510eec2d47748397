"""The muxer of an output, with what lies between PyAV and it."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import av
from av.container import OutputContainer
from av.packet import Packet

from cdrl_cli.media.encoder import Container

if TYPE_CHECKING:
    AnyPacket = Packet[Any]
else:
    AnyPacket = Packet  # generic for type checkers alone


_INTERLEAVE_MICROSECONDS: Final = 1_000_000
"""Longest wait of the muxer for a stream that has nothing to say, such as subtitles."""


def muxer_options(container: Container) -> dict[str, str]:
    """Options of a container's muxer that do not depend on what is written."""
    options = {
        "max_interleave_delta": str(_INTERLEAVE_MICROSECONDS),
        # What FFmpeg calls experimental is a stream that this version wrote and reads.
        "strict": "experimental",
    }
    # Sound encoded ahead of time 0 (its priming) must not push the picture back.
    return options if container.is_iso else options | {"avoid_negative_ts": "disabled"}


def open_muxer(
    file: Path | io.BytesIO, container: Container, options: Mapping[str, str], *, is_indirect: bool
) -> OutputContainer:
    """Open an output.

    PyAV refuses what a table says that a muxer does not hold, before the muxer is asked; the table
    leaves out much of what it does hold, such as the sound of telephones in Matroska. FFmpeg's
    ``tee`` hands on what it gets to the muxer within, and has no table.

    Args:
        file: What to write; a path where it goes through ``tee``.
        container: Its kind.
        options: Of the muxer.
        is_indirect: Write through ``tee``, which loses chapters.
    """
    if is_indirect:
        assert isinstance(file, Path)
        told = {"f": container.muxer, "onfail": "abort", **options}
        words = ":".join(f"{key}={_escaped(value)}" for key, value in told.items())
        muxer = av.open(
            f"[{words}]{_escaped(str(file.absolute()))}",
            mode="w",
            format="tee",
            metadata_errors="surrogateescape",
        )
        # Else the outer muxer moves times before the inner one sees them.
        muxer.container_options.update({"avoid_negative_ts": "disabled"})
        return muxer
    muxer = av.open(
        str(file.absolute()) if isinstance(file, Path) else file,
        mode="w",
        format=container.muxer,
        metadata_errors="surrogateescape",
    )
    muxer.container_options.update(options)
    return muxer


def _escaped(word: str) -> str:
    """A word that ``tee`` reads as itself."""
    return "".join(f"\\{letter}" if letter in "\\|'[]:= " else letter for letter in word)
