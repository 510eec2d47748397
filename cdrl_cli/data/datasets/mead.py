"""MEAD: 60 actors, eight emotions, three strengths, seven cameras (Wang et al. 2020)."""

import csv
from functools import cache
from pathlib import Path

from cdrl_cli.data.datasets.layouts import DatasetLayout, NotOfThisDatasetError, TreeFile
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UnreadableInputError

COMMON_SENTENCES = 3
"""Sentences 001 to so many are the same in every emotion; the others belong to one emotion."""

_OTHERS = frozenset({"contempt"})
_DEPTH = 6


class MeadLayout(DatasetLayout):
    """``M003/video/front/angry/level_3/001.mp4``, its sound ``M003/audio/angry/level_3/001.m4a``.

    The front camera alone is used. A sentence is one and the same in two emotions only if it is
    known to be: of the first three numbers, or by a ``sentences.csv`` in the root with the columns
    ``emotion``, ``number`` and ``sentence`` (any name; equal names are one sentence).
    """

    name = "mead"
    title = "MEAD"
    example = "M003/video/front/angry/level_3/001.mp4"
    suffixes = frozenset({".mp4"})
    every = ("angry", "disgusted", "fear", "happy", "neutral", "sad", "surprised")

    def parse(self, path: Path, root: Path) -> TreeFile | None:
        """See :class:`DatasetLayout`."""
        parts = path.relative_to(root).parts[-_DEPTH:]
        if len(parts) != _DEPTH or parts[1] != "video" or not path.stem.isdigit():
            raise NotOfThisDatasetError(path)
        person, _, camera, word, level, _ = parts
        emotion = Emotion.parse(word)
        if emotion is None and word not in _OTHERS:
            raise NotOfThisDatasetError(path)
        if camera != "front":
            return None
        sound = path.parents[4] / "audio" / word / level / f"{path.stem}.m4a"
        clip = self.clip(
            path,
            person,
            emotion,
            sentence=_sentence(root, word, path.stem),
            audio=sound if sound.exists() else None,
        )
        return TreeFile(clip, (person, word, level, path.stem))


def _sentence(root: Path, emotion: str, number: str) -> str:
    named = _named_sentences(root / "sentences.csv").get((emotion, int(number)))
    if named is not None:
        return named
    return f"{int(number):03}" if int(number) <= COMMON_SENTENCES else f"{emotion}_{number}"


@cache
def _named_sentences(path: Path) -> dict[tuple[str, int], str]:
    if not path.exists():
        return {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return {
                (row["emotion"], int(row["number"])): row["sentence"]
                for row in csv.DictReader(file)
            }
    except (OSError, UnicodeDecodeError, KeyError, ValueError) as error:
        raise UnreadableInputError(
            f"{path}: no list of sentences ({error})",
            hint="columns: emotion, number, sentence",
        ) from error
