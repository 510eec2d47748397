"""A training run: where it stands, its best weights so far, its checkpoint and its log."""

import copy
import time
from collections.abc import Callable
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cdrl_cli.training.checkpoint import RunFacts, Stateful, resume, save_checkpoint
from cdrl_cli.training.config import ScheduleConfig
from cdrl_cli.training.log import Log


class Run:
    """Takes optimiser steps, remembers the best weights, saves itself, and stops in time.

    AdamW under a one-cycle learning rate. A run that was cut and goes on equals one that was not:
    all that the next step depends on is in the checkpoint.

    Args:
        folder: Of the checkpoint (``last.pt``) and the log (``log.csv``).
        networks: All that learns.
        schedule: How long, how fast, and when to stop.
        facts: What run this is.
        generator: Source of the loop's randomness.
        going_on: Continue from the checkpoint.
        progress: Called with (steps done, steps in all).
    """

    def __init__(
        self,
        folder: Path,
        networks: nn.Module,
        schedule: ScheduleConfig,
        *,
        facts: RunFacts,
        generator: torch.Generator,
        going_on: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.step = 0
        self._networks, self._best = networks, copy.deepcopy(networks)
        self._schedule, self._facts, self._generator = schedule, facts, generator
        self._optimiser = torch.optim.AdamW(
            networks.parameters(), schedule.learning_rate, weight_decay=schedule.weight_decay
        )
        self._rate = torch.optim.lr_scheduler.OneCycleLR(
            self._optimiser, schedule.learning_rate, schedule.steps
        )
        self._parts: dict[str, Stateful] = {
            "networks": networks,
            "best": self._best,
            "optimiser": self._optimiser,
            "rate": self._rate,
        }
        self._notes: dict[str, float | int] = {"score": -1.0, "best_step": 0, "worse": 0}
        self._checkpoint = folder / "last.pt"
        if going_on:
            self.step, self._notes = resume(
                self._checkpoint, facts, parts=self._parts, generator=generator
            )
        self._log = Log(folder / "log.csv", since=self.step)
        self._progress = progress
        self._saved_s = time.monotonic()

    @property
    def is_over(self) -> bool:
        """All steps are done, or validation has not improved for too long."""
        schedule = self._schedule
        return self.step >= schedule.steps or self._notes["worse"] >= schedule.patience

    @property
    def is_validation_due(self) -> bool:
        """After this step the networks are to be validated (see :meth:`note`)."""
        last = self.step == self._schedule.steps
        return self.step % self._schedule.validate_every == 0 or last

    @property
    def score(self) -> float:
        """Of the best validation so far."""
        return float(self._notes["score"])

    @property
    def best_step(self) -> int:
        """Step of the best validation so far."""
        return int(self._notes["best_step"])

    def learn(self, loss: Float[Tensor, ""]) -> None:
        """One step down the slope of a loss."""
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        self._rate.step()
        self.step += 1

    def note(self, score: float, **row: float) -> None:
        """Take the outcome of a validation: a better one keeps these weights.

        Args:
            score: Higher is better.
            row: What else goes into the log.
        """
        self._notes["worse"] += 1
        if score > self._notes["score"]:
            self._best.load_state_dict(self._networks.state_dict())
            self._notes = {"score": score, "best_step": self.step, "worse": 0}
        self._log.write(step=self.step, **row)

    def tick(self) -> None:
        """Say how far it is, and save if it is time to."""
        if time.monotonic() - self._saved_s > self._schedule.save_every_s:
            self._save()
        if self._progress:
            self._progress(self.step, self._schedule.steps)

    def finish(self) -> None:
        """Save, and give the networks their best weights."""
        self._save()
        self._networks.load_state_dict(self._best.state_dict())
        self._networks.eval()

    def describe(self, command: str) -> dict[str, str]:
        """The facts that a weight file carries."""
        return self._facts.describe(command) | {"best_step": str(self.best_step)}

    def _save(self) -> None:
        save_checkpoint(
            self._checkpoint,
            self._facts,
            step=self.step,
            parts=self._parts,
            generator=self._generator,
            notes=self._notes,
        )
        self._saved_s = time.monotonic()
