"""Tables that people write by hand or by program: CSV with a header, or JSONL, read row by row."""

import csv
import io
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan
from pathlib import Path
from typing import Any, Final, TextIO

from cdrl_cli.errors import SpfemError, UnreadableInputError, UsageError
from cdrl_cli.notation import Corner, parse_corner, parse_face
from cdrl_cli.streams import is_pipe

Columns = Mapping[str, Callable[[str], object]]
"""Every column, and how its cells are read; a reader raises ValueError with what it wanted."""


DELIMITERS: Final = (",", ";", "\t")
"""What may stand between the cells of a CSV file, the usual one first."""

_DECIMAL_COMMA: Final = re.compile(r"^(\s*[-+]?[\d:]*),(\d+\s*)$", flags=re.ASCII)
"""A number or a clock time as spreadsheets of many languages write it."""

_THOUSANDS: Final = re.compile(r"[-+]?[1-9]\d{0,2},\d{3}", flags=re.ASCII)
"""Between tabs a comma may also part thousands: 1,200 is 1.2 or 1200, and is refused."""


@dataclass(frozen=True, slots=True)
class Record:
    """A row as it stands in the file."""

    line: int
    """Line of the file where it begins, from 1."""
    cells: Mapping[str, object] = field(default_factory=dict)
    problem: str | None = None
    """Why it could not be read at all."""


def read_table(
    table: Path | TextIO,
    columns: Columns,
    required: Sequence[str] = (),
    *,
    instead_of_pipe: str = "write it into a file first",
) -> tuple[str, list[Record]]:
    """The name of a table and its rows, as they stand there.

    Args:
        table: The file, or an open stream of text.
        columns: What it may have.
        required: What it must have.
        instead_of_pipe: What to do where the path names a pipe.

    Raises:
        UsageError: If it is no such table, or has no rows.
        UnreadableInputError: If the file cannot be read.
    """
    name, text = _read_text(table, instead_of_pipe)
    suffix = table.suffix.lower() if isinstance(table, Path) else ""
    if suffix != ".csv" and text.lstrip().startswith("["):
        raise UsageError(
            f"{name}: is a JSON array, and one object a line is read",
            hint="jq -c '.[]' makes lines",
        )
    is_jsonl = suffix in (".jsonl", ".ndjson") or (
        suffix != ".csv" and text.lstrip().startswith("{")
    )
    records = list(_read_jsonl(text) if is_jsonl else _read_csv(text, name, columns, required))
    if not records:
        raise UsageError(f"{name}: holds no rows")
    return name, records


def read_cells(
    record: Record, columns: Columns, required: Sequence[str] = ()
) -> tuple[dict[str, Any], list[SpfemError]]:
    """What the cells of a row say that are not empty, and all that is wrong with them."""
    faults: list[SpfemError] = []
    given: dict[str, Any] = {}
    if unknown := [column for column in record.cells if column not in columns]:
        faults.append(UsageError(_unknown(unknown)))
    for column in filter(columns.__contains__, record.cells):  # faults in the row's own order
        cell = record.cells[column]
        if cell is None or cell == "":
            continue
        try:
            given[column] = _read_cell(column, cell, columns)
        except SpfemError as error:
            faults.append(error)
    missing = [column for column in required if record.cells.get(column) in (None, "")]
    faults.extend(UsageError(f"no {column}") for column in missing)
    return given, faults


def _read_text(table: Path | TextIO, instead_of_pipe: str) -> tuple[str, str]:
    name = str(table) if isinstance(table, Path) else "stdin"
    try:
        if isinstance(table, Path):
            if is_pipe(table):  # opening it would wait for somebody who writes
                raise UnreadableInputError(f"{name}: is a pipe, not a file", hint=instead_of_pipe)
            return name, table.read_bytes().decode("utf-8-sig")
        return name, table.read().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise UsageError(f"{name}: is not UTF-8 (byte {error.start})") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise UnreadableInputError(f"{name}: cannot be read ({reason})") from error


def _read_csv(text: str, name: str, columns: Columns, required: Sequence[str]) -> Iterator[Record]:
    delimiter = _find_delimiter(text, columns)
    # Unless it is strict, a quote that is never closed swallows the rows after it without a word.
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
    header: list[str] = []
    begins = 1
    try:
        for cells in reader:
            line, begins = begins, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header = [cell.strip() for cell in cells]
                _check_header(header, name, columns, required)
            elif len(cells) != len(header):
                problem = f"has {len(cells)} cells, the header has {len(header)}"
                yield Record(line, problem=problem)
            else:
                record = Record(line, dict(zip(header, cells, strict=True)))
                yield _with_points(record, delimiter, columns)
    except csv.Error as error:
        raise UsageError(f"{name}, line {begins}: is no CSV ({error})") from error


