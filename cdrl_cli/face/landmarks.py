"""A picture in, the faces in it out: 478 landmarks and 52 expression coefficients each.

The networks are those of MediaPipe's face landmarker (Apache-2.0), and so is the way from one to
the next; `weights/face_landmarker.md` is their card, and says in what we differ.
"""

from dataclasses import dataclass, replace
from math import hypot
from typing import Any

import numpy as np

from cdrl_cli.array_types import Float32, UInt8
from cdrl_cli.face.coefficients import CoefficientReader
from cdrl_cli.face.detector import FaceDetector
from cdrl_cli.face.region import FaceRegion, Placement, bounds_of

LANDMARKS = 478
"""How many landmarks describe a face: 468 of the canonical mesh, then two irises of 5 (centre, then
four on the rim)."""

MESH_LANDMARKS = 468
"""How many of the landmarks are vertices of the canonical mesh: the first 468."""

INPUT_SIDE = 256
"""Side of the square crop that landmarks are read in, pixels."""

DETECTION_STEP = 6
"""While faces are followed, others are looked for once in so many pictures."""

PATIENCE = 12
"""So many pictures long a face that was lost is looked for in every one of them."""

LEAST_SHARE = 0.2
"""How much the newest detection of a face counts for the placement of its region, at least; the
first ones are averaged."""

SAME_FACE_OVERLAP = 0.5
"""Intersection over union from which two regions show the same face."""

_LEAST_PRESENCE = 0.0
"""Logit of the probability, .5, from which a region shows a face."""


@dataclass(frozen=True, slots=True)
class Face:
    """One face of one frame."""

    landmarks_xyz: Float32[np.ndarray, "478 3"]
    """Pixels of the picture, x right, y down, z away from the camera (relative to the head)."""
    expression: Float32[np.ndarray, " 52"]
    """Blendshape coefficients, 0..1, in the order of
    :data:`~cdrl_cli.face.blendshapes.EXPRESSION_NAMES`."""

    @property
    def box_xyxy(self) -> tuple[float, float, float, float]:
        """The smallest box around the landmarks, pixels."""
        return bounds_of(self.landmarks_xyz)

    @property
    def width_px(self) -> float:
        """Width of the box around the landmarks."""
        left, _, right, _ = self.box_xyxy
        return right - left

    def distance_px(self, other: "Face") -> float:
        """Between the middles of the landmarks of two faces, seen in one picture or two."""
        middle, middle_other = (one.landmarks_xyz[:, :2].mean(axis=0) for one in (self, other))
        return hypot(*(middle - middle_other))


@dataclass(frozen=True, slots=True)
class LandmarkNetworks:
    """What a landmarker runs; may be shared by many of them, on any thread."""

    detector: FaceDetector
    landmarks: Any
    """Session of ``face-landmarks.onnx``, which :mod:`cdrl_cli.training.landmarker` writes."""
    coefficients: CoefficientReader


@dataclass(frozen=True, slots=True)
class _Followed:
    """A face of the last picture."""

    landmarks_xyz: Float32[np.ndarray, "478 3"]
    placement: Placement
    """Of the detector's regions about its landmarks, in the mean over the last detections."""
    detections: int
    """How many there were."""

    @property
    def region(self) -> FaceRegion:
        """Where it is looked for next."""
        return self.placement.region(self.landmarks_xyz)

    def detected(self, region: FaceRegion) -> "_Followed":
        """The face, after the detector has seen it in a region of this picture."""
        share = max(1 / (self.detections + 1), LEAST_SHARE)
        seen = Placement.between(self.landmarks_xyz, region)
        placement = self.placement.towards(seen, share)
        return _Followed(self.landmarks_xyz, placement, self.detections + 1)


