"""What is to be edited: rows of a CSV or JSONL file, all of them checked before the first edit."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TextIO

from cdrl_cli.columns import (
    Columns,
    Record,
    read_cells,
    read_corner,
    read_face,
    read_name,
    read_number,
    read_stream,
    read_switch,
    read_table,
    read_whole,
    read_word,
)
from cdrl_cli.comparison import name_comparison
from cdrl_cli.edit_options import EditOptions
from cdrl_cli.errors import SpfemError, UsageError
from cdrl_cli.generator.adjust import Adjustment
from cdrl_cli.media import check_encoding
from cdrl_cli.media.credentials import CredentialSigner, SigningIdentity, check_signable
from cdrl_cli.media.encoder import takes_quality
from cdrl_cli.media.output import check_kind
from cdrl_cli.media.side_by_side import Layout
from cdrl_cli.nn.devices import read_device
from cdrl_cli.notation import CORNERS, Corner, parse_face, parse_time
from cdrl_cli.presets import EmotionPreset, find_preset
from cdrl_cli.report.beside import Beside
from cdrl_cli.schedule_file import check_cells, read_schedule
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
    device: str = "auto"
    """What the networks run on; the same edit, so a change of it makes no row anew."""
    beside: Beside = Beside()  # noqa: RUF009 - it is frozen
    """What is written beside the output, to look at it."""


@dataclass(frozen=True, slots=True)
class RowDefaults:
    """What holds for a row that does not say otherwise."""

    intensity: float = 1.0
    face: str = "largest"
    codec: str | None = None
    crf: int | None = None
    preset: str | None = None
    weight_set: WeightSet = WeightSet.PERMISSIVE
    device: str = "auto"
    overwrite: bool = False
    signing: SigningIdentity | None = None
    """For all rows."""
    preset_emotion: str | None = None
    own_presets: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """The user's ways to edit, by their names."""
    consent: str | None = None
    disclose: Corner | None = None
    """Corner of a label on every frame; None without one."""
    disclose_at: Corner = CORNERS[0]
    """Corner of the label where a row says ``true``."""


