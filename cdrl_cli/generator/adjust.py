"""Fine controls of an expression by name: what ``--adjust smile=+.3,brows=-.2`` asks for.

A control moves channels of emotion alone (:data:`~cdrl_cli.face.blendshapes.SHARES`), never jaw,
gaze or blinks, and lips only as far as an emotion may. It is added to any emotion, or to none.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Final

import numpy as np

from cdrl_cli.array_types import Float
from cdrl_cli.errors import UsageError
from cdrl_cli.face.blendshapes import COEFFICIENTS, COUNTERPARTS, EXPRESSION_NAMES, SHARES, channels

MAX_ADJUSTMENT = 1.0
"""Largest amount, either way, that a control may be set to."""

SIDES: Final = ("left", "right")
"""Suffixes that limit a control to one side of the face, the person's own: ``smile-left``."""


@dataclass(frozen=True, slots=True)
class Control:
    """What a name moves."""

    up: Mapping[str, float]
    """Coefficients by the beginning of their names, and how far +1 moves each."""
    down: Mapping[str, float] | None
    """The same for -1; None where a negative amount takes away what a positive one adds."""
    meaning: str
    """What + and - do, in a few words."""


# A full amount moves no landmark much farther than an emotion that is acted strongly does: a tenth
# of the distance between the outer corners of the eyes. Eyes narrow as cheeks rise, and the upper
# lip and the brows go with a wrinkled nose.
CONTROLS: Final[Mapping[str, Control]] = MappingProxyType(
    {
        "smile": Control(
            {"mouthSmile": 0.75, "cheekSquint": 0.5},
            None,
            "+ a smile with the cheeks; - less of it",
        ),
        "corners": Control(
            {"mouthSmile": 0.6}, {"mouthFrown": 1.0}, "corners of the lips alone: + up, - down"
        ),
        "frown": Control(
            {"browDown": 1.0, "eyeSquint": 0.2, "noseSneer": 0.15},
            None,
            "+ a stern look, brows drawn together; - less of it",
        ),
        "brows": Control(
            {"browInnerUp": 0.9, "browOuterUp": 0.9}, {"browDown": 0.9}, "whole brows: + up, - down"
        ),
        "inner-brows": Control(
            {"browInnerUp": 1.0}, None, "inner ends of the brows: + up, as in grief; - less of it"
        ),
        "outer-brows": Control(
            {"browOuterUp": 1.0}, None, "outer ends of the brows: + up; - less of it"
        ),
        "eyes": Control({"eyeWide": 0.4}, {"eyeSquint": 0.8}, "lids: + wide, - narrow"),
        "cheeks": Control(
            {"cheekSquint": 1.0, "eyeSquint": 0.5},
            None,
            "+ raised, which narrows the eyes; - less of it",
        ),
        "nose": Control(
            {"noseSneer": 1.0, "mouthUpperUp": 1.0, "eyeSquint": 0.4, "browDown": 0.4},
            None,
            "+ wrinkled, as in disgust; - less of it",
        ),
        "stretch": Control(
            {"mouthStretch": 0.65}, None, "+ lips drawn wide, as in fear; - less of it"
        ),
        "press": Control({"mouthPress": 0.75}, None, "+ lips pressed; - less of it"),
    }
)
"""Every fine control, by its name."""


@dataclass(frozen=True)
class Adjustment:
    """Fine controls and how far each is moved."""

    amounts: tuple[tuple[str, float], ...] = ()
    """Names of controls, with a side or without, and amounts within ±:data:`MAX_ADJUSTMENT`."""

    def __post_init__(self) -> None:
        for name, amount in self.amounts:
            if _split(name)[0] not in CONTROLS:
                raise UsageError(
                    f"there is no control {name!r}",
                    hint=f"spfem adjust --list shows them: {', '.join(CONTROLS)}; each may end in "
                    "-left or -right",
                )
            if not -MAX_ADJUSTMENT <= amount <= MAX_ADJUSTMENT:
                raise UsageError(
                    f"{name}={amount:g} is not within -{MAX_ADJUSTMENT:g}..{MAX_ADJUSTMENT:g}"
                )

    @classmethod
    def parse(cls, words: str) -> "Adjustment":
        """Read what ``--adjust`` is given.

        Raises:
            UsageError: If a control is unknown, named twice, or its amount is no number in range.

        >>> Adjustment.parse("smile=+.3, brows-left=-0.2").amounts
        (('smile', 0.3), ('brows-left', -0.2))
        """
        amounts: dict[str, float] = {}
        for part in filter(None, (part.strip() for part in words.split(","))):
            match = re.fullmatch(r"([a-z-]+)\s*=\s*([+-]?(?:\d+\.?\d*|\.\d+))", part, re.ASCII)
            if match is None:
                raise UsageError(
                    f"{part[:40]!r} is no adjustment", hint="write smile=+.3,brows=-.2"
                )
            if match[1] in amounts:
                raise UsageError(f"the control {match[1]!r} is set twice")
            amounts[match[1]] = float(match[2])
        if not amounts:
            raise UsageError("the adjustment is empty", hint="write smile=+.3,brows=-.2")
        return cls(tuple(amounts.items()))

    def __str__(self) -> str:
        """As the command line takes it."""
        return ",".join(f"{name}={amount:+g}" for name, amount in self.amounts)

    def __bool__(self) -> bool:
        """Whether it asks for anything."""
        return any(amount for _, amount in self.amounts)

    @cached_property
    def change(self) -> Float[np.ndarray, " 52"]:
        """What it adds to the coefficients; 0 at speech, gaze and blinks."""
        total = np.zeros(COEFFICIENTS)
        for name, amount in self.amounts:
            word, side = _split(name)
            control = CONTROLS[word]
            moved, sign = control.up, np.sign(amount)
            if amount < 0 and control.down is not None:
                moved, sign = control.down, 1.0
            for prefix, share in moved.items():
                for channel in channels(prefix):
                    total[channel] += sign * abs(amount) * share * _on_side(channel, side)
        change: Float[np.ndarray, " 52"] = SHARES * total
        return change


def _on_side(channel: int, side: str) -> float:
    """How much of a channel a side of the face takes: half of one that lies in the middle."""
    if not side:
        return 1.0
    if COUNTERPARTS[channel] == channel:
        return 0.5
    return float(EXPRESSION_NAMES[channel].endswith(side.capitalize()))


def _split(name: str) -> tuple[str, str]:
    """The control of a name, and its side or nothing."""
    for side in SIDES:
        if name.endswith(f"-{side}"):
            return name.removesuffix(f"-{side}"), side
    return name, ""
