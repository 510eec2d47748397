"""The edits of a protocol as a manifest of ``spfem batch``: one row an edit."""

import csv
from collections.abc import Sequence
from pathlib import Path

from cdrl_cli.data.datasets.paper_split import EditPair

COLUMNS = ("source", "ref", "output")
"""Of the manifest; ``spfem batch`` knows these and no others of ours."""


def name_edit(pair: EditPair, number: int) -> str:
    """Name of an edited file, without its folder.

    Args:
        pair: The edit.
        number: Its place in the protocol, from 0: it tells two edits with one name apart.
    """
    assert pair.reference.emotion is not None
    words = (pair.source.identity, pair.source.path.stem, pair.reference.emotion.value)
    return f"{number:05}-{'-'.join(words)}.mp4"


def write_protocol(path: Path, pairs: Sequence[EditPair], edited: Path) -> None:
    """Write the manifest; it appears when whole.

    Args:
        path: ``….csv``.
        pairs: The edits.
        edited: Folder for the edited files.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for number, pair in enumerate(pairs):
            writer.writerow(
                [
                    pair.source.path.absolute(),
                    pair.reference.path.absolute(),
                    edited / name_edit(pair, number),
                ]
            )
    part.replace(path)
