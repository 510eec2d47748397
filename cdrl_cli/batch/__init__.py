"""Many edits: what a manifest asks for, one row after the other, with a record of each."""

from cdrl_cli.batch.manifest import BatchRow, RowDefaults, read_manifest, select_shard
from cdrl_cli.batch.results import RowError, RowResult, results_path
from cdrl_cli.batch.run import (
    BatchSummary,
    PlannedRow,
    RayCluster,
    RowEnded,
    RowStarted,
    plan_batch,
    run_batch,
)
from cdrl_cli.batch.worker import RowProgress

__all__ = [
    "BatchRow",
    "BatchSummary",
    "PlannedRow",
    "RayCluster",
    "RowDefaults",
    "RowEnded",
    "RowError",
    "RowProgress",
    "RowResult",
    "RowStarted",
    "plan_batch",
    "read_manifest",
    "results_path",
    "run_batch",
    "select_shard",
]
