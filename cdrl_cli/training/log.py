"""What a training run notes as it goes."""

import csv
from pathlib import Path


class Log:
    """A CSV file with one row a validation.

    Args:
        path: What it holds after step ``since`` is dropped: those steps will be done again.
        since: Step at which the run begins.
    """

    def __init__(self, path: Path, *, since: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        rows: list[dict[str, str]] = []
        if since and path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                rows = [row for row in csv.DictReader(file) if int(row["step"]) <= since]
        self._path = path
        path.unlink(missing_ok=True)
        for row in rows:
            self.write(**row)

    def write(self, **row: float | str) -> None:
        """Append a row; the first one names the columns."""
        new = not self._path.exists()
        with self._path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(row))
            if new:
                writer.writeheader()
            writer.writerow({k: f"{v:.4f}" if isinstance(v, float) else v for k, v in row.items()})
