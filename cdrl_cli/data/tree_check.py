"""Is a data set whole: what is missing, broken, doubled or foreign in its owner's layout?"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cdrl_cli.data.datasets.layouts import DatasetLayout, Tree, TreeFile, read_tree
from cdrl_cli.errors import SpfemError
from cdrl_cli.media import open_video
from cdrl_cli.media.audio import read_sound

Kind = Literal["missing", "broken", "doubled", "foreign"]

USUAL = 0.5
"""Share of the people from which on a take that they have is missed in the others."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a data set."""

    kind: Kind
    """``missing``: a take that most people have, an emotion that everybody shows, or the sound of
    a clip; ``broken``: cannot be decoded; ``doubled``: a second file of one take; ``foreign``: not
    named as the data set names its files."""
    what: str
    """The file, relative to the data set, or the take."""
    why: str
    """In a few words."""

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}: {self.why}"


@dataclass(frozen=True, slots=True)
class TreeReport:
    """What was found in a data set."""

    dataset: str
    root: Path
    files: int
    takes: int
    """Files, each take once."""
    people: int
    emotions: dict[str, int]
    """Takes of each of the seven emotions, and of ``other`` ones."""
    sentences: int
    """Sentences with a name."""
    opened: bool
    """Whether every file was decoded, or names alone were read."""
    findings: tuple[Finding, ...]

    def count(self, kind: Kind) -> int:
        """Findings of a kind."""
        return sum(one.kind == kind for one in self.findings)


def check_tree(
    layout: DatasetLayout,
    root: Path,
    *,
    open_files: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> TreeReport:
    """Look through a data set.

    Args:
        layout: Of the data set.
        root: Where it was unpacked.
        open_files: Decode every clip and its sound; else names alone are read.
        progress: Called with (files opened, files in all).

    Raises:
        UnreadableInputError: If nothing there is the data set's.
    """
    tree = read_tree(layout, root)
    findings = [*_foreign(tree), *_doubled(tree), *_missing(tree, layout)]
    if open_files:
        for done, file in enumerate(tree.files, start=1):
            findings += _broken(file, tree.root, layout)
            if progress:
                progress(done, len(tree.files))
    clips = tree.clips
    emotions = Counter(clip.emotion.value if clip.emotion else "other" for clip in clips)
    return TreeReport(
        dataset=layout.title,
        root=root,
        files=len(tree.files),
        takes=len(clips),
        people=len({clip.identity for clip in clips}),
        emotions=dict(sorted(emotions.items())),
        sentences=len({clip.sentence for clip in clips if clip.sentence}),
        opened=open_files,
        findings=tuple(findings),
    )


def _foreign(tree: Tree) -> Iterator[Finding]:
    for path in tree.foreign:
        yield Finding("foreign", _below(tree, path), "not named as this data set names its files")


def _doubled(tree: Tree) -> Iterator[Finding]:
    first: dict[tuple[str, ...], TreeFile] = {}
    for file in tree.files:
        other = first.setdefault(file.take, file)
        if other is not file:
            there = _below(tree, other.clip.path)
            yield Finding("doubled", _below(tree, file.clip.path), f"the same take as {there}")


def _missing(tree: Tree, layout: DatasetLayout) -> Iterator[Finding]:
    own: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for file in tree.files:
        who, how = _by_person(file, layout)
        own[who].add(how)
    counted = Counter(rest for takes in own.values() for rest in takes)
    usual = [rest for rest, count in counted.items() if count > USUAL * len(own)]
    for person in sorted(own):
        words = {word for rest in own[person] for word in rest}
        absent = [word for word in layout.every if word not in words]
        for word in absent:
            yield Finding("missing", person, f"no clip of '{word}', which everybody shows")
        for rest in sorted(usual):
            if rest not in own[person] and not set(rest) & set(absent):
                yield Finding("missing", " ".join((person, *rest)), "most people have this take")


def _by_person(file: TreeFile, layout: DatasetLayout) -> tuple[str, tuple[str, ...]]:
    person = file.clip.identity.removeprefix(f"{layout.title}_")
    return person, tuple(word for word in file.take if word != person)


def _broken(file: TreeFile, root: Path, layout: DatasetLayout) -> Iterator[Finding]:
    path = file.clip.path
    name = str(path.relative_to(root))
    try:
        with open_video(path) as video:
            frames = sum(1 for _ in video)
    except SpfemError as error:
        yield Finding("broken", name, _plainly(error, path))
        return
    if not frames:
        yield Finding("broken", name, "holds no picture")
    if layout.has_sound:
        sound = file.clip.audio or path
        try:
            read_sound(sound)
        except SpfemError as error:
            yield Finding("missing", name, f"no sound ({_plainly(error, sound)})")


def _plainly(error: SpfemError, path: Path) -> str:
    """The message without the file's name, which stands before it."""
    return str(error).removeprefix(f"{path}: ")


def _below(tree: Tree, path: Path) -> str:
    return str(path.relative_to(tree.root))


def summarise_findings(findings: Sequence[Finding]) -> str:
    """How many of each kind, in one line.

    >>> summarise_findings([Finding("broken", "a.mp4", "holds no picture")])
    '1 broken'
    """
    counted = Counter(one.kind for one in findings)
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counted.items()))
