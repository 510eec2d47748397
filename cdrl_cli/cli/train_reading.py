"""``spfem train published``, ``evidence`` and ``nets``: what reads a reference."""

from pathlib import Path
from typing import Annotated

import typer

from cdrl_cli.cli.options import Quiet
from cdrl_cli.cli.train import (
    Cache,
    Changes,
    Config,
    Data,
    Device,
    Output,
    Resume,
    Run,
    say_made,
    show_stages,
)


def published(
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the files.", show_default=False)
    ],
    quiet: Quiet = False,
) -> None:
    """Convert the published networks that an edit runs.

    Two expression nets, and the landmarker's three networks. Nothing is learned. Needs the optional
    parts guides and face-landmarker.
    """
    from cdrl_cli.training.pipelines import make_published

    say_made(make_published(output), quiet=quiet)


def evidence(
    config: Config,
    *,
    data: Data,
    output: Output,
    cache: Cache = Path("runs/prepared"),
    change: Changes = None,
    quiet: Quiet = False,
) -> None:
    """Fit what an edit concludes from a face: how it looks when neutral, and what it shows.

    What is printed was measured on people who were left out.
    """
    from cdrl_cli.training.representation_pipelines import make_evidence

    made = make_evidence(
        config, data, cache, output, changes=change or (), stages=show_stages(quiet)
    )
    say_made(made, quiet=quiet)


def nets(
    config: Config,
    *,
    data: Data,
    output: Output,
    cache: Cache = Path("runs/prepared"),
    run: Run = Path("runs/nets"),
    device: Device = "cpu",
    resume: Resume = False,
    change: Changes = None,
    quiet: Quiet = False,
) -> None:
    """Tune the two published expression nets on acted faces: what reads a reference.

    Needs the optional part guides. Photographs teach them most, so the recipe is of the research
    set.
    """
    from cdrl_cli.training.pipelines import RunOptions
    from cdrl_cli.training.representation_pipelines import make_nets

    made = make_nets(
        config,
        data,
        cache,
        output,
        options=RunOptions(run, resume, device),
        changes=change or (),
        stages=show_stages(quiet),
    )
    say_made(made, quiet=quiet)
