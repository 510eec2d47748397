"""Java-SED: acted emotional speech, as face crops and, of one actor, as recorded."""

import re
from pathlib import Path

from cdrl_cli.data.datasets.facts import DatasetFacts
from cdrl_cli.data.datasets.layouts import DatasetLayout, NotOfThisDatasetError, TreeFile
from cdrl_cli.emotion import Emotion

FULL_FRAMES = DatasetFacts("Java-SED (full frame)", roles="reframed")
"""The clips as recorded: each shows a take of which the face crop is a row of its own."""

_EMOTIONS = {
    "01": Emotion.NEUTRAL,
    "02": Emotion.SAD,
    "03": Emotion.HAPPY,
    "04": Emotion.SURPRISED,
    "05": Emotion.FEAR,
    "06": Emotion.ANGRY,
}
_NAMES = re.compile(r"(?P<actor>\d\d)-(?P<sentence>\d\d)-(?P<emotion>\d\d)_(?P<take>\d\d)")


class JavaSedLayout(DatasetLayout):
    """``01-04-06_01.mp4``: actor, sentence, emotion, take; its sound in the clip or a wav beside.

    Everybody says the same four sentences in six emotions; nobody is disgusted.
    """

    name = "java-sed"
    title = "Java-SED"
    example = "01-04-06_01.mp4"
    suffixes = frozenset({".mp4"})
    licence_class = "permissive"
    every = tuple(_EMOTIONS)

    def parse(self, path: Path, root: Path) -> TreeFile | None:  # noqa: ARG002 - by the name alone
        """See :class:`DatasetLayout`."""
        found = _NAMES.fullmatch(path.stem)
        if found is None or found["emotion"] not in _EMOTIONS:
            raise NotOfThisDatasetError(path)
        sound = path.with_suffix(".wav")
        clip = self.clip(
            path,
            found["actor"],
            _EMOTIONS[found["emotion"]],
            sentence=found["sentence"],
            audio=sound if sound.exists() else None,
        )
        return TreeFile(clip, tuple(found.groups()))
