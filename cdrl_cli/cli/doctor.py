"""``spfem doctor``."""

import typer

from cdrl_cli.cli.console import print_json
from cdrl_cli.cli.options import Json

EXAMPLES = """\
\b
Examples:
  spfem doctor
  spfem doctor --json | jq '.checks[] | select(.status != "ok")'

--json prints one object: ok, version, checks; each check has name, status (ok, warning, error),
detail and fix. Exit code 0 without an error, else 1.
"""


def doctor(*, json: Json = False) -> None:
    """Check whether this machine can edit, and say how to mend what is wrong. Writes nothing."""
    from cdrl_cli.diagnosis import diagnose

    found = diagnose()
    if json:
        print_json(found)
    else:
        width = max(len(check.name) for check in found.checks)
        for check in found.checks:
            typer.echo(f"{check.status:<7}  {check.name:<{width}}  {check.detail}")
            if check.fix and check.status != "ok":
                typer.echo(f"{'':<7}  {'':<{width}}  -> {check.fix}")
    if not found.ok:
        raise typer.Exit(1)
