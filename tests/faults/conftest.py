"""What the world may do to an edit, done on purpose; the counts are printed at the end."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest
from conftest import FAULT

from commands import run_limited

ROOT = Path(__file__).parents[2]

LIMIT_S = 120
"""Whatever takes longer hangs."""

_TALLY: Counter[str] = Counter()


@dataclass(frozen=True)
class Spfem:
    """The real command, in a folder of its own."""

    folder: Path

    @staticmethod
    def environment(**variables: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SPFEM_")}
        quick = {"SPFEM_PRESET": "ultrafast", "SPFEM_CONFIG": os.devnull}
        return kept | quick | {"PYTHONPATH": str(ROOT)} | variables

    @staticmethod
    def _command(words: tuple[object, ...]) -> list[str]:
        return [sys.executable, "-m", "cdrl_cli", *map(os.fspath, map(_word, words))]

    def start(
        self,
        *words: object,
        stdin: IO[bytes] | int = subprocess.DEVNULL,
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
        as_bytes: bool = False,
        **variables: str,
    ) -> subprocess.Popen:
        return subprocess.Popen(
            self._command(words),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            errors=None if as_bytes else "surrogateescape",
            cwd=self.folder,
            env=self.environment(**variables),
        )

    def __call__(self, *words: object, **variables: str) -> subprocess.CompletedProcess[str]:
        done = run_limited(
            self._command(words),
            cwd=self.folder,
            env=self.environment(**variables),
            limit_s=LIMIT_S,
            errors="surrogateescape",
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def refuse(self, code: int, *words: object, **variables: str) -> str:
        """Expect one clear error and no output; count it."""
        done = self(*words, **variables)
        assert done.returncode == code, done.stderr
        errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1, done.stderr
        count(f"refused with exit code {code}")
        return errors[0]

    def results(self, name: str = "rows.csv.results.jsonl") -> list[dict]:
        return [json.loads(line) for line in (self.folder / name).read_text().splitlines()]

    def visible(self) -> set[str]:
        """Names of the files in the folder."""
        return {path.name for path in self.folder.iterdir()}


def _word(word: object) -> str | bytes:
    return word if isinstance(word, bytes) else str(word)


def count(what: str, number: int = 1) -> None:
    """Note a fault that ended as it should."""
    _TALLY[what] += number


@pytest.fixture(autouse=True)
def _tally(record_property: Callable[[str, object], None]) -> Iterator[None]:
    """Report what a test has counted."""
    _TALLY.clear()
    yield
    for kind in _TALLY.items():
        record_property(FAULT, kind)


@pytest.fixture
def spfem(tmp_path: Path) -> Spfem:
    return Spfem(tmp_path)


@pytest.fixture
def mounts() -> Iterator[list[Path]]:
    """Folders to unmount at the end."""
    mounted: list[Path] = []
    yield mounted
    for path in mounted:
        subprocess.run(["umount", "-l", path], check=True)
