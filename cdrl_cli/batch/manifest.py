"""What is to be edited: rows of a CSV or JSONL file, all of them checked before the first edit."""

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TextIO

from cdrl_cli.edit_options import EditOptions
from cdrl_cli.errors import SpfemError, UnreadableInputError, UsageError
from cdrl_cli.media import check_encoding
from cdrl_cli.media.credentials import CredentialSigner, SigningIdentity, check_signable
from cdrl_cli.notation import parse_face, parse_time
from cdrl_cli.streams import is_pipe
from cdrl_cli.weight_set import WeightSet


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One edit of a batch."""

    number: int
    """Position in the manifest, from 1."""
    line: int
    """Line of the manifest where the row begins, from 1."""
    source: Path
    output: Path
    options: EditOptions
    weight_set: WeightSet


@dataclass(frozen=True, slots=True)
class RowDefaults:
    """What holds for a row that does not say otherwise."""

    intensity: float = 1.0
    face: str = "largest"
    codec: str | None = None
    crf: int | None = None
    preset: str | None = None
    weight_set: WeightSet = WeightSet.PERMISSIVE
    overwrite: bool = False
    signing: SigningIdentity | None = None
    """For all rows."""


def read_manifest(
    manifest: Path | TextIO,
    *,
    folder: Path | None = None,
    defaults: RowDefaults | None = None,
) -> tuple[BatchRow, ...]:
    """Read and check every row.

    The columns of a CSV file, or the keys of the objects in a JSONL file, are the options of
    ``spfem edit``; an empty cell is as none. What a row says of the disk (whether its source is
    there, whether its output exists already) is left to its edit.

    Args:
        manifest: The file, or an open stream of text.
        folder: What paths are relative to; None for the manifest's own folder, and for the
            working directory where the manifest is a stream.
        defaults: What holds for a row that does not say otherwise.

    Raises:
        UsageError: If anything is wrong with any row; :attr:`~SpfemError.details` names them all.
            If nobody can sign with the key.
        UnreadableInputError: If the file cannot be read.
    """
    if defaults and defaults.signing:
        CredentialSigner(defaults.signing)
    name, text = _read_text(manifest)
    if folder is None:
        folder = manifest.parent if isinstance(manifest, Path) else Path()
    suffix = manifest.suffix.lower() if isinstance(manifest, Path) else ""
    is_jsonl = suffix in (".jsonl", ".ndjson") or (
        suffix != ".csv" and text.lstrip().startswith("{")
    )
    records = list(_read_jsonl(text) if is_jsonl else _read_csv(text, name))
    if not records:
        raise UsageError(f"{name}: holds no rows")
    checker = _Checker(folder.absolute(), defaults or RowDefaults())
    rows = [checker.check(number, record) for number, record in enumerate(records, start=1)]
    checker.check_together([row for row in rows if row is not None])
    if checker.problems:
        wrong = len({line for line, _ in checker.problems})
        raise UsageError(
            f"{name}: {wrong} of {len(records)} rows are wrong; nothing was started",
            details=[f"{name}, line {line}: {text}" for line, text in sorted(checker.problems)],
        )
    return tuple(row for row in rows if row is not None)


def select_shard(rows: Sequence[BatchRow], index: int, count: int) -> tuple[BatchRow, ...]:
    """The rows that are one machine's part of the work: row k belongs to shard k mod ``count``.

    Args:
        rows: The whole manifest.
        index: Which part, from 1.
        count: Of how many.

    Raises:
        UsageError: If there is no such part.
    """
    if not 1 <= index <= count:
        raise UsageError(f"no shard {index} of {count}", hint="shards count from 1")
    return tuple(row for row in rows if row.number % count == index % count)


def _read_text(manifest: Path | TextIO) -> tuple[str, str]:
    name = str(manifest) if isinstance(manifest, Path) else "stdin"
    try:
        if isinstance(manifest, Path):
            if is_pipe(manifest):  # opening it would wait for somebody who writes
                raise UnreadableInputError(
                    f"{name}: is a pipe, not a file", hint="spfem batch - reads standard input"
                )
            return name, manifest.read_bytes().decode("utf-8-sig")
        return name, manifest.read().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise UsageError(f"{name}: is not UTF-8 (byte {error.start})") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise UnreadableInputError(f"{name}: cannot be read ({reason})") from error


@dataclass(frozen=True, slots=True)
class _Record:
    """A row as it stands in the file."""

    line: int
    cells: Mapping[str, object] = field(default_factory=dict)
    problem: str | None = None


def _read_csv(text: str, name: str) -> Iterator[_Record]:
    # Without this, a quote that is never closed swallows the rows after it without a word.
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] = []
    begins = 1
    try:
        for cells in reader:
            line, begins = begins, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header = [cell.strip() for cell in cells]
                _check_header(header, name)
            elif len(cells) != len(header):
                problem = f"has {len(cells)} cells, the header has {len(header)}"
                yield _Record(line, problem=problem)
            else:
                yield _Record(line, dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        raise UsageError(f"{name}, line {begins}: is no CSV ({error})") from error


def _check_header(header: Sequence[str], name: str) -> None:
    if unknown := [column for column in header if column not in _READERS]:
        raise UsageError(f"{name}: {_unknown(unknown)}", hint=f"columns: {', '.join(_READERS)}")
    if len(set(header)) < len(header):
        raise UsageError(f"{name}: a column appears twice")
    if missing := [column for column in _REQUIRED if column not in header]:
        raise UsageError(f"{name}: no column {' and '.join(missing)}")


def _read_jsonl(text: str) -> Iterator[_Record]:
    # Not splitlines: U+2028 may stand in a JSON string.
    for line, written in enumerate(text.split("\n"), start=1):
        if not written.strip():
            continue
        try:
            cells = json.loads(written, object_pairs_hook=_without_doubles)
        except (ValueError, RecursionError) as error:
            yield _Record(line, problem=f"is no JSON ({error})")
            continue
        if isinstance(cells, dict):
            yield _Record(line, cells)
        else:
            yield _Record(line, problem="is no JSON object")


def _without_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    cells = dict(pairs)
    if len(cells) < len(pairs):
        raise ValueError("a key appears twice")
    return cells


class _Checker:
    """Turns records into rows, and notes what is wrong with them."""

    def __init__(self, folder: Path, defaults: RowDefaults) -> None:
        self._folder = folder
        self._defaults = defaults
        self.problems: list[tuple[int, str]] = []

    def check(self, number: int, record: _Record) -> BatchRow | None:
        """The row, or None if something is wrong with it."""
        if record.problem is not None:
            self._note(record, UsageError(record.problem))
            return None
        given = self._read_cells(record)
        if given is None:
            return None
        try:
            return self._row(number, record, given)
        except SpfemError as error:
            self._note(record, error)
            return None

    def _read_cells(self, record: _Record) -> dict[str, Any] | None:
        """What the cells say that are not empty, or None if any of them is wrong."""
        faults: list[SpfemError] = []
        given: dict[str, Any] = {}
        if unknown := [column for column in record.cells if column not in _READERS]:
            faults.append(UsageError(_unknown(unknown)))
        for column in record.cells.keys() & _READERS.keys():
            try:
                given[column] = _read_cell(column, record.cells[column])
            except SpfemError as error:
                faults.append(error)
        missing = [column for column in _REQUIRED if record.cells.get(column) in (None, "")]
        for fault in (*faults, *(UsageError(f"no {column}") for column in missing)):
            self._note(record, fault)
        if faults or missing:
            return None
        return {column: value for column, value in given.items() if value is not None}

    def _note(self, record: _Record, error: SpfemError) -> None:
        hint = f" ({error.hint.rstrip('.')})" if error.hint else ""
        self.problems.append((record.line, f"{error}{hint}"))

    def check_together(self, rows: Sequence[BatchRow]) -> None:
        """Two rows must not write one file, and none may write what another reads."""
        written: dict[str, BatchRow] = {}
        read = {
            os.path.realpath(path): row
            for row in rows
            for path in (row.source, *row.options.reference_files)
            if path is not None
        }
        for row in rows:
            output = os.path.realpath(row.output)
            first = written.setdefault(output, row)
            if first is not row:
                self.problems.append((row.line, f"writes {row.output}, as line {first.line} does"))
            if reader := read.get(output):
                where = "itself" if reader is row else f"line {reader.line}"
                self.problems.append((row.line, f"writes {row.output}, which {where} reads"))

    def _row(self, number: int, record: _Record, given: Mapping[str, Any]) -> BatchRow:
        def value(key: str) -> Any:
            return given.get(key, getattr(self._defaults, key))

        def file(key: str) -> Path | None:
            return self._folder / given[key] if key in given else None

        face = value("face")
        options = EditOptions(
            reference=file("ref"),
            emotion=given.get("emotion"),
            follow_reference=given.get("follow_ref", False),
            reference_neutral=file("ref_neutral"),
            reference_face=given.get("ref_face", 1),
            reference_start=given.get("ref_start"),
            reference_end=given.get("ref_end"),
            normalize=given.get("normalize", False),
            intensity=value("intensity"),
            face=parse_face(face) if isinstance(face, str) else face,
            start=given.get("start"),
            end=given.get("end"),
            video_stream=given.get("video_stream"),
            codec=value("codec"),
            crf=value("crf"),
            preset=value("preset"),
            overwrite=value("overwrite"),
            signing=self._defaults.signing,
        )
        output = self._folder / given["output"]
        check_encoding(output, codec=options.codec, crf=options.crf, preset=options.preset)
        if options.signing is not None:
            check_signable(output)
        return BatchRow(
            number=number,
            line=record.line,
            source=self._folder / given["source"],
            output=output,
            options=options,
            weight_set=WeightSet.parse(given.get("weights", self._defaults.weight_set)),
        )


def _read_cell(column: str, cell: object) -> Any:
    """The value of a cell, or None if it is empty.

    Raises:
        UsageError: If it is of another kind.
    """
    if cell is None or cell == "":
        return None
    if not isinstance(cell, str | int | float):
        raise UsageError(f"{column} is neither text nor a number: {json.dumps(cell)[:40]}")
    if isinstance(cell, bool) and _READERS[column] is not _switch:
        raise UsageError(f"{column} cannot be {str(cell).lower()}")
    try:
        return _READERS[column](str(cell))
    except UsageError as error:
        raise UsageError(f"{column}: {error}", hint=error.hint) from error
    except ValueError as error:
        raise UsageError(f"{column}: {str(cell)[:40]!r} is not {error}") from error


def _text(word: str) -> str:
    if "\0" in word:
        raise ValueError("a name: it holds a zero byte")
    try:
        os.fsencode(word)
    except UnicodeEncodeError as error:
        raise ValueError("a name: it holds half a character") from error
    return word


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError as error:
        raise ValueError("a number") from error


def _whole(word: str) -> int:
    try:
        return int(word)
    except ValueError as error:
        raise ValueError("a whole number") from error


def _stream(word: str) -> int:
    number = _whole(word)
    if number < 0:
        raise ValueError("a stream's number")
    return number


def _switch(word: str) -> bool:
    match word.strip().lower():
        case "true" | "yes" | "1":
            return True
        case "false" | "no" | "0":
            return False
    raise ValueError("true or false")


def _face(word: str) -> str | int:
    return parse_face(word.strip())


def _word(word: str) -> str:
    return word.strip()


_READERS: Final[Mapping[str, Callable[[str], object]]] = {
    "source": _text,
    "ref": _text,
    "emotion": _word,
    "follow_ref": _switch,
    "ref_neutral": _text,
    "ref_face": _whole,
    "ref_start": parse_time,
    "ref_end": parse_time,
    "normalize": _switch,
    "output": _text,
    "intensity": _number,
    "face": _face,
    "start": parse_time,
    "end": parse_time,
    "video_stream": _stream,
    "codec": _word,
    "crf": _whole,
    "preset": _word,
    "weights": _word,
    "overwrite": _switch,
}
"""Every column, and how its cells are read."""

_REQUIRED: Final = ("source", "output")


def _unknown(columns: Iterable[str]) -> str:
    names = ", ".join(repr(column[:40]) for column in columns)
    return f"unknown column {names}"
