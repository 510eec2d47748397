"""Clips and pictures to learn from or to test on: who is seen, with which emotion and licence.

A folder's ``index.csv`` has one row a clip. Columns: ``path``, ``audio`` (sound beside the clip),
``dataset``, ``licence_class``, ``identity``, ``emotion``, ``label_certain`` (0 or 1), ``sentence``,
``split`` (``train`` or ``val``), and optionally ``roles`` (:class:`Role`, separated by spaces),
which says of a row what a recipe otherwise says by name. Other columns are ignored. What a row
leaves empty, its data set may say (:mod:`cdrl_cli.data.datasets`).
"""

import csv
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from cdrl_cli.columns import read_switch
from cdrl_cli.data.clips import Clip, Role
from cdrl_cli.data.datasets import DATASET_FACTS
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UnreadableInputError

__all__ = ["Clip", "Role", "StillSet", "files_key", "read_certain", "read_index", "write_index"]

SOUND_SUFFIXES = frozenset({".wav", ".m4a", ".flac", ".mp3", ".aac", ".ogg", ".opus"})
"""Of files of sound beside a clip; anything else in the column says that there is none."""

_COLUMNS = (
    "path", "audio", "dataset", "licence_class", "identity", "emotion", "label_certain",
    "sentence", "split", "roles",
)  # fmt: skip

StillSet = Literal["london", "photos"]
"""Name of a data set of pictures; also of its folder beside ``index.csv``."""


def read_index(root: Path) -> list[Clip]:
    """The clips of a folder with an ``index.csv``.

    Raises:
        UnreadableInputError: If there is no index, it lacks a column, or a role or
            ``label_certain`` cannot be read.
    """
    index = root / "index.csv"
    line = 1
    try:
        with index.open(newline="", encoding="utf-8") as file:
            rows, clips = csv.DictReader(file, restval=""), []
            for row in rows:
                line = rows.line_num
                clips.append(_clip(root, row))
            return clips
    except OSError as error:
        raise UnreadableInputError(
            f"{index}: no index of training clips", hint="name the folder that holds index.csv"
        ) from error
    except KeyError as error:
        raise UnreadableInputError(f"{index}: column {error} is missing") from error
    except ValueError as error:
        raise UnreadableInputError(f"{index}, line {line}: {error}") from error


def read_certain(row: Mapping[str, str]) -> bool:
    """What the column ``label_certain`` says; an empty cell is no.

    Raises:
        ValueError: If it says neither yes nor no.
    """
    cell = row["label_certain"].strip()
    try:
        return bool(cell) and read_switch(cell)
    except ValueError as error:
        raise ValueError(f"label_certain: {cell[:40]!r} is not 0 or 1") from error


def files_key(paths: Iterable[Path]) -> str:
    """Of files as they are, by path, size and time of change, for the name of what is kept of them.

    Returns:
        8 hexadecimal digits; other ones where a file has changed.

    Raises:
        UnreadableInputError: If one is missing.
    """
    facts = []
    for path in paths:
        try:
            state = path.stat()
        except OSError as error:
            raise UnreadableInputError(f"{path}: {error.strerror}") from error
        facts.append((str(path.resolve()), state.st_size, state.st_mtime_ns))
    return f"{zlib.crc32(repr(facts).encode()):08x}"


def write_index(root: Path, clips: Iterable[Clip]) -> Path:
    """Write clips as an ``index.csv`` that :func:`read_index` reads; it appears when whole.

    Args:
        root: Folder of the index; paths below it are written relative to it, others in full.
        clips: In the order of the rows.

    Returns:
        The file.
    """
    root.mkdir(parents=True, exist_ok=True)
    part, index = root / "index.csv.part", root / "index.csv"
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, _COLUMNS)
        writer.writeheader()
        writer.writerows(_row(root.absolute(), clip) for clip in clips)
    part.replace(index)
    return index


def _row(root: Path, clip: Clip) -> dict[str, str]:
    def place(path: Path | None) -> str:
        if path is None:
            return ""
        path = path.absolute()
        return str(path.relative_to(root) if path.is_relative_to(root) else path)

    values = (
        place(clip.path),
        place(clip.audio),
        clip.dataset,
        clip.licence_class,
        clip.identity,
        clip.emotion or "",
        str(int(clip.label_certain)),
        clip.sentence or "",
        clip.split,
        " ".join(sorted(clip.roles)),
    )
    return dict(zip(_COLUMNS, values, strict=True))


def _clip(root: Path, row: Mapping[str, str]) -> Clip:
    facts = DATASET_FACTS.get(row["dataset"])
    emotion = Emotion.parse(row["emotion"])
    if facts is not None and not row["emotion"]:
        emotion = facts.emotion
    roles = row.get("roles")
    if roles is None:
        roles = facts.roles if facts is not None else ""
    return Clip(
        path=root / row["path"],
        audio=root / row["audio"] if Path(row["audio"]).suffix in SOUND_SUFFIXES else None,
        dataset=row["dataset"],
        licence_class=row["licence_class"],
        # A clip whose speaker nobody named shares its identity with no other.
        identity=row["identity"] if "unknown" not in row["identity"] else row["path"],
        emotion=emotion,
        label_certain=read_certain(row),
        sentence=row["sentence"] or None,
        split=row["split"],
        roles=frozenset(map(_role, roles.split())),
    )


def _role(word: str) -> Role:
    try:
        return Role(word)
    except ValueError as error:
        raise ValueError(f"{word[:40]!r} is none of the roles {', '.join(Role)}") from error
