"""``spfem batch``."""

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from cdrl_cli.cli.console import print_json, printable, say
from cdrl_cli.cli.options import (
    C2paCert,
    C2paKey,
    C2paTsa,
    Codec,
    Consent,
    Crf,
    DeviceName,
    Disclose,
    DiscloseAt,
    EmotionPresetName,
    FaceName,
    Intensity,
    Json,
    Preset,
    ProgressMode,
    Quiet,
    Weights,
    parse_shard,
    read_signing,
)
from cdrl_cli.cli.pipes import STANDARD
from cdrl_cli.cli.progress import (
    Mode,
    frame_bar,
    frame_rate,
    json_facts,
    shown_mode,
    write_json_line,
)
from cdrl_cli.cli.settings import config_file, read_presets, was_given
from cdrl_cli.errors import BatchError, UnreadableInputError, UsageError, check_memory_limit
from cdrl_cli.streams import read_chunks
from cdrl_cli.weight_set import WeightSet

if TYPE_CHECKING:
    from rich.progress import Progress as ProgressBar
    from rich.progress import TaskID

    from cdrl_cli.batch import BatchRow, PlannedRow, RowResult
    from cdrl_cli.batch.run import BatchCallable, BatchEvent
    from cdrl_cli.editing import Progress

EXAMPLES = """\
\b
Examples:
  spfem batch rows.csv
  spfem batch rows.csv --dry-run
  spfem batch rows.jsonl --jobs 4 --resume
  spfem batch rows.csv --shard 2/8           one of 8 machines that share a disk
  spfem batch rows.csv --ray auto            on a Ray cluster that shares a disk
  make-rows | spfem batch - --json

\b
A manifest is CSV with a header, or JSONL. Its columns are options of edit:
  source, output; ref, emotion or both; way, ref_neutral, ref_face, ref_start, ref_end; intensity,
  pace, preset_emotion, target_emotion, adjust, face, who, start, end, schedule, copy_untouched,
  video_stream, codec, crf, preset, weights, device, consent, compare, report; follow_ref,
  normalize, neutralise, resume, overwrite (true or false); disclose (true, false or a corner)
Paths are relative to the manifest, with - to the working directory.

MANIFEST.results.jsonl gets one line of JSON as each row ends.

--json prints one object: rows, ok, failed, skipped, not_finished, elapsed_s, results. With
--dry-run: rows, results, plan. Exit code 7 when rows failed.
"""


