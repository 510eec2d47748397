"""Which expression: the coefficients of a face as they should be, from those it has.

A motion model takes a window of the source's coefficients and answers the current frame's.
:class:`DifferenceMotion`, the core, is fixed rules over measured differences;
:class:`LearnedMotion` runs the network of :mod:`cdrl_cli.generator.motion_network` by ONNX
Runtime:
no edit waits for torch to be imported.
"""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from cdrl_cli.array_types import Bool, Float
from cdrl_cli.face.blendshapes import (
    BLINKS,
    CEILINGS,
    COEFFICIENTS,
    LIDS_LEFT,
    LIDS_RIGHT,
    SHARES,
    SQUINTS,
)
from cdrl_cli.generator.condition import Condition

LEAST_SHARE = 1e-3
"""Share of an edit, 0..1, up to which a reference's own change counts as not asked for."""

MAX_SHIFT = 2.6
"""Longest change of the coefficients (L2) that is asked of the face at intensity 1. Read again from
the output, half of it is found; what real actors move from neutral to an emotion is 0.6 to 1.3, and
beyond that faces turn grotesque. Grows with the intensity."""


@dataclass(frozen=True, slots=True)
class Window:
    """What a face showed around a frame."""

    offsets_s: Float[np.ndarray, " window"]
    """Times minus the frame's own, growing, seconds; one of them is 0."""
    expressions: Float[np.ndarray, "window 52"]
    """Coefficients, 0..1."""
    rest: Float[np.ndarray, " 52"] | None = None
    """Coefficients above which this person's own emotion begins; None where only the usual ones are
    known."""

    def eyes(self, expression: Float[np.ndarray, " 52"]) -> Float[np.ndarray, " 2"]:
        """How open they are, left and right (:func:`open_eyes`).

        Args:
            expression: Of the frame itself.
        """
        seen, now = self._on_grid(self.expressions[:, BLINKS])
        usual = seen[max(0, now + 1 - OWN_FRAMES) : now + 1].mean(axis=0)
        return open_eyes(expression[BLINKS], usual)

    def at_rate(self) -> tuple[Float[np.ndarray, "frames 52"], int]:
        """The window on a grid of 1 / 25 s that the frame itself lies on, and its place there.

        Interpolated, so that the answer is the same whatever the frame rate, and where it varies.
        """
        return self._on_grid(self.expressions)

    def _on_grid(
        self, values: Float[np.ndarray, "window columns"]
    ) -> tuple[Float[np.ndarray, "frames columns"], int]:
        """Values of the window as :meth:`at_rate` has its coefficients, and the frame's place."""
        # A rounding must not lose the grid point that a frame falls on.
        first = -int(-self.offsets_s[0] * RATE_HZ + 1e-6)
        last = int(self.offsets_s[-1] * RATE_HZ + 1e-6)
        first, last = max(first, 1 - OWN_FRAMES), min(last, CONTEXT_AFTER)
        grid_s = np.arange(first, last + 1) / RATE_HZ
        after = np.searchsorted(self.offsets_s, grid_s).clip(1, max(len(self.offsets_s) - 1, 1))
        if len(self.offsets_s) == 1:
            return values, 0
        before_s, after_s = self.offsets_s[after - 1], self.offsets_s[after]
        share = ((grid_s - before_s) / np.maximum(after_s - before_s, 1e-9)).clip(0, 1)[:, None]
        return (1 - share) * values[after - 1] + share * values[after], -first


def open_eyes(
    blinks: Float[np.ndarray, " 2"], usual: Float[np.ndarray, " 2"]
) -> Float[np.ndarray, " 2"]:
    """How far the lids, left and right, are as open as they usually are: 1, shut: 0.

    By what a blink adds to the coefficient, not by the coefficient: quick blinks are read as half
    ones, and narrow eyes as half closed ones.

    Args:
        blinks: Coefficients now.
        usual: Their mean over :data:`OWN_FRAMES`.
    """
    added = BLINK_GAIN * (blinks - usual - BLINK_NOISE)
    return (1 - blinks) * (1 - np.clip(added, 0.0, 1.0))


@runtime_checkable
class Motion(Protocol):
    """What turns a source's expressions into the target's."""

    def __call__(
        self,
        expression: Float[np.ndarray, " 52"],
        window: Window,
        condition: Condition,
        *,
        intensity: float,
    ) -> Float[np.ndarray, " 52"]:
        """The coefficients that the face should have now, 0 to :data:`CEILINGS`.

        Args:
            expression: The source's coefficients now, 0..1.
            window: What the source showed around now.
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

    .. math:: b' = \mathrm{clip}\bigl(b + a\, (\Delta - w \odot e)\bigr)_0^{\hat b}

    with intensity :math:`a`, channel share :math:`w` (:data:`SHARES`) and :math:`e` the source's
    own emotion: what its window's mean shows beyond the neutral range; and :math:`\hat b` the
    ceilings (:data:`CEILINGS`). A neutral source has
    :math:`e = 0`; a smiling one loses its smile when it is to look sad.
    """

    def __init__(self, neutral: NeutralPrior) -> None:
        self._neutral = neutral

    def __call__(
        self,
        expression: Float[np.ndarray, " 52"],
        window: Window,
        condition: Condition,
        *,
        intensity: float,
    ) -> Float[np.ndarray, " 52"]:
        """See :class:`Motion`."""
        own = np.maximum(window.expressions.mean(axis=0) - self._neutral.high, 0.0)
        added = intensity * condition.difference
        removed = min(intensity, 1.0) * SHARES * own
        shift = bound_change(added - removed, MAX_SHIFT * max(1.0, intensity))
        return np.clip(expression + spare_blinks(shift, window.eyes(expression)), 0.0, CEILINGS)


