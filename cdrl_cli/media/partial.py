"""A file that is being written: hidden, locked, and given its name when it is whole."""

import os
import re
import secrets
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from cdrl_cli.errors import PolicyError

_lock: Callable[[int], None] | None
try:
    import fcntl
except ImportError:  # Windows
    _lock = None
else:

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class PartialFile:
    """An empty hidden file beside an output, which no other process uses.

    It is locked while its process lives. What a killed process has left for the same output is
    known by its lock being free, and removed. Nor does it outlive this object: an interrupt may
    come at any moment, also before whoever asked for the file has it in hand to remove it.

    Args:
        output: The name that the file is to get.

    Raises:
        OSError: If it cannot be made.
    """

    def __init__(self, output: Path) -> None:
        self._output = output
        # Through a symbolic link, so that the link stays one.
        self._target = output.resolve()
        # A file name has at most 255 bytes, and 40 characters at most 160.
        stem = f".{self._target.name[:40]}"
        _remove_stale(self._target.parent, stem)
        while True:
            self.path = self._target.with_name(f"{stem}.{secrets.token_hex(4)}.part")
            self._discard = weakref.finalize(self, self.path.unlink, missing_ok=True)
            self._file = self.path.open("xb")
            # Between its birth and its lock another process may have taken it for left over.
            if _take_lock(self._file) is not False and self.path.exists():
                return
            self.remove()

    def publish(self, *, overwrite: bool) -> None:
        """Give the file its name, once every byte is on the disk.

        Raises:
            PolicyError: If a file has that name, and may not be replaced.
            OSError: If the disk is full.
        """
        os.fsync(self._file.fileno())
        if not overwrite and self._link():
            self.path.unlink()
        else:
            self.path.replace(self._target)
        self._discard.detach()
        self._file.close()

    def remove(self) -> None:
        """Leave nothing behind."""
        self._discard()
        self._file.close()

    def _link(self) -> bool:
        """Take the name only if nobody has it, in one step; False where links are unknown."""
        try:
            os.link(self.path, self._target)
        except FileExistsError as error:
            raise PolicyError(
                f"{self._output}: exists already", hint="Use --overwrite to replace it."
            ) from error
        except OSError:  # FAT, some network shares
            return False
        return True


def _remove_stale(folder: Path, stem: str) -> None:
    """Remove what killed processes have left; what cannot be removed does no harm."""
    is_left = re.compile(re.escape(stem) + r"\.[0-9a-f]{8}\.part").fullmatch
    with suppress(OSError):
        for path in folder.iterdir():  # not glob: a name may hold brackets
            if is_left(path.name):
                with suppress(OSError), path.open("rb+") as file:
                    if _take_lock(file):
                        path.unlink()


def _take_lock(file: BinaryIO) -> bool | None:
    """Lock a file while it is open; False if another has the lock, None if locks are unknown."""
    if _lock is None:
        return None
    try:
        _lock(file.fileno())
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
