"""Face Research Lab London Set: 102 people, each photographed neutral and smiling."""

from pathlib import Path

from cdrl_cli.data.index import Clip
from cdrl_cli.emotion import Emotion

_EMOTIONS = {"neutral": Emotion.NEUTRAL, "smiling": Emotion.HAPPY}


def read_london(root: Path) -> list[Clip]:
    """The pictures of a folder, by their names: ``NNN_neutral.jpg`` and ``NNN_smiling.jpg``.

    Nothing where there is no such folder. Licence: CC BY 4.0 (DeBruine and Jones 2017).
    """
    return [
        Clip(
            path=path,
            audio=None,
            dataset="London",
            licence_class="permissive",
            identity=f"London_{path.stem[:3]}",
            emotion=_EMOTIONS[path.stem[4:]],
            label_certain=True,
            sentence=None,
            split="train",
        )
        for path in sorted(root.glob("[0-9][0-9][0-9]_*.jpg"))
        if path.stem[4:] in _EMOTIONS
    ]
