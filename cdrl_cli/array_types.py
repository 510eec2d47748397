"""Types of arrays and tensors with their shapes, as jaxtyping writes them.

They are jaxtyping's for type checkers, and in a program that has imported jaxtyping, as tests do,
which check them at run time. An edit checks none, and making them takes a fifth of the time in
which all that it imports is loaded: there an annotation is the plain type of its array.
"""

import sys
from typing import TYPE_CHECKING, Any

__all__ = [
    "Bool",
    "Float",
    "Float16",
    "Float32",
    "Float64",
    "Int",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "Shaped",
    "UInt8",
    "UInt16",
]

if TYPE_CHECKING or "jaxtyping" in sys.modules:
    from jaxtyping import (
        Bool,
        Float,
        Float16,
        Float32,
        Float64,
        Int,
        Int8,
        Int16,
        Int32,
        Int64,
        Shaped,
        UInt8,
        UInt16,
    )
else:

    class _Unchecked:
        """``Float[np.ndarray, "height width"]`` is ``np.ndarray``."""

        def __getitem__(self, asked: tuple[Any, str]) -> Any:
            return asked[0]

    Bool = Shaped = _Unchecked()
    Float = Float16 = Float32 = Float64 = _Unchecked()
    Int = Int8 = Int16 = Int32 = Int64 = UInt8 = UInt16 = _Unchecked()
