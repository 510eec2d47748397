"""What this machine's processor can do, and how a program of ours shares its memory out."""

import gc
import os
import platform
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

_DOT_PRODUCTS = frozenset({"avx512_vnni", "avx_vnni", "asimddp"})
"""Linux's names of instructions that multiply and add bytes in one step."""


@cache
def multiplies_bytes() -> bool:
    """Whether convolutions in int8 are quicker than in single precision, and exact.

    x86 without VNNI adds products of bytes in 16 bits, which overflow.
    """
    if platform.system() == "Darwin":
        return platform.machine() == "arm64"
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # Windows
        return False
    flags = next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
    return not _DOT_PRODUCTS.isdisjoint(flags.split())


def usable_cores() -> int:
    """How many cores this process may use, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


TURN_S = 0.0001
"""How long one thread of Python may keep the others waiting, seconds; else it is .005. Threads that
follow faces, render and encode hand on their work by short steps of Python: with turns so long an
edit at 360 lines took 4 % more time."""


def settle_process() -> None:
    """Share out memory, cores and Python as a program does that edits, before or after its imports.

    See :func:`share_pools`, :func:`spare_helpers`, :func:`work_in_batches` and :data:`TURN_S`.
    """
    share_pools()
    spare_helpers()
    work_in_batches()
    sys.setswitchinterval(TURN_S)


_ARENA_MAX = -8
"""The parameter of ``mallopt`` (glibc's ``malloc.h``) that says how many pools there may be."""

_POOLS = 2
"""With one, threads wait for each other: 4 % more processor time at 360 lines."""


def share_pools() -> None:
    """Let all threads take memory from two pools, where glibc would make one for each of them.

    What one thread has freed, another one's pool cannot use: 10 MiB of an edit at 360 lines. It
    counts for the whole process from then on, so a program decides it, not a library; and people
    do, by the variable ``MALLOC_ARENA_MAX``. Other C libraries share anyway, or know better.
    """
    if platform.system() != "Linux" or "MALLOC_ARENA_MAX" in os.environ:
        return
    import ctypes

    with suppress(AttributeError, OSError):  # musl has no mallopt
        ctypes.CDLL(None).mallopt(_ARENA_MAX, _POOLS)


def work_in_batches() -> None:
    """Let this thread and those that it starts finish their turns, and interrupt nobody else.

    In Linux's class for batches a thread that wakes interrupts no other one; it gets as much of the
    processor as before. A core's cache keeps longer what a thread works on: an edit at 360 lines
    takes 3 % less time. Who has chosen another class keeps it. It counts for all that is started
    from then on, so a program decides it, not a library.
    """
    if platform.system() != "Linux":
        return
    with suppress(OSError):  # a sandbox may forbid it, and musl knows no such call
        if os.sched_getscheduler(0) == os.SCHED_OTHER:
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


@contextmanager
def keep_scheduling() -> Iterator[None]:
    """Undo what a library does within to the class and the priority of threads, its own too.

    As root SVT-AV1 gives its threads, and the one that opens it, Linux's highest real-time
    priority, which the program's later threads and children inherit: whatever else the machine does
    then waits for them. Where ``/proc`` does not show this process, only the thread that opens it
    gets its own back.
    """
    try:
        policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    except (AttributeError, OSError):  # another system; a sandbox, or musl
        yield
        return
    before = _own_threads()
    try:
        yield
    finally:
        for thread in {0} | (_own_threads() - before):  # 0 is this one
            with suppress(OSError):  # it has ended
                os.sched_setscheduler(thread, policy, priority)


def _own_threads() -> set[int]:
    """The kernel's numbers of this process's threads; none where ``/proc`` is not its own."""
    with suppress(OSError):
        shown = {int(folder.name) for folder in Path("/proc/self/task").iterdir()}
        if threading.get_native_id() in shown:
            return shown
    return set()


_OPENCV_THREADS = "OPENCV_FOR_THREADS_NUM"
_BLAS_THREADS = "OPENBLAS_NUM_THREADS"
"""OpenCV looks at the first when it is imported; numpy, and what of OpenCV multiplies matrices, at
the second."""


def spare_helpers() -> None:
    """Let OpenCV and numpy compute on the threads that ask them, and wake no helpers of their own.

    Faces are followed and frames rendered side by side, so that all cores have work; helpers wait
    for theirs in a loop. OpenCV's take 6 % of the processor time of an edit at 360 lines; those
    that multiply matrices, .2 s while an edit starts, unless numpy is already imported. It counts
    for the whole process, so a program decides it, not a library; and people do, by the variables
    ``OPENCV_FOR_THREADS_NUM`` and ``OPENBLAS_NUM_THREADS``.
    """
    os.environ.setdefault(_BLAS_THREADS, "1")
    if os.environ.setdefault(_OPENCV_THREADS, "1") == "1" and "cv2" in sys.modules:
        import cv2

        cv2.setNumThreads(1)


@contextmanager
def loading() -> Iterator[None]:
    """Import what will stay, without looking for garbage among it, now or ever.

    Python would look through all that is loaded again and again while it grows: .02 to .03 s of an
    edit's start. It counts for the whole process, so a program decides it, not a library.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
