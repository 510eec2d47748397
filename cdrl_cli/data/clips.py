"""A clip or picture to learn from or to test on, and what is known of it."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cdrl_cli.emotion import Emotion


class Role(StrEnum):
    """What a clip may be used for, beside learning."""

    REFRAMED = "reframed"
    """Shows a take that another row shows too, in another framing: neither learned from as a clip
    of its own, nor validated on; it may be edited."""
    VALIDATION = "validation"
    """Never learned from; says when training ends."""
    HELD_OUT = "held_out"
    """Never learned from, nor looked at while anything is trained."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip or picture, and what is known of it."""

    path: Path
    """The video or picture."""
    audio: Path | None
    """The sound beside the clip; None if the sound is in the clip itself, or there is none."""
    dataset: str
    """Name of the data set."""
    licence_class: str
    """``permissive``: weights may be used freely; ``research``: they are research-only."""
    identity: str
    """Who is seen; equal names are one person."""
    emotion: Emotion | None
    """What is shown; None where it is not known, or none of the seven."""
    label_certain: bool
    """False where the emotion was judged by file name and eye."""
    sentence: str | None
    """What is said: equal texts are one sentence; None where it is not known."""
    split: str
    """``train`` or ``val``."""
    roles: frozenset[Role] = frozenset()
    """What the index says of its use; a recipe may say more."""
