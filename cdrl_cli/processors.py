"""What this machine's processor can do."""

import os
import platform
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
