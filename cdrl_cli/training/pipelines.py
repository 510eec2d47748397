"""From a folder of clips to a file of weights: what the commands of ``spfem train`` share.

A pipeline reads the recipe, prepares the clips, trains, writes the file and says what came out.
Long stages are shown by ``stages``: called with a stage's name, it gives a context that gives a
progress callable (steps done, steps in all) or None. Here are the pipelines that learn no
network: prepared clips, the geometric core, published networks. Those that learn one are in
:mod:`cdrl_cli.training.representation_pipelines` and :mod:`cdrl_cli.training.generator_pipelines`.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from cdrl_cli.checkpoints.load import find_weights
from cdrl_cli.checkpoints.models import load_models
from cdrl_cli.preparation import prepare_clips
from cdrl_cli.training.core import ClipLandmarks, save_core
from cdrl_cli.training.published import convert_published
from cdrl_cli.training.split import read_training_clips
from cdrl_cli.weight_set import WeightSet

Progress = Callable[[int, int], None]
"""Called with (done, in all)."""

Stages = Callable[[str], AbstractContextManager[Progress | None]]
"""Shows a stage by its name while its context is open."""


def no_stages(name: str) -> AbstractContextManager[None]:  # noqa: ARG001 - see Stages
    """Show nothing."""
    return nullcontext()


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Where a run keeps itself, and where it computes."""

    run: Path
    """Folder of the checkpoint (``last.pt``) and the log (``log.jsonl``)."""
    resume: bool = False
    """Continue from the checkpoint there."""
    device: str = "cpu"
    """``cpu`` or ``cuda``."""


@dataclass(frozen=True, slots=True)
class Made:
    """A file of weights, or of what they are made of, and one line about it."""

    output: Path
    summary: str


def make_core(
    data: Path, cache: Path, output: Path, *, weight_set: WeightSet, stages: Stages = no_stages
) -> Made:
    """Fit the geometric core to the clips of the training split.

    Args:
        data: Folder with ``index.csv``.
        cache: Of prepared clips.
        output: The file.
        weight_set: ``permissive`` leaves research-only clips out; ``research`` takes all.
        stages: Shows progress.
    """
    models = load_models(core=True)
    clips = read_training_clips(data, weight_set=weight_set)
    with stages("preparing clips") as progress:
        prepared = prepare_clips(clips, models, cache, progress=progress)
        landmarks = [ClipLandmarks.of(one).thinned() for one in prepared]
    mesh = find_weights("face-landmarker")
    numbers = save_core(output, landmarks, mesh, weight_set=weight_set)
    return Made(output, f"{len(landmarks)} clips, R2 {numbers.explained:.3f}")


def make_published(folder: Path) -> Made:
    """Convert the published networks that an edit runs; see :mod:`cdrl_cli.training.published`."""
    files = convert_published(folder)
    return Made(folder, ", ".join(file.name for file in files))
