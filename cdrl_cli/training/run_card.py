"""A run on one page: recipe, data, code, machine and curves, beside its checkpoint."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from cdrl_cli.training.checkpoint import RunFacts
from cdrl_cli.training.log import read_log

WIDTH_PX, HEIGHT_PX = 640, 160
"""Of the picture of a curve."""


def write_card(run: Path, facts: RunFacts, *, step: int, processes: int) -> Path:
    """Write ``card.md``, and ``curves.svg`` where the log has two rows; both appear when whole.

    Args:
        run: Folder of the run, with its ``log.jsonl``.
        facts: Of the run.
        step: Steps done.
        processes: That shared them, in the part of the run that has just ended.

    Returns:
        The card.
    """
    rows = read_log(run / "log.jsonl")
    curves = {
        "loss": [(row["step"], row["losses"]["total"]) for row in rows],
        "score": [(row["step"], row["score"]) for row in rows if "score" in row],
    }
    lines = [
        f"# {run.name}",
        "",
        f"{step} steps. Code: commit {facts.commit}. Data: sha256 {facts.data_digest}.",
        "",
        *_table(("machine", ""), describe_machine(processes).items()),
        "",
        *_table(("step", "loss", "score"), _thinned(rows)),
    ]
    if len(rows) > 1:
        _replace(run / "curves.svg", draw_curves(curves))
        lines += ["", "![loss and score over the steps](curves.svg)"]
    lines += ["", "```json", json.dumps(facts.config, indent=1), "```", ""]
    return _replace(run / "card.md", "\n".join(lines))


def describe_machine(processes: int) -> dict[str, str]:
    """What a run was computed on, by name."""
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "processes": str(processes),
        "CPU": f"{os.cpu_count()} cores, {platform.machine()}",
        "GPU": ", ".join(gpus) or "none",
        "torch": torch.__version__,
        "Python": platform.python_version(),
        "system": platform.system(),
    }


def draw_curves(curves: Mapping[str, Sequence[tuple[int, float]]]) -> str:
    """Curves over steps as SVG, each between its own lowest and highest value.

    Args:
        curves: Points (step, value) of each, by name; one with fewer than two is left out.
    """
    drawn = []
    for number, (name, points) in enumerate(curves.items()):
        if len(points) > 1:
            drawn.append(_draw(points, name, top=number * HEIGHT_PX))
    size = f'width="{WIDTH_PX}" height="{HEIGHT_PX * len(curves)}"'
    body = "".join(drawn)
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-size="12">{body}</svg>\n'


def _draw(points: Sequence[tuple[int, float]], name: str, *, top: int) -> str:
    steps, values = zip(*points, strict=True)
    low, high = min(values), max(values)
    margin, span = 20, (high - low) or 1.0
    last = steps[-1] - steps[0] or 1
    places = " ".join(
        f"{margin + (WIDTH_PX - 2 * margin) * (step - steps[0]) / last:.1f},"
        f"{top + HEIGHT_PX - margin - (HEIGHT_PX - 2 * margin) * (value - low) / span:.1f}"
        for step, value in points
    )
    words = f"{name}: {low:.4g} to {high:.4g}, steps {steps[0]} to {steps[-1]}"
    return (
        f'<text x="{margin}" y="{top + 14}">{words}</text>'
        f'<polyline points="{places}" fill="none" stroke="black"/>'
    )


def _thinned(rows: Sequence[Mapping[str, Any]], most: int = 20) -> list[tuple[str, str, str]]:
    """At most so many rows of the log, evenly spread, the last among them."""
    chosen = sorted({round(i * (len(rows) - 1) / (most - 1)) for i in range(most)}) if rows else []
    return [
        (
            str(rows[i]["step"]),
            f"{rows[i]['losses']['total']:.4g}",
            f"{rows[i]['score']:.4f}" if "score" in rows[i] else "",
        )
        for i in chosen
    ]


def _table(head: Sequence[str], rows: Any) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def _replace(path: Path, text: str) -> Path:
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, "utf-8")
    part.replace(path)
    return path