class Landmarker:
    """Finds faces in the successive pictures of one clip.

    Not to be shared between clips: it follows faces from one picture to the next. Landmarks are
    read where those of the picture before say that the detector would see the face: what is read
    depends on the region, and coefficients are learned from the detector's. The detector itself
    runs where no face is followed, where one was lost of late, and else in every
    :data:`DETECTION_STEP`-th picture, for faces that come in.

    Args:
        networks: What it runs.
        max_faces: Most faces that :meth:`detect` tells of.

    Raises:
        ValueError: If ``max_faces`` is not positive.
    """

    def __init__(self, networks: LandmarkNetworks, *, max_faces: int = 4) -> None:
        if max_faces < 1:
            raise ValueError(f"max_faces must be at least 1, got {max_faces}")
        self._networks = networks
        self._max_faces = max_faces
        # Of one face a second is followed too: the larger one is the answer.
        self._capacity = max(2, max_faces)
        self._followed: list[_Followed] = []
        self._pictures_to_detection = 0
        self._pictures_to_calm = 0

    def forget(self) -> None:
        """Follow no face any more: the next picture shows another place."""
        self._followed = []

    def detect(self, picture: UInt8[np.ndarray, "height width 3"]) -> list[Face]:
        """The faces of the next picture, largest first.

        Args:
            picture: sRGB, upright, square pixels.
        """
        read = self._read(picture, [one.region for one in self._followed])
        faces = [
            replace(one, landmarks_xyz=points)
            for one, points in zip(self._followed, read, strict=True)
            if points is not None
        ]
        if len(faces) < len(self._followed):
            self._pictures_to_calm = PATIENCE
        self._pictures_to_detection -= 1
        self._pictures_to_calm -= 1
        is_due = self._pictures_to_detection <= 0 or self._pictures_to_calm >= 0
        if is_due or not faces:
            self._pictures_to_detection = DETECTION_STEP
            faces = self._detect(picture, faces)
        self._followed = _without_doubles(faces)
        if not faces:
            return []
        points_of_all = np.stack([one.landmarks_xyz for one in faces])
        coefficients = self._networks.coefficients(points_of_all).astype(np.float32)
        found = [Face(*one) for one in zip(points_of_all, coefficients, strict=True)]
        return sorted(found, key=lambda face: -face.width_px)[: self._max_faces]

    def _detect(
        self, picture: UInt8[np.ndarray, "height width 3"], faces: list[_Followed]
    ) -> list[_Followed]:
        """Faces that are followed, as the detector places them, and those it sees beside them."""
        new: list[FaceRegion] = []
        for region in self._networks.detector(picture):
            overlaps = [region.overlap(one.region) for one in faces]
            nearest = int(np.argmax(overlaps)) if overlaps else None
            if nearest is not None and overlaps[nearest] > SAME_FACE_OVERLAP:
                faces[nearest] = faces[nearest].detected(region)
            else:
                new.append(region)
        new = new[: self._capacity - len(faces)]
        return faces + [
            _Followed(points, Placement.between(points, region), 1)
            for region, points in zip(new, self._read(picture, new), strict=True)
            if points is not None
        ]

    def _read(
        self, picture: UInt8[np.ndarray, "height width 3"], regions: list[FaceRegion]
    ) -> list[Float32[np.ndarray, "478 3"] | None]:
        """Landmarks in each region, pixels of the picture; None where no face is."""
        if not regions:
            return []
        crops = np.empty((len(regions), INPUT_SIDE, INPUT_SIDE, 3), np.uint8)
        for region, crop in zip(regions, crops, strict=True):
            region.crop(picture, crop)
        landmarks, presence = self._networks.landmarks.run(
            ["landmarks", "presence"], {"pictures": crops}
        )
        read: list[Float32[np.ndarray, "478 3"] | None] = []
        for region, seen, logit in zip(regions, landmarks, presence, strict=True):
            matrix = region.picture_from_crop(INPUT_SIDE)
            xy = seen[:, :2] @ matrix[:, :2].T + matrix[:, 2]
            z = seen[:, 2:] * (region.side_px / INPUT_SIDE)
            points = np.hstack([xy, z]).astype(np.float32)
            read.append(points if logit > _LEAST_PRESENCE else None)
        return read


def _without_doubles(faces: list[_Followed]) -> list[_Followed]:
    """The faces whose regions differ; the first one of two that show the same."""
    kept: list[_Followed] = []
    for face in faces:
        if all(face.region.overlap(one.region) <= SAME_FACE_OVERLAP for one in kept):
            kept.append(face)
    return kept