def batch(
    context: typer.Context,
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", help="CSV or JSONL, or -.", show_default=False)
    ],
    *,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=1, envvar="SPFEM_JOBS", help="Processes at work.")
    ] = 1,
    resume: Annotated[
        bool, typer.Option("--resume", help="Leave out what is done and has not changed.")
    ] = False,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Stop at the first row that fails.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Only row I, I+N, I+2N, …", show_default=False),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where the results go. Default: MANIFEST.results.jsonl.",
            show_default=False,
        ),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            envvar="SPFEM_RAY",
            help="Edit on a Ray cluster that shares this file system.",
            show_default=False,
        ),
    ] = None,
    gpus_per_task: Annotated[
        float, typer.Option(min=0.0, help="GPUs that Ray reserves for a row; may be a fraction.")
    ] = 0.0,
    intensity: Intensity = 1.0,
    preset_emotion: EmotionPresetName = None,
    face: FaceName = "largest",
    codec: Codec = None,
    crf: Crf = None,
    preset: Preset = None,
    weight_set: Weights = WeightSet.PERMISSIVE,
    device: DeviceName = "auto",
    c2pa_cert: C2paCert = None,
    c2pa_key: C2paKey = None,
    c2pa_tsa: C2paTsa = None,
    consent: Consent = None,
    disclose: Disclose = False,
    disclose_at: DiscloseAt = "bottom-left",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", "-y", help="Replace outputs that exist.")
    ] = False,
    progress: ProgressMode = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Edit all rows of MANIFEST: the models are loaded once, and a row that fails stops no other.

    All rows are checked before the first edit starts. Options here hold for rows that do not say
    otherwise.
    """
    part = parse_shard(shard) if shard else None
    if manifest == STANDARD and sys.stdin.isatty():
        raise UsageError("standard input is a terminal, not a manifest")
    if not ray and was_given(context, "gpus_per_task"):
        raise UsageError("--gpus-per-task is what Ray reserves: give --ray, too")
    if was_given(context, "ray") and was_given(context, "jobs"):
        raise UsageError(
            "--jobs is of this machine alone", hint="--ray takes the processors that Ray has"
        )

    check_memory_limit()
    from cdrl_cli.batch import (
        RayCluster,
        RowDefaults,
        plan_batch,
        read_manifest,
        results_path,
        run_batch,
        select_shard,
    )
    from cdrl_cli.media.encoder import check_takes_quality
    from cdrl_cli.nn.devices import read_device

    for word in ("crf", "preset"):
        if was_given(context, word):
            check_takes_quality(codec, word)
    defaults = RowDefaults(
        intensity=intensity,
        preset_emotion=preset_emotion,
        own_presets=read_presets(config_file(context)),
        face=face,
        codec=codec,
        crf=crf,
        preset=preset,
        weight_set=weight_set,
        device=read_device(device),
        overwrite=overwrite,
        signing=read_signing(c2pa_cert, c2pa_key, c2pa_tsa),
        consent=consent,
        disclose=disclose_at if disclose else None,
        disclose_at=disclose_at,
    )
    rows = read_manifest(_standard_input() if manifest == STANDARD else manifest, defaults=defaults)
    if part:
        rows = select_shard(rows, *part)
    named = Path("stdin") if manifest == STANDARD else manifest
    record = results or results_path(named, part)
    read = None if manifest == STANDARD else manifest
    if dry_run:
        plan = plan_batch(rows, record, manifest=read, resume=resume)
        if json:
            print_json({"rows": len(plan), "results": record, "plan": plan})
        else:
            typer.echo("\n".join(map(_describe_plan, plan)))
        return
    with _show_batch(len(rows), quiet=quiet, mode=progress) as show:
        summary = run_batch(
            rows,
            record,
            manifest=read,
            jobs=jobs,
            cluster=RayCluster(ray, gpus_per_task) if ray else None,
            resume=resume,
            fail_fast=fail_fast,
            report=show,
        )
    if not quiet:
        say(
            f"{summary.ok} of {summary.rows} rows edited, {summary.skipped} skipped, "
            f"{summary.failed} failed in {summary.elapsed_s:.1f} s: {summary.results}"
        )
    if json:
        print_json(summary)
    if summary.failed:
        raise typer.Exit(BatchError.exit_code)


def _standard_input() -> TextIO:
    """All of standard input: a manifest may come through a pipe that does not block."""
    if not hasattr(sys.stdin, "buffer"):  # a caller has put text there
        return sys.stdin
    try:
        data = b"".join(read_chunks(sys.stdin.buffer))
    except OSError as error:
        raise UnreadableInputError(f"stdin: cannot be read ({error.strerror or error})") from error
    return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8")


def _describe_plan(row: "PlannedRow") -> str:
    problem = f" ({row.problem})" if row.problem else ""
    return printable(f"{row.row:>5}  {row.action:<4}  {row.source} -> {row.output}{problem}")


@contextmanager
def _show_batch(total: int, *, quiet: bool, mode: Mode) -> "Iterator[BatchCallable]":
    """Give a callable that shows how rows start, go on and end; failures are always named."""
    match shown_mode(mode, quiet=quiet):
        case "none":
            yield _Display(total).show
        case "jsonl":
            yield _JsonLines(total).show
        case "text":
            yield _Lines(total).show
        case "bar":
            with frame_bar() as bar:
                yield _Bars(total, bar).show


class _Display:
    """Names the rows that failed, a line each, and counts."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        self._rates: dict[int, Callable[[int], float]] = {}

    def show(self, event: "BatchEvent") -> None:
        """Show what has happened."""
        from cdrl_cli.batch import RowEnded, RowProgress

        row = event.row
        if isinstance(event, RowEnded):
            self.done += 1
            if event.result.error:
                message = event.result.error.message
                say(f"row {row.number}, line {row.line}: {message}", label="error", style="red")
            self.on_end(event.result)
        elif isinstance(event, RowProgress):
            rate = self._rates.setdefault(row.number, frame_rate())
            self.on_progress(row.number, event.progress, rate(event.progress.frames_done))
        else:
            self.on_start(row)

    def on_start(self, row: "BatchRow") -> None:
        """A row is being edited."""

    def on_progress(self, number: int, progress: "Progress", frames_per_s: float) -> None:
        """It has come so far."""

    def on_end(self, result: "RowResult") -> None:
        """A row has ended."""


class _Lines(_Display):
    """A line for each row that ends."""

    def on_end(self, result: "RowResult") -> None:
        if result.status == "ok":
            took = f"in {result.seconds:.1f} s: {result.output}"
            say(f"row {result.row} edited {took} ({self.done} of {self.total})")


class _JsonLines(_Display):
    """Objects for a program."""

    def on_progress(self, number: int, progress: "Progress", frames_per_s: float) -> None:
        self._write(number, json_facts(progress, frames_per_s))

    def on_end(self, result: "RowResult") -> None:
        self._write(result.row, {"status": result.status})

    def _write(self, number: int, facts: dict[str, object]) -> None:
        write_json_line({"row": number, "rows_done": self.done, "rows_total": self.total} | facts)


class _Bars(_Display):
    """A bar for all rows, and one for each that is being edited."""

    def __init__(self, total: int, bar: "ProgressBar") -> None:
        super().__init__(total)
        self._bar = bar
        self._rows = bar.add_task("rows", total=total, rate="")
        self._tasks: dict[int, TaskID] = {}

    def on_start(self, row: "BatchRow") -> None:
        self._tasks[row.number] = self._bar.add_task(row.source.name, total=None, rate="")

    def on_progress(self, number: int, progress: "Progress", frames_per_s: float) -> None:
        self._bar.update(
            self._tasks[number],
            completed=progress.frames_done,
            total=progress.frames_total,
            rate=f"{frames_per_s:.1f} fps",
        )

    def on_end(self, result: "RowResult") -> None:
        self._bar.update(self._rows, completed=self.done)
        if result.row in self._tasks:
            self._bar.remove_task(self._tasks.pop(result.row))
