"""How an owner lays a data set out on the disk: what the names of its files say of them.

A :class:`DatasetLayout` turns the path of a file, as its owner unpacked it, into a
:class:`~cdrl_cli.data.index.Clip`. All data sets are asked in the same way, by
:func:`read_tree`, and found by name in :data:`~cdrl_cli.data.datasets.DATASET_LAYOUTS`.
"""

import abc
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from cdrl_cli.data.clips import Clip
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UnreadableInputError


class NotOfThisDatasetError(ValueError):
    """A file is not named as the data set names its files."""


@dataclass(frozen=True, slots=True)
class TreeFile:
    """One file of a data set, by its name."""

    clip: Clip
    """What the name says; the emotion is None where it is none of the seven."""
    take: tuple[str, ...]
    """Who, what and how, as the data set counts its takes, such as ``("M003", "angry", "level_3",
    "001")``; two files of one take are doubled."""

    @property
    def name(self) -> str:
        """The take in one line."""
        return " ".join(self.take)


@dataclass(frozen=True, slots=True)
class Tree:
    """All that was found under a folder."""

    root: Path
    files: tuple[TreeFile, ...]
    """In the order of their paths."""
    foreign: tuple[Path, ...]
    """Files with the data set's suffixes whose names say nothing."""

    @property
    def clips(self) -> list[Clip]:
        """Of all files, each take once: the first file of it by path."""
        first: dict[tuple[str, ...], Clip] = {}
        for file in self.files:
            first.setdefault(file.take, file.clip)
        return list(first.values())


class DatasetLayout(abc.ABC):
    """One data set as its owner lays it out."""

    name: ClassVar[str]
    """As ``--dataset`` takes it, lower case."""
    title: ClassVar[str]
    """Column ``dataset`` of an index; beginning of its identities: ``MEAD_M003``."""
    example: ClassVar[str]
    """A path below the root, for messages."""
    suffixes: ClassVar[frozenset[str]]
    """Of its clips or pictures, lower case."""
    licence_class: ClassVar[str] = "research"
    """See :class:`~cdrl_cli.data.clips.Clip`."""
    has_sound: ClassVar[bool] = True
    """Whether a clip without sound is one with something missing."""
    every: ClassVar[tuple[str, ...]] = ()
    """Emotions that every person of the data set shows, as their takes name them."""

    @abc.abstractmethod
    def parse(self, path: Path, root: Path) -> TreeFile | None:
        """What a file's name says.

        Args:
            path: The file, below ``root``.
            root: Where the data set was unpacked.

        Returns:
            None for a file that belongs to the data set and is not used: another camera, a song.

        Raises:
            NotOfThisDatasetError: If it is not named as the data set names its files.
        """

    def clip(
        self,
        path: Path,
        person: str,
        emotion: Emotion | None,
        *,
        sentence: str | None = None,
        audio: Path | None = None,
    ) -> Clip:
        """A clip of this data set, for the training split."""
        return Clip(
            path=path,
            audio=audio,
            dataset=self.title,
            licence_class=self.licence_class,
            identity=f"{self.title}_{person}",
            emotion=emotion,
            label_certain=True,
            sentence=None if sentence is None else f"{self.title}_{sentence}",
            split="train",
        )


def read_tree(layout: DatasetLayout, root: Path) -> Tree:
    """Every file of a data set below a folder, by name alone: none is opened.

    Raises:
        UnreadableInputError: If the folder is not there, or nothing in it is the data set's.
    """
    if not root.is_dir():
        raise UnreadableInputError(f"{root}: no such folder")
    files, foreign = [], []
    for path in _walk(root, layout.suffixes):
        try:
            file = layout.parse(path, root)
        except NotOfThisDatasetError:
            foreign.append(path)
            continue
        if file is not None:
            files.append(file)
    if not files:
        raise UnreadableInputError(
            f"{root}: no clip of {layout.title}",
            hint=f"name the folder that holds {layout.example}",
        )
    return Tree(root, tuple(files), tuple(foreign))


def _walk(root: Path, suffixes: frozenset[str]) -> Iterator[Path]:
    for path in sorted(root.rglob("*")):
        # What macOS leaves beside the files of an archive is no clip.
        if path.suffix.lower() in suffixes and not path.name.startswith("."):
            yield path
