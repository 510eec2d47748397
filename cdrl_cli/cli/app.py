"""The commands, and the only place that prints an error or exits."""

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, NoReturn

import typer

import cdrl_cli
from cdrl_cli.cli import (
    adjust,
    batch,
    benchmark,
    data,
    doctor,
    download_weights,
    edit,
    embed,
    evaluate,
    man,
    preview,
    probe,
    report,
    studio,
    train,
    train_all,
    train_reading,
)
from cdrl_cli.cli.console import print_json
from cdrl_cli.cli.console import report as report_error
from cdrl_cli.cli.settings import read_config
from cdrl_cli.errors import (
    Interrupted,
    MemoryExhausted,
    SpfemError,
    UsageError,
    raise_if_memory,
)
from cdrl_cli.streams import open_standard_streams

_EXIT_CODES = """\
\b
Exit codes:
  0  done                         4  weights missing or damaged
  1  failed                       5  input missing or unreadable
  2  wrong usage                  6  refused: OUTPUT exists, or is SOURCE; a licence
  3  no face that can be edited   7  some rows of a batch failed
  8  a device or encoder that is not here         130  interrupted
"""

_SIGNALS = 128
"""A command that a signal has ended exits with this and the signal's number."""

OF_EXTRAS = frozenset(
    {"torch", "onnx", "onnxscript", "h5py", "ai_edge_litert", "sklearn", "faster_whisper"}
)
"""Modules that training and evaluation import and no edit does."""

ENDINGS = ("SIGHUP", "SIGQUIT", "SIGXCPU")
"""Signals besides SIGTERM that ask a program to end: its terminal closed, Ctrl-\\, its time used
up. Whoever starts it may have them ignored, and then they are."""

app = typer.Typer(
    name="spfem",
    help="Edit the emotion of a recorded talking video; keep the speech and the file.",
    epilog=_EXIT_CODES,
    rich_markup_mode=None,  # plain help: it keeps the lines of the examples and can be grepped
    context_settings={"help_option_names": ["-h", "--help"]},
    # A bug's traceback is read in an issue: plain, and without locals that hold whole frames.
    pretty_exceptions_enable=False,
    pretty_exceptions_show_locals=False,
)
app.command(epilog=edit.EXAMPLES)(edit.edit)
app.command(epilog=adjust.EXAMPLES)(adjust.adjust)
app.command(epilog=batch.EXAMPLES)(batch.batch)
app.command(epilog=preview.EXAMPLES)(preview.preview)
app.command(epilog=probe.EXAMPLES)(probe.probe)
app.command(epilog=report.EXAMPLES)(report.report)
app.command(epilog=studio.EXAMPLES)(studio.studio)
app.command(epilog=embed.EXAMPLES)(embed.embed)
app.command(epilog=download_weights.EXAMPLES)(download_weights.download_weights)
app.command(epilog=doctor.EXAMPLES)(doctor.doctor)
app.command(epilog=benchmark.EXAMPLES)(benchmark.benchmark)
app.command()(man.man)
app.add_typer(data.app)
train.app.command(name="all")(train_all.everything)
train.app.command()(train_all.ablation)
for _command in (train_reading.published, train_reading.evidence, train_reading.nets):
    train.app.command()(_command)
app.add_typer(train.app)
app.add_typer(evaluate.app)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"spfem {cdrl_cli.__version__}")
        raise typer.Exit


@app.callback()
def spfem(
    context: typer.Context,
    *,
    config: Annotated[
        Path | None,
        typer.Option(
            envvar="SPFEM_CONFIG",
            help="TOML file with defaults of options, instead of the user's config.toml.",
            show_default=False,
        ),
    ] = None,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Edit the emotion of a recorded talking video; keep the speech and the file."""
    context.default_map = read_config(config, context)


def run(arguments: Sequence[str]) -> int:
    """Run one command; print its error, if it has one that a user can meet.

    Args:
        arguments: What follows ``spfem`` on the command line.

    Returns:
        The exit code; the table is in :mod:`cdrl_cli.errors`.
    """
    try:
        return _run(arguments)
    except BrokenPipeError:  # the reader has left
        return SpfemError.exit_code


def main() -> NoReturn:
    """Run ``spfem`` and exit with its code."""
    # Newer ONNX Runtimes note their use in the user's cache folder and report it; a program for
    # private videos does not. Whoever wants that says so.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    open_standard_streams()
    # By default these end Python at once; as an exception they let the writer remove its part.
    signal.signal(signal.SIGTERM, _end)
    for name in ENDINGS:
        number = getattr(signal, name, None)  # Windows has none of them
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores one
            signal.signal(number, _end)
    try:
        code = run(sys.argv[1:])
    except SystemExit as stop:
        code = int(stop.code or 0)
    if code < _SIGNALS:
        sys.exit(code)
    # All of ours is cleaned up. A library whose thread was just starting when the signal came
    # (of concurrent.futures) would wait for it for ever at Python's end.
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, SpfemError):
            stream.flush()
    os._exit(code)


def _end(number: int, _: object) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)  # a second one would cut short what cleans up
    sys.exit(128 + number)


def _run(arguments: Sequence[str]) -> int:
    # A usage error is raised before the options are parsed, and must be JSON nevertheless.
    as_json = "--json" in arguments
    try:
        code = int(app(list(arguments), prog_name="spfem", standalone_mode=False) or 0)
        sys.stdout.flush()
    except SpfemError as error:
        return _report(error, as_json=as_json)
    except typer.TyperException as error:
        return _report(_usage_error(error), as_json=as_json)
    except ModuleNotFoundError as error:
        if (error.name or "") not in OF_EXTRAS:
            raise
        return _report(_missing(error, arguments), as_json=as_json)
    except KeyboardInterrupt:  # Typer answers most of them by a code, but not those on its way out
        code = Interrupted.exit_code
    except Exception as error:
        try:
            raise_if_memory(error)
        except MemoryExhausted as exhausted:
            return _report(exhausted, as_json=as_json)
        if as_json:
            _print_error("bug", f"{type(error).__name__}: {error}", None)
        raise
    if code == Interrupted.exit_code:
        return _report(Interrupted("interrupted"), as_json=as_json)
    return code


def _missing(error: ModuleNotFoundError, arguments: Sequence[str]) -> UsageError:
    """A package that only some commands need, and how to get it."""
    extra = "evaluate" if "evaluate" in arguments else "train"
    return UsageError(
        f"{error.name}, which this command needs, is not installed",
        hint=f"pip install 'spfem[{extra}]'",
    )


def _report(error: SpfemError, *, as_json: bool) -> int:
    if as_json:
        _print_error(error.code, str(error), error.hint, error.details)
    if not isinstance(error, Interrupted):  # whoever pressed Ctrl-C knows
        report_error(error)
    return error.exit_code


def _print_error(code: str, message: str, hint: str | None, details: Sequence[str] = ()) -> None:
    facts: dict[str, object] = {"code": code, "message": message, "hint": hint}
    print_json({"error": facts | ({"details": details} if details else {})})


def _usage_error(error: typer.TyperException) -> UsageError:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "spfem"
    # Typer checks by pydantic, which begins so.
    message = error.format_message().replace("Value error, ", "").rstrip(".")
    return UsageError(message, hint=f"see {command} --help")
