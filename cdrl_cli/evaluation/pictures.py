"""Reads the pictures of clips, edits and photos that :mod:`.belief` measures."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from cdrl_cli.array_types import Float, Float32, Int32, UInt8
from cdrl_cli.checkpoints.models import Models
from cdrl_cli.conditions import read_conditions
from cdrl_cli.data.index import Clip, files_key
from cdrl_cli.edit_options import EditOptions
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import NoFaceError
from cdrl_cli.evaluation import belief
from cdrl_cli.evaluation.footage import Footage, Reader
from cdrl_cli.evaluation.perceptual import Perception
from cdrl_cli.evaluation.plan import take_in_turn
from cdrl_cli.evaluation.protocol import Protocol, name_take, without_crops
from cdrl_cli.face.stream import Sighting, open_faces
from cdrl_cli.face_editor import FaceEditor

REAL_PHOTOS = 24
"""Photos of each emotion that edited frames are compared with, at most."""

PHOTO_EDITS = 4
"""Photos of neutral faces that are edited towards each emotion."""

PEOPLE = 100
"""People among whom the output's person is to be found."""

AXES = 32
"""Directions in which clouds of features are compared: what some 100 pictures can tell."""

_GREY = 127
_REACH = 1.05
"""What lies beyond the face's outline by more than this, in distances from its middle, is grey to
the network: a generic one sees clothes and walls first."""


@dataclass(frozen=True, slots=True)
class Portrait:
    """One face in one picture."""

    picture: UInt8[np.ndarray, "side side 3"]
    """The aligned crop, sRGB."""
    landmarks_xy: Float32[np.ndarray, "478 2"]
    """Pixels of the crop."""
    identity: Float32[np.ndarray, " dim"]
    """Unit vector."""


@dataclass(frozen=True, slots=True)
class ClipFeatures:
    """Generic features of the frames of a clip that are kept as pictures."""

    patches: Float32[np.ndarray, "patches dim"]
    frames: Float32[np.ndarray, "frames dim"]


@dataclass(frozen=True, slots=True)
class PictureReader:
    """The networks that look at pictures; none of them belongs to what is being evaluated."""

    reader: Reader
    perception: Perception
    oval: Int32[np.ndarray, " rim"]
    """Landmarks on the outline of a face, in order around it."""
    cache: Path

    def features(self, footage: Footage) -> ClipFeatures:
        """Features of a clip's patches and frames."""
        outlines = [points[self.oval] for points in footage.crop_landmarks_xy]
        patches = [
            patch
            for picture, outline in zip(footage.crops, outlines, strict=True)
            for patch in belief.cut_patches(picture, outline)
        ]
        faces = [_only_face(*pair) for pair in zip(footage.crops, outlines, strict=True)]
        return ClipFeatures(self.perception.features(patches), self.perception.features(faces))

    def rim_step(self, source: Footage, output: Footage) -> float:
        """Mean over the frames that are kept as pictures of both clips."""
        _, here, there = np.intersect1d(source.cropped, output.cropped, return_indices=True)
        steps = [
            belief.rim_step(
                source.crops[i], output.crops[j], source.crop_landmarks_xy[i][self.oval]
            )
            for i, j in zip(here, there, strict=True)
        ]
        return float(np.nanmean(steps)) if np.isfinite(steps).any() else float("nan")

    def portrait(self, path: Path) -> Portrait:
        """The largest face of a photo, or of a clip's first frame that shows one.

        Raises:
            NoFaceError: If there is none.
        """
        with open_faces(path, self.reader.models, max_faces=1) as stream:
            for frame, faces in stream.sampled(step_s=Fraction(0), length_s=10):
                for face in faces[:1]:
                    crop = stream.crop(Sighting(frame, face))
                    points = crop.landmarks_xyz[:, :2].astype(np.float32)
                    image = crop.image()
                    flat = np.pad(points, ((0, 0), (0, 1)))
                    return Portrait(image, points, self.reader.identity.embed(image, flat))
        raise NoFaceError(f"{path}: no face to measure")

    def distance(self, shown: Portrait, real: Portrait) -> float:
        """How differently two faces look, inside the outline of the second."""
        weight = np.zeros(real.picture.shape[:2], np.float32)
        cv2.fillPoly(weight, [np.round(real.landmarks_xy[self.oval]).astype(np.int32)], 1.0)
        return self.perception.distance(shown.picture, real.picture, weight)

    def photo_features(self, photos: Sequence[Clip]) -> Float32[np.ndarray, "photos dim"]:
        """Features of photos, kept in the cache; photos without a face are left out."""
        kept = self.cache / f"photos-{files_key(photo.path for photo in photos)}.npz"
        if not kept.exists():
            faces = []
            for photo in photos:
                try:
                    seen = self.portrait(photo.path)
                except NoFaceError:
                    continue
                faces.append(_only_face(seen.picture, seen.landmarks_xy[self.oval]))
            _keep(kept, self.perception.features(faces))
        return _load(kept)

    def gallery(self, others: Sequence[Clip]) -> Float32[np.ndarray, "people dim"]:
        """Who is seen in clips or photos, kept in the cache; those without a face are left out."""
        kept = self.cache / f"people-{files_key(one.path for one in others)}.npz"
        if not kept.exists():
            faces = []
            for one in others:
                try:
                    faces.append(self.portrait(one.path).identity)
                except NoFaceError:
                    continue
            _keep(kept, np.stack(faces) if faces else np.zeros((0, 128), np.float32))
        return _load(kept)


