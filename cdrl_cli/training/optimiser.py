"""What changes weights: an optimiser with its learning rate, and the average over its steps."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

AVERAGE_WARM_UP = 10
"""Steps over which a moving average forgets its first weights: step ``n`` keeps at most
``n / (n + AVERAGE_WARM_UP)`` of what was there before."""


class Optimiser:
    """AdamW with a one-cycle learning rate and clipped gradients, as one thing to step and to keep.

    Args:
        network: Whose parameters it changes.
        learning_rate: At its highest.
        steps: Over which the learning rate rises and falls; None: it stays the same.
        weight_decay: AdamW's.
        betas: AdamW's.
        rising: Share of the steps in which the learning rate rises.
        clip: Largest length of the gradient; None: as it is.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        learning_rate: float,
        steps: int | None,
        weight_decay: float = 0.01,
        betas: tuple[float, float] = (0.9, 0.999),
        rising: float = 0.3,
        clip: float | None = None,
    ) -> None:
        self._parameters = list(network.parameters())
        self._clip = clip
        self._adam = torch.optim.AdamW(
            self._parameters, learning_rate, betas=betas, weight_decay=weight_decay
        )
        self._rate = (
            None
            if steps is None
            else torch.optim.lr_scheduler.OneCycleLR(
                self._adam, learning_rate, steps, pct_start=rising
            )
        )

    @property
    def learning_rate(self) -> float:
        """Of the next step."""
        return float(self._adam.param_groups[0]["lr"])

    def zero_grad(self) -> None:
        """Forget the gradient."""
        self._adam.zero_grad()

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All that it changes."""
        return self._parameters

    def step(self) -> None:
        """Change the parameters along their gradient."""
        if self._clip is not None:
            nn.utils.clip_grad_norm_(self._parameters, self._clip)
        self._adam.step()
        if self._rate is not None:
            self._rate.step()

    def state_dict(self) -> dict[str, Any]:
        """Moments and place in the cycle."""
        rate = None if self._rate is None else self._rate.state_dict()
        return {"adam": self._adam.state_dict(), "rate": rate}

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Continue from there."""
        self._adam.load_state_dict(state_dict["adam"])
        if self._rate is not None:
            self._rate.load_state_dict(state_dict["rate"])


@dataclass(frozen=True, slots=True)
class MovingAverage:
    """Weights averaged over the steps; the trainer updates them after each step."""

    source: nn.Module
    """The network that learns."""
    average: AveragedModel
    """``average.module`` is the network to validate, export or look through."""

    @classmethod
    def of(cls, network: nn.Module, *, decay: float) -> "MovingAverage":
        """An exponential moving average that starts at the network's weights.

        Args:
            network: What is averaged; its buffers are copied.
            decay: Share of the average that a step keeps once it is warm (:data:`AVERAGE_WARM_UP`).
        """

        def mix(average: Tensor, now: Tensor, count: Tensor | int) -> Tensor:
            keep = (torch.as_tensor(count) / (count + AVERAGE_WARM_UP)).clamp(max=decay)
            return average.lerp(now.detach(), (1 - keep).to(average.dtype))

        average = AveragedModel(network, avg_fn=mix)
        return cls(network, average.requires_grad_(requires_grad=False))

    @classmethod
    def of_schedule(cls, network: nn.Module, decay: float) -> "dict[str, MovingAverage]":
        """The averages of a task with one network: none where the decay is 0."""
        return {"networks": cls.of(network, decay=decay)} if decay else {}


def kept_network(network: nn.Module, averages: Mapping[str, MovingAverage]) -> nn.Module:
    """What a task with one network validates and keeps: its average, where there is one."""
    average = averages.get("networks")
    return network if average is None else average.average.module
