"""Schedules in files, CSV or JSONL: which columns there are, and how they become rows."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

from cdrl_cli.columns import (
    Columns,
    Record,
    read_cells,
    read_face,
    read_name,
    read_number,
    read_switch,
    read_table,
    read_whole,
    read_word,
)
from cdrl_cli.errors import SpfemError, UsageError
from cdrl_cli.generator.adjust import Adjustment
from cdrl_cli.notation import parse_time
from cdrl_cli.schedule import Schedule, ScheduleRow

SCHEDULE_COLUMNS: Final[Columns] = {
    "start": parse_time,
    "end": parse_time,
    "face": read_face,
    "emotion": read_word,
    "way": read_whole,
    "ref": read_name,
    "ref_neutral": read_name,
    "ref_face": read_whole,
    "ref_start": parse_time,
    "ref_end": parse_time,
    "follow_ref": read_switch,
    "normalize": read_switch,
    "intensity": read_number,
    "pace": read_number,
    "who": read_name,
    "target_emotion": read_number,
    "adjust": Adjustment.parse,
    "neutralise": read_switch,
    "neutralize": read_switch,
    "fade": parse_time,
}
"""Every column of a schedule, and how its cells are read."""

FIELDS: Final[Mapping[str, str]] = {
    "ref": "reference",
    "ref_neutral": "reference_neutral",
    "ref_face": "reference_face",
    "ref_start": "reference_start",
    "ref_end": "reference_end",
    "follow_ref": "follow_reference",
    "neutralize": "neutralise",
}
"""Fields of :class:`ScheduleRow` by the columns that are called otherwise."""

_FILES: Final = ("ref", "ref_neutral", "who")


def read_schedule(path: Path | str, **defaults: Any) -> Schedule:
    """Read a schedule from a CSV file with a header, or from a JSONL file.

    Columns are :data:`SCHEDULE_COLUMNS`; an empty cell is as none. Files are named relative to the
    schedule.

    Args:
        path: The file.
        defaults: Fields of :class:`ScheduleRow` for rows that do not say otherwise.

    Raises:
        UsageError: If anything is wrong with any row; :attr:`~SpfemError.details` names them all.
        UnreadableInputError: If the file cannot be read.
    """
    path = Path(path)
    name, records = read_table(path, SCHEDULE_COLUMNS)
    rows: list[ScheduleRow] = []
    problems: list[str] = []
    for record in records:
        try:
            rows.append(_row(record, path.parent, defaults))
        except SpfemError as error:
            problems += [f"{name}, line {record.line}: {text}" for text in error.told]
    if problems:
        raise UsageError(f"{name}: some rows are wrong", details=problems)
    try:
        return Schedule(tuple(rows), name)
    except UsageError as error:
        raise error.at(name) from error


def check_cells(given: Collection[str], *, names_emotion: bool) -> None:
    """Refuse one column in two spellings, a strength both said and to be found, and one of nothing.

    Args:
        given: Names of the columns that a row says something in.
        names_emotion: Whether there is an emotion that could be shown so strongly.

    Raises:
        UsageError: If an intensity and a target are among them, or an intensity without an emotion,
            or a column twice.
    """
    if "neutralise" in given and "neutralize" in given:
        raise UsageError("neutralise and neutralize are one column: give one of them")
    if "intensity" not in given:
        return
    if "target_emotion" in given:
        raise UsageError(
            "intensity says how strong it is, and target_emotion would find it: give one of them"
        )
    if not names_emotion:
        raise UsageError(
            "intensity says how strong an emotion is, and there is none",
            hint="adjust has its own amounts: smile=+.3",
        )


def _row(record: Record, folder: Path, defaults: Mapping[str, Any]) -> ScheduleRow:
    if record.problem is not None:
        raise UsageError(record.problem)
    given, faults = read_cells(record, SCHEDULE_COLUMNS)
    if faults:
        raise UsageError("wrong cells", details=[line for one in faults for line in one.told])
    for column in _FILES:
        if column in given:
            given[column] = folder / given[column]
    names_emotion = not given.keys().isdisjoint(("emotion", "ref"))
    check_cells(given, names_emotion=names_emotion)
    fields = {FIELDS.get(column, column): value for column, value in given.items()}
    unused = set()
    if given.get("follow_ref") or not names_emotion:  # it varies as the reference does, or not
        unused.add("pace")
    if "who" in given:
        unused.add("face")
    held = {name: value for name, value in defaults.items() if name not in unused}
    return ScheduleRow(**{**held, **fields}, line=record.line)
