"""MEAD: 60 actors, eight emotions, three strengths, seven cameras (Wang et al. 2020)."""

import csv
from functools import cache
from pathlib import Path

from cdrl_cli.data.datasets.layouts import DatasetLayout, NotOfThisDatasetError, TreeFile
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UnreadableInputError

COMMON_SENTENCES = 3
"""Sentences 001 to so many are the same in every emotion; the others belong to one emotion.

So the supplement of the data set's paper is remembered to say; it was not at hand to be checked.
"""

_OTHERS = frozenset({"contempt"})
_DEPTH = 6


class MeadLayout(DatasetLayout):
    """``M003/video/front/angry/level_3/001.mp4``, its sound ``M003/audio/angry/level_3/001.m4a``.

    The front camera alone is used. A sentence is one and the same in two emotions only if it is
    known to be: of the first three numbers, or by a ``sentences.csv`` in the root with the columns
    ``emotion``, ``number`` and ``sentence`` (any name; equal names are one sentence) and, where
    somebody's numbers are their own, ``person``. The owners say that a clip of M003, whom the
    paper tests on, was lost, and that its numbers do not correspond to the others'
    (github.com/uniBruce/Mead, issue 12).
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
            sentence=_sentence(root, person, word, path.stem),
            audio=sound if sound.exists() else None,
        )
        return TreeFile(clip, (person, word, level, path.stem))


def _sentence(root: Path, person: str, emotion: str, number: str) -> str:
    named = _named_sentences(root / "sentences.csv")
    for who in (person, ""):
        if (name := named.get((who, emotion, int(number)))) is not None:
            return name
    return f"{int(number):03}" if int(number) <= COMMON_SENTENCES else f"{emotion}_{number}"


@cache
def _named_sentences(path: Path) -> dict[tuple[str, str, int], str]:
    """By person (``""``: everybody), emotion and number."""
    if not path.exists():
        return {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return {
                (row.get("person") or "", row["emotion"], int(row["number"])): row["sentence"]
                for row in csv.DictReader(file)
            }
    except (OSError, UnicodeDecodeError, KeyError, ValueError) as error:
        raise UnreadableInputError(
            f"{path}: no list of sentences ({error})",
            hint="columns: emotion, number, sentence; person where numbers are a person's own",
        ) from error
