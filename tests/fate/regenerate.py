"""Write anew what is kept of the matrix, and show the difference.

python tests/fate/regenerate.py [SOURCE ...]
"""

import difflib
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from fate.cells import CELLS, SOURCES, expected_file, run_cell  # noqa: E402


def main(names: list[str]) -> None:
    """Run the cells of some sources, or of all."""
    changed = 0
    with tempfile.TemporaryDirectory() as folder:
        for source in names or SOURCES:
            path = expected_file(source)
            old = path.read_text(encoding="utf-8") if path.exists() else ""
            cells = [cell for cell in CELLS if cell.source == source]
            lines = [f"{cell.name}: {run_cell(cell, Path(folder))}\n" for cell in cells]
            path.write_text("".join(lines), encoding="utf-8")
            difference = difflib.unified_diff(
                old.splitlines(keepends=True), lines, f"kept/{path.name}", f"new/{path.name}", n=0
            )
            shown = "".join(difference)
            changed += bool(shown)
            sys.stdout.write(shown)
    sys.stdout.write(f"{len(CELLS)} cells, {changed} files changed\n")


if __name__ == "__main__":
    main(sys.argv[1:])