def _with_points(record: Record, delimiter: str, columns: Columns) -> Record:
    """A row with points for decimal commas; wrong where a comma may be no such.

    Between commas there are none: such rows stay as they are.
    """
    if delimiter == DELIMITERS[0]:
        return record
    numbers = {
        name: str(cell)
        for name, cell in record.cells.items()
        if columns[name] not in (read_name, read_word)
    }
    for name, cell in numbers.items():
        if delimiter == "\t" and _THOUSANDS.fullmatch(number := cell.strip()):
            either, other = number.replace(",", "."), number.replace(",", "")
            doubt = f"{name}: {cell!r} between tabs may be {either} or {other}: write which"
            return Record(record.line, problem=doubt)
    points = {name: _DECIMAL_COMMA.sub(r"\1.\2", cell) for name, cell in numbers.items()}
    return Record(record.line, {**record.cells, **points})


def _find_delimiter(text: str, columns: Columns) -> str:
    """What stands between cells: spreadsheets write semicolons where numbers have commas."""
    header = next(filter(str.strip, text.splitlines()), "")

    def known(delimiter: str) -> int:
        return sum(cell.strip(' "') in columns for cell in header.split(delimiter))

    return max(DELIMITERS, key=known)


def _check_header(
    header: Sequence[str], name: str, columns: Columns, required: Sequence[str]
) -> None:
    if "" in header:
        raise UsageError(
            f"{name}: column {header.index('') + 1} has no name",
            hint="pandas writes its index so; to_csv(…, index=False) leaves it out",
        )
    if unknown := [column for column in header if column not in columns]:
        raise UsageError(f"{name}: {_unknown(unknown)}", hint=f"columns: {', '.join(columns)}")
    if len(set(header)) < len(header):
        raise UsageError(f"{name}: a column appears twice")
    if missing := [column for column in required if column not in header]:
        raise UsageError(f"{name}: no column {' and '.join(missing)}")


def _read_jsonl(text: str) -> Iterator[Record]:
    # Not splitlines: U+2028 may stand in a JSON string.
    for line, written in enumerate(text.split("\n"), start=1):
        if not written.strip():
            continue
        try:
            cells = json.loads(written, object_pairs_hook=_without_doubles)
        except (ValueError, RecursionError) as error:
            yield Record(line, problem=f"is no JSON ({error})")
            continue
        if isinstance(cells, dict):
            yield Record(line, cells)
        else:
            yield Record(line, problem="is no JSON object")


def _without_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    cells = dict(pairs)
    if len(cells) < len(pairs):
        raise ValueError("a key appears twice")
    return cells


def _read_cell(column: str, cell: object, columns: Columns) -> Any:
    """The value of a cell that is not empty.

    Raises:
        UsageError: If it is of another kind.
    """
    if not isinstance(cell, str | int | float):
        raise UsageError(f"{column} is neither text nor a number: {json.dumps(cell)[:40]}")
    if isinstance(cell, float) and isnan(cell):
        raise UsageError(f"{column} is NaN", hint="null, or nothing, leaves it out")
    if isinstance(cell, bool) and columns[column] not in (read_switch, read_corner):
        raise UsageError(f"{column} cannot be {str(cell).lower()}")
    try:
        return columns[column](str(cell))
    except UsageError as error:
        raise error.at(column) from error
    except ValueError as error:
        raise UsageError(f"{column}: {str(cell)[:40]!r} is not {error}") from error


def read_name(cell: str) -> str:
    """The name of a file."""
    if "\0" in cell:
        raise ValueError("a name: it holds a zero byte")
    try:
        os.fsencode(cell)
    except UnicodeEncodeError as error:
        raise ValueError("a name: it holds half a character") from error
    return cell


def read_word(cell: str) -> str:
    """Text without the white space around it."""
    return cell.strip()


def read_number(cell: str) -> float:
    """A number."""
    try:
        return float(cell)
    except ValueError as error:
        raise ValueError("a number") from error


def read_whole(cell: str) -> int:
    """A whole number."""
    try:
        return int(_without_zeros(cell))
    except ValueError as error:
        raise ValueError("a whole number") from error


def read_stream(cell: str) -> int:
    """The index of a stream of a file, from 0."""
    number = read_whole(cell)
    if number < 0:
        raise ValueError("a stream's number")
    return number


def read_switch(cell: str) -> bool:
    """Yes or no."""
    match _without_zeros(cell).lower():
        case "true" | "yes" | "1":
            return True
        case "false" | "no" | "0":
            return False
    raise ValueError("true or false")


def read_face(cell: str) -> str | int:
    """Whose face, as ``--face`` says it."""
    return parse_face(_without_zeros(cell))


def read_corner(cell: str) -> Corner | bool:
    """Where a label is shown, as :func:`~cdrl_cli.notation.parse_corner` says it."""
    return parse_corner(_without_zeros(cell))


def _without_zeros(cell: str) -> str:
    """A whole number as such, where a table says ``2.0``: pandas does, of a column with gaps."""
    return re.sub(r"(?<=\d)\.0+$", "", cell.strip(), flags=re.ASCII)


def _unknown(columns: Iterable[str]) -> str:
    names = ", ".join(repr(column[:40]) for column in columns)
    return f"unknown column {names}"
