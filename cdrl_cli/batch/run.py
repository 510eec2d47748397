"""The rows of a batch, edited by processes of this machine or by a Ray cluster."""

import os
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from time import perf_counter
from typing import Literal, Protocol

from cdrl_cli.batch.manifest import BatchRow
from cdrl_cli.batch.results import (
    Past,
    RowError,
    RowResult,
    Status,
    check_record,
    companions,
    input_digest,
    open_record,
    options_digest,
)
from cdrl_cli.batch.worker import Outcome, RowProgress, Worker
from cdrl_cli.editing import Progress
from cdrl_cli.errors import PolicyError, SpfemError, UsageError
from cdrl_cli.media import check_input, check_output

Action = Literal["edit", "skip", "fail"]


@dataclass(frozen=True, slots=True)
class RowStarted:
    """A row is being edited."""

    row: BatchRow


@dataclass(frozen=True, slots=True)
class RowEnded:
    """A row is done, has failed, or need not be done."""

    row: BatchRow
    result: RowResult


BatchEvent = RowStarted | RowProgress | RowEnded
BatchCallable = Callable[[BatchEvent], None]


@dataclass(frozen=True, slots=True)
class BatchSummary:
    """What a batch did."""

    rows: int
    """Rows that were asked for."""
    ok: int
    failed: int
    skipped: int
    """Rows that an earlier run had done."""
    not_finished: int
    """Rows left after the first failure, where that was to end the batch."""
    elapsed_s: float
    results: Path
    """File with one line of JSON a row."""


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """What a batch would do with a row."""

    row: int
    line: int
    source: Path
    output: Path
    action: Action
    """``edit``, ``skip`` (done by an earlier run), or ``fail``."""
    problem: str | None
    """Why it would fail, as far as can be told without opening the source."""


@dataclass(frozen=True, slots=True)
class RayCluster:
    """Where rows run instead of here."""

    address: str
    """What :func:`ray.init` takes: ``auto`` or ``HOST:PORT``."""
    gpus_per_task: float = 0.0


def run_batch(
    rows: Sequence[BatchRow],
    results: Path | str,
    *,
    manifest: Path | str | None = None,
    jobs: int = 1,
    cluster: RayCluster | None = None,
    resume: bool = False,
    fail_fast: bool = False,
    report: BatchCallable | None = None,
) -> BatchSummary:
    """Edit rows, and append how each ended to a results file.

    A row that fails, or takes its process with it, does not stop the others.

    Args:
        rows: What to do.
        results: The record; :func:`results_path` names the usual one.
        manifest: Where the rows were read, if from a file; never written to.
        jobs: Processes; each loads the models once.
        cluster: Edit there, a task a row, instead of in processes of this machine.
        resume: Leave out rows that ``results`` says are done, where nothing has changed since.
        fail_fast: Start no row after one has failed; those under way are ended.
        report: Called, from the calling thread, as rows start, go on and end.

    Raises:
        UsageError: If ``jobs`` is not positive, or Ray is asked for and not installed.
        PolicyError: If another batch is writing to ``results``, or it is no record of a batch, or
            a file of the batch would be two things at once.
        OutputError: If ``results`` cannot be written.
    """
    results, manifest = Path(results), None if manifest is None else Path(manifest)
    check_roles(rows, results, manifest)
    report = report or (lambda _: None)
    began = perf_counter()
    statuses: Counter[str] = Counter()
    digests: dict[int, str | None] = {}
    with open_record(results, resume=resume) as record, _open_pool(jobs, cluster) as pool:

        def end(row: BatchRow, status: Status, outcome: Outcome) -> None:
            # Of the input as it was when the row was taken: it may have changed since.
            digest = digests.pop(row.number, None) or input_digest(row)
            result = _row_result(row, status, outcome, digest)
            record.end(result)
            statuses[status] += 1
            report(RowEnded(row, result))

        def attend() -> None:
            """Wait for the next news of a row, and pass it on."""
            news = pool.wait()
            if isinstance(news, RowProgress):
                report(news)
            else:
                row, outcome = news
                end(row, "failed" if outcome.error else "ok", outcome)

        for asked in rows:
            while pool.is_full:
                attend()
            if fail_fast and statuses["failed"]:
                break
            row = _as_own(asked) if record.was_cut(asked) else asked
            if record.is_done(row):
                end(row, "skipped", Outcome(0.0))
            elif (problem := _problem(row)) is not None:
                end(row, "failed", Outcome(0.0, RowError.of(problem)))
            else:
                record.begin(row)
                digests[row.number] = input_digest(row)
                pool.submit(row)
                report(RowStarted(row))
        while pool.is_busy and not (fail_fast and statuses["failed"]):
            attend()
    return BatchSummary(
        rows=len(rows),
        ok=statuses["ok"],
        failed=statuses["failed"],
        skipped=statuses["skipped"],
        not_finished=len(rows) - statuses.total(),
        elapsed_s=perf_counter() - began,
        results=results,
    )


