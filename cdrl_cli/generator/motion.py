"""Which expression: the coefficients of a face as they should be, from those it has.

A motion model takes a window of the source's coefficients and answers the current frame's.
:class:`DifferenceMotion`, the core, is fixed rules over measured differences;
:class:`LearnedMotion` runs the network of :mod:`cdrl_cli.generator.motion_network`, in numpy: no
edit waits for torch to be imported.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float

from cdrl_cli.face.blendshapes import (
    BLINKS,
    CEILINGS,
    COUNTERPARTS,
    LIDS_LEFT,
    LIDS_RIGHT,
    RHYTHM,
    SHARES,
)
from cdrl_cli.generator.condition import Condition

MAX_INTENSITY = 2.0

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

    def eyes(self, expression: Float[np.ndarray, " 52"]) -> Float[np.ndarray, " 2"]:
        """How open they are, left and right (:func:`open_eyes`).

        Args:
            expression: Of the frame itself.
        """
        seen, now = self.at_rate()
        usual = seen[max(0, now + 1 - OWN_FRAMES) : now + 1, BLINKS].mean(axis=0)
        return open_eyes(expression[BLINKS], usual)

    def at_rate(self) -> tuple[Float[np.ndarray, "frames 52"], int]:
        """The window on a grid of 1 / 25 s that the frame itself lies on, and its place there.

        Interpolated, so that the answer is the same whatever the frame rate, and where it varies.
        """
        # A rounding must not lose the grid point that a frame falls on.
        first = -int(-self.offsets_s[0] * RATE_HZ + 1e-6)
        last = int(self.offsets_s[-1] * RATE_HZ + 1e-6)
        first, last = max(first, 1 - OWN_FRAMES), min(last, CONTEXT_AFTER)
        grid_s = np.arange(first, last + 1) / RATE_HZ
        after = np.searchsorted(self.offsets_s, grid_s).clip(1, max(len(self.offsets_s) - 1, 1))
        if len(self.offsets_s) == 1:
            return self.expressions, 0
        before_s, after_s = self.offsets_s[after - 1], self.offsets_s[after]
        share = ((grid_s - before_s) / np.maximum(after_s - before_s, 1e-9)).clip(0, 1)[:, None]
        return (1 - share) * self.expressions[after - 1] + share * self.expressions[after], -first


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
        shift = _bound(added - removed, MAX_SHIFT * max(1.0, intensity))
        return np.clip(expression + _spare_blinks(shift, window.eyes(expression)), 0.0, CEILINGS)


class LearnedMotion:
    """Runs a trained :class:`~cdrl_cli.generator.motion_network.MotionEditor`.

    Equal to it, frame by frame, but for the last bits of a sum; and what is hardly an emotion
    (:attr:`Condition.amount`) asks for hardly anything.

    Args:
        weights: Its state, by name.
    """

    def __init__(self, weights: Mapping[str, Float[np.ndarray, "..."]]) -> None:
        self._weights = weights

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
        own = np.maximum(
            seen[max(0, now + 1 - OWN_FRAMES) : now + 1].mean(axis=0)
            - self._weights["neutral_high"],
            0.0,
        )
        heard = _silu(self._linear("read", condition.embedding))
        gain, shift, gain_again, shift_again = np.split(self._linear("film", heard), 4)
        mixed = _silu((1 + gain) * self._linear("mix", self._rhythm(seen, now)) + shift)
        mixed = _silu((1 + gain_again) * self._linear("mix_again", mixed) + shift_again)
        let_go = 1 / (1 + np.exp(-_both_sides(self._linear("let_go", heard))))
        felt = condition.amount * np.tanh(_both_sides(self._linear("feel", mixed)))
        change = SHARES * (felt - let_go * own)
        change = _spare_blinks(change, window.eyes(expression))
        length = float(np.linalg.norm(change)) + 1e-12
        change *= intensity * MAX_SHIFT * np.tanh(length / MAX_SHIFT) / length
        room = np.maximum(np.where(change > 0, CEILINGS - expression, expression), 1e-6)
        return np.clip(expression + room * np.tanh(change / room), 0.0, CEILINGS)

    def _rhythm(
        self, seen: Float[np.ndarray, "frames 52"], now: int
    ) -> Float[np.ndarray, " width"]:
        heard = seen[:, RHYTHM]
        moving = (heard - _mean_before(heard, SLOW_FRAMES)) / self._weights["scale"]
        places = np.arange(now - CONTEXT_BEFORE, now + CONTEXT_AFTER + 1).clip(0, len(seen) - 1)
        # Only what the frame's own answer is made of: every so manyth place of the first layer.
        starts = np.arange(KERNEL) * DILATION
        near = self._convolve("near", moving[places[starts[:, None] + np.arange(KERNEL)]])
        return _silu(self._convolve("far", _silu(near)[None])[0])

    def _convolve(
        self, name: str, patches: Float[np.ndarray, "places taps channels"]
    ) -> Float[np.ndarray, "places width"]:
        weight = self._weights[f"{name}.weight"]
        flat = patches.transpose(0, 2, 1).reshape(len(patches), -1)
        return flat @ weight.reshape(len(weight), -1).T + self._weights[f"{name}.bias"]

    def _linear(self, name: str, values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " m"]:
        return self._weights[f"{name}.weight"] @ values + self._weights[f"{name}.bias"]


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
    return strength >= np.median(strength)


def _both_sides(values: Float[np.ndarray, " 52"]) -> Float[np.ndarray, " 52"]:
    return (values + values[COUNTERPARTS]) / 2


def _silu(values: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    return values / (1 + np.exp(-values))


def _mean_before(
    values: Float[np.ndarray, "frames channels"], count: int
) -> Float[np.ndarray, "frames channels"]:
    """The mean over so many frames up to each, over fewer where there are no more."""
    summed = np.cumsum(values, axis=0, dtype=float)
    summed[count:] -= summed[:-count].copy()
    return summed / np.arange(1, len(values) + 1).clip(max=count)[:, None]


def _spare_blinks(
    change: Float[np.ndarray, " 52"], eyes: Float[np.ndarray, " 2"]
) -> Float[np.ndarray, " 52"]:
    """A closed eye has no opening to widen: blinks stay whole."""
    spared = change.copy()
    for lids, opened in zip((LIDS_LEFT, LIDS_RIGHT), eyes, strict=True):
        spared[lids] *= opened
    return spared


def _bound(shift: Float[np.ndarray, " 52"], longest: float) -> Float[np.ndarray, " 52"]:
    length = float(np.linalg.norm(shift))
    return shift if length <= longest else shift * (longest / length)


BLINK_GAIN = 5.0
BLINK_NOISE = 0.05
"""An eye is shut where its coefficient is above its mean by the noise and one part in so many."""

RATE_HZ = 25
"""Frames a second of the learned motion."""

KERNEL = 6
DILATION = 4
CONTEXT_AFTER = 3
CONTEXT_BEFORE = (KERNEL - 1) * (1 + DILATION) - CONTEXT_AFTER
"""Two layers see .88 s before a frame and .12 s after it, no more than any edit looks ahead."""

SLOW_FRAMES = 25
"""Rhythm is what departs from the mean of the last second."""

OWN_FRAMES = 48
"""The source's own emotion is what lasts: the mean of so many frames, 1.9 s. As much as the
rhythm needs too (before it a second, before that its mean), and as tracking remembers."""
