"""The processes that share a training step: one, or as many as ``torchrun`` started.

A step's batch is drawn in parts (:attr:`~cdrl_cli.training.config.ScheduleConfig.parts`), each from
a source of randomness of its own, and the gradient is the mean over them. A process computes every
so-manieth part and all of them take the same step: how many processes there are changes where the
parts are computed, not what is learned. With a share of more than one part, a process accumulates.

Gradients are averaged here, not by a wrapper around a network: a step may change several networks
in turn, each by an optimiser of its own.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from statistics import fmean
from typing import TYPE_CHECKING

import torch
from torch import nn

from cdrl_cli.errors import UsageError

if TYPE_CHECKING:
    from accelerate import Accelerator

LONGEST_WAIT = timedelta(days=7)
"""For the other processes, before a run is given up: the first one may prepare all clips meanwhile,
and torch would wait for ten minutes."""


@dataclass(frozen=True)
class Processes:
    """All processes of a run, as one of them sees them."""

    count: int = 1
    index: int = 0
    """Of this one, from 0."""
    local_index: int = 0
    """Of this one on its machine, from 0: the number of its GPU."""
    accelerator: "Accelerator | None" = None
    """What they talk through; None for a single one."""

    @property
    def is_first(self) -> bool:
        """Whether it is the one that validates, logs and saves."""
        return self.index == 0

    def alone(self) -> "Processes":
        """This one by itself, with its number: for what cannot be shared."""
        return Processes(index=self.index, local_index=self.local_index)

    def own_parts(self, parts: int) -> range:
        """The parts of a step's batch that this process computes.

        Raises:
            UsageError: If they cannot be shared out evenly.
        """
        if parts % self.count:
            raise UsageError(
                f"{parts} parts of a batch cannot be shared by {self.count} processes",
                hint=f"--set schedule.parts={self.count}, or a multiple of it",
            )
        return range(self.index, parts, self.count)

    def add_up_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its sum over the processes; one that nobody has stays None."""
        own = list(parameters)
        if self.accelerator is None or not own:
            return
        device = own[0].device
        known = torch.tensor([one.grad is not None for one in own], device=device).float()
        parts = [known]
        parts += [
            (torch.zeros_like(one) if one.grad is None else one.grad).flatten() for one in own
        ]
        known, *sums = self.accelerator.reduce(torch.cat(parts), "sum").split(
            [len(own), *(one.numel() for one in own)]
        )
        for one, total, heard in zip(own, sums, known.tolist(), strict=True):
            if heard:
                one.grad = total.view_as(one).clone()

    def mean(self, values: Sequence[float], *, of: int) -> float:
        """Mean over all parts of a number of which this process has its own parts' values.

        Args:
            values: Of this process's parts.
            of: Parts in all.
        """
        total = torch.tensor(sum(values), dtype=torch.float64)
        if self.accelerator is not None:
            total = self.accelerator.reduce(total.to(self.accelerator.device), "sum").cpu()
        return float(total) / of

    def mean_by_name(self, values: Mapping[str, float]) -> dict[str, float]:
        """Means over the processes of named numbers; of one that only some have, over those."""
        if self.accelerator is None:
            return dict(values)
        from accelerate.utils import gather_object

        everybody: list[Mapping[str, float]] = gather_object([dict(values)])
        names = list(dict.fromkeys(name for one in everybody for name in one))
        return {name: fmean(one[name] for one in everybody if name in one) for name in names}

    def agree(self, value: float) -> float:
        """The first process's value, in all of them."""
        return self.mean([value if self.is_first else 0.0], of=1)

    @contextmanager
    def first_before_others(self) -> Iterator[None]:
        """What fills a cache: the first process does it, then the others, who find it filled."""
        if not self.is_first:
            self.wait()
        yield
        if self.is_first:
            self.wait()

    def wait(self) -> None:
        """Until all have come here."""
        if self.accelerator is not None:
            self.accelerator.wait_for_everyone()


@cache
def open_processes() -> Processes:
    """The processes that this one belongs to, as ``torchrun`` or ``accelerate launch`` says.

    Raises:
        UsageError: If there are several, and accelerate is not installed.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Processes()
    try:
        from accelerate import Accelerator, InitProcessGroupKwargs
    except ImportError as error:
        raise UsageError(
            "several processes need accelerate, which is not installed",
            hint="pip install 'spfem[train]' -c constraints-train.txt",
        ) from error
    patient = InitProcessGroupKwargs(timeout=LONGEST_WAIT)
    accelerator = Accelerator(cpu=not torch.cuda.is_available(), kwargs_handlers=[patient])
    return Processes(
        accelerator.num_processes,
        accelerator.process_index,
        accelerator.local_process_index,
        accelerator,
    )
