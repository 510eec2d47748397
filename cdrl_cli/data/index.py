"""Clips and pictures to learn from or to test on: who is seen, with which emotion and licence.

A folder's ``index.csv`` has one row a clip. Columns: ``path``, ``audio`` (a wav beside the clip),
``dataset``, ``licence_class``, ``identity``, ``emotion``, ``label_certain`` (0 or 1), ``sentence``,
``split`` (``train`` or ``val``), and optionally ``roles`` (:class:`Role`, separated by spaces),
which says of a row what a recipe otherwise says by name. Other columns are ignored. What a row
leaves empty, its data set may say (:mod:`cdrl_cli.data.datasets`).
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

from cdrl_cli.data.datasets import DATASET_FACTS
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UnreadableInputError


class Role(StrEnum):
    """What a clip may be used for, beside learning."""

    REFRAMED = "reframed"
    """Shows a take that another row shows too, in another framing: neither learned from as a clip
    of its own, nor validated on; it may be edited."""
    VALIDATION = "validation"
    """Never learned from; says when training ends."""
    HELD_OUT = "held_out"
    """Never learned from, nor looked at while anything is trained."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip or picture, and what is known of it."""

    path: Path
    """The video or picture."""
    audio: Path | None
    """The wav beside the clip; None if the sound is in the clip itself, or there is none."""
    dataset: str
    """Name of the data set."""
    licence_class: str
    """``permissive``: weights may be used freely; ``research``: they are research-only."""
    identity: str
    """Who is seen; equal names are one person."""
    emotion: Emotion | None
    """What is shown; None where it is not known, or none of the seven."""
    label_certain: bool
    """False where the emotion was judged by file name and eye."""
    sentence: str | None
    """What is said: equal texts are one sentence; None where it is not known."""
    split: str
    """``train`` or ``val``."""
    roles: frozenset[Role] = frozenset()
    """What the index says of its use; a recipe may say more."""


StillSet = Literal["london", "photos"]
"""Name of a data set of pictures; also of its folder beside ``index.csv``."""


def read_index(root: Path) -> list[Clip]:
    """The clips of a folder with an ``index.csv``.

    Raises:
        UnreadableInputError: If there is no index, it lacks a column, or a role is unknown.
    """
    index = root / "index.csv"
    try:
        with index.open(newline="", encoding="utf-8") as file:
            return [_clip(root, row) for row in csv.DictReader(file)]
    except OSError as error:
        raise UnreadableInputError(
            f"{index}: no index of training clips", hint="name the folder that holds index.csv"
        ) from error
    except KeyError as error:
        raise UnreadableInputError(f"{index}: column {error} is missing") from error
    except ValueError as error:
        known = ", ".join(Role)
        raise UnreadableInputError(f"{index}: {error}", hint=f"roles are: {known}") from error


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
        audio=root / row["audio"] if row["audio"].endswith(".wav") else None,
        dataset=row["dataset"],
        licence_class=row["licence_class"],
        # A clip whose speaker nobody named shares its identity with no other.
        identity=row["identity"] if "unknown" not in row["identity"] else row["path"],
        emotion=emotion,
        label_certain=row["label_certain"] == "1",
        sentence=row["sentence"] or None,
        split=row["split"],
        roles=frozenset(map(Role, roles.split())),
    )