def edit_photo(photo: Path, models: Models, options: EditOptions, output: Path) -> None:
    """Edit a photo by the editor that :func:`~cdrl_cli.editing.edit_video` runs, into a PNG.

    Raises:
        NoFaceError: If it shows no face that can be edited.
    """
    conditions = read_conditions(options, models)
    with open_faces(photo, models) as stream:
        editor = FaceEditor(models, options, conditions, stream)
        frames = [editor.edit(tracked) for tracked in stream.tracked()]
        editor.check_found(photo)
    output.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(output), np.ascontiguousarray(frames[0].rgb()[..., ::-1]))


def real_photos(photos: Sequence[Clip], protocol: Protocol) -> list[Clip]:
    """The photos that edited frames are compared with: at most :data:`REAL_PHOTOS` an emotion.

    Of people who are validated with: a renderer may have learned from the others' photos.
    """
    held_out = [photo for photo in photos if photo.split == protocol.reference_photo_split]
    chosen = []
    for emotion in protocol.emotions:
        chosen += _by_person(held_out, emotion)[:REAL_PHOTOS]
    return chosen


def photo_pairs(photos: Sequence[Clip], protocol: Protocol) -> list[tuple[Clip, Clip]]:
    """A neutral photo of a person who is validated with, and the real one with an emotion."""
    held_out = [photo for photo in photos if photo.split == protocol.reference_photo_split]
    neutral = {photo.identity: photo for photo in reversed(_by_person(held_out, Emotion.NEUTRAL))}
    pairs = []
    for emotion in protocol.emotions:
        acted = [one for one in _by_person(held_out, emotion) if one.identity in neutral]
        pairs += [(neutral[one.identity], one) for one in acted[:PHOTO_EDITS]]
    return pairs


def other_people(person: str, clips: Sequence[Clip], photos: Sequence[Clip]) -> list[Clip]:
    """One picture each of other people: :data:`PEOPLE` with the person, if there are so many.

    Photos before clips, neutral ones first; nobody whose name is not known, who may be the person.
    """
    found: dict[str, Clip] = {}
    for one in [*_neutral_first(photos), *_neutral_first(clips)]:
        if one.identity != person and not one.path.as_posix().endswith(one.identity):
            found.setdefault(one.identity, one)
    return list(found.values())[: PEOPLE - 1]


def other_picture(source: Clip, clips: Sequence[Clip]) -> Clip | None:
    """Another clip of the source's person, neutral if there is one; None if there is none."""
    found = [
        clip
        for clip in without_crops(clips)
        if clip.identity == source.identity and name_take(clip) != name_take(source)
    ]
    return min(
        found, key=lambda clip: (clip.emotion is not Emotion.NEUTRAL, clip.path), default=None
    )


def acted_by(source: Clip, clips: Sequence[Clip], protocol: Protocol) -> list[Clip]:
    """Real clips of the source's person, one of each emotion, from the source's data set."""
    found: dict[Emotion, Clip] = {}
    for clip in sorted(clips, key=lambda clip: clip.path):
        is_alike = (clip.identity, clip.dataset) == (source.identity, source.dataset)
        if is_alike and clip.emotion is not None and clip.emotion in protocol.emotions:
            found.setdefault(clip.emotion, clip)
    return list(found.values())


def _neutral_first(clips: Sequence[Clip]) -> list[Clip]:
    return sorted(clips, key=lambda clip: (clip.emotion is not Emotion.NEUTRAL, clip.path))


def _by_person(photos: Sequence[Clip], emotion: Emotion) -> list[Clip]:
    """Photos of an emotion with a certain label: everybody's first, then the second ones."""
    people: dict[str, list[Clip]] = {}
    for photo in sorted(photos, key=lambda photo: (photo.identity, photo.path)):
        if photo.emotion is emotion and photo.label_certain:
            people.setdefault(photo.identity, []).append(photo)
    return take_in_turn(people.values())


def _only_face(
    picture: UInt8[np.ndarray, "side side 3"], outline_xy: Float[np.ndarray, "rim 2"]
) -> UInt8[np.ndarray, "side side 3"]:
    middle = outline_xy.mean(axis=0)
    inside = np.zeros(picture.shape[:2], np.uint8)
    points = middle + _REACH * (outline_xy - middle)
    cv2.fillPoly(inside, [np.round(points).astype(np.int32)], 1)
    return np.where(inside[..., None] > 0, picture, np.uint8(_GREY))


def _keep(path: Path, values: Float32[np.ndarray, "rows dim"]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npz")
    np.savez(part, values=values)
    part.replace(path)


def _load(path: Path) -> Float32[np.ndarray, "rows dim"]:
    with np.load(path) as found:
        return np.asarray(found["values"], np.float32)
