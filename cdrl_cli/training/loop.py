"""The one training loop: checkpoint, exact resume, log, moving average, early stop, progress.

What is learned is a :class:`Task`: networks, the losses of a step, and how they are validated. All
recipes (:mod:`~cdrl_cli.training.ccrl`, :mod:`~cdrl_cli.training.cerl`,
:mod:`~cdrl_cli.training.motion`, :mod:`~cdrl_cli.training.generator`) are tasks; a
:class:`Trainer` runs any of them.
"""

import abc
import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from cdrl_cli.errors import UsageError
from cdrl_cli.training.checkpoint import (
    RandomState,
    RunFacts,
    Stateful,
    make_run_folder,
    restore_checkpoint,
    save_checkpoint,
)
from cdrl_cli.training.config import ScheduleConfig
from cdrl_cli.training.log import Log
from cdrl_cli.training.optimiser import MovingAverage
from cdrl_cli.training.processes import Processes, open_processes
from cdrl_cli.training.run_card import write_card
from cdrl_cli.training.steps import Loss, Settling, Update, sum_losses, take_parts

__all__ = [
    "Loss",
    "Outcome",
    "Task",
    "Trainer",
    "Update",
    "Validation",
    "open_device",
    "sum_losses",
]


@dataclass(frozen=True, slots=True)
class Validation:
    """What validation found."""

    score: float
    """Higher is better: the best one's weights are kept."""
    measures: Mapping[str, float] = field(default_factory=dict)
    """What it consists of, by name; logged."""


class Task(abc.ABC):
    """What a :class:`Trainer` trains: networks, the losses of a step, and their validation.

    A subclass builds its networks on their device, and draws whatever it draws from ``generator``
    or from :func:`~cdrl_cli.training.checkpoint.step_rng`, so that a resumed run draws the same.
    """

    generator: torch.Generator
    """Source of the loop's draws (CPU); kept in the checkpoint."""
    part: int = 0
    """Part of the step's batch that is drawn now, from 0; set before updates are asked for."""
    has_parts: ClassVar[bool] = False
    """Whether a step's batch may be drawn in parts: updates draw from nothing but ``generator``,
    the global sources, and numpy's randomness of step and part (:func:`step_rng`)."""

    @property
    @abc.abstractmethod
    def parts(self) -> Mapping[str, Stateful]:
        """All that steps change, by name: networks, optimisers, numbers. Kept in the checkpoint."""

    @property
    @abc.abstractmethod
    def product(self) -> nn.Module:
        """What is validated: it ends with the weights of the best validation.

        A moving average's ``module`` may be it; without validation it keeps its last weights.
        """

    @property
    def averages(self) -> Mapping[str, MovingAverage]:
        """Moving averages, by name; kept in the checkpoint."""
        return {}

    @abc.abstractmethod
    def updates(self, step: int) -> Iterator[Update]:
        """The changes of one step, in turn: each is applied before the next is asked for.

        Args:
            step: Steps done before, from 0.
        """

    def validate(self) -> Validation | None:
        """Judge the product; None: there is nothing to judge it by, and all steps are taken."""
        return None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where a run ended."""

    steps: int
    """Done."""
    best_step: int
    """Whose weights the product has."""
    score: float
    """Of the validation at that step; -1 without one."""


@dataclass(slots=True)
class _Standing:
    """The trainer's own numbers; kept in the checkpoint."""

    score: float = -1.0
    best_step: int = 0
    validations_without_better: int = 0

    def state_dict(self) -> dict[str, Any]:
        return asdict(self)

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        for name, value in state_dict.items():
            setattr(self, name, value)


