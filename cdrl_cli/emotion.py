"""The emotions, in the order of their class index."""

from difflib import get_close_matches
from enum import StrEnum


class Emotion(StrEnum):
    """The seven labels of the paper (section 4.1); the order is the class index everywhere."""

    ANGRY = "angry"
    DISGUSTED = "disgusted"
    FEAR = "fear"
    HAPPY = "happy"
    NEUTRAL = "neutral"
    SAD = "sad"
    SURPRISED = "surprised"

    @property
    def class_index(self) -> int:
        """Class index, from 0.

        >>> Emotion.HAPPY.class_index
        3
        """
        return list(Emotion).index(self)

    @classmethod
    def parse(cls, word: str) -> "Emotion | None":
        """The emotion a word names, allowing case and the common nouns; None if it names none.

        >>> Emotion.parse("Anger"), Emotion.parse("purple")
        (<Emotion.ANGRY: 'angry'>, None)
        """
        return _WORDS.get(word.strip().lower())

    @classmethod
    def meant_by(cls, word: str) -> "Emotion | None":
        """The emotion whose label a word nearly is, as a slip of the pen; None for all others.

        >>> Emotion.meant_by("happi"), Emotion.meant_by("unhappy"), Emotion.meant_by("tear")
        (<Emotion.HAPPY: 'happy'>, None, None)
        """
        word = word.strip().lower()
        # A label with something added, and another first letter, are other words.
        labels = [one for one in cls if one not in word and one[0] == word[:1]]
        found = get_close_matches(word, labels, n=1, cutoff=0.7)
        return cls(found[0]) if found else None

    @classmethod
    def parse_list(cls, words: str) -> "tuple[Emotion, ...]":
        """Several emotions with commas between them; empty where that is not what the words are.

        >>> [str(one) for one in Emotion.parse_list("anger, happy")], Emotion.parse_list("happy")
        (['angry', 'happy'], ())
        """
        named = [cls.parse(part) for part in words.split(",")]
        known = tuple(one for one in named if one is not None)
        return known if len(known) == len(named) > 1 else ()


_WORDS: dict[str, Emotion] = {e.value: e for e in Emotion} | {
    "anger": Emotion.ANGRY,
    "disgust": Emotion.DISGUSTED,
    "fearful": Emotion.FEAR,
    "afraid": Emotion.FEAR,
    "happiness": Emotion.HAPPY,
    "joy": Emotion.HAPPY,
    "sadness": Emotion.SAD,
    "surprise": Emotion.SURPRISED,
}