def read_manifest(
    manifest: Path | str | TextIO,
    *,
    folder: Path | str | None = None,
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
    if isinstance(manifest, str):
        manifest = Path(manifest)
    name, records = read_table(
        manifest, _COLUMNS, _REQUIRED, instead_of_pipe="spfem batch - reads standard input"
    )
    if folder is None:
        folder = manifest.parent if isinstance(manifest, Path) else Path()
    checker = _Checker(Path(folder).absolute(), defaults or RowDefaults())
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


class _Checker:
    """Turns records into rows, and notes what is wrong with them."""

    def __init__(self, folder: Path, defaults: RowDefaults) -> None:
        self._folder = folder
        self._defaults = defaults
        self.problems: list[tuple[int, str]] = []

    def check(self, number: int, record: Record) -> BatchRow | None:
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

    def _read_cells(self, record: Record) -> dict[str, Any] | None:
        """What the cells say that are not empty, or None if any of them is wrong."""
        given, faults = read_cells(record, _COLUMNS, _REQUIRED)
        for fault in faults:
            self._note(record, fault)
        return None if faults else given

    def _note(self, record: Record, error: SpfemError) -> None:
        self.problems += [(record.line, text) for text in error.told]

    def check_together(self, rows: Sequence[BatchRow]) -> None:
        """Two rows must not write one file, and none may write what another reads."""
        written: dict[str, BatchRow] = {}
        read = {
            os.path.realpath(path): row
            for row in rows
            for path in (row.source, *row.options.reference_files)
            if path is not None
        }
        files = [(row, path) for row in rows for path in (row.output, *row.beside.files)]
        for row, path in files:
            output = os.path.realpath(path)
            if first := written.get(output):
                where = "twice" if first is row else f"as line {first.line} does"
                self.problems.append((row.line, f"writes {path}, {where}"))
            written.setdefault(output, row)
            if reader := read.get(output):
                where = "itself" if reader is row else f"line {reader.line}"
                self.problems.append((row.line, f"writes {path}, which {where} reads"))

    def _comparison(self, asked: str | None, output: Path) -> tuple[Layout, Path] | None:
        if asked is None:
            return None
        layout, path = name_comparison(asked, output)
        check_encoding(self._folder / path)
        return layout, self._folder / path

    def _corner(self, asked: Corner | bool | None) -> Corner | None:
        """Where a row's label is shown; None without one."""
        if isinstance(asked, bool):
            return self._defaults.disclose_at if asked else None
        return asked

    def _row(self, number: int, record: Record, given: Mapping[str, Any]) -> BatchRow:
        def value(key: str) -> Any:
            return given.get(key, getattr(self._defaults, key))

        def file(key: str) -> Path | None:
            return self._folder / given[key] if key in given else None

        face = given.get("face", "largest" if "who" in given else self._defaults.face)
        name = value("preset_emotion")
        chosen = find_preset(name, self._defaults.own_presets) if name else EmotionPreset()
        intensity = value("intensity")
        if chosen.intensity is not None and "intensity" not in given:
            intensity = chosen.intensity
        emotion = given.get("emotion")
        if not {"emotion", "ref", "schedule"} & given.keys():
            emotion = chosen.emotion
        says_what = emotion is not None or not given.keys().isdisjoint(("ref", "schedule"))
        check_cells(given, names_emotion=says_what)
        shown_by: dict[str, Any] = {
            "intensity": intensity,
            "pace": given.get("pace", 1.0),
            "adjust": given.get("adjust", chosen.adjust),
            "neutralise": given.get("neutralise", given.get("neutralize", chosen.neutralise)),
            "face": parse_face(face) if isinstance(face, str) else face,
        }
        schedule = file("schedule")
        is_lossy = takes_quality(value("codec"))
        options = EditOptions(
            **({} if schedule else shown_by),
            who=file("who"),
            target_emotion=given.get("target_emotion"),
            schedule=read_schedule(schedule, **shown_by) if schedule else None,
            reference=file("ref"),
            emotion=emotion,
            way=given.get("way"),
            follow_reference=given.get("follow_ref", False),
            reference_neutral=file("ref_neutral"),
            reference_face=given.get("ref_face", 1),
            reference_start=given.get("ref_start"),
            reference_end=given.get("ref_end"),
            normalize=given.get("normalize", False),
            start=given.get("start"),
            end=given.get("end"),
            video_stream=given.get("video_stream"),
            codec=value("codec"),
            crf=given.get("crf", self._defaults.crf if is_lossy else None),
            preset=given.get("preset", self._defaults.preset if is_lossy else None),
            copy_untouched=given.get("copy_untouched", "auto"),
            resume=given.get("resume", False),
            overwrite=value("overwrite"),
            signing=self._defaults.signing,
            consent=value("consent"),
            disclose=self._corner(value("disclose")),
        )
        report = file("report")
        if report is not None:
            check_kind(report, ".html")
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
            device=value("device"),
            beside=Beside(self._comparison(given.get("compare"), output), report),
        )


_COLUMNS: Final[Columns] = {
    "source": read_name,
    "ref": read_name,
    "emotion": read_word,
    "way": read_whole,
    "follow_ref": read_switch,
    "ref_neutral": read_name,
    "ref_face": read_whole,
    "ref_start": parse_time,
    "ref_end": parse_time,
    "normalize": read_switch,
    "output": read_name,
    "intensity": read_number,
    "pace": read_number,
    "preset_emotion": read_word,
    "target_emotion": read_number,
    "adjust": Adjustment.parse,
    "neutralise": read_switch,
    "neutralize": read_switch,
    "schedule": read_name,
    "face": read_face,
    "who": read_name,
    "start": parse_time,
    "end": parse_time,
    "video_stream": read_stream,
    "codec": read_word,
    "crf": read_whole,
    "preset": read_word,
    "copy_untouched": read_word,
    "weights": read_word,
    "device": read_device,
    "consent": read_word,
    "disclose": read_corner,
    "compare": read_name,
    "report": read_name,
    "resume": read_switch,
    "overwrite": read_switch,
}
"""Every column, and how its cells are read."""

_REQUIRED: Final = ("source", "output")
