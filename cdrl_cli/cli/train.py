"""``spfem train``: what the weights are made with."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from cdrl_cli.cli.console import say
from cdrl_cli.cli.options import Quiet
from cdrl_cli.cli.progress import count_progress

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

    Clips of the training split only; the landmarks of 48,000 frames take 10 minutes on 2 cores,
    the fit 10 seconds.
    """
    from cdrl_cli.checkpoints.load import find_weights
    from cdrl_cli.data.clips import read_training_clips
    from cdrl_cli.training.core import save_core
    from cdrl_cli.training.landmark_cache import read_landmarks

    clips = read_training_clips(data, licence_class=licence)
    landmarker = find_weights("face-landmarker")
    with count_progress("finding landmarks", quiet=quiet) as progress:
        landmarks = list(read_landmarks(clips, landmarker, cache, progress=progress))
    numbers = save_core(output, landmarks, landmarker, licence_class=licence)
    if not quiet:
        say(f"{output}: {len(landmarks)} clips, R2 {numbers.explained:.3f}")