class _Means:
    """Means of named numbers since the last row of the log; kept in the checkpoint."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[Tensor, int]] = {}

    def add(self, values: Mapping[str, float | Tensor]) -> None:
        for name, value in values.items():
            # Summed where it is: reading it would make a GPU wait at every step.
            number = torch.as_tensor(value).detach().double()
            was, count = self._sums.get(name, (torch.zeros_like(number), 0))
            self._sums[name] = (was.to(number.device) + number, count + 1)

    def take(self) -> dict[str, float]:
        means = {name: float(total) / count for name, (total, count) in self._sums.items()}
        self._sums.clear()
        return means

    def state_dict(self) -> dict[str, Any]:
        return dict(self._sums)

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        self._sums = dict(state_dict)


class Trainer:
    """Trains a task: takes its steps, validates, logs, saves itself, and stops in time.

    A run that was cut at any step loses at most one interval between checkpoints, and one that is
    resumed equals one that was not cut, bit for bit, on the same machine: weights, optimisers,
    averages, every source of randomness, and the log.

    Several processes share the steps of a task that has parts; of one that has none the first
    takes all, and the others wait and read its checkpoint.

    Args:
        run: Folder of the checkpoint (``last.pt``) and the log (``log.jsonl``).
        task: What is trained.
        schedule: How long, how often to validate and to save, when to stop.
        facts: Recipe, data and code of this run; a checkpoint of other ones is refused.
        resume: Continue from the checkpoint.
        progress: Called with (steps done, steps in all) after each step.
        processes: Who share the steps; None for those that this process belongs to.

    Raises:
        UnreadableInputError: If there is no readable checkpoint to resume from.
        UsageError: If the checkpoint is of another recipe or other data.
        OutputError: If there can be no folder of that name.
    """

    def __init__(
        self,
        run: Path,
        task: Task,
        schedule: ScheduleConfig,
        facts: RunFacts,
        *,
        resume: bool = False,
        progress: Callable[[int, int], None] | None = None,
        processes: Processes | None = None,
    ) -> None:
        self.step = 0
        """Steps done."""
        self._task, self._schedule, self._facts = task, schedule, facts
        self._everybody = processes or open_processes()
        self._processes = self._everybody if task.has_parts else self._everybody.alone()
        self._processes.own_parts(schedule.parts)
        if schedule.parts > 1 and not task.has_parts:
            raise UsageError("this recipe is not learned in parts", hint="schedule.parts=1")
        self._progress = progress if self._processes.is_first else None
        make_run_folder(run)
        self._run = run
        self._checkpoint = run / "last.pt"
        self._best = copy.deepcopy(task.product)
        self._standing, self._losses, self._measures = _Standing(), _Means(), _Means()
        self._random = RandomState(task.generator, seed=schedule.seed)
        if resume:
            self.step = restore_checkpoint(self._checkpoint, facts, self._parts())
        self._log = Log(run / "log.jsonl", since=self.step) if self._processes.is_first else None

    def fit(self, *, until: int | None = None) -> Outcome:
        """Take steps until all are done, or validation has not improved for too long.

        Args:
            until: Stop before, after so many steps in all, with the checkpoint written: another
                call goes on.

        Raises:
            UsageError: If a loss is no number any more.
        """
        if self._processes is not self._everybody and not self._everybody.is_first:
            self._everybody.wait()
            self.step = restore_checkpoint(self._checkpoint, self._facts, self._parts())
            return self._end()
        self._train(until)
        if self._processes is not self._everybody:
            self._everybody.wait()
        return self._end()

    def _train(self, until: int | None) -> None:
        torch.set_num_threads(self._schedule.threads)
        with self._random:
            if not self.step:
                self._save()
            saved_s = time.monotonic()
            while not self._is_over and (until is None or self.step < until):
                self._take_step()
                if self._is_row_due:
                    self._write_row()
                if self._is_save_due(time.monotonic() - saved_s):
                    self._save()
                    saved_s = time.monotonic()
                if self._progress:
                    self._progress(self.step, self._schedule.steps)
            self._save()

    def _end(self) -> Outcome:
        if self._is_over and self._standing.best_step:
            self._task.product.load_state_dict(self._best.state_dict())
            self._task.product.eval()
        best_step = self._standing.best_step or self.step
        if self._processes.is_first:
            write_card(self._run, self._facts, step=self.step, processes=self._processes.count)
        return Outcome(self.step, best_step, self._standing.score)

    @property
    def _is_over(self) -> bool:
        done = self.step >= self._schedule.steps
        return done or self._standing.validations_without_better >= self._schedule.patience

    @property
    def _is_row_due(self) -> bool:
        return self.step % self._schedule.validate_every == 0 or self.step == self._schedule.steps

    def _is_save_due(self, since_s: float) -> bool:
        due = since_s > self._schedule.save_every_s
        return due if self._processes.count == 1 else bool(self._processes.agree(float(due)))

    def _take_step(self) -> None:
        totals = []
        for update, total in self._updates():
            totals.append(total)
            self._losses.add({loss.name: loss.value for loss in update.losses})
            self._measures.add(update.measures)
        self._losses.add({"total": torch.stack(totals).sum() / len(self._own_parts)})
        for part in self._task.parts.values():
            if isinstance(part, Settling):
                part.settle(partial(self._processes.mean, of=self._schedule.parts))
        for one in self._task.averages.values():
            one.average.update_parameters(one.source)
        self.step += 1

    @property
    def _own_parts(self) -> range:
        return self._processes.own_parts(self._schedule.parts)

    def _updates(self) -> Iterator[tuple[Update, Tensor]]:
        """The changes of a step, each with the sum of its losses."""
        if self._schedule.parts > 1:
            yield from take_parts(
                self._task,
                self.step,
                parts=self._schedule.parts,
                seed=self._schedule.seed,
                processes=self._processes,
                watch=self._precision,
            )
            return
        updates = self._task.updates(self.step)
        while True:
            with self._precision():
                update = next(updates, None)
            if update is None:
                return
            yield update, update.apply()

    def _precision(self) -> AbstractContextManager[None]:
        """Around what computes losses."""
        if self._schedule.precision == "float32":
            return nullcontext()
        device = next(self._task.product.parameters()).device.type
        return torch.autocast(device, torch.bfloat16)

    def _write_row(self) -> None:
        losses = self._processes.mean_by_name(self._losses.take())
        if wrong := [name for name, value in losses.items() if not math.isfinite(value)]:
            raise UsageError(
                f"after step {self.step} the loss {wrong[0]} is no number any more",
                hint="lower schedule.learning_rate",
            )
        row: dict[str, Any] = {"step": self.step, "losses": losses}
        if measures := self._processes.mean_by_name(self._measures.take()):
            row["measures"] = measures
        found = self._task.validate()
        if found is not None:
            # The last bits of a sum may differ between two machines; where to stop may not.
            score = self._processes.agree(found.score) if self._schedule.parts > 1 else found.score
            row |= {"score": score, "validation": dict(found.measures)}
            self._standing.validations_without_better += 1
            if score > self._standing.score:
                self._best.load_state_dict(self._task.product.state_dict())
                self._standing = _Standing(score, self.step)
        if self._log is not None:
            self._log.write(row)

    def _save(self) -> None:
        if self._processes.is_first:
            save_checkpoint(self._checkpoint, self._facts, self._parts(), step=self.step)
        self._processes.wait()

    def _parts(self) -> dict[str, Stateful]:
        averages: dict[str, Stateful] = {
            f"average {name}": one.average for name, one in self._task.averages.items()
        }
        own: dict[str, Stateful] = {
            "best": self._best,
            "standing": self._standing,
            "losses": self._losses,
            "measures": self._measures,
            "random": self._random,
        }
        return {**self._task.parts, **averages, **own}


def open_device(name: str) -> torch.device:
    """Where a run may be.

    Args:
        name: ``cpu`` or ``cuda``; of several processes on a machine each has a GPU of its own.

    Raises:
        UsageError: If torch finds no such device.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("torch finds no GPU here", hint="--device cpu; spfem doctor says more")
    own = open_processes()
    if name == "cuda" and own.count > 1:
        return torch.device(name, own.local_index)
    return torch.device(name)
