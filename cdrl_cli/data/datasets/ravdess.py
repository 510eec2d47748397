"""RAVDESS: 24 actors, eight emotions, two sentences, two strengths (Livingstone and Russo 2018)."""

from pathlib import Path

from cdrl_cli.data.datasets.layouts import DatasetLayout, NotOfThisDatasetError, TreeFile
from cdrl_cli.emotion import Emotion

_EMOTIONS = {
    "01": Emotion.NEUTRAL,
    "02": None,  # calm
    "03": Emotion.HAPPY,
    "04": Emotion.SAD,
    "05": Emotion.ANGRY,
    "06": Emotion.FEAR,
    "07": Emotion.DISGUSTED,
    "08": Emotion.SURPRISED,
}
_SPOKEN = "01"
_WITH_SOUND, _PICTURES_ONLY = "01", "02"
_FIELDS = 7


class RavdessLayout(DatasetLayout):
    """``Actor_01/01-01-05-02-01-01-01.mp4``: sound and picture, spoken, angry, strong, sentence 1.

    The fields: modality, speech or song, emotion, strength, sentence, repetition, actor. Songs and
    the copies without sound are not used.
    """

    name = "ravdess"
    title = "RAVDESS"
    example = "Actor_01/01-01-05-02-01-01-01.mp4"
    suffixes = frozenset({".mp4"})
    every = ("01", "03", "04", "05", "06", "07", "08")

    def parse(self, path: Path, root: Path) -> TreeFile | None:  # noqa: ARG002 - by the name alone
        """See :class:`DatasetLayout`."""
        fields = path.stem.split("-")
        if len(fields) != _FIELDS or not all(one.isdigit() for one in fields):
            raise NotOfThisDatasetError(path)
        modality, channel, emotion, strength, sentence, repetition, actor = fields
        if emotion not in _EMOTIONS or modality not in (_WITH_SOUND, _PICTURES_ONLY):
            raise NotOfThisDatasetError(path)
        if channel != _SPOKEN or modality != _WITH_SOUND:
            return None
        clip = self.clip(path, actor, _EMOTIONS[emotion], sentence=sentence)
        return TreeFile(clip, (actor, emotion, strength, sentence, repetition))
