"""``spfem evaluate``: numbers of the shipped weights, on people never learned from."""

from pathlib import Path

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
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Do the emotion and the content code say what they are for, and nothing else?

    Prints a Markdown table with bootstrap 95 % intervals over clips. Needs the optional parts text
    and speech (spfem download-weights text speech).
    """
    from cdrl_cli.evaluation.representations import draw_table, evaluate_content, evaluate_emotion

    rows = []
    for name, measure in (("emotion", evaluate_emotion), ("content", evaluate_content)):
        with count_progress(f"reading clips for {name}", quiet=quiet) as progress:
            rows += measure(data, cache, weight_set=weights, progress=progress)
    if json:
        print_json({"weights": weights, "rows": rows})
    else:
        typer.echo("\n".join(draw_table(rows)))
