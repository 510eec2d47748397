"""``spfem train all`` and ``spfem train ablation``: the paper's recipe, every stage of it."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from cdrl_cli.cli.options import Quiet
from cdrl_cli.cli.train import Changes, Config, Device, say_made, show_stages


def everything(
    config: Config,
    *,
    data: Annotated[Path, typer.Option(help="Folder of the data sets.", show_default=False)],
    run: Annotated[Path, typer.Option(help="Folder of all that is made.")] = Path("runs/paper"),
    device: Device = "cpu",
    change: Changes = None,
    quiet: Quiet = False,
) -> None:
    """Run the paper's recipe: data sets, CCRL, CERL, the generator under both, and an edit.

    Started again, it passes over what is done and goes on where it was cut. Needs the parts
    prior-clip, prior-xlsr and prior-arcface, or what the recipe names in their place.
    """
    from cdrl_cli.training.whole_recipe import train_all

    made = train_all(
        config, data, run, device=device, changes=change or (), stages=show_stages(quiet)
    )
    say_made(made, quiet=quiet)


def ablation(
    config: Config,
    *,
    data: Annotated[Path, typer.Option(help="Folder of the data sets.", show_default=False)],
    run: Annotated[Path, typer.Option(help="Folder of all that is made.")] = Path("runs/paper"),
    backbone: Annotated[
        Literal["editor", "ned"],
        typer.Option(help="What is supervised: our motion editor, or one after NED."),
    ] = "editor",
    device: Device = "cpu",
    change: Changes = None,
    quiet: Quiet = False,
) -> None:
    """Run the paper's ablation: a backbone alone, with CERL, with CCRL, with both.

    The recipe is one of spfem train all, and so is the folder of the run: what is done there is
    not done again.
    """
    from cdrl_cli.training.whole_recipe import train_ablation

    made = train_ablation(
        config,
        data,
        run,
        backbone=backbone,
        device=device,
        changes=change or (),
        stages=show_stages(quiet),
    )
    say_made(made, quiet=quiet)
