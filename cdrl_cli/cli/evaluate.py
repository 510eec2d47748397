"""``spfem evaluate``: numbers of the shipped weights, on people never learned from."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cdrl_cli.cli.console import print_json, say, to_json
from cdrl_cli.cli.options import Intensity, Json, Quiet, Weights
from cdrl_cli.cli.progress import count_progress
from cdrl_cli.cli.train import Cache, Data
from cdrl_cli.errors import UsageError
from cdrl_cli.weight_set import WeightSet

if TYPE_CHECKING:
    from cdrl_cli.checkpoints.models import Models
    from cdrl_cli.evaluation.plan import Asking
    from cdrl_cli.evaluation.representations import Row

Protocol = Annotated[
    Path,
    typer.Option(
        metavar="FILE",
        help="Who and what is measured, in TOML; write your own for your people.",
    ),
]

app = typer.Typer(name="evaluate", help="Measure the shipped weights.", no_args_is_help=True)


@app.callback()
def evaluate() -> None:
    """Measure the shipped weights on people never learned from."""


@app.command()
def representations(
    data: Data,
    *,
    cache: Cache = Path("runs/prepared"),
    weight_set: Weights = WeightSet.PERMISSIVE,
    recipe: Annotated[
        Path | None,
        typer.Option(
            help="Recipe that knows whose sound is late: configs/ccrl-research.toml.",
            show_default=False,
        ),
    ] = None,
    content: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Measure the content encoders that spfem train ccrl wrote, and nothing else.",
            show_default=False,
        ),
    ] = None,
    person: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Ask the content code about these people only: J05. Repeatable.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Do the emotion and the content code say what they are for, and nothing else?

    Prints a Markdown table with bootstrap 95 % intervals over clips. Needs the optional parts text
    and speech (spfem download-weights text speech).
    """
    from cdrl_cli.evaluation.representations import draw_table, evaluate_content, evaluate_emotion
    from cdrl_cli.training.config import read_config
    from cdrl_cli.training.recipes import CcrlConfig

    known = None if recipe is None else read_config(recipe, CcrlConfig).data
    rows: list[Row] = []
    if content is None:
        with count_progress("reading faces", quiet=quiet) as progress:
            rows += evaluate_emotion(data, cache, weight_set=weight_set, progress=progress)
    with count_progress("listening to clips", quiet=quiet) as progress:
        rows += evaluate_content(
            data,
            cache,
            weight_set=weight_set,
            weights=content,
            left_out=() if known is None else known.left_out,
            sound_late_s=None if known is None else known.sound_late_s,
            people=person or (),
            progress=progress,
        )
    if json:
        print_json({"weights": weight_set if content is None else str(content), "rows": rows})
    else:
        typer.echo("\n".join(draw_table(rows)))


@app.command()
def edits(
    data: Data,
    *,
    cache: Cache = Path("runs/prepared"),
    protocol: Protocol = Path("configs/protocol.toml"),
    weight_set: Weights = WeightSet.PERMISSIVE,
    edits: Annotated[
        int,
        typer.Option(
            help="Of each row, alike for all emotions: by sixes; 6 to 48 with the protocol's "
            "references."
        ),
    ] = 36,
    by: Annotated[
        Literal["reference", "label", "both"], typer.Option(help="How the emotion is asked for.")
    ] = "both",
    references: Annotated[
        Literal["protocol", "many"],
        typer.Option(
            help="Whose references are shown: one actor's to nearly all sources, or in turn those "
            "of everybody, clips and photos."
        ),
    ] = "protocol",
    given_neutral: Annotated[
        bool,
        typer.Option(
            "--given-neutral",
            help="Give each edit by reference a neutral picture of its person, where there is one, "
            "as --ref-neutral does; else that face is estimated.",
        ),
    ] = False,
    core: Annotated[
        bool, typer.Option(help="Measure the row of the core, without learned parts, too.")
    ] = True,
    row: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FOLDER",
            help="One more row: a generator that spfem train renderer wrote. Repeatable.",
            show_default=False,
        ),
    ] = None,
    intensity: Intensity = 1.0,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Folder for report.md, report.json, the edited clips and index.html, which shows "
            "them side by side. Edits that are there already are not made again.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Does an edit show the emotion, keep the words, the person and the picture?

    Edits validation clips, reads the files again and prints Markdown tables with bootstrap 95 %
    intervals over clips. Needs the optional parts judge, identity, perceptual and speech (spfem
    download-weights judge identity perceptual speech), and spfem[evaluate,speech].
    """
    from tempfile import TemporaryDirectory

    from cdrl_cli.checkpoints.models import load_models
    from cdrl_cli.evaluation.edits import evaluate_edits
    from cdrl_cli.evaluation.gallery import write_gallery
    from cdrl_cli.evaluation.json_report import report_facts
    from cdrl_cli.evaluation.markdown import draw_report
    from cdrl_cli.evaluation.protocol import read_protocol
    from cdrl_cli.evaluation.table import summarise

    rows: dict[str, Models | None] = {
        "no edit": None,
        **({"core only": load_models(weight_set, core=True)} if core else {}),
        **{
            name: load_models(weight_set, generator=folder)
            for name, folder in map(_parse_row, row or ())
        },
        "full": load_models(weight_set),
    }
    askings: list[Asking] = ["reference", "label"] if by == "both" else [by]
    with (
        TemporaryDirectory() as temporary,
        count_progress("evaluating edits", quiet=quiet) as progress,
    ):
        evaluation = evaluate_edits(
            rows,
            data,
            cache,
            Path(temporary) if output is None else output,
            edits=edits,
            askings=askings,
            intensity=intensity,
            references=references,
            given_neutral=given_neutral,
            protocol=read_protocol(protocol),
            progress=progress,
        )
    reports = summarise(evaluation)
    page = "\n".join(draw_report(evaluation, reports))
    facts = {"weights": weight_set, **report_facts(evaluation, reports)}
    if output is not None:
        gallery = write_gallery(evaluation, output)
        (output / "report.md").write_text(page + "\n", "utf-8")
        (output / "report.json").write_text(to_json(facts) + "\n", "utf-8")
        if not quiet:
            say(f"{output}: report.md, report.json, {gallery.name}")
    if json:
        print_json(facts)
    else:
        typer.echo(page)


def _parse_row(words: str) -> tuple[str, Path]:
    name, _, folder = words.partition("=")
    if not name or not folder or not Path(folder).is_dir():
        raise UsageError(f"--row {words}: no such generator", hint="--row 'without CERL=FOLDER'")
    return name, Path(folder)
