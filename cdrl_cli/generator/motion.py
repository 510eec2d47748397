"""Which expression: the coefficients of a face as they should be, from those it has.

A motion model takes a window of the source's coefficients and answers the current frame's. Today
the one model is :class:`DifferenceMotion`, fixed rules over measured differences.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from cdrl_cli.face.landmarks import EXPRESSION_NAMES

MAX_INTENSITY = 2.0

MAX_SHIFT = 1.3
"""Longest change of the coefficients (L2) at intensity 1: what real actors move from neutral to an
emotion is 0.6 to 1.3; beyond it faces turn grotesque. Grows with the intensity."""


@dataclass(frozen=True, slots=True)
class Condition:
    """The emotion asked for, as a motion model needs it."""

    difference: Float[np.ndarray, " 52"]
    """Coefficients of the emotion minus those of a neutral face, times :data:`SHARES`."""


@runtime_checkable
class Motion(Protocol):
    """What turns a source's expressions into the target's."""

    def __call__(
        self,
        expression: Float[np.ndarray, " 52"],
        window: Float[np.ndarray, "window 52"],
        condition: Condition,
        *,
        intensity: float,
    ) -> Float[np.ndarray, " 52"]:
        """The coefficients that the face should have now.

        Args:
            expression: The source's coefficients now, 0..1.
            window: The source's coefficients around now, in order of time.
            condition: The emotion asked for.
            intensity: 0 returns ``expression`` itself; 1 is as strong as the reference.
        """
        ...


@dataclass(frozen=True, slots=True)
class NeutralPrior:
    """How neutral talking faces look, over people."""

    mean: Float[np.ndarray, " 52"]
    high: Float[np.ndarray, " 52"]
    """What nine of ten neutral clips stay below, on average over the clip."""


class DifferenceMotion:
    r"""Adds the reference's difference from neutral to the source, channel by channel.

    .. math:: b' = \mathrm{clip}\bigl(b + a\, (\Delta - w \odot e)\bigr)

    with intensity :math:`a`, channel share :math:`w` (:data:`SHARES`) and :math:`e` the source's
    own emotion: what its window's mean shows beyond the neutral range. A neutral source has
    :math:`e = 0`; a smiling one loses its smile when it is to look sad.
    """

    def __init__(self, neutral: NeutralPrior) -> None:
        self._neutral = neutral

    def __call__(
        self,
        expression: Float[np.ndarray, " 52"],
        window: Float[np.ndarray, "window 52"],
        condition: Condition,
        *,
        intensity: float,
    ) -> Float[np.ndarray, " 52"]:
        """See :class:`Motion`."""
        own = np.maximum(window.mean(axis=0) - self._neutral.high, 0.0)
        added = intensity * condition.difference
        removed = min(intensity, 1.0) * SHARES * own
        shift = _bound(added - removed, MAX_SHIFT * max(1.0, intensity))
        # A closed eye has no opening to widen: blinks stay whole.
        open_left, open_right = 1 - expression[_BLINKS]
        shift[_LIDS_LEFT] *= open_left
        shift[_LIDS_RIGHT] *= open_right
        return np.clip(expression + shift, 0.0, 1.0)

    def read_condition(self, expressions: Float[np.ndarray, "frames 52"]) -> Condition:
        """The condition that a reference with these expressions sets.

        The mean over the more expressive half of its frames: acted clips begin and end near
        neutral.
        """
        differences = SHARES * (expressions - self._neutral.mean)
        strength = np.linalg.norm(differences, axis=1)
        return Condition(differences[strength >= np.median(strength)].mean(axis=0))


def _bound(shift: Float[np.ndarray, " 52"], longest: float) -> Float[np.ndarray, " 52"]:
    length = float(np.linalg.norm(shift))
    return shift if length <= longest else shift * (longest / length)


def _channels(*prefixes: str) -> list[int]:
    return [i for i, name in enumerate(EXPRESSION_NAMES) if name.startswith(prefixes)]


def _shares() -> Float[np.ndarray, " 52"]:
    shares = np.ones(len(EXPRESSION_NAMES))
    shares[_channels(*_SPEECH)] = 0.0
    shares[_channels(*_SHARED)] = 0.35
    return shares


_SPEECH = ("_neutral", "jaw", "mouthClose", "mouthLeft", "mouthRight", "eyeLook", "eyeBlink")
_SHARED = (
    "mouthPucker",
    "mouthFunnel",
    "mouthRoll",
    "mouthShrug",
    "mouthLowerDown",
    "mouthUpperUp",
)
SHARES = _shares()
"""How much of a difference each channel takes: none where it is speech, gaze or a blink; little
where speech and emotion share the lips; all of it at the brows, eyes, cheeks, nose and mouth
corners."""

_BLINKS = _channels("eyeBlink")
_LIDS_LEFT = _channels("eyeWideLeft", "eyeSquintLeft")
_LIDS_RIGHT = _channels("eyeWideRight", "eyeSquintRight")
