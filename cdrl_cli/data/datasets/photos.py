"""Photographs of acted emotions, simple and compound, named by a ``photos.csv``.

One row a picture: ``path``, ``dataset``, ``identity``, ``emotion``, ``label_certain`` (0 or 1),
``licence_class``, ``split``; other columns are ignored.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cdrl_cli.array_types import Float32
from cdrl_cli.data.index import Clip, read_certain
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UnreadableInputError

_NAMED = {
    "appalled": (Emotion.DISGUSTED, Emotion.SURPRISED),
    "awed": (Emotion.FEAR, Emotion.SURPRISED),
    "hatred": (Emotion.ANGRY, Emotion.DISGUSTED),
}
"""Compound emotions whose names do not say what they are made of (Du, Tao and Martinez 2014)."""

_ADVERBS = {
    "angrily": Emotion.ANGRY,
    "disgustedly": Emotion.DISGUSTED,
    "fearfully": Emotion.FEAR,
    "happily": Emotion.HAPPY,
    "sadly": Emotion.SAD,
    "surprisedly": Emotion.SURPRISED,
}


@dataclass(frozen=True, slots=True)
class Photo:
    """One picture of the list, and what is known of it."""

    path: Path
    """The picture."""
    dataset: str
    """Name of the collection it comes from."""
    identity: str
    """Who is seen; equal names are one person."""
    emotion: str
    """As the list has it: ``neutral``, one of the emotions, or a compound: ``sadly_angry``."""
    emotions: tuple[Emotion, ...]
    """What it is made of: one emotion, or two that are shown together."""
    label_certain: bool
    """False where person and emotion were inferred, not noted."""
    licence_class: str
    """``permissive``: weights may be used freely; ``research``: they are research-only."""
    split: str
    """``train`` or ``val``."""

    @property
    def is_compound(self) -> bool:
        """Whether two emotions are shown together."""
        return len(self.emotions) > 1

    @property
    def shares(self) -> Float32[np.ndarray, " 7"]:
        """How much of each emotion is shown, in class order: 1 in all, and all 0 for neutral."""
        return emotion_shares(self.emotions)

    def as_clip(self) -> Clip:
        """The picture as a clip of one frame; a compound emotion is none of the seven."""
        return Clip(
            path=self.path,
            audio=None,
            dataset=self.dataset,
            licence_class=self.licence_class,
            identity=self.identity,
            emotion=None if self.is_compound else self.emotions[0],
            label_certain=self.label_certain,
            sentence=None,
            split=self.split,
        )


def read_photos(root: Path) -> list[Photo]:
    """The pictures of a folder with a ``photos.csv``.

    Raises:
        UnreadableInputError: If there is no list, it lacks a column, or an emotion has no name that
            is known.
    """
    index = root / "photos.csv"
    try:
        with index.open(newline="", encoding="utf-8") as file:
            return [_photo(root, row) for row in csv.DictReader(file, restval="")]
    except OSError as error:
        raise UnreadableInputError(
            f"{index}: no list of photographs", hint="name the folder that holds photos.csv"
        ) from error
    except KeyError as error:
        raise UnreadableInputError(f"{index}: column {error} is missing") from error
    except ValueError as error:
        raise UnreadableInputError(f"{index}: {error}") from error


def parse_emotions(name: str) -> tuple[Emotion, ...]:
    """The emotions that a simple or compound one is made of, by its name.

    >>> parse_emotions("happy"), parse_emotions("sadly_angry")
    ((<Emotion.HAPPY: 'happy'>,), (<Emotion.SAD: 'sad'>, <Emotion.ANGRY: 'angry'>))

    Raises:
        ValueError: If the name is not known.
    """
    words = name.lower().split("_")
    parts = _NAMED.get(name.lower()) or tuple(
        _ADVERBS.get(word) or Emotion.parse(word) for word in words
    )
    known = tuple(part for part in parts if part is not None)
    if len(known) != len(parts):
        raise ValueError(f"no emotion is called '{name}'")
    return known


def emotion_shares(emotions: tuple[Emotion, ...]) -> Float32[np.ndarray, " 7"]:
    """How much of each emotion is in some that are shown together: alike, 1 in all.

    >>> emotion_shares((Emotion.SAD, Emotion.ANGRY))
    array([0.5, 0. , 0. , 0. , 0. , 0.5, 0. ], dtype=float32)
    >>> emotion_shares((Emotion.NEUTRAL,)).sum()
    np.float32(0.0)
    """
    shares = np.zeros(len(Emotion), np.float32)
    for emotion in emotions:
        if emotion is not Emotion.NEUTRAL:
            shares[emotion.class_index] += 1 / len(emotions)
    return shares


def _photo(root: Path, row: Mapping[str, str]) -> Photo:
    return Photo(
        path=root / row["path"],
        dataset=row["dataset"],
        identity=row["identity"],
        emotion=row["emotion"],
        emotions=parse_emotions(row["emotion"]),
        label_certain=read_certain(row),
        licence_class=row["licence_class"],
        split=row["split"],
    )
