"""``spfem train``: what the weights are made with."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from cdrl_cli.cli.console import say
from cdrl_cli.cli.options import Quiet
from cdrl_cli.cli.progress import count_progress

Cache = Annotated[Path, typer.Option(help="Where prepared clips are kept between runs.")]

app = typer.Typer(name="train", help="Make the weights from training clips.", no_args_is_help=True)


@app.callback()
def train() -> None:
    """Make the weights from training clips."""


@app.command()
def core(
    data: Annotated[Path, typer.Option(help="Folder with index.csv.", show_default=False)],
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The safetensors file.", show_default=False)
    ],
    licence: Annotated[
        Literal["permissive", "research"],
        typer.Option(help="Learn from permissive clips only, or from all."),
    ] = "permissive",
    cache: Annotated[Path, typer.Option(help="Where landmarks are kept between runs.")] = Path(
        "runs/landmarks"
    ),
    quiet: Quiet = False,
) -> None:
    """Fit the geometric core: canonical face, expression basis, emotion differences.

    Clips of the training split only.
    """
    from cdrl_cli.checkpoints.models import load_models
    from cdrl_cli.data.clips import read_training_clips
    from cdrl_cli.training.core import ClipLandmarks, save_core
    from cdrl_cli.training.prepare import prepare_clips

    models = load_models()
    clips = read_training_clips(data, licence_class=licence)
    with count_progress("preparing clips", quiet=quiet) as progress:
        prepared = prepare_clips(clips, models, cache, progress=progress)
        landmarks = [ClipLandmarks.of(one).thinned() for one in prepared]
    numbers = save_core(output, landmarks, models.landmarker_file, licence_class=licence)
    if not quiet:
        say(f"{output}: {len(landmarks)} clips, R2 {numbers.explained:.3f}")


@app.command()
def prepare(
    data: Annotated[Path, typer.Option(help="Folder with index.csv.", show_default=False)],
    *,
    cache: Cache = Path("runs/prepared"),
    quiet: Quiet = False,
) -> None:
    """Find faces, coefficients and sound of all training clips once, and keep them.

    A run that was cut goes on where it stopped.
    """
    from cdrl_cli.checkpoints.models import load_models
    from cdrl_cli.data.clips import read_index, read_london
    from cdrl_cli.training.prepare import prepare_clips

    clips = [*read_index(data), *read_london(data / "london")]
    with count_progress("preparing clips", quiet=quiet) as progress:
        found = sum(1 for _ in prepare_clips(clips, load_models(), cache, progress=progress))
    if not quiet:
        say(f"{cache}: {found} of {len(clips)} clips show a face")
