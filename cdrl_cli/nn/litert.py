"""LiteRT networks on this machine's processor."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def open_interpreter(path: Path) -> Any:
    """An ``ai_edge_litert.interpreter.Interpreter`` of one thread, ready to run.

    Raises:
        ImportError: If LiteRT is not installed.
    """
    from ai_edge_litert.interpreter import Interpreter

    with _quiet_native_log():
        network = Interpreter(str(path), num_threads=1)
        network.allocate_tensors()
    return network


@contextmanager
def _quiet_native_log() -> Iterator[None]:
    """Keep native start-up lines off the user's terminal.

    They are written to file descriptor 2 by C++ before any log level can be set; Python's own
    ``sys.stderr`` is flushed before and unaffected after.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nothing)
