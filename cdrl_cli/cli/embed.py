"""``spfem embed``."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cdrl_cli.cli.console import print_json
from cdrl_cli.cli.options import Json, ProgressMode, Quiet, Source, Weights
from cdrl_cli.cli.pipes import read_source
from cdrl_cli.cli.progress import show_progress
from cdrl_cli.weight_set import WeightSet

if TYPE_CHECKING:
    from cdrl_cli.embedding import ClipEmotion

EXAMPLES = """\
\b
Examples:
  spfem embed talk.mp4
  spfem embed angry.mp4 --neutral calm.mp4
  spfem embed talk.mp4 --json | jq .probabilities

--json prints one object: probabilities, phrases, curve, embedding, frames.
"""


def embed(
    source: Source,
    *,
    neutral: Annotated[
        Path | None,
        typer.Option(help="A neutral clip or image of the same person.", show_default=False),
    ] = None,
    weight_set: Weights = WeightSet.PERMISSIVE,
    progress: ProgressMode = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Read the emotion that SOURCE shows: labels, nearest words, a curve over time.

    The labels are what an edit by this reference would read. With --neutral, how the person's face
    is built is told from what it does; labels of the permissive set come from the pixels alone.

    What a machine reads from a face is not what the person feels. People whose emotions are read
    must be told so (EU AI Act, Article 50); at work and in schools it is mostly forbidden there
    (Article 5).
    """
    from cdrl_cli.embedding import embed_clip

    with (
        read_source(source) as readable,
        show_progress("reading", quiet=quiet, mode=progress) as report,
    ):
        read = embed_clip(readable, neutral=neutral, weight_set=weight_set, progress=report)
    if json:
        print_json(read)
    else:
        typer.echo("\n".join(_describe(read)))


def _describe(read: "ClipEmotion") -> Iterator[str]:
    for emotion, share in sorted(read.probabilities.items(), key=lambda item: -item[1]):
        yield f"{emotion.value:<10} {share:>5.0%}  {'#' * round(40 * share)}"
    yield "nearest:   " + ", ".join(f"{text} ({cosine:.2f})" for text, cosine in read.phrases)
    for at in read.curve:
        best = max(at.probabilities, key=lambda emotion: at.probabilities[emotion])
        yield f"{float(at.time):>8.2f} s  {best.value} {at.probabilities[best]:.0%}"
