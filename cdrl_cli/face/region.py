"""Where a face is looked at: a turned square of a picture, and the crop of it."""

from dataclasses import dataclass

import numpy as np

from cdrl_cli.array_types import Float, UInt8
from cdrl_cli.geometry.warp import carry

DETECTED_MARGIN = 1.5
"""Side of the region around a detected face, by the longer side of the detector's box
(MediaPipe's)."""

_RIGHT_EYE, _LEFT_EYE = 33, 263
"""Landmarks of the outer corners of the eyes; the line through them is level in a crop."""


@dataclass(frozen=True, slots=True)
class FaceRegion:
    """A square around a face, turned so that the eyes are level.

    Convention: pixels of the picture, x right, y down; angles from x towards y.
    """

    centre_xy: tuple[float, float]
    side_px: float
    angle_rad: float

    @classmethod
    def of_box(
        cls,
        low_xy: Float[np.ndarray, " 2"],
        high_xy: Float[np.ndarray, " 2"],
        eyes_xy: Float[np.ndarray, "2 2"],
    ) -> "FaceRegion":
        """The region of a detected face.

        Args:
            low_xy: Top left corner of the detector's box.
            high_xy: Bottom right corner.
            eyes_xy: The eye that is on the left of an upright picture, then the other one.
        """
        middle = (low_xy + high_xy) / 2
        side = DETECTED_MARGIN * float((high_xy - low_xy).max())
        return cls((float(middle[0]), float(middle[1])), side, _level(eyes_xy))

    @classmethod
    def of_picture(cls, height: int, width: int) -> "FaceRegion":
        """The smallest upright square around a whole picture."""
        return cls((width / 2, height / 2), float(max(height, width)), 0.0)

    def picture_from_crop(self, crop_side: int) -> Float[np.ndarray, "2 3"]:
        """The matrix that carries points of a crop, pixels, to the picture.

        Args:
            crop_side: Of the crop, pixels.
        """
        scale = self.side_px / crop_side
        across, down = scale * np.cos(self.angle_rad), scale * np.sin(self.angle_rad)
        turn = np.array([[across, -down], [down, across]])
        shift = np.array(self.centre_xy) - turn.sum(axis=1) * crop_side / 2
        return np.column_stack([turn, shift])

    def crop(
        self,
        picture: UInt8[np.ndarray, "height width 3"],
        into: UInt8[np.ndarray, "side side 3"],
        *,
        black_outside: bool = False,
    ) -> None:
        """Draw the region's pixels into an array, between pixels linearly.

        Args:
            picture: Where the region lies, or part of it.
            into: Square; is overwritten.
            black_outside: Show black beyond the picture's edge; otherwise the edge goes on.
        """
        side = into.shape[0]
        carry(picture, self.picture_from_crop(side), side, into=into, black_outside=black_outside)

    def overlap(self, other: "FaceRegion") -> float:
        """Intersection over union of the two squares, 0..1, as if they were upright."""
        reach = (self.side_px + other.side_px) / 2
        smaller = min(self.side_px, other.side_px)
        apart = np.abs(np.subtract(self.centre_xy, other.centre_xy))
        shared = float(np.prod(np.clip(reach - apart, 0, smaller)))
        return shared / (self.side_px**2 + other.side_px**2 - shared)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a region lies about the landmarks of its face.

    Lengths are in the unit of the longer side of the landmarks' box, along the line through the
    eyes and across it.
    """

    side: float
    """Of the region."""
    shift_xy: tuple[float, float]
    """From the middle of the landmarks' box to the region's."""
    turn_rad: float
    """From the line through the eyes to the region's own."""

    @classmethod
    def between(cls, landmarks_xyz: Float[np.ndarray, "478 3"], region: FaceRegion) -> "Placement":
        """The placement of a region."""
        middle, longer, angle = _box(landmarks_xyz)
        shift = _turn(angle).T @ (np.array(region.centre_xy) - middle) / longer
        turn = (region.angle_rad - angle + np.pi) % (2 * np.pi) - np.pi
        return cls(region.side_px / longer, (float(shift[0]), float(shift[1])), turn)

    def region(self, landmarks_xyz: Float[np.ndarray, "478 3"]) -> FaceRegion:
        """The region that is placed so about other landmarks."""
        middle, longer, angle = _box(landmarks_xyz)
        x, y = middle + longer * _turn(angle) @ np.array(self.shift_xy)
        return FaceRegion((float(x), float(y)), self.side * longer, angle + self.turn_rad)

    def towards(self, other: "Placement", share: float) -> "Placement":
        """A placement between two.

        Args:
            other: What share 1 gives.
            share: 0..1.
        """
        mine, theirs = (np.array([p.side, *p.shift_xy, p.turn_rad]) for p in (self, other))
        side, x, y, turn = (mine + share * (theirs - mine)).tolist()
        return Placement(side, (x, y), turn)


def bounds_of(landmarks_xyz: Float[np.ndarray, "points 3"]) -> tuple[float, float, float, float]:
    """The smallest box around points, x and y: left, top, right, bottom."""
    # Along rows: numpy takes three times as long down narrow columns.
    x, y = np.ascontiguousarray(landmarks_xyz[:, :2].T)
    return float(x.min()), float(y.min()), float(x.max()), float(y.max())


def _box(
    landmarks_xyz: Float[np.ndarray, "478 3"],
) -> tuple[Float[np.ndarray, " 2"], float, float]:
    """Middle and longer side of the landmarks' box, and the angle of the line through the eyes."""
    left, top, right, bottom = bounds_of(landmarks_xyz)
    middle = np.array([(left + right) / 2, (top + bottom) / 2])
    eyes = landmarks_xyz[[_RIGHT_EYE, _LEFT_EYE], :2].astype(float)
    return middle, max(right - left, bottom - top), _level(eyes)


def _turn(angle_rad: float) -> Float[np.ndarray, "2 2"]:
    cosine, sine = np.cos(angle_rad), np.sin(angle_rad)
    return np.array([[cosine, -sine], [sine, cosine]])


def _level(eyes_xy: Float[np.ndarray, "2 2"]) -> float:
    """Angle of the line through the eyes, radians."""
    across, down = eyes_xy[1] - eyes_xy[0]
    return float(np.arctan2(down, across))
