"""CREMA-D: 91 actors, six emotions, twelve sentences (Cao et al. 2014)."""

from pathlib import Path

from cdrl_cli.data.datasets.layouts import DatasetLayout, NotOfThisDatasetError, TreeFile
from cdrl_cli.emotion import Emotion

_EMOTIONS = {
    "ANG": Emotion.ANGRY,
    "DIS": Emotion.DISGUSTED,
    "FEA": Emotion.FEAR,
    "HAP": Emotion.HAPPY,
    "NEU": Emotion.NEUTRAL,
    "SAD": Emotion.SAD,
}
_SENTENCES = frozenset("IEO TIE IOM IWW TAI MTI IWL ITH DFA ITS TSI WSI".split())
_STRENGTHS = frozenset({"LO", "MD", "HI", "XX", "X"})
_FIELDS = 4


class CremaDLayout(DatasetLayout):
    """``VideoFlash/1001_DFA_ANG_XX.flv``; its sound is in the clip, or in ``AudioWAV/``.

    The fields: actor, sentence, emotion, strength. Nobody is surprised.
    """

    name = "crema-d"
    title = "CREMA-D"
    example = "VideoFlash/1001_DFA_ANG_XX.flv"
    suffixes = frozenset({".flv", ".mp4"})
    every = tuple(_EMOTIONS)

    def parse(self, path: Path, root: Path) -> TreeFile | None:
        """See :class:`DatasetLayout`."""
        fields = path.stem.split("_")
        if len(fields) != _FIELDS or not fields[0].isdigit():
            raise NotOfThisDatasetError(path)
        actor, sentence, emotion, strength = fields
        if emotion not in _EMOTIONS or sentence not in _SENTENCES or strength not in _STRENGTHS:
            raise NotOfThisDatasetError(path)
        sound = root / "AudioWAV" / f"{path.stem}.wav"
        clip = self.clip(
            path,
            actor,
            _EMOTIONS[emotion],
            sentence=sentence,
            audio=sound if sound.exists() else None,
        )
        return TreeFile(clip, (actor, sentence, emotion, strength))
