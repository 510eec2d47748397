"""A picture in, the regions of faces out: BlazeFace (Bazarevsky et al. 2019), short range.

The network is MediaPipe's (Apache-2.0); `weights/face_landmarker.md` is its card.
"""

from typing import Any

import numpy as np

from cdrl_cli.array_types import Float, Int, UInt8
from cdrl_cli.face.region import FaceRegion

INPUT_SIDE = 128
"""Side of the square that the network looks at, pixels."""

MIN_SCORE = 0.5
"""Least probability, 0..1, of what is taken for a face."""

SAME_FACE_OVERLAP = 0.3
"""Intersection over union from which two boxes show the same face."""

_GRIDS = ((16, 2), (8, 6))
"""Cells a side, and boxes a cell, of the network's two grids."""


def draw_anchors() -> Float[np.ndarray, "896 2"]:
    """Centres of the cells that the network's boxes are told from, (x, y), pixels of its input."""
    anchors = []
    for cells, boxes in _GRIDS:
        centres = (np.arange(cells) + 0.5) * INPUT_SIDE / cells
        grid = np.stack(np.meshgrid(centres, centres), axis=-1).reshape(-1, 2)
        anchors.append(np.repeat(grid, boxes, axis=0))
    return np.concatenate(anchors)


class FaceDetector:
    """Finds faces of at least an eighth of a picture.

    Args:
        network: Session of ``face-detector.onnx``, which
            :mod:`cdrl_cli.training.landmarker` writes.
    """

    def __init__(self, network: Any) -> None:
        self._network = network
        self._anchors = draw_anchors()

    def __call__(self, picture: UInt8[np.ndarray, "height width 3"]) -> list[FaceRegion]:
        """The regions of the faces, surest first.

        Args:
            picture: sRGB, upright, square pixels.
        """
        whole = FaceRegion.of_picture(*picture.shape[:2])
        seen = np.empty((1, INPUT_SIDE, INPUT_SIDE, 3), np.uint8)
        whole.crop(picture, seen[0], black_outside=True)
        (boxes,), (scores,) = self._network.run(["boxes", "scores"], {"pictures": seen})
        sure = np.flatnonzero(scores >= np.log(MIN_SCORE / (1 - MIN_SCORE)))
        probabilities = 1 / (1 + np.exp(-scores[sure].astype(float)))
        matrix = whole.picture_from_crop(INPUT_SIDE)
        regions = []
        for points in merge_boxes(self._decode(boxes, sure), probabilities):
            low, high, *eyes = points @ matrix[:, :2].T + matrix[:, 2]
            regions.append(FaceRegion.of_box(low, high, np.stack(eyes)))
        return regions

    def _decode(
        self, boxes: Float[np.ndarray, "896 16"], chosen: Int[np.ndarray, " boxes"]
    ) -> Float[np.ndarray, "boxes 4 2"]:
        """Corners and eyes, pixels of the input.

        The network tells the middle from the anchor, the size, then six points from the anchor.
        """
        told = boxes[chosen].reshape(-1, 8, 2).astype(float)
        middle, size = self._anchors[chosen] + told[:, 0], told[:, 1]
        eyes = self._anchors[chosen][:, None] + told[:, 2:4]
        corners = np.stack([middle - size / 2, middle + size / 2], axis=1)
        return np.concatenate([corners, eyes], axis=1)


def merge_boxes(
    points_xy: Float[np.ndarray, "boxes 4 2"], scores: Float[np.ndarray, " boxes"]
) -> list[Float[np.ndarray, "4 2"]]:
    """One of the boxes that show the same face: their mean, weighted by score.

    Args:
        points_xy: Top left and bottom right corner of each box, and the eyes.
        scores: How sure each is, above 0.

    Returns:
        Corners and eyes of each face, the one with the surest box first.
    """
    rest = np.argsort(-scores, kind="stable")
    faces = []
    while len(rest):
        same = _overlap(points_xy[rest, :2], points_xy[rest[0], :2]) > SAME_FACE_OVERLAP
        same[0] = True
        faces.append(np.average(points_xy[rest[same]], axis=0, weights=scores[rest[same]]))
        rest = rest[~same]
    return faces


def _overlap(
    boxes: Float[np.ndarray, "boxes 2 2"], box: Float[np.ndarray, "2 2"]
) -> Float[np.ndarray, " boxes"]:
    """Intersection over union of boxes with one box."""
    low, high = np.maximum(boxes[:, 0], box[0]), np.minimum(boxes[:, 1], box[1])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    union = (boxes[:, 1] - boxes[:, 0]).prod(axis=1) + (box[1] - box[0]).prod() - shared
    return shared / np.maximum(union, 1e-9)
