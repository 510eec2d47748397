"""One training step: its parts are computed, their gradients averaged, the weights changed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from cdrl_cli.array_types import Float
from cdrl_cli.training.checkpoint import RandomState
from cdrl_cli.training.optimiser import Optimiser
from cdrl_cli.training.processes import Processes

PARTS_APART = 1_000_003
"""Between the seeds of two steps: more than a step has parts."""


@dataclass(frozen=True, slots=True)
class Loss:
    """One term of what a step minimises: logged unweighted by its name, added up by its weight."""

    name: str
    """Unique within a step; the key in the log."""
    value: Float[Tensor, ""]
    weight: float = 1.0
    """Factor in the sum; 0 only logs the value."""


def sum_losses(losses: Sequence[Loss]) -> Float[Tensor, ""]:
    """The weighted sum of all terms: the only place where losses are added up.

    Raises:
        ValueError: If there is no term, or two have one name.
    """
    names = [loss.name for loss in losses]
    if len(set(names)) != len(names) or not names:
        raise ValueError(f"losses need names of their own, got {names}")
    return torch.stack([loss.weight * loss.value for loss in losses]).sum()


@dataclass(frozen=True, slots=True)
class Update:
    """One change of the weights: losses, and the optimisers that follow their gradient."""

    losses: Sequence[Loss]
    optimisers: Sequence[Optimiser]
    measures: Mapping[str, float | Tensor] = field(default_factory=dict)
    """What else is logged, by name: not minimised, or no loss at all."""

    def apply(self) -> Float[Tensor, ""]:
        """Take the step, and return the sum of the losses."""
        self.begin()
        total = self.push()
        self.step()
        return total

    def begin(self) -> None:
        """Forget the gradient of the step before."""
        for optimiser in self.optimisers:
            optimiser.zero_grad()

    def push(self, *, share: float = 1.0) -> Float[Tensor, ""]:
        """Add a share of the losses' gradient to what is there; returns their whole sum."""
        total = sum_losses(self.losses)
        (total if share == 1 else share * total).backward()  # type: ignore[no-untyped-call]
        return total.detach()

    def step(self) -> None:
        """Change the weights along the gradient."""
        for optimiser in self.optimisers:
            optimiser.step()


@runtime_checkable
class Settling(Protocol):
    """What a step's parts each say something about, such as a weight that follows from the run."""

    def settle(self, mean: Callable[[Sequence[float]], float]) -> None:
        """Take over what the parts of the step that ends have said.

        Args:
            mean: Of the values of this process's parts to the mean over those of all.
        """
        ...


@runtime_checkable
class PartedTask(Protocol):
    """What :func:`take_parts` asks of a task."""

    generator: torch.Generator
    part: int

    def updates(self, step: int) -> Iterator[Update]:
        """See :meth:`cdrl_cli.training.loop.Task.updates`."""
        ...


def take_parts(
    task: PartedTask,
    step: int,
    *,
    parts: int,
    seed: int,
    processes: Processes,
    watch: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Iterator[tuple[Update, Float[Tensor, ""]]]:
    """Take a step whose batch is drawn in parts, and give each update with its losses' sum.

    The parts go through the step's updates side by side: all take the first, whose gradient is the
    mean over them, before any is asked for the second. What a part draws depends on seed, step and
    part alone, so that one process or several, and a run that was resumed, draw the same.

    Args:
        task: What is trained.
        step: Steps done before.
        parts: Of the batch.
        seed: Of the run.
        processes: Who share the parts.
        watch: Called for a context around what computes losses.
    """
    own = [_Part(task, step, part, seed, watch) for part in processes.own_parts(parts)]
    while True:
        optimisers: Sequence[Optimiser] = ()
        for place, one in enumerate(own):
            update = one.advance()
            if update is None:
                assert not optimisers, "all parts of a step have the same updates"
                return
            if not place:
                update.begin()
            optimisers = update.optimisers
            yield update, update.push(share=1 / parts)
        for optimiser in optimisers:
            processes.add_up_gradients(optimiser.parameters)
        for optimiser in optimisers:
            optimiser.step()


class _Part:
    """A part of a step's batch, with the randomness that is its own."""

    def __init__(
        self,
        task: PartedTask,
        step: int,
        part: int,
        seed: int,
        watch: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._task, self._part, self._watch = task, part, watch
        own_seed = (seed * PARTS_APART + step) * PARTS_APART + part
        self._random = RandomState(task.generator, seed=own_seed % 2**32)
        self._loop = torch.Generator().manual_seed(own_seed % 2**63).get_state()
        self._updates = task.updates(step)

    def advance(self) -> Update | None:
        """The part's next update; None when there is none."""
        self._task.part = self._part
        self._task.generator.set_state(self._loop)
        with self._random, self._watch():
            update = next(self._updates, None)
        self._loop = self._task.generator.get_state()
        return update
