"""Clips named by an ``index.csv``: who speaks, with which emotion, under which licence."""

import csv
from dataclasses import dataclass, replace
from pathlib import Path

from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UnreadableInputError

_BY_DESIGN = {"GRID": "neutral"}
"""Data sets whose rows name no emotion because all have one."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One row of the index."""

    path: Path
    audio: Path | None
    """The wav beside the clip; None if the sound is in the clip itself, or there is none."""
    dataset: str
    licence_class: str
    """``permissive``: weights may be used freely; ``research``: they are research-only."""
    identity: str
    emotion: Emotion | None
    label_certain: bool
    """False where the emotion was judged by file name and eye."""
    sentence: str | None
    split: str
    """``train`` or ``val``."""


def read_index(root: Path) -> list[Clip]:
    """The clips of a folder with an ``index.csv``.

    Raises:
        UnreadableInputError: If there is no index, or it lacks a column.
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


def find_clips(data: Path) -> list[Clip]:
    """The clips and stills of a folder with ``index.csv`` and maybe ``london/``.

    Raises:
        UnreadableInputError: If there is no index, or it lacks a column.
    """
    return [*read_index(data), *read_london(data / "london")]


def read_training_clips(root: Path, *, licence_class: str) -> list[Clip]:
    """The clips and stills to learn from: training split, known licence, known label or none.

    Args:
        root: Folder with ``index.csv``, and maybe ``london/``.
        licence_class: ``permissive`` leaves research-only clips out; ``research`` takes all.

    Raises:
        UnreadableInputError: If there is no index, or it lacks a column.
    """
    return [
        clip
        if clip.label_certain or clip.emotion is Emotion.NEUTRAL
        else replace(clip, emotion=None)
        for clip in find_clips(root)
        if clip.split == "train" and (licence_class in ("research", clip.licence_class))
    ]


def read_london(root: Path) -> list[Clip]:
    """The stills of the Face Research Lab London Set: ``NNN_neutral.jpg``, ``NNN_smiling.jpg``."""
    emotions = {"neutral": Emotion.NEUTRAL, "smiling": Emotion.HAPPY}
    return [
        Clip(
            path=path,
            audio=None,
            dataset="London",
            licence_class="permissive",
            identity=f"London_{path.stem[:3]}",
            emotion=emotions[path.stem[4:]],
            label_certain=True,
            sentence=None,
            split="train",
        )
        for path in sorted(root.glob("[0-9][0-9][0-9]_*.jpg"))
    ]


def _clip(root: Path, row: dict[str, str]) -> Clip:
    audio = row["audio"]
    return Clip(
        path=root / row["path"],
        audio=root / audio if audio.endswith(".wav") else None,
        dataset=row["dataset"],
        licence_class=row["licence_class"],
        # A clip whose speaker nobody named shares its identity with no other.
        identity=row["identity"] if "unknown" not in row["identity"] else row["path"],
        emotion=Emotion.parse(row["emotion"] or _BY_DESIGN.get(row["dataset"], "")),
        label_certain=row["label_certain"] == "1",
        sentence=row["sentence"] or None,
        split=row["split"],
    )
