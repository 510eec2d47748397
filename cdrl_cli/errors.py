"""Every error a user can meet, and the exit code it ends the command with.

::

    SpfemError                    1   anything below, or a failure without a finer name
    ├── UsageError                2   options that contradict each other or name nothing
    ├── NoFaceError               3   no editable face in the clip, or in the reference
    ├── WeightsError              4   a weight file is missing or is not what its digest says
    ├── UnreadableInputError      5   a file that is missing, is no video, or cannot be decoded
    ├── PolicyError               6   would overwrite, input is output, licence not accepted
    ├── BatchError                7   some rows of a batch failed
    ├── DeviceError               8   a device or encoder that was asked for does not work here
    ├── OutputError               1   the result cannot be written where it should go
    ├── MemoryExhausted           1   there was not enough memory
    └── Interrupted             130   Ctrl-C

A caller's mistake (a wrong shape, a negative window) is a ``ValueError``, not one of these.
"""

import errno
import re
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar, Final, Self


class SpfemError(Exception):
    """What went wrong, in one line, and what to do about it.

    Args:
        message: What and where: names the file, option or value.
        hint: What to do, if there is something to do.
        details: A line for each of many things that are wrong at once.
    """

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "failed"
    """Stable name of the error for machine-readable output."""

    def __init__(
        self, message: str, *, hint: str | None = None, details: Iterable[str] = ()
    ) -> None:
        super().__init__(message)
        self.hint = hint
        self.details = tuple(details)

    @property
    def told(self) -> tuple[str, ...]:
        """What is wrong, a line each, with the hint where there is one."""
        hint = f" ({self.hint.rstrip('.')})" if self.hint else ""
        return self.details or (f"{self}{hint}",)

    def calling(self, path: Path, name: str, argument: str) -> Self:
        """The same error, of a file that the user called otherwise.

        Args:
            path: The file, which may stand in the message.
            name: What it is called there instead.
            argument: What a command in the hint takes instead.
        """
        message, details = (
            [text.replace(str(path), name) for text in texts]
            for texts in ([str(self)], self.details)
        )
        hint = None if self.hint is None else self.hint.replace(str(path), argument)
        return type(self)(*message, hint=hint, details=details)

    def at(self, place: str) -> Self:
        """The same error, said of a place, such as a line of a file."""
        return type(self)(f"{place}: {self}", hint=self.hint, details=self.details)


class UsageError(SpfemError):
    """Options that contradict each other or name nothing."""

    exit_code = 2
    code = "usage"


class NoFaceError(SpfemError):
    """No editable face where one is needed."""

    exit_code = 3
    code = "no_face"


class WeightsError(SpfemError):
    """A weight file is missing, or its digest is not the manifest's."""

    exit_code = 4
    code = "weights"


class UnreadableInputError(SpfemError):
    """An input that is missing, holds no video, or cannot be decoded."""

    exit_code = 5
    code = "unreadable_input"


class PolicyError(SpfemError):
    """Refused although possible: would overwrite, input is output, licence not accepted."""

    exit_code = 6
    code = "refused"


class BatchError(SpfemError):
    """Some rows of a batch failed; the results file says which."""

    exit_code = 7
    code = "batch_partly_failed"


class DeviceError(SpfemError):
    """A device, or an encoder of one, that was asked for and does not work here."""

    exit_code = 8
    code = "device"


class OutputError(SpfemError):
    """The result cannot be written where it should go."""

    code = "output"


class MemoryExhausted(SpfemError):  # noqa: N818 - "out of memory" is what happened
    """There was not enough memory; the input is not to blame."""

    code = "memory"


def raise_if_memory(error: BaseException) -> None:
    """Turn an error that really says that memory ran out into one that says so plainly.

    Raises:
        MemoryExhausted: If it does.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryExhausted):
            raise cause
        is_memory = isinstance(cause, MemoryError) or (
            getattr(cause, "errno", None) == errno.ENOMEM
        )
        # Native libraries say anything at all where an allocation fails.
        is_native = isinstance(cause, RuntimeError) or getattr(cause, "errno", None) is not None
        if is_memory or _SAYS_MEMORY(str(cause)) or (is_native and _is_near_limit()):
            raise MemoryExhausted(
                "memory ran out",
                hint="free memory, raise the limit (ulimit -v), or edit a smaller video",
            ) from error
        cause = cause.__cause__ or cause.__context__


_NEAR: Final = 0.8
"""Share of the memory allowed that a process has used when a failure is taken for want of more."""


NEEDED_BYTES: Final = 2_000_000_000
"""Least address space that an edit gets by with; most of it is libraries and stacks of threads."""


def check_memory_limit() -> None:
    """Refuse to start under a limit of memory that native libraries would not survive.

    They end the process where they cannot have a thread, and nobody could say why.

    Raises:
        MemoryExhausted: If there is a limit (``ulimit -v``) below :data:`NEEDED_BYTES`.
    """
    limit = _limit()
    if limit is not None and limit < NEEDED_BYTES:
        raise MemoryExhausted(
            f"memory is limited to {limit / 1e9:.1f} GB, and that takes {NEEDED_BYTES / 1e9:g} GB",
            hint="raise the limit: ulimit -v",
        )


def _limit() -> int | None:
    """Bytes of address space that the process may have; None where there is no limit."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if limit == resource.RLIM_INFINITY else limit


def _is_near_limit() -> bool:
    """Whether the process has a limit of memory and has come near to it."""
    limit = _limit()
    if limit is None:
        return False
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return False
    peak = next((line.split()[1] for line in lines if line.startswith("VmPeak:")), "0")
    return int(peak) * 1024 > _NEAR * limit


# The words of the system's loader, C++, OpenCV, ONNX Runtime, Python's threads and BLAS.
_SAYS_MEMORY: Final = re.compile(
    r"cannot allocate memory|bad[_ ]alloc|out of memory|insufficient memory"
    r"|failed to (?:allocate|map segment)|can't (?:start new thread|allocate)"
    r"|unable to allocate|not enough memory",
    re.IGNORECASE,
).search


class Interrupted(SpfemError):  # noqa: N818 - the word users know; it is no failure of ours
    """The user stopped the command."""

    exit_code = 130
    code = "interrupted"
