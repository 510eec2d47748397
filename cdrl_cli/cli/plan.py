"""What ``spfem edit --dry-run`` shows, and the room that ``--resume`` says it needs."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cdrl_cli.cli.console import print_json, printable, say

if TYPE_CHECKING:
    from cdrl_cli.edit_options import EditOptions
    from cdrl_cli.planning import EditPlan

_MINUTE_S = 60
_HOUR_S = 3600


def show_plan(plan: "EditPlan", beside: Sequence[Path] = (), *, json: bool) -> None:
    """Print a plan to stdout, as text or as one JSON object, and its warnings to stderr.

    Args:
        plan: What an edit would do.
        beside: Files that would be written beside its output.
        json: Whether to print JSON.
    """
    for warning in plan.warnings:
        say(warning, label="warning", style="yellow")
    if json:
        print_json(plan)
        return
    lines = [*_describe(plan), *(f"beside it  {one}, not counted above" for one in beside)]
    typer.echo("\n".join(map(printable, lines)))


def say_room(source: Path, output: Path, options: "EditOptions") -> None:
    """Say how much room an edit in segments needs beside its output."""
    from cdrl_cli.planning import room_for_segments

    if (room := room_for_segments(source, output, options)) is not None:
        needed, free = room
        line = f"segments and output take up to {_size(needed)} beside {output}"
        if free < needed:
            say(f"{line}; only {_size(free)} are free", label="warning", style="yellow")
        else:
            say(f"{line}; {_size(free)} are free")


def say_leftovers(output: Path) -> None:
    """Say where a killed edit has left finished segments, which this one will remove."""
    from cdrl_cli.media.segments import leftovers

    if leftovers(output):
        say(f"a killed edit has left segments beside {output}: --resume would go on with them")


def _describe(plan: "EditPlan") -> Iterator[str]:
    begin = "the beginning" if plan.start is None else _clock(float(plan.start))
    end = "the end" if plan.end is None else _clock(float(plan.end))
    yield f"would edit {plan.source} to {plan.output}; nothing is written"
    yield f"range      {begin} to {end} of {_clock(plan.duration_s)}"
    copied = f", {plan.copied_frames} copied" if plan.copied_frames else ""
    yield (
        f"frames     {plan.frames_in_range} of {plan.frames} in the range; "
        f"{plan.encoded_frames} encoded{copied}"
    )
    if plan.tried_frames:
        share = plan.edited_frames / plan.tried_frames
        yield (
            f"faces      {plan.faces or 'none'}; a face can be edited in {share:.0%} of "
            f"{plan.tried_frames} frames tried"
        )
    else:
        yield "faces      no frame lies in the range"
    for found in plan.targets:
        if found is not None:
            yield (
                f"intensity  {found.intensity:g}: {found.emotion} is read with {found.reached:.0%} "
                f"by our own reader, {found.target:.0%} was asked for"
            )
    if plan.segments is not None:
        yield f"segments   {plan.segments_done} of {plan.segments} done"
    yield f"time       about {_length(plan.elapsed_s)}"
    yield f"size       about {_size(plan.output_bytes)}"
    yield (
        f"room       about {_size(plan.disk_bytes)} beside the output; "
        f"{_size(plan.disk_free_bytes)} are free"
    )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds, 3), _MINUTE_S)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:06.3f}"


def _length(seconds: float) -> str:
    if seconds < 2 * _MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < 2 * _HOUR_S:
        return f"{seconds / _MINUTE_S:.0f} min"
    return f"{seconds / _HOUR_S:.1f} h"


def _size(count: float) -> str:
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 1000:  # noqa: PLR2004 - to the next unit
            return f"{count:.3g} {unit}"
    return f"{count / 1000:.3g} TB"
