"""``spfem evaluate``: numbers of the shipped weights, on people never learned from."""

from pathlib import Path
from typing import Annotated

import typer

from cdrl_cli.cli.console import print_json
from cdrl_cli.cli.options import Json, Quiet, Weights
from cdrl_cli.cli.progress import count_progress
from cdrl_cli.cli.train import Cache, Data

app = typer.Typer(name="evaluate", help="Measure the shipped weights.", no_args_is_help=True)


@app.callback()
def evaluate() -> None:
    """Measure the shipped weights on people never learned from."""


@app.command()
def representations(
    data: Data,
    *,
    cache: Cache = Path("runs/prepared"),
    weights: Weights = "permissive",
    recipe: Annotated[
        Path | None,
        typer.Option(
            help="Recipe that knows whose sound is late: configs/ccrl-research.toml.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Do the emotion and the content code say what they are for, and nothing else?

    Prints a Markdown table with bootstrap 95 % intervals over clips. Needs the optional parts text
    and speech (spfem download-weights text speech).
    """
    from cdrl_cli.evaluation.representations import draw_table, evaluate_content, evaluate_emotion
    from cdrl_cli.training.config import CcrlConfig, read_config

    known = None if recipe is None else read_config(recipe, CcrlConfig).data
    with count_progress("reading faces", quiet=quiet) as progress:
        rows = evaluate_emotion(data, cache, weight_set=weights, progress=progress)
    with count_progress("listening to clips", quiet=quiet) as progress:
        rows += evaluate_content(data, cache, weight_set=weights, recipe=known, progress=progress)
    if json:
        print_json({"weights": weights, "rows": rows})
    else:
        typer.echo("\n".join(draw_table(rows)))
