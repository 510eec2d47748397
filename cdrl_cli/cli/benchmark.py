"""``spfem benchmark``."""

import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from cdrl_cli.cli.console import print_json, say, to_json
from cdrl_cli.cli.options import Json, Quiet, Weights
from cdrl_cli.cli.progress import count_progress
from cdrl_cli.errors import UsageError
from cdrl_cli.weight_set import WeightSet

EXAMPLES = """\
\b
Examples:
  spfem data index MEAD --dataset mead -o data
  spfem benchmark data -o runs/benchmark
  spfem benchmark data -o runs/benchmark --row mine=runs/paper/generator --identity same
"""


def benchmark(
    data: Annotated[
        Path,
        typer.Argument(
            help="Folder with index.csv: what spfem data index wrote.", show_default=False
        ),
    ],
    *,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="Folder for benchmark.md, benchmark.json and the edited clips.",
            show_default=False,
        ),
    ],
    identity: Annotated[
        Literal["same", "cross"], typer.Option(help="Whose the references are.")
    ] = "cross",
    edits: Annotated[int, typer.Option(min=2, help="Of each row, at most.")] = 36,
    row: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FOLDER",
            help="One more row: a generator that spfem train wrote. Repeatable.",
            show_default=False,
        ),
    ] = None,
    network: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MEASURE=FILE",
            help="The network of FAD or CSIM, ONNX, else SFace measures, under another name; or "
            "of LSE, syncnet_v2.model, else it is not measured. Repeatable.",
            show_default=False,
        ),
    ] = None,
    weight_set: Weights = WeightSet.PERMISSIVE,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run the paper's protocol on a data set, and write the page that others can make again.

    Floor (no edit), the codec alone and ceiling (other real takes) stand in every table; the
    paper's rows beside it, marked as published. Needs the optional parts judge and identity.
    """
    from cdrl_cli.checkpoints.models import load_models
    from cdrl_cli.evaluation.paper_protocol import measure_protocol
    from cdrl_cli.evaluation.protocol_page import draw_protocol

    rows = {"shipped": load_models(weight_set)}
    for name, folder in (_split(words, "row") for words in row or ()):
        rows[name] = load_models(weight_set, generator=folder)
    networks = dict(_split(words, "network") for words in network or ())
    with count_progress("measuring rows", quiet=quiet) as progress:
        measured = measure_protocol(
            rows,
            data,
            output,
            identity=identity,
            edits=edits,
            networks=networks,
            progress=progress,
        )
    command = shlex.join(["spfem", *sys.argv[1:]])
    page = "\n".join(draw_protocol(measured, identity=identity, command=command))
    (output / "benchmark.md").write_text(page + "\n", "utf-8")
    (output / "benchmark.json").write_text(to_json(measured) + "\n", "utf-8")
    if not quiet:
        say(f"{output}: benchmark.md, benchmark.json")
    if json:
        print_json(measured)
    else:
        typer.echo(page)


def _split(words: str, option: str) -> tuple[str, Path]:
    name, _, place = words.partition("=")
    if not name or not place:
        raise UsageError(f"--{option} {words}: not NAME=PATH")
    return name, Path(place)
