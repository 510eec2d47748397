"""``spfem man``: the manual page, made of the help, so that it is never older than the program."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import typer

import cdrl_cli

_SECTIONS = (
    ("FILES", "~/.config/spfem/config.toml holds defaults of options; SPFEM_HOME moves it."),
    (
        "NOTES",
        "A face belongs to a person: edit it only with that person's consent, and say that the "
        "video was edited.",
    ),
)


def man(context: typer.Context) -> None:
    """Print the manual page of spfem: spfem man | man -l -, or > spfem.1 to install it."""
    typer.echo("\n".join(_page(context.find_root())))


def _page(root: Any) -> Iterator[str]:
    command = root.command
    yield f'.TH SPFEM 1 "" "spfem {cdrl_cli.__version__}" "User Commands"'
    yield ".SH NAME"
    yield _text(f"spfem - {(command.help or '').splitlines()[0].rstrip('.').lower()}")
    yield ".SH SYNOPSIS"
    yield ".B spfem"
    yield r"[\fIOPTIONS\fR] \fICOMMAND\fR [\fIARGUMENTS\fR]"
    yield ".SH OPTIONS"
    yield from _options(command, root)
    yield ".SH COMMANDS"
    yield from _commands(command, root)
    yield from _epilog(command.epilog, ".SH")
    for name, text in _SECTIONS:
        yield f".SH {name}"
        yield _text(text)


def _commands(group: Any, context: Any) -> Iterator[str]:
    commands: Mapping[str, Any] = group.commands
    for name, command in commands.items():
        if command.hidden:
            continue
        inner = command.make_context(name, [], parent=context, resilient_parsing=True)
        # Typer writes what is required in braces; a manual page writes it as it is.
        usage = " ".join(command.collect_usage_pieces(inner)).translate({123: None, 125: None})
        yield f'.SS "{inner.command_path} {usage}"'
        for paragraph in (command.help or "").split("\n\n"):
            yield _text(" ".join(paragraph.split()))
            yield ".PP"
        yield from _options(command, inner)
        yield from _epilog(command.epilog, ".PP")
        if hasattr(command, "commands"):
            yield from _commands(command, inner)


def _options(command: Any, context: Any) -> Iterator[str]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is None:
            continue
        named, said = record
        yield ".TP"
        # Long lists of values may break behind each.
        breakable = _escape(_name_types(named)).replace("|", r"|\:")
        yield rf"\fB{breakable}\fR"
        yield _text(" ".join(said.split()) or "(no help)")


def _name_types(named: str) -> str:
    """The type of a value in the words of a reader, not of the parser."""
    numbers = re.sub(r"<(float|int)( range)?>|<list\[(float|int)\]>", "<number>", named)
    return numbers.replace("<list[str]>", "").rstrip()


def _epilog(epilog: str | None, heading: str) -> Iterator[str]:
    """Blocks whose lines stay as they are, each under its own first line; and paragraphs."""
    for block in re.split(r"\n\n+", (epilog or "").strip()):
        lines = block.splitlines()
        if not lines:
            continue
        if lines[0].strip() != "\b":
            yield ".PP"
            yield _text(" ".join(block.split()))
            continue
        title = lines[1].rstrip(":")
        yield f".SH {title.upper()}" if heading == ".SH" else f".PP\n{_text(title)}:"
        yield ".nf"
        yield from (_text(line) for line in lines[2:])
        yield ".fi"


def _text(line: str) -> str:
    """A line of text that troff takes for nothing else."""
    escaped = _escape(line)
    return rf"\&{escaped}" if escaped.startswith((".", "'")) else escaped


def _escape(text: str) -> str:
    """Every character as troff writes it, whatever encoding it is run in."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-")
    return "".join(one if one.isascii() else f"\\[u{ord(one):04X}]" for one in escaped)
