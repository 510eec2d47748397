"""Whether something is what it was: a digest of what values hold, not of where they lie."""

import hashlib
import inspect
import io
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from cdrl_cli.checkpoints.load import read_digest

_PLAIN = (type(None), bool, int, float, str, Enum)


def fingerprint(*values: object) -> str:
    """SHA-256 of values of any kind: numbers, arrays, networks, and objects that hold them.

    A path stands for the bytes of its file. Fields of dataclasses that take no part in comparing
    them are left out. What cannot be looked into counts as different every time.

    Returns:
        Hexadecimal.

    >>> fingerprint({"b": 1, "a": np.arange(3)}) == fingerprint({"a": np.arange(3), "b": 1})
    True
    >>> fingerprint(np.arange(3)) == fingerprint(np.arange(3.0))
    False
    """
    result = hashlib.sha256()
    for value in values:
        _feed(result.update, value)
    return result.hexdigest()


def _feed(write: Callable[[bytes], None], value: Any) -> None:
    write(type(value).__qualname__.encode())
    if isinstance(value, bytes):
        write(value)
    elif isinstance(value, _PLAIN):
        write(repr(value).encode())
    elif isinstance(value, Path):
        write(read_digest(value).encode())
    elif isinstance(value, np.ndarray):
        write(f"{value.dtype}{value.shape}".encode())
        write(np.ascontiguousarray(value).tobytes())
    elif (parts := _parts(value)) is not None:
        for part in parts:
            _feed(write, part)
        write(b"end")
    else:  # its address is in it, so that it differs: rather too often than too rarely
        write(object.__repr__(value).encode())


def _parts(value: Any) -> Iterable[Any] | None:
    """What an object consists of, in a fixed order; None if it cannot be looked into."""
    parts: Iterable[Any] | None = None
    if isinstance(value, list | tuple):
        parts = value
    elif isinstance(value, set | frozenset):
        parts = sorted(value, key=repr)
    elif isinstance(value, dict):
        parts = sorted(value.items(), key=repr)
    elif isinstance(value, io.IOBase):  # what a file holds is not in it, and to look changes it
        parts = None
    elif hasattr(value, "state_dict"):  # a network of torch
        parts = value.state_dict().items()
    elif hasattr(value, "detach") and hasattr(value, "numpy"):  # a tensor
        parts = [value.detach().cpu().numpy()]
    elif hasattr(value, "_model_path"):  # a session of ONNX Runtime
        parts = [value._model_bytes, value._model_path and Path(value._model_path)]
    elif is_dataclass(value):
        parts = [getattr(value, field.name) for field in fields(value) if field.compare]
    elif hasattr(value, "__dict__") and not inspect.isroutine(value):
        parts = sorted(vars(value).items())
    return parts
