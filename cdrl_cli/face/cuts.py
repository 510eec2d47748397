"""Where one shot of a clip ends and the next one begins."""

import cv2
import numpy as np

from cdrl_cli.array_types import UInt8

CUT_SIDE_PX = 128
"""Longest side of the picture by which cuts are found; it is halved until it is no longer."""

CUT_CHANGE = 27.0
"""Mean change of hue (0..179), saturation and brightness (0..255) from one picture to the next from
which a new shot begins."""


class CutFinder:
    """Looks for cuts in the successive pictures of one clip.

    The measure and its threshold are those of PySceneDetect's ``ContentDetector`` (BSD-3-Clause),
    which looks for no edges either and is an oracle in the tests. Its package asks the machine for
    FFmpeg's program when it is imported, and took a tenth of a second of every edit.
    """

    def __init__(self) -> None:
        self._last: UInt8[np.ndarray, "height width 3"] | None = None

    def is_cut(self, picture: UInt8[np.ndarray, "height width 3"]) -> bool:
        """Whether a new shot begins with the next picture; False for the first.

        Args:
            picture: sRGB; all of one size.
        """
        while max(picture.shape[:2]) > CUT_SIDE_PX:
            # Halving means of four pixels: a tenth of the time of one step to any size.
            height, width = (max(side // 2, 1) for side in picture.shape[:2])
            picture = picture[: 2 * height, : 2 * width]
            picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        seen, last = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV), self._last
        self._last = seen
        return last is not None and cv2.norm(seen, last, cv2.NORM_L1) / seen.size >= CUT_CHANGE
