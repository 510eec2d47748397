"""Defaults of options from a file, below the command line and ``SPFEM_*`` variables."""

import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from cdrl_cli.errors import UsageError
from cdrl_cli.notation import Corner, parse_face

if TYPE_CHECKING:
    from cdrl_cli.face.selection import FaceChoice
    from cdrl_cli.presets import EmotionPreset

Quality = TypeVar("Quality")

PRESETS = "presets"
"""Table of the configuration that holds no options, but presets."""


def config_path() -> Path:
    """The user's configuration: in ``SPFEM_HOME``, or where the system keeps such files."""
    if home := os.environ.get("SPFEM_HOME"):
        return Path(home) / "config.toml"
    from platformdirs import user_config_path

    return user_config_path("spfem") / "config.toml"


def read_config(path: Path | None, context: typer.Context) -> dict[str, dict[str, Any]]:
    """The defaults of each command.

    A key is the name of an option that an ``SPFEM_*`` variable sets too; it holds for all commands
    that have it. In a table with the name of a command it holds for that one, and comes first.

    Args:
        path: The file; None for :func:`config_path`, which need not exist.
        context: Of the program; knows the commands and their options.

    Raises:
        UsageError: If the file cannot be read, or has a key that means nothing.
    """
    file = path or config_path()
    settings = _read(file, must_exist=path is not None)
    known = {name: _options(command) for name, command in _commands(context)}
    settings.pop(PRESETS, None)
    tables = {key: value for key, value in settings.items() if isinstance(value, dict)}
    general = {key: value for key, value in settings.items() if key not in tables}
    everywhere = set().union(*known.values())
    _refuse_unknown(file, "", general, everywhere)
    _refuse_unknown(file, "", tables, {name for name, options in known.items() if options})
    for name, table in tables.items():
        _refuse_unknown(file, f"{name}.", table, known[name])
    return {
        name: {
            known[name][key]: value
            for key, value in (general | tables.get(name, {})).items()
            if key in known[name]
        }
        for name in known
    }


def read_presets(path: Path | None) -> dict[str, dict[str, Any]]:
    """The user's own ways to edit: tables ``[presets.NAME]``, as they stand there.

    Args:
        path: The file; None for :func:`config_path`, which need not exist.

    Raises:
        UsageError: If the file cannot be read.
    """
    file = path or config_path()
    presets = _read(file, must_exist=path is not None).get(PRESETS, {})
    if not isinstance(presets, dict):
        raise UsageError(f"{file}: {PRESETS} is no table", hint=f"[{PRESETS}.mine]")
    return presets


def find_chosen_preset(context: typer.Context, name: str | None) -> "EmotionPreset":
    """What a name stands for, without the intensity where the command line says one.

    Raises:
        UsageError: If there is no such preset, or it cannot be read.
    """
    from cdrl_cli.presets import EmotionPreset, find_preset

    if name is None:
        return EmotionPreset()
    found = find_preset(name, read_presets(config_file(context)))
    return replace(found, intensity=None) if was_given(context, "intensity") else found


def config_file(context: typer.Context) -> Path | None:
    """The file that ``spfem --config`` named; None for the user's own."""
    named: Path | None = context.find_root().params.get("config")
    return named


def was_given(context: typer.Context, name: str) -> bool:
    """Whether an option stands on the command line, by its name in Python."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def choose_quality(
    context: typer.Context, name: str, value: Quality, codec: str | None
) -> Quality | None:
    """The value of ``--crf`` or ``--preset``, by its name, for a codec.

    None where the codec is lossless and the value stands in the settings alone, which hold for
    edits with other codecs.
    """
    from cdrl_cli.media.encoder import takes_quality

    return value if was_given(context, name) or takes_quality(codec) else None


def check_strength(
    context: typer.Context, target_emotion: float | None, *, names_emotion: bool
) -> None:
    """Refuse a strength on the command line that is both said and to be found, and one of nothing.

    Args:
        context: Of the command.
        target_emotion: The likelihood that the strength is to be found for.
        names_emotion: Whether there is an emotion that could be shown so strongly.

    Raises:
        UsageError: If the command line says an intensity beside a target, or without an emotion.
    """
    if not was_given(context, "intensity"):
        return
    if target_emotion is not None:
        raise UsageError("--intensity says how strong it is, and --target-emotion would find it")
    if not names_emotion:
        raise UsageError(
            "--intensity says how strong an emotion is, and there is none",
            hint="--adjust has its own amounts: smile=+.3",
        )


def choose_face(context: typer.Context, face: str, who: Path | None) -> "FaceChoice":
    """Whose face: a photo on the command line counts before a face in the settings.

    Raises:
        UsageError: If the command line has both, or the word is no choice of a face.
    """
    if who is None:
        return parse_face(face)
    if was_given(context, "face"):
        raise UsageError("--face and --who both say whose face it is: give one of them")
    return "largest"


def choose_corner(context: typer.Context, corner: Corner, *, disclose: bool) -> Corner | None:
    """Where frames say that they are AI-edited; None where they do not.

    Raises:
        UsageError: If the command line has a corner, and no label is asked for.
    """
    if was_given(context, "disclose_at") and not disclose:
        raise UsageError(
            f"--disclose-at {corner} says where the label is, and none is asked for",
            hint="give --disclose, too",
        )
    return corner if disclose else None


def _read(file: Path, *, must_exist: bool) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError as error:
        if must_exist:
            raise UsageError(f"{file}: no such configuration file") from error
        return {}
    except OSError as error:
        raise UsageError(f"{file}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:  # no TOML, or no UTF-8
        raise UsageError(f"{file}: is no TOML ({error})") from error


def _commands(context: typer.Context) -> Iterable[tuple[str, Any]]:
    commands: Mapping[str, Any] = getattr(context.command, "commands", {})
    return commands.items()


def _options(command: Any) -> dict[str, str]:
    """Parameters of a command by the names of their options, as far as variables set them."""
    return {
        option.opts[0].lstrip("-"): option.name
        for option in command.params
        if getattr(option, "envvar", None)
    }


def _refuse_unknown(file: Path, prefix: str, found: Iterable[str], known: Iterable[str]) -> None:
    if unknown := [prefix + key for key in found if key not in set(known)]:
        raise UsageError(
            f"{file}: unknown key {', '.join(unknown)}", hint=f"known: {', '.join(sorted(known))}"
        )
