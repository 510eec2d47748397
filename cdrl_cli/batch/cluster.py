"""Rows as tasks of a Ray cluster: Ray finds the machines, and tries again when one is lost.

Every machine must have this package, and see the files under the same names: nothing is copied.
"""

import logging
import os
import sys
from contextlib import ExitStack, redirect_stdout, suppress
from dataclasses import replace
from functools import cache
from typing import Any

from cdrl_cli.batch.manifest import BatchRow
from cdrl_cli.batch.results import RowError
from cdrl_cli.batch.worker import Outcome, RowProgress, Worker
from cdrl_cli.errors import SpfemError, UsageError

MAX_RETRIES = 3
"""Machines that may be lost over one row."""

MAX_PENDING = 1000
"""Rows handed to Ray at a time; it is made for many, and the next ones lose nothing by waiting."""


class RayPool:
    """Edits rows on a Ray cluster; a context manager.

    Args:
        address: What :func:`ray.init` takes: ``auto``, ``HOST:PORT``, ``ray://HOST:PORT``.
        gpus_per_task: Of Ray's resources, for each row; may be a fraction.

    Raises:
        UsageError: If Ray is not installed.
        SpfemError: If there is no cluster at the address.
    """

    def __init__(self, address: str, *, gpus_per_task: float = 0.0) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report to its makers
        try:
            import ray
        except ImportError as error:
            raise UsageError(
                "--ray needs Ray, which is not installed", hint="pip install 'spfem[ray]'"
            ) from error
        self._ray = ray
        self._address = address
        self._task = ray.remote(num_cpus=1, num_gpus=gpus_per_task, max_retries=MAX_RETRIES)(
            _edit_row_again
        )
        self._rows: dict[Any, BatchRow] = {}
        self._stack = ExitStack()

    def __enter__(self) -> "RayPool":
        try:
            # Ray tells of lost machines on stdout, which is not ours to give.
            self._stack.enter_context(redirect_stdout(sys.stderr))
            self._ray.init(address=self._address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError, RuntimeError) as error:
            self._stack.close()
            raise SpfemError(
                f"no Ray cluster at {self._address} ({error})",
                hint="start one with: ray start --head",
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        for task in self._rows:
            with suppress(Exception):  # it may be done, or its machine gone
                self._ray.cancel(task, force=True)
        self._ray.shutdown()
        self._stack.close()

    @property
    def is_full(self) -> bool:
        """No more rows are taken now."""
        return len(self._rows) >= MAX_PENDING

    @property
    def is_busy(self) -> bool:
        """Rows are under way."""
        return bool(self._rows)

    def submit(self, row: BatchRow) -> None:
        """Take a row."""
        self._rows[self._task.remote(row)] = row

    def wait(self) -> RowProgress | tuple[BatchRow, Outcome]:
        """The next row that has ended."""
        (task,), _ = self._ray.wait(list(self._rows), num_returns=1)
        row = self._rows.pop(task)
        try:
            outcome: Outcome = self._ray.get(task)
        except self._ray.exceptions.RayError as error:
            reason = str(error).strip().splitlines()[0]
            outcome = Outcome(0.0, RowError("crashed", f"Ray lost the task: {reason}"))
        return row, outcome


def _edit_row_again(row: BatchRow) -> Outcome:
    """Edit a row that may have been edited already, on a machine that was lost before it said so.

    Whether the output may be written at all was checked before the first try. A process of its own
    edits it, as without Ray: one that dies of a row or hangs over it fails that row alone.
    """
    own = replace(row, options=replace(row.options, overwrite=True))
    return _worker().edit(own, lambda _: None)


@cache
def _worker() -> Worker:
    """Started once by each process of Ray's; it ends with that."""
    return Worker()
