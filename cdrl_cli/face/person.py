"""Which of the faces in a clip belong to the person in a photo, through cuts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from cdrl_cli.array_types import Float32, Float64, UInt8
from cdrl_cli.errors import NoFaceError
from cdrl_cli.face.alignment import FaceCrop
from cdrl_cli.face.landmarks import Face
from cdrl_cli.face.selection import editability
from cdrl_cli.face.stream import FaceFinder, Sighting, open_faces
from cdrl_cli.face.tracking import RAMP_S, TrackedFace, TrackedFrame
from cdrl_cli.geometry.similarity import Similarity

SAME_PERSON = 0.363
"""Cosine of two embeddings of SFace from which on they count as one person: what OpenCV's face
recogniser recommends for this network (99.6 % of the pairs of LFW are told rightly by it)."""

LOOKS = 5
"""Frames in which a face is looked at until it is known whose it is."""

LOOK_STEP_S = 0.2
"""Time between two of these looks, seconds."""

PHOTO_FRAMES = 5
"""Most frames of a clip that are looked at where it stands for the photo."""


@runtime_checkable
class Embedder(Protocol):
    """What tells who a face is; :class:`~cdrl_cli.face.identity.IdentityEncoder` does."""

    def embed(
        self,
        picture: UInt8[np.ndarray, "height width 3"],
        landmarks_xyz: Float32[np.ndarray, "478 3"],
    ) -> Float32[np.ndarray, " dimension"]:
        """A unit vector."""
        ...


@runtime_checkable
class Crops(Protocol):
    """What takes faces out of a clip; :class:`~cdrl_cli.face.stream.FaceStream` does."""

    def locate(self, face: Face) -> Similarity:
        """Pose of a face's head in its frame."""
        ...

    def crop(self, sighting: Sighting) -> FaceCrop:
        """The face upright on the aligned crop."""
        ...


@dataclass(frozen=True, slots=True)
class Person:
    """Who is meant."""

    photo: Path
    embedding: Float64[np.ndarray, " dimension"]
    """A unit vector."""


def read_person(photo: Path, finder: FaceFinder, embedder: Embedder) -> Person:
    """The person in a photo, or in the first seconds of a clip: the largest face.

    Raises:
        NoFaceError: If it shows no face.
        UnreadableInputError: If it cannot be decoded.
    """
    seen = []
    with open_faces(photo, finder) as stream:
        for frame, faces in stream.sampled(step_s=Fraction(1, 5), length_s=10):
            if faces:  # the largest comes first
                seen.append(_embed(stream, Sighting(frame, faces[0]), embedder))
            if len(seen) == PHOTO_FRAMES:
                break
    if not seen:
        raise NoFaceError(
            f"{photo}: no face in the photo of who is meant",
            hint="give one that shows the face, large and turned to the camera",
        )
    return Person(photo, _mean(seen))


@dataclass(slots=True)
class _Known:
    """What is known of a numbered face."""

    seen: list[Float64[np.ndarray, " dimension"]] = field(default_factory=list)
    looked_s: float = float("-inf")
    similarity: float = -1.0
    weight: float | None = None
    """How much of an edit it takes, 0..1; None before the first look."""
    weighed_s: float = 0.0


class PersonSelector:
    """Chooses the faces of one person; where a later look changes its mind, the edit fades.

    Args:
        person: Who is meant.
        embedder: Tells who a face is.
        stream: The open clip.
    """

    def __init__(self, person: Person, embedder: Embedder, stream: Crops) -> None:
        self._person = person
        self._embedder = embedder
        self._stream = stream
        self._known: dict[int, _Known] = {}

    @property
    def photo(self) -> Path:
        """Of whom."""
        return self._person.photo

    @property
    def nearest(self) -> tuple[int, float] | None:
        """Number and similarity of the face most like the person's; None if none was looked at."""
        looked = [(one.similarity, number) for number, one in self._known.items() if one.seen]
        return (max(looked)[1], max(looked)[0]) if looked else None

    def state(self) -> dict[str, Any]:
        """What it knows of the faces that it has looked at, in what JSON can hold."""
        return {
            str(number): {
                "seen": [one.tolist() for one in known.seen],
                "times": (known.looked_s, known.weighed_s),
                "weighed": (known.similarity, known.weight),
            }
            for number, known in self._known.items()
            if known.seen
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Know what another one knew, by what its :meth:`state` said."""
        self._known = {}
        for number, told in state.items():
            known = self._known[int(number)] = _Known([np.array(one) for one in told["seen"]])
            known.looked_s, known.weighed_s = told["times"]
            known.similarity, known.weight = told["weighed"]

    def choose(self, tracked: TrackedFrame) -> Sequence[TrackedFace]:
        """The face that is most surely the person's, present as far as it is; or none."""
        now_s = float(tracked.frame.time)
        chosen: list[tuple[float, TrackedFace]] = []
        for face in tracked.faces:
            known = self._known.setdefault(face.number, _Known())
            if len(known.seen) < LOOKS and now_s >= known.looked_s + LOOK_STEP_S:
                self._look(tracked, face, known)
            weight = _weigh(known, now_s)
            if weight > 0:
                presence = face.presence * weight
                chosen.append((known.similarity, replace(face, presence=presence)))
        # A person is in a picture once.
        return [max(chosen, key=lambda one: one[0])[1]] if chosen else ()

    def _look(self, tracked: TrackedFrame, face: TrackedFace, known: _Known) -> None:
        if editability(self._stream.locate(face.face)) == 0:
            return
        known.looked_s = float(tracked.frame.time)
        known.seen.append(_embed(self._stream, Sighting(tracked.frame, face.face), self._embedder))
        known.similarity = float(_mean(known.seen) @ self._person.embedding)


def _weigh(known: _Known, now_s: float) -> float:
    """How much of an edit a face takes now: all or nothing at first, then no faster than a fade."""
    if not known.seen:
        return 0.0
    wanted = float(known.similarity >= SAME_PERSON)
    if known.weight is None:
        known.weight = wanted
    step = (now_s - known.weighed_s) / RAMP_S
    known.weighed_s = now_s
    known.weight += float(np.clip(wanted - known.weight, -step, step))
    return known.weight


def _embed(
    stream: Crops, sighting: Sighting, embedder: Embedder
) -> Float64[np.ndarray, " dimension"]:
    crop = stream.crop(sighting)
    return embedder.embed(crop.image(), crop.landmarks_xyz.astype(np.float32)).astype(float)


def _mean(
    embeddings: list[Float64[np.ndarray, " dimension"]],
) -> Float64[np.ndarray, " dimension"]:
    total = np.sum(embeddings, axis=0)
    mean: Float64[np.ndarray, " dimension"] = total / max(float(np.linalg.norm(total)), 1e-9)
    return mean
