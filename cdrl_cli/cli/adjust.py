"""``spfem adjust``."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer

from cdrl_cli.cli.console import print_json, say
from cdrl_cli.cli.options import Json, Overwrite, Quiet, Weights, read_time
from cdrl_cli.cli.settings import was_given
from cdrl_cli.errors import UsageError, check_memory_limit
from cdrl_cli.weight_set import WeightSet

EXAMPLES = """\
\b
Examples:
  spfem adjust
  spfem adjust talk.mp4 -o controls.png
  spfem adjust talk.mp4 -o controls.png --at 3.5 --amount 1

--json prints one object: controls, each with its name and meaning; with SOURCE: output, too.
"""


def adjust(
    context: typer.Context,
    source: Annotated[
        Path | None,
        typer.Argument(metavar="SOURCE", help="A clip or an image.", show_default=False),
    ] = None,
    *,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where the picture goes, .png.", show_default=False),
    ] = None,
    at: Annotated[
        Fraction | None,
        typer.Option(
            parser=read_time,
            metavar="TIME",
            help="Show the face from here on. Default: the first.",
            show_default=False,
        ),
    ] = None,
    amount: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="How far each control is moved either way.")
    ] = 0.7,
    weight_set: Weights = WeightSet.PERMISSIVE,
    overwrite: Overwrite = False,
    list_: Annotated[
        bool, typer.Option("--list", help="List them; so it does without SOURCE, too.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """List the fine controls of edit --adjust, or draw what each does to the face in SOURCE."""
    if (source is None) != (output is None):
        raise UsageError(
            "a picture takes both SOURCE and -o", hint="spfem adjust talk.mp4 -o s.png"
        )
    if source is None:
        for option in ("at", "amount", "overwrite"):
            if was_given(context, option):
                raise UsageError(
                    f"--{option} says something of a picture, and none is asked for",
                    hint="give SOURCE and -o, too",
                )
    from cdrl_cli.generator.adjust import CONTROLS

    facts: dict[str, object] = {
        "controls": [{"name": name, "meaning": one.meaning} for name, one in CONTROLS.items()]
    }
    if source is not None and output is not None:
        check_memory_limit()
        from cdrl_cli.checkpoints.models import load_models
        from cdrl_cli.control_sheet import write_controls

        models = load_models(weight_set)
        write_controls(source, output, amount=amount, at=at, models=models, overwrite=overwrite)
        facts["output"] = output
        if not quiet:
            say(f"what each control does, at {amount:g} either way: {output}")
    if json:
        print_json(facts)
    elif list_ or source is None:
        typer.echo("\n".join(_describe()))


def _describe() -> Iterator[str]:
    from cdrl_cli.generator.adjust import CONTROLS

    width = max(map(len, CONTROLS))
    for name, control in CONTROLS.items():
        yield f"{name:<{width}}  {control.meaning}"
    yield ""
    yield "Amounts go from -1 to 1: --adjust smile=+.3,brows=-.2"
    yield "Each may end in -left or -right, the person's own: --adjust smile-left=.4"
