"""A face of one colour whose eyes are drawn: white, a dark iris, and lids that cut it."""

import cv2
import numpy as np

from cdrl_cli.face.alignment import crop_face
from cdrl_cli.generator.eyes import place_eyeballs
from cdrl_cli.generator.irises import IRISES, LOWER_LIDS, UPPER_LIDS, EyeOutline, find_irises
from heads import pose, toy_head
from pictures import ArrayFrame

SKIN, WHITE, IRIS = (190, 150, 130), (225, 222, 220), (60, 50, 45)
_FINER = 8


def drawn_face(*, scale=150.0, radius=4.9, at=(0.0, -5.5), off=(0.0, 0.0)):
    """A frame, its crop, and the middles of the irises in it.

    Args:
        scale: Of the head, pixels between the outer corners of the eyes.
        radius: Of the irises, crop pixels.
        at: Of the landmarks of the irises, from the toy head's, crop pixels. The upper lids cut
            irises that are where they usually are.
        off: From the landmarks of the irises to their middles, crop pixels.
    """
    toy = toy_head()
    size = round(scale * 2.2)
    face = toy.face(pose(scale=scale, at=(size / 2, size / 2)))
    points = face.landmarks_xyz
    for upper, lower in zip(UPPER_LIDS, LOWER_LIDS, strict=True):
        points[upper, 1] -= 0.9 * (points[lower, 1] - points[upper, 1])
    crop = crop_face(ArrayFrame(np.zeros((size, size, 3), np.uint8)), face, toy.model.locate(face))
    px = 1 / np.hypot(*crop.crop_from_frame[0, :2])
    points[468:, :2] += np.array(at) * px
    middles = points[IRISES, :2] + np.array(off) * px
    skin = np.full((size * _FINER, size * _FINER, 3), SKIN, np.uint8)
    for upper, lower, middle in zip(UPPER_LIDS, LOWER_LIDS, middles, strict=True):
        opening = np.zeros(skin.shape[:2], np.uint8)
        rim = np.concatenate([points[upper, :2], points[lower, :2][::-1]])
        at = np.round(((rim + 0.5) * _FINER - 0.5) * 16).astype(np.int32)
        cv2.fillPoly(opening, [at], 1, shift=4)
        eye = np.full_like(skin, WHITE)
        x, y = np.round(((middle + 0.5) * _FINER - 0.5) * 16).astype(int).tolist()
        cv2.circle(eye, (x, y), round(radius * px * _FINER * 16), IRIS, -1, shift=4)
        skin[opening > 0] = eye[opening > 0]
    frame = ArrayFrame(cv2.resize(skin, (size, size), interpolation=cv2.INTER_AREA))
    return frame, crop_face(frame, face, toy.model.locate(face)), middles


def eyeballs_of(crop, eyes=(1.0, 1.0)):
    """What is found of the eyeballs of a face, left and right, if they are so far open."""
    outlines = EyeOutline.both(crop.landmarks_xyz)
    irises = find_irises(crop.image(), outlines)
    return place_eyeballs(outlines, irises, np.array(eyes, float))
