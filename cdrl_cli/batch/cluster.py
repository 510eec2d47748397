"""Rows as tasks of a Ray cluster."""

from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import Any

from cdrl_cli.batch.manifest import BatchRow
from cdrl_cli.batch.results import RowError
from cdrl_cli.batch.worker import Outcome, RowProgress, Worker
from cdrl_cli.ray_session import MAX_PENDING, MAX_RETRIES, RaySession


class RayPool:
    """Edits rows on a Ray cluster; a context manager.

    Args:
        address: Of the cluster (:class:`~cdrl_cli.ray_session.RaySession`).
        gpus_per_task: Of Ray's resources, for each row; may be a fraction.

    Raises:
        UsageError: If Ray is not installed.
        SpfemError: If there is no cluster at the address.
    """

    def __init__(self, address: str, *, gpus_per_task: float = 0.0) -> None:
        self._session = RaySession(address)
        self._gpus_per_task = gpus_per_task
        self._ray: Any = None
        self._task: Any = None
        self._rows: dict[Any, BatchRow] = {}

    def __enter__(self) -> "RayPool":
        self._ray = self._session.__enter__()
        self._task = self._ray.remote(
            num_cpus=1, num_gpus=self._gpus_per_task, max_retries=MAX_RETRIES
        )(_edit_row_again)
        return self

    def __exit__(self, *error: object) -> None:
        for task in self._rows:
            with suppress(Exception):  # it may be done, or its machine gone
                self._ray.cancel(task, force=True)
        self._session.__exit__(*error)

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
