"""Sets of photographs of acted emotions, as their owners name the files.

The CFEE set has a number, not a name, for each compound emotion and comes in several arrangements:
it is read by a ``photos.csv`` (:mod:`cdrl_cli.data.datasets.photos`).
"""

import re
from pathlib import Path
from typing import ClassVar

from cdrl_cli.data.datasets.layouts import DatasetLayout, NotOfThisDatasetError, TreeFile
from cdrl_cli.emotion import Emotion

_PICTURES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"})


class PhotoSetLayout(DatasetLayout):
    """Photographs whose names are matched by one expression.

    Its groups: ``person``, ``emotion``, and ``rest``, which tells one person's pictures of an
    emotion apart.
    """

    suffixes = _PICTURES
    has_sound = False
    names: ClassVar[re.Pattern[str]]
    """Of a file, without its suffix; case does not matter."""
    emotions: ClassVar[dict[str, Emotion | None]]
    """By the word for it in a name, lower case; None: none of the seven."""
    unused: ClassVar[re.Pattern[str]] = re.compile(r"(?!)")
    """Names of pictures that are not used: not from the front."""

    def parse(self, path: Path, root: Path) -> TreeFile | None:  # noqa: ARG002 - by the name alone
        """See :class:`DatasetLayout`."""
        found = self.names.fullmatch(path.stem)
        word = "" if found is None else found["emotion"].lower()
        if found is None or word not in self.emotions:
            raise NotOfThisDatasetError(path)
        if self.unused.fullmatch(path.stem):
            return None
        person = found["person"].upper()
        clip = self.clip(path, person, self.emotions[word])
        return TreeFile(clip, (person, word, found["rest"].upper()))


class KdefLayout(PhotoSetLayout):
    """KDEF, ``AF01/AF01AFS.JPG``: session, sex and number of the person, emotion, angle.

    70 people, seven emotions, twice each (Lundqvist et al. 1998); seen from the front alone.
    """

    name = "kdef"
    title = "KDEF"
    example = "AF01/AF01AFS.JPG"
    names = re.compile(r"(?P<rest>[AB])(?P<person>[FM]\d\d)(?P<emotion>[A-Z]{2})[A-Z]{1,2}", re.I)
    unused = re.compile(r".*(HL|HR|FL|FR)", re.I)
    emotions: ClassVar = {
        "af": Emotion.FEAR,
        "an": Emotion.ANGRY,
        "di": Emotion.DISGUSTED,
        "ha": Emotion.HAPPY,
        "ne": Emotion.NEUTRAL,
        "sa": Emotion.SAD,
        "su": Emotion.SURPRISED,
    }
    every = tuple(emotions)


class RafdLayout(PhotoSetLayout):
    """RaFD, ``Rafd090_01_Caucasian_female_angry_frontal.jpg``: camera, person, emotion, gaze.

    67 people, eight emotions (Langner et al. 2010); camera 090 alone.
    """

    name = "rafd"
    title = "RaFD"
    example = "Rafd090_01_Caucasian_female_angry_frontal.jpg"
    names = re.compile(
        r"Rafd\d+_(?P<person>\d+)_[A-Za-z]+_[A-Za-z]+_(?P<emotion>[A-Za-z]+)_(?P<rest>[A-Za-z]+)",
        re.I,
    )
    unused = re.compile(r"Rafd(?!090)\d+_.*", re.I)
    emotions: ClassVar = {
        "angry": Emotion.ANGRY,
        "contemptuous": None,
        "disgusted": Emotion.DISGUSTED,
        "fearful": Emotion.FEAR,
        "happy": Emotion.HAPPY,
        "neutral": Emotion.NEUTRAL,
        "sad": Emotion.SAD,
        "surprised": Emotion.SURPRISED,
    }
    every = tuple(word for word, emotion in emotions.items() if emotion)


class NimStimLayout(PhotoSetLayout):
    """NimStim, ``01F_AN_C.BMP``: person, emotion, mouth open or closed.

    43 people (Tottenham et al. 2009).
    """

    name = "nimstim"
    title = "NimStim"
    example = "01F_AN_C.BMP"
    names = re.compile(r"(?P<person>\d\d[FM])_(?P<emotion>[A-Z]{2})_(?P<rest>[COX])", re.I)
    emotions: ClassVar = {
        "an": Emotion.ANGRY,
        "ca": None,  # calm
        "di": Emotion.DISGUSTED,
        "fe": Emotion.FEAR,
        "ha": Emotion.HAPPY,
        "ne": Emotion.NEUTRAL,
        "sa": Emotion.SAD,
        "sp": Emotion.SURPRISED,
    }
    every = tuple(word for word, emotion in emotions.items() if emotion)
