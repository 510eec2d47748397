"""``spfem train``: what the weights are made with."""

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cdrl_cli.cli.console import say
from cdrl_cli.cli.options import Quiet, parse_shard
from cdrl_cli.cli.progress import count_progress
from cdrl_cli.errors import UsageError
from cdrl_cli.weight_set import WeightSet

if TYPE_CHECKING:
    from cdrl_cli.training.pipelines import Made, Stages

Config = Annotated[Path, typer.Option(help="The recipe: one of configs/.", show_default=False)]
Data = Annotated[Path, typer.Option(help="Folder with index.csv.", show_default=False)]
Output = Annotated[
    Path, typer.Option("--output", "-o", help="The file of the weights.", show_default=False)
]
Run = Annotated[Path, typer.Option(help="Folder of the checkpoint and the log.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")]
Device = Annotated[Literal["cpu", "cuda"], typer.Option(help="cuda: where there is a GPU.")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change the recipe: schedule.steps=500. Repeatable."),
]
Cache = Annotated[Path, typer.Option(help="Where prepared clips are kept between runs.")]

app = typer.Typer(name="train", help="Make the weights from training clips.", no_args_is_help=True)


@app.callback()
def train() -> None:
    """Make the weights from training clips."""


@app.command()
def core(
    data: Data,
    *,
    output: Output,
    weight_set: Annotated[
        WeightSet,
        typer.Option("--weights", help="Learn from permissive clips only, or from all."),
    ] = WeightSet.PERMISSIVE,
    cache: Annotated[Path, typer.Option(help="Where landmarks are kept between runs.")] = Path(
        "runs/landmarks"
    ),
    quiet: Quiet = False,
) -> None:
    """Fit the geometric core: canonical face, expression basis, emotion differences.

    Clips of the training split only.
    """
    from cdrl_cli.training.pipelines import make_core

    say_made(
        make_core(data, cache, output, weight_set=weight_set, stages=show_stages(quiet)),
        quiet=quiet,
    )


