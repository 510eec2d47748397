"""Photographs of acted emotions, named by ``photos.csv``: who, which emotion, of which split."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UnreadableInputError

_PARTS: dict[str, tuple[Emotion, ...]] = {
    "appalled": (Emotion.DISGUSTED, Emotion.SURPRISED),
    "awed": (Emotion.FEAR, Emotion.SURPRISED),
    "hatred": (Emotion.ANGRY, Emotion.DISGUSTED),
}
"""Compound emotions whose names do not say what they are made of (Du, Tao, Martinez 2014)."""

_STEMS = {
    "happily": Emotion.HAPPY,
    "sadly": Emotion.SAD,
    "fearfully": Emotion.FEAR,
    "angrily": Emotion.ANGRY,
    "disgustedly": Emotion.DISGUSTED,
    "surprised": Emotion.SURPRISED,
    "disgusted": Emotion.DISGUSTED,
    "fearful": Emotion.FEAR,
    "angry": Emotion.ANGRY,
    "sad": Emotion.SAD,
    "happy": Emotion.HAPPY,
    "fear": Emotion.FEAR,
}


@dataclass(frozen=True, slots=True)
class Photo:
    """One row of the list."""

    path: Path
    dataset: str
    identity: str
    emotion: str
    """``neutral``, an emotion, or a compound such as ``sadly_angry``."""
    label_certain: bool
    licence_class: str
    split: str
    """``train`` or ``val``."""

    @property
    def shares(self) -> Float32[np.ndarray, " 7"]:
        """How much of each emotion is shown: 1 in all, 0 for neutral."""
        return shares_of(self.emotion)


def shares_of(name: str) -> Float32[np.ndarray, " 7"]:
    """Shares of the emotions in a simple or compound one, by its name; all 0 for neutral.

    >>> shares_of("sadly_angry")
    array([0.5, 0. , 0. , 0. , 0. , 0.5, 0. ], dtype=float32)
    """
    shares = np.zeros(len(Emotion), np.float32)
    if name == Emotion.NEUTRAL:
        return shares
    parts = _PARTS.get(name) or tuple(_STEMS[word] for word in name.split("_"))
    for part in parts:
        shares[part.class_index] += 1 / len(parts)
    return shares


def read_photos(root: Path) -> list[Photo]:
    """The photographs of a folder with a ``photos.csv``.

    Raises:
        UnreadableInputError: If there is no list, or it lacks a column.
    """
    index = root / "photos.csv"
    try:
        with index.open(newline="", encoding="utf-8") as file:
            return [
                Photo(
                    path=root / row["path"],
                    dataset=row["dataset"],
                    identity=row["identity"],
                    emotion=row["emotion"],
                    label_certain=row["label_certain"] == "1",
                    licence_class=row["licence_class"],
                    split=row["split"],
                )
                for row in csv.DictReader(file)
            ]
    except OSError as error:
        raise UnreadableInputError(
            f"{index}: no list of photographs", hint="name the folder that holds photos.csv"
        ) from error
    except KeyError as error:
        raise UnreadableInputError(f"{index}: column {error} is missing") from error