def check_roles(rows: Sequence[BatchRow], results: Path, manifest: Path | None) -> None:
    """Refuse a batch in which one file would be two things: read and written, or written by two.

    Rows among themselves are checked where they are read.

    Raises:
        PolicyError: If the record is also an input, an output, the manifest or a key; or if a row
            writes the manifest or a key.
    """
    kept: dict[str, str] = {}
    if manifest is not None:
        kept[os.path.realpath(manifest)] = "the manifest"
    for row in rows:
        signing = row.options.signing
        for path, role in (
            (row.source, f"the source of row {row.number}"),
            *((path, f"read by row {row.number}") for path in row.options.reference_files),
            (signing.certificates if signing else None, "the certificates"),
            (signing.key if signing else None, "the key"),
        ):
            if path is not None:
                kept.setdefault(os.path.realpath(path), role)
    written = [(path, "the results") for path in companions(results)]
    written += [(row.output, f"the output of row {row.number}") for row in rows]
    ours: dict[str, str] = {}
    for path, role in written:
        name = os.path.realpath(path)
        if other := kept.get(name) or ours.get(name):
            hint = "name another file with --results" if role == "the results" else None
            raise PolicyError(f"{path}: would be {role} and is {other}", hint=hint)
        ours[name] = role


def plan_batch(
    rows: Sequence[BatchRow],
    results: Path,
    *,
    manifest: Path | None = None,
    resume: bool = False,
) -> tuple[PlannedRow, ...]:
    """What :func:`run_batch` would do with each row; writes nothing.

    Raises:
        PolicyError: If ``results`` is no record of a batch, or a file would be two things at once.
    """
    check_roles(rows, results, manifest)
    check_record(results)
    past = Past.read(results) if resume else Past()
    return tuple(_plan(row, past) for row in rows)


def _plan(row: BatchRow, past: Past) -> PlannedRow:
    action: Action = "edit"
    problem = None
    if past.is_done(row):
        action = "skip"
    elif problem := _problem(_as_own(row) if past.was_cut(row) else row):
        action = "fail"
    return PlannedRow(
        row=row.number,
        line=row.line,
        source=row.source,
        output=row.output,
        action=action,
        problem=None if problem is None else str(problem),
    )


def _problem(row: BatchRow) -> SpfemError | None:
    """What the disk says against a row, without opening its source."""
    inputs = [row.source, *row.options.reference_files]
    try:
        for path in inputs:
            check_input(path)
        check_output(row.output, inputs=inputs, overwrite=row.options.overwrite)
    except SpfemError as error:
        return error
    return None


def _as_own(row: BatchRow) -> BatchRow:
    """The row, free to replace what it has written itself."""
    return replace(row, options=replace(row.options, overwrite=True))


def _row_result(row: BatchRow, status: Status, outcome: Outcome, digest: str | None) -> RowResult:
    return RowResult(
        row=row.number,
        line=row.line,
        source=row.source,
        output=row.output,
        status=status,
        seconds=round(outcome.seconds, 3),
        error=outcome.error,
        result=outcome.result,
        input_digest=digest,
        options_digest=options_digest(row),
    )


class Pool(Protocol):
    """What edits several rows at once; a context manager, which ends those under way."""

    @property
    def is_full(self) -> bool:
        """No more rows are taken now."""
        ...

    @property
    def is_busy(self) -> bool:
        """Rows are under way."""
        ...

    def submit(self, row: BatchRow) -> None:
        """Take a row."""
        ...

    def wait(self) -> "RowProgress | tuple[BatchRow, Outcome]":
        """The next news of a row under way."""
        ...


def _open_pool(jobs: int, cluster: RayCluster | None) -> AbstractContextManager[Pool]:
    if cluster is None:
        return ProcessPool(jobs)
    from cdrl_cli.batch.cluster import RayPool

    return RayPool(cluster.address, gpus_per_task=cluster.gpus_per_task)


class ProcessPool:
    """Processes of this machine, each attended by a thread.

    Raises:
        UsageError: If ``jobs`` is not positive.
    """

    def __init__(self, jobs: int) -> None:
        if jobs < 1:
            raise UsageError(f"{jobs} jobs cannot do anything")
        self._jobs = jobs
        self._under_way = 0
        self._todo: SimpleQueue[BatchRow | None] = SimpleQueue()
        self._news: SimpleQueue[RowProgress | tuple[BatchRow, Outcome]] = SimpleQueue()
        self._workers = [Worker() for _ in range(jobs)]
        self._threads = [
            threading.Thread(target=self._attend, args=(worker,), daemon=True)
            for worker in self._workers
        ]

    def __enter__(self) -> "ProcessPool":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for _thread in self._threads:
            self._todo.put(None)
        for worker in self._workers:  # all at once: one that is slow to end lets none go on
            worker.dismiss()
        for worker in self._workers:
            worker.stop()
        for thread in self._threads:
            thread.join()

    @property
    def is_full(self) -> bool:
        """No more rows are taken now."""
        return self._under_way >= self._jobs

    @property
    def is_busy(self) -> bool:
        """Rows are under way."""
        return self._under_way > 0

    def submit(self, row: BatchRow) -> None:
        """Take a row."""
        self._under_way += 1
        self._todo.put(row)

    def wait(self) -> RowProgress | tuple[BatchRow, Outcome]:
        """The next news of a row under way."""
        news = self._news.get()
        if not isinstance(news, RowProgress):
            self._under_way -= 1
        return news

    def _attend(self, worker: Worker) -> None:
        while (row := self._todo.get()) is not None:
            try:
                outcome = worker.edit(row, partial(self._report, row))
            except Exception as error:
                # Else nobody would hear of the row, and the batch would wait for it for ever.
                traceback.print_exc()
                outcome = Outcome(0.0, RowError("bug", f"{type(error).__name__}: {error}"))
            self._news.put((row, outcome))

    def _report(self, row: BatchRow, progress: Progress) -> None:
        self._news.put(RowProgress(row, progress))