class LearnedMotion:
    """Runs a trained motion editor, frame by frame.

    Args:
        network: Session of an exported :class:`~cdrl_cli.generator.motion_network.FrameEditor`.
        usual_rest: Coefficients that nine of ten neutral clips stay below: above them a source's
            own emotion begins, where nothing is known of the person.
    """

    def __init__(self, network: Any, usual_rest: Float[np.ndarray, " 52"]) -> None:
        self._network = network
        self._usual_rest = usual_rest

    def __call__(
        self,
        expression: Float[np.ndarray, " 52"],
        window: Window,
        condition: Condition,
        *,
        intensity: float,
    ) -> Float[np.ndarray, " 52"]:
        """See :class:`Motion`."""
        if intensity == 0:
            return expression
        seen, now = window.at_rate()
        rest = self._usual_rest if window.rest is None else window.rest
        # The network shows a share of a reference's change, and it is to be shown in full.
        share = condition.observed
        own_change = condition.difference / share if share > LEAST_SHARE else np.zeros(COEFFICIENTS)
        (shown,) = self._network.run(
            None,
            {
                "expression": expression[None].astype(np.float32),
                "window": seen.astype(np.float32),
                "now": np.array(now),
                "embedding": condition.embedding[None].astype(np.float32),
                "difference": own_change[None].astype(np.float32),
                "share": np.array([[condition.observed]], np.float32),
                "rest": rest[None].astype(np.float32),
                "amount": np.array(condition.amount, np.float32),
                "intensity": np.array(intensity, np.float32),
            },
        )
        # What the network leaves alone it returns in single precision.
        edited = np.where(SHARES > 0, shown[0], expression)
        if condition.squint == 0:
            return edited
        squint = np.zeros(COEFFICIENTS)
        squint[SQUINTS] = intensity * condition.squint
        return np.minimum(edited + spare_blinks(squint, window.eyes(expression)), CEILINGS)


def pick_expressive(
    expressions: Float[np.ndarray, "frames 52"], neutral: Float[np.ndarray, " 52"]
) -> Float[np.ndarray, "half 52"]:
    """The more expressive half of a clip: acted ones begin and end near neutral."""
    return expressions[find_expressive(expressions, neutral)]


def find_expressive(
    expressions: Float[np.ndarray, "frames 52"], neutral: Float[np.ndarray, " 52"]
) -> Bool[np.ndarray, " frames"]:
    """Where that half is."""
    strength = np.linalg.norm(SHARES * (expressions - neutral), axis=1)
    # Its upper middle, for numpy's median imports masked arrays: .01 s of an edit's start.
    return strength >= np.sort(strength)[len(strength) // 2]


def spare_blinks(
    change: Float[np.ndarray, " 52"], eyes: Float[np.ndarray, " 2"]
) -> Float[np.ndarray, " 52"]:
    """A change that leaves closed eyes alone: they have no opening to widen, and blinks stay whole.

    Args:
        change: Of the coefficients.
        eyes: How open they are, left and right, 0..1.
    """
    spared = change.copy()
    for lids, opened in zip((LIDS_LEFT, LIDS_RIGHT), eyes, strict=True):
        spared[lids] *= opened
    return spared


def bound_change(shift: Float[np.ndarray, " 52"], longest: float) -> Float[np.ndarray, " 52"]:
    """A change of the coefficients, shortened to a length (L2) where it is longer."""
    length = float(np.linalg.norm(shift))
    return shift if length <= longest else shift * (longest / length)


BLINK_GAIN = 5.0
"""How fast an eye counts as shut as its blink coefficient rises: from 0 to 1 over a fifth."""

BLINK_NOISE = 0.05
"""Rise of a blink coefficient over its own mean that says nothing, 0..1."""

RATE_HZ = 25
"""Frames a second of the learned motion."""

CONTEXT_AFTER = 3
"""Frames after its own that a motion answer sees, .12 s: no more than any edit looks ahead."""

OWN_FRAMES = 48
"""Frames up to its own over whose mean the source's own emotion is told from a passing movement,
1.9 s. As much as the rhythm needs too (before it a second, before that its mean), and as tracking
remembers."""
