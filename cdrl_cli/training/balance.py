"""Weights of losses that follow from the run: gradients of one length, and a price of likeness."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cdrl_cli.array_types import Float
from cdrl_cli.training.loop import Loss

CALIBRATION_STEPS = 40
"""Steps over which gradients are measured before the factors are fixed: a term that is satisfied
must be able to fall silent."""

FIRST_PRICE = 100.0
"""The price of likeness at the beginning (:class:`LikenessPrice`)."""

PRICE_RATE = 2.0
"""How fast the price of likeness follows the cosine that is missing: change of its logarithm in a
step, per cosine."""

PRICES = (1.0, 1e5)
"""Lowest and highest price of likeness (:class:`LikenessPrice`)."""


class GradientBalance:
    """Divides each loss by the length of its gradient on the picture, measured over first steps."""

    def __init__(self) -> None:
        self._steps = 0
        self._lengths: dict[str, float] = {}
        self._heard: dict[str, list[float]] = {}

    def weigh(
        self, losses: Sequence[Loss], image: Float[Tensor, "batch 3 height width"]
    ) -> list[Loss]:
        """The same losses, their weights divided by the mean length so far; once a step.

        Args:
            losses: Each a function of the picture.
            image: The picture, not detached.
        """
        lengths, steps = dict(self._lengths), self._steps
        if steps < CALIBRATION_STEPS:
            for loss in losses:
                (slope,) = torch.autograd.grad(loss.value, image, retain_graph=True)
                length = float(slope.norm())
                self._heard.setdefault(loss.name, []).append(length)
                lengths[loss.name] = lengths.get(loss.name, 0.0) + length
            steps += 1
        return [
            replace(loss, weight=loss.weight / max(lengths[loss.name] / steps, 1e-8))
            for loss in losses
        ]

    def settle(self, mean: Callable[[Sequence[float]], float]) -> None:
        """Count the step that ends, by the mean length over its parts."""
        if self._heard:
            for name, lengths in self._heard.items():
                self._lengths[name] = self._lengths.get(name, 0.0) + mean(lengths)
            self._steps += 1
            self._heard = {}

    def state_dict(self) -> dict[str, Any]:
        """Lengths, added up, and over how many steps."""
        return {"steps": self._steps, "lengths": dict(self._lengths)}

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Continue from there."""
        self._steps, self._lengths = state_dict["steps"], dict(state_dict["lengths"])


class LikenessPrice:
    """The weight of likeness: it rises while edits lose more of the person than is agreed."""

    def __init__(self) -> None:
        self.value = FIRST_PRICE
        self._missing: list[float] = []

    def follow(self, missing: float) -> None:
        """Hear what a part of a step lacks; the price adapts when the step ends.

        Args:
            missing: Cosine that edits lack, on average; negative where there is some to spare.
        """
        self._missing.append(missing)

    def settle(self, mean: Callable[[Sequence[float]], float]) -> None:
        """Adapt to the step that ends, by the mean over its parts."""
        if self._missing:
            step = np.exp(PRICE_RATE * mean(self._missing))
            self.value = float(np.clip(self.value * step, *PRICES))
            self._missing = []

    def state_dict(self) -> dict[str, Any]:
        """The price."""
        return {"value": self.value}

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Continue from there."""
        self.value = float(state_dict["value"])
