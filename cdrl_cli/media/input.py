"""The file that a video is read from: whether it can be, and why it could not be."""

import errno
import stat
from pathlib import Path
from typing import Final

import av
from av.container import InputContainer

from cdrl_cli.errors import UnreadableInputError, raise_if_memory
from cdrl_cli.media.declared import Declared

COLOURLESS_PROFILE: Final = 5
"""Profile of Dolby Vision whose pictures, without Dolby's metadata, have the wrong colours."""

_PLAYLISTS: Final = frozenset({"concat", "concatf", "dash", "hls", "imf", "rtsp", "sdp"})
"""Formats that name other files, on this machine or elsewhere, whose pictures would be ours."""


def open_container(path: Path) -> InputContainer:
    """Open a media file for reading; the caller closes it.

    Raises:
        UnreadableInputError: If the file is missing, not allowed, empty, or no media file.
    """
    check_input(path)
    try:
        container = av.open(
            # Absolute: FFmpeg reads "a:b.mp4" as protocol a. And a % in a picture's name is a %.
            str(path.absolute()),
            mode="r",
            # And what a file names is not fetched for it, from a network or from elsewhere.
            container_options={"pattern_type": "none", "protocol_whitelist": "file"},
            # Tags in another encoding go through as the bytes they are.
            metadata_errors="surrogateescape",
        )
    except av.error.FFmpegError as error:
        raise_if_memory(error)
        raise UnreadableInputError(
            f"{path}: not a video that can be read ({_reason(error)})",
            hint="Is it complete and really a video? A recording cut off before its end "
            "may have no index.",
        ) from error
    if container.format.name in _PLAYLISTS:
        container.close()
        raise UnreadableInputError(
            f"{path}: is a list of other files, not a video", hint="Name the videos themselves."
        )
    return container


def check_input(path: Path) -> None:
    """Refuse what cannot be a video, without opening it as one.

    Raises:
        UnreadableInputError: If the file is missing, not allowed, empty, or a folder.
    """
    try:
        if path.is_dir():
            raise UnreadableInputError(f"{path}: is a folder", hint="Name a video file in it.")
        status = path.stat()
        if stat.S_ISFIFO(status.st_mode):
            raise UnreadableInputError(
                f"{path}: is a pipe, not a file",
                hint="spfem edit and spfem probe read pipes, as SOURCE; else save it to a file.",
            )
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableInputError(f"{path}: is a device or a socket, not a file")
        if status.st_size == 0:
            raise UnreadableInputError(
                f"{path}: is empty (0 bytes)", hint="Copy or download it again."
            )
        with path.open("rb"):
            pass
    except FileNotFoundError as error:
        raise UnreadableInputError(f"{path}: no such file", hint="Check the path.") from error
    except PermissionError as error:
        raise UnreadableInputError(
            f"{path}: may not be read", hint="Check the file's permissions."
        ) from error
    except OSError as error:
        raise UnreadableInputError(f"{path}: {error.strerror or error}") from error


def _reason(error: av.error.FFmpegError) -> str:
    if error.errno == errno.EINVAL or not error.strerror:
        return "unknown format"
    return error.strerror[0].lower() + error.strerror[1:]


def check_colours(declared: Declared, path: Path) -> None:
    """Refuse a video whose colours cannot be told.

    Raises:
        UnreadableInputError: If it is Dolby Vision of such a kind.
    """
    if declared.dolby_vision_profile == COLOURLESS_PROFILE:
        raise UnreadableInputError(
            f"{path}: is Dolby Vision of profile {COLOURLESS_PROFILE}, whose colours only Dolby's "
            "decoders know",
            hint="Export it as HDR10, HLG or ordinary video.",
        )


def undecodable(path: Path) -> UnreadableInputError:
    """The error of a video that holds no picture."""
    if is_scrambled(path):
        return encrypted(path)
    return UnreadableInputError(
        f"{path}: has a video stream, but no picture of it can be decoded",
        hint="The file is damaged or its codec is not supported.",
    )


def encrypted(path: Path) -> UnreadableInputError:
    """The error of a video that only a key opens."""
    return UnreadableInputError(
        f"{path}: its video is encrypted", hint="Decrypt it first: spfem takes no keys."
    )


def is_scrambled(path: Path) -> bool:
    """Whether most packets of a transport stream are encrypted (ISO/IEC 13818-1, 2.4.3.3)."""
    try:
        with path.open("rb") as file:
            data = file.read(188 * 2000)
    except OSError:
        return False
    starts = range(0, len(data) - 187, 188)
    marks = [data[at + 3] >> 6 for at in starts if data[at] == 0x47]  # noqa: PLR2004 - its sync byte
    return len(marks) > len(starts) / 2 and sum(mark >= 2 for mark in marks) > len(marks) / 2  # noqa: PLR2004
