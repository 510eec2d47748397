"""What a training run notes as it goes: one JSON object a line."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Log:
    """A file of JSON lines, one a validation, each with its ``step``.

    Args:
        path: Rows after step ``since`` are dropped, those steps will be done again; so is a last
            line that was cut while it was written.
        since: Step at which the run begins.
    """

    def __init__(self, path: Path, *, since: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        rows = [row for row in read_log(path) if row["step"] <= since] if since else []
        part = path.with_name(f"{path.name}.part")
        part.write_text("".join(map(_line, rows)), "utf-8")
        part.replace(path)

    def write(self, row: Mapping[str, Any]) -> None:
        """Append a row, on the disk before the call returns."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_line(row))
            file.flush()
            os.fsync(file.fileno())


def read_log(path: Path) -> list[dict[str, Any]]:
    """The rows of a log, none where there is no file; a line cut short is left out."""
    rows = []
    lines = path.read_text("utf-8").split("\n") if path.exists() else []
    for line in lines:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row) + "\n"
