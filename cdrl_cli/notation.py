"""How people write times and faces, and how results are written for machines."""

import re
import shlex
from dataclasses import fields, is_dataclass
from fractions import Fraction
from pathlib import PurePath
from typing import Literal, get_args

from cdrl_cli.errors import UsageError

_CLOCK = re.compile(
    r"(?:(?:(?P<h>\d{1,6}):)?(?P<m>[0-5]?\d):(?P<s>[0-5]?\d(?:\.\d{1,18})?)"
    r"|(?P<only>\d{1,9}(?:\.\d{1,18})?|\.\d{1,18}))",
    re.ASCII,
)

Corner = Literal["bottom-left", "bottom-right", "top-left", "top-right"]
"""A corner of the picture."""

CORNERS: tuple[Corner, ...] = get_args(Corner)
"""All corners, the usual one first."""

_RATIOS = frozenset({"frame_rate", "sample_aspect", "time_base"})
"""Fields that are ratios, not moments: 30000/1001 has no exact decimal number."""


def quote(path: PurePath) -> str:
    """The name of a file as a shell takes it, for commands in hints.

    >>> quote(PurePath("my clip.mp4"))
    "'my clip.mp4'"
    """
    return shlex.quote(str(path))


def parse_time(word: str) -> Fraction:
    """Seconds, exactly, from seconds or a clock time.

    Raises:
        UsageError: If it is neither.

    >>> parse_time("83.2"), parse_time("1:23.2"), parse_time("00:01:23.200")
    (Fraction(416, 5), Fraction(416, 5), Fraction(416, 5))
    >>> parse_time(".5")
    Fraction(1, 2)
    """
    match = _CLOCK.fullmatch(word.strip())
    if match is None:
        raise UsageError(
            f"{word!r} is no time: write seconds (83.2) or a clock time (00:01:23.200)"
        )
    if match["only"]:
        return Fraction(match["only"])
    return 3600 * int(match["h"] or 0) + 60 * int(match["m"]) + Fraction(match["s"])


def clock(time: Fraction) -> str:
    """A time as :func:`parse_time` takes it: ``M:SS.mmm``.

    >>> clock(Fraction(131, 2))
    '1:05.500'
    """
    minutes, milliseconds = divmod(round(time * 1000), 60_000)
    return f"{minutes}:{milliseconds / 1000:06.3f}"


def parse_face(word: str) -> Literal["largest", "all"] | int:
    """``largest``, ``all``, or the number of a face.

    Raises:
        UsageError: If it is none of these.

    >>> parse_face("all"), parse_face("2")
    ('all', 2)
    """
    match word:
        case "largest" | "all":
            return word
        case _ if re.fullmatch("[0-9]{1,9}", word):
            return int(word)
    raise UsageError(
        f"{word!r} is no choice of a face",
        hint="largest, all, or a number that spfem probe shows",
    )


def parse_corner(word: str) -> Corner | bool:
    """A corner; or ``true`` for the usual one, ``false`` for none.

    Raises:
        UsageError: If it is none of these.

    >>> parse_corner("top-left"), parse_corner("yes"), parse_corner("no")
    ('top-left', True, False)
    """
    for corner in CORNERS:
        if word.strip().lower() == corner:
            return corner
    match word.strip().lower():
        case "true" | "yes" | "1":
            return True
        case "false" | "no" | "0":
            return False
    raise UsageError(f"{word[:40]!r} is no corner", hint=f"true, false, {', '.join(CORNERS)}")


def plain(value: object, name: str = "") -> object:
    """A result in the types of JSON.

    Times are numbers, in seconds; ratios (frame rate, sample aspect, time base) are strings such
    as ``"30000/1001"``; a path is a string; an unknown value is null. Fields of dataclasses that
    take no part in comparing them are left out.

    >>> plain({"time": Fraction(1, 2), "frame_rate": Fraction(30000, 1001)})
    {'time': 0.5, 'frame_rate': '30000/1001'}
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: plain(getattr(value, field.name), field.name)
            for field in fields(value)
            if field.compare
        }
    if isinstance(value, dict):
        return {str(key): plain(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}" if name in _RATIOS else float(value)
    if isinstance(value, PurePath):
        return str(value)
    return value
