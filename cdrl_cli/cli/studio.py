"""``spfem studio``."""

from pathlib import Path
from typing import Annotated

import typer

from cdrl_cli.cli.console import say
from cdrl_cli.cli.options import DeviceName, Weights
from cdrl_cli.errors import check_memory_limit
from cdrl_cli.weight_set import WeightSet

EXAMPLES = """\
\b
Examples:
  spfem studio
  spfem studio talk.mp4
  spfem studio talk.mp4 --port 7860 --no-browser
"""


def studio(
    context: typer.Context,
    source: Annotated[
        Path | None,
        typer.Argument(metavar="SOURCE", help="A clip to begin with.", show_default=False),
    ] = None,
    *,
    port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65535, envvar="SPFEM_PORT", help="Default: a free one.", show_default=False
        ),
    ] = None,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Show it in the browser.")
    ] = True,
    weight_set: Weights = WeightSet.PERMISSIVE,
    device: DeviceName = "auto",
) -> None:
    """Try, steer and make an edit in a page on this machine.

    Served to this machine alone; nothing leaves it. What was dropped and made is removed when the
    page is closed by Ctrl-C: download it before. Needs the extra studio.
    """
    check_memory_limit()
    from cdrl_cli.cli.settings import config_file, read_presets
    from cdrl_cli.media import check_input
    from cdrl_cli.presets import PRESETS, find_preset
    from cdrl_cli.studio.interface import serve_studio

    if source is not None:
        check_input(source)
    own = read_presets(config_file(context))
    serve_studio(
        source,
        weight_set=weight_set,
        device=device,
        port=port,
        open_browser=browser,
        presets={name: find_preset(name, own) for name in dict.fromkeys([*PRESETS, *own])},
        ready=lambda address: say(f"spfem studio at {address} (Ctrl-C ends it)"),
    )