@app.command()
def prepare(
    data: Data,
    *,
    cache: Cache = Path("runs/prepared"),
    shard: Annotated[
        str, typer.Option(metavar="I/N", help="This machine's part of the clips, of N: 2/8.")
    ] = "1/1",
    jobs: Annotated[int, typer.Option(help="Processes on this machine.")] = 1,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Prepare on a Ray cluster that shares this file system: auto, HOST:PORT.",
            show_default=False,
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Find faces, coefficients and sound of all training clips once, and keep them.

    A run that was cut goes on where it stopped.
    """
    from cdrl_cli.training.preparing import prepare_all

    made = prepare_all(
        data,
        cache,
        shard=parse_shard(shard),
        jobs=jobs,
        ray=ray,
        stages=show_stages(quiet),
    )
    say_made(made, quiet=quiet)


@app.command()
def ccrl(
    config: Config,
    *,
    data: Data,
    output: Output,
    cache: Cache = Path("runs/prepared"),
    run: Run = Path("runs/ccrl"),
    device: Device = "cpu",
    resume: Resume = False,
    change: Changes = None,
    quiet: Quiet = False,
) -> None:
    """Learn the content representation: what a mouth says, whatever the emotion.

    A run that was cut goes on, with --resume, as if it had not been.
    """
    from cdrl_cli.training.pipelines import RunOptions
    from cdrl_cli.training.representation_pipelines import make_ccrl

    made = make_ccrl(
        config,
        data,
        cache,
        output,
        options=RunOptions(run, resume, device),
        changes=change or (),
        stages=show_stages(quiet),
    )
    say_made(made, quiet=quiet)


@app.command()
def cerl(
    config: Config,
    *,
    data: Data,
    output: Output,
    cache: Cache = Path("runs/prepared"),
    run: Run = Path("runs/cerl"),
    device: Device = "cpu",
    resume: Resume = False,
    change: Changes = None,
    quiet: Quiet = False,
) -> None:
    """Learn the emotion representation: what a face feels, in one space with words for it.

    A run that was cut goes on, with --resume, as if it had not been.
    """
    from cdrl_cli.training.pipelines import RunOptions
    from cdrl_cli.training.representation_pipelines import make_cerl

    made = make_cerl(
        config,
        data,
        cache,
        output,
        options=RunOptions(run, resume, device),
        changes=change or (),
        stages=show_stages(quiet),
    )
    say_made(made, quiet=quiet)


@app.command()
def appearance(
    config: Config,
    *,
    data: Data,
    output: Output,
    cache: Cache = Path("runs/prepared"),
    quiet: Quiet = False,
) -> None:
    """Give the emotion representation its view of pixels: a published net, frozen.

    What the net says of everybody is measured on the acted clips of the recipe. Needs the optional
    part guides.
    """
    from cdrl_cli.training.representation_pipelines import make_appearance_file

    made = make_appearance_file(config, data, cache, output, stages=show_stages(quiet))
    say_made(made, quiet=quiet)


@app.command()
def motion(
    config: Config,
    *,
    data: Data,
    output: Output,
    cache: Cache = Path("runs/prepared"),
    run: Run = Path("runs/motion"),
    device: Device = "cpu",
    resume: Resume = False,
    begin: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="A motion editor to begin with: only its pace by reference is learned.",
            show_default=False,
        ),
    ] = None,
    change: Changes = None,
    quiet: Quiet = False,
) -> None:
    """Learn the motion editor: how a talking face moves when it feels.

    A run that was cut goes on, with --resume, as if it had not been.
    """
    from cdrl_cli.training.generator_pipelines import make_motion
    from cdrl_cli.training.pipelines import RunOptions

    made = make_motion(
        config,
        data,
        cache,
        output,
        options=RunOptions(run, resume, device),
        begin=begin,
        changes=change or (),
        stages=show_stages(quiet),
    )
    say_made(made, quiet=quiet)


@app.command()
def pack(
    config: Config,
    *,
    data: Data,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The pack, .npz.", show_default=False)
    ],
    cache: Cache = Path("runs/prepared"),
    change: Changes = None,
    quiet: Quiet = False,
) -> None:
    """Pack the faces that train renderer learns from, to train on another machine.

    Crops as JPEG, landmarks, coefficients, mouths: there neither the clips nor the landmarker are
    needed. Then: spfem train renderer --pack FILE --device cuda.
    """
    from cdrl_cli.training.generator_pipelines import make_pack

    made = make_pack(config, data, cache, output, changes=change or (), stages=show_stages(quiet))
    say_made(made, quiet=quiet)


@app.command()
def renderer(
    config: Config,
    *,
    data: Annotated[Path | None, typer.Option(help="Folder with index.csv.")] = None,
    pack: Annotated[
        Path | None, typer.Option("--pack", help="What spfem train pack wrote, instead of --data.")
    ] = None,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="Folder for renderer.onnx and the fine-tuned motion.onnx.",
            show_default=False,
        ),
    ],
    motion: Annotated[
        Path,
        typer.Option(help="The motion editor: what spfem train motion wrote.", show_default=False),
    ],
    cache: Cache = Path("runs/prepared"),
    run: Run = Path("runs/renderer"),
    device: Device = "cpu",
    resume: Resume = False,
    change: Changes = None,
    quiet: Quiet = False,
) -> None:
    """Learn which pixels, and fine-tune which expression, under CERL and CCRL.

    Needs the optional parts guides and identity (spfem download-weights guides identity). A run
    that was cut goes on, with --resume, as if it had not been.
    """
    from cdrl_cli.training.generator_pipelines import make_generator
    from cdrl_cli.training.pipelines import RunOptions

    source = data or pack
    if source is None or (data and pack):
        raise UsageError("give what to learn from: either --data FOLDER or --pack FILE")
    made = make_generator(
        config,
        source,
        cache,
        output,
        motion=motion,
        options=RunOptions(run, resume, device),
        changes=change or (),
        stages=show_stages(quiet),
    )
    say_made(made, quiet=quiet)


@app.command()
def skin(
    config: Config,
    *,
    data: Annotated[
        Path, typer.Option(help="Folder with photos/ and london/.", show_default=False)
    ],
    output: Output,
    cache: Cache = Path("runs/skin-faces"),
    run: Run = Path("runs/skin"),
    device: Device = "cpu",
    resume: Resume = False,
    change: Changes = None,
    quiet: Quiet = False,
) -> None:
    """Learn how skin folds and catches light, from pairs of photographs of one person.

    A run that was cut goes on, with --resume, as if it had not been.
    """
    from cdrl_cli.training.generator_pipelines import make_skin
    from cdrl_cli.training.pipelines import RunOptions

    made = make_skin(
        config,
        data,
        cache,
        output,
        options=RunOptions(run, resume, device),
        changes=change or (),
        stages=show_stages(quiet),
    )
    say_made(made, quiet=quiet)


def show_stages(quiet: bool) -> "Stages":
    """Progress of each stage, unless nothing is to be shown."""
    return partial(count_progress, quiet=quiet or not _speaks())


def say_made(made: "Made", *, quiet: bool) -> None:
    """What was made, in one line, unless nothing is to be said."""
    if not quiet and _speaks():
        for line in made.summary.splitlines():
            say(f"{made.output}: {line}")


def _speaks() -> bool:
    """Of the processes that torchrun started, the first alone says what all of them do."""
    return os.environ.get("WORLD_SIZE", "1") == "1" or os.environ.get("RANK", "0") == "0"
