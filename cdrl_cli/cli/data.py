"""``spfem data``: data sets as their owners lay them out, made ready to learn from."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cdrl_cli.cli.console import print_json, printable, say
from cdrl_cli.cli.options import Json, Quiet
from cdrl_cli.cli.progress import count_progress
from cdrl_cli.errors import UnreadableInputError

if TYPE_CHECKING:
    from cdrl_cli.data.tree_check import TreeReport

Root = Annotated[Path, typer.Argument(help="Where the data set was unpacked.", show_default=False)]
Dataset = Annotated[
    str,
    typer.Option(
        help="mead, ravdess, crema-d, java-sed, kdef, rafd or nimstim.", show_default=False
    ),
]

SHOWN = 10
"""Findings that are printed; --json has all."""

app = typer.Typer(name="data", help="Check and index data sets.", no_args_is_help=True)


@app.callback()
def data() -> None:
    """Check data sets as their owners lay them out, and index them for spfem train."""


@app.command()
def check(
    root: Root,
    *,
    dataset: Dataset,
    names_only: Annotated[
        bool, typer.Option("--names-only", help="Read names alone, decode no file.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Count the clips of a data set, and name what is missing, broken, doubled or foreign.

    Exits with 5 if there is anything.
    """
    from cdrl_cli.data.datasets import find_layout
    from cdrl_cli.data.tree_check import check_tree, summarise_findings

    layout = find_layout(dataset)
    with count_progress("opening clips", quiet=quiet) as progress:
        report = check_tree(layout, root, open_files=not names_only, progress=progress)
    if json:
        print_json(report)
        raise typer.Exit(UnreadableInputError.exit_code if report.findings else 0)
    typer.echo("\n".join(map(printable, _describe(report))))
    if report.findings:
        more = len(report.findings) - SHOWN
        raise UnreadableInputError(
            f"{root}: {summarise_findings(report.findings)}",
            hint=f"{more} more: --json lists them all" if more > 0 else None,
            details=[str(one) for one in report.findings[:SHOWN]],
        )


@app.command()
def index(
    root: Root,
    *,
    dataset: Dataset,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for index.csv.", show_default=False)
    ],
    split: Annotated[
        Literal["paper", "none"],
        typer.Option(help="Who is held out: the paper's test actors, or nobody."),
    ] = "paper",
    validation: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PERSON",
            help="Says when training ends: MEAD_W040. Repeatable; else the last by name.",
            show_default=False,
        ),
    ] = None,
    held_out: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PERSON",
            help="Held out beside the paper's actors: Java-SED_05. Repeatable.",
            show_default=False,
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Write the index.csv that spfem train takes, beside the clips or elsewhere."""
    from cdrl_cli.data.datasets import find_layout
    from cdrl_cli.data.datasets.layouts import read_tree
    from cdrl_cli.data.datasets.paper_split import split_as_paper
    from cdrl_cli.data.index import write_index

    clips = read_tree(find_layout(dataset), root).clips
    if split == "paper":
        clips = split_as_paper(clips, validation=validation or (), held_out=held_out or ())
    written = write_index(output, clips)
    if not quiet:
        people = len({clip.identity for clip in clips})
        say(f"{written}: {len(clips)} clips of {people} people")


@app.command()
def pairs(
    folder: Annotated[Path, typer.Argument(help="Folder with index.csv.", show_default=False)],
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The manifest, .csv.", show_default=False)
    ],
    identity: Annotated[
        Literal["same", "cross"],
        typer.Option(help="Whose the references are: the source's person's own, or another's."),
    ] = "cross",
    edited: Annotated[
        Path, typer.Option(help="Folder that spfem batch writes the edits to.")
    ] = Path("edits"),
    quiet: Quiet = False,
) -> None:
    """Write the edits of the paper's protocol as a manifest: spfem batch makes them."""
    from cdrl_cli.data.datasets.paper_split import pair_edits
    from cdrl_cli.data.index import read_index
    from cdrl_cli.data.protocol_manifest import write_protocol

    made = pair_edits(read_index(folder), identity)
    write_protocol(output, made, edited.absolute())
    if not quiet:
        say(f"{output}: {len(made)} edits")


def _describe(report: "TreeReport") -> list[str]:
    how = "decoded" if report.opened else "by name alone"
    rows = [
        f"data set   {report.dataset} in {report.root}",
        f"files      {report.files}, {how}",
        f"takes      {report.takes} of {report.people} people, {report.sentences} sentences",
    ]
    rows += [f"           {count:>6}  {emotion}" for emotion, count in report.emotions.items()]
    return rows
