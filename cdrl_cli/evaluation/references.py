"""What references show: their change from the neutral face of the person in them."""

import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from cdrl_cli.array_types import Float, Float32
from cdrl_cli.checkpoints.models import Models
from cdrl_cli.data.datasets.photos import read_photos
from cdrl_cli.data.index import Clip
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import NoFaceError
from cdrl_cli.evaluation import measures
from cdrl_cli.face.stream import open_faces

LOOK_STEP_S = Fraction(1, 10)
"""Seconds between two frames of a reference that are looked at."""

LONGEST_S = 60
"""Length of a reference that is looked at, from its beginning, seconds."""

Change = Float[np.ndarray, " channels"]


def simple_photos(folder: Path) -> list[Clip]:
    """Photos of people showing one of the seven emotions; none where there is no ``photos.csv``.

    Compound emotions are left out: no measure has a class for them.
    """
    if not (folder / "photos.csv").is_file():
        return []
    return [photo.as_clip() for photo in read_photos(folder) if not photo.is_compound]


class ReferenceReader:
    """Reads references, and the neutral faces of the people in them, by the landmarker.

    Args:
        models: The landmarker.
        clips: Everything known of people: their clips and photos labelled neutral are their neutral
            face.
        cache: Folder where the coefficients that were read are kept.
    """

    def __init__(self, models: Models, clips: Iterable[Clip], cache: Path) -> None:
        self._models = models
        self._cache = cache
        self._neutrals: dict[str, list[Clip]] = defaultdict(list)
        for clip in clips:
            if clip.emotion is Emotion.NEUTRAL:
                self._neutrals[clip.identity].append(clip)
        self._read: dict[Path, Float32[np.ndarray, "frames 52"]] = {}

    def change(self, reference: Clip) -> Change | None:
        """The reference's change from its person's neutral; None if no neutral is known."""
        neutral = self.neutral(reference)
        if neutral is None:
            return None
        return measures.reference_change(self.expressions(reference), neutral)

    def neutral(self, reference: Clip) -> Float[np.ndarray, " 52"] | None:
        """Mean coefficients of the person's neutral clips or photos, each counting alike.

        Those of the same data set where there are some, because a picture of another size reads a
        little differently; None where the person has none.
        """
        alike = self.neutral_clips(reference)
        if not alike:
            return None
        return np.mean([self.expressions(one).mean(axis=0) for one in alike], axis=0)

    def neutral_clips(self, reference: Clip) -> list[Clip]:
        """The person's neutral clips or photos: of the reference's data set, if there are some."""
        known = [one for one in self._neutrals[reference.identity] if one.path != reference.path]
        return [one for one in known if one.dataset == reference.dataset] or known

    def expressions(self, clip: Clip) -> Float32[np.ndarray, "frames 52"]:
        """Coefficients of the largest face, every :data:`LOOK_STEP_S`; of a photo, one row.

        Raises:
            NoFaceError: If no frame shows a face.
        """
        if clip.path not in self._read:
            self._read[clip.path] = self._read_kept(clip.path)
        return self._read[clip.path]

    def _read_kept(self, path: Path) -> Float32[np.ndarray, "frames 52"]:
        state = path.stat()
        key = zlib.crc32(repr((path.resolve(), state.st_size, state.st_mtime_ns)).encode())
        kept = self._cache / f"{path.stem}-{key:08x}.npy"
        if not kept.exists():
            self._cache.mkdir(parents=True, exist_ok=True)
            part = kept.with_suffix(".part.npy")
            np.save(part, self._look(path))
            part.replace(kept)
        return np.asarray(np.load(kept), np.float32)

    def _look(self, path: Path) -> Float32[np.ndarray, "frames 52"]:
        with open_faces(path, self._models, max_faces=1) as stream:
            looks = stream.sampled(step_s=LOOK_STEP_S, length_s=LONGEST_S)
            shown = [face.expression for _, faces in looks for face in faces[:1]]
        if not shown:
            raise NoFaceError(f"{path}: no face in the reference")
        return np.stack(shown)


def other_changes(
    reference: Clip, pool: Sequence[Clip], reader: ReferenceReader
) -> tuple[Change, ...]:
    """Changes of other people's references of the emotion of a reference.

    Args:
        reference: Whose person is left out.
        pool: References of any emotion.
        reader: Reads them; those whose person has no neutral face are left out.
    """
    changes = [
        reader.change(other)
        for other in pool
        if other.emotion is reference.emotion and other.identity != reference.identity
    ]
    return tuple(change for change in changes if change is not None)
