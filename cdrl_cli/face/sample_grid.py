"""Points among a plane's samples at which what is smooth is read, and from there enlarged."""

from dataclasses import dataclass

import cv2
import numpy as np

from cdrl_cli.array_types import Float, Float32
from cdrl_cli.geometry.warp import chain, resample, whole_shrink
from cdrl_cli.media.orientation import Box


@dataclass(frozen=True, slots=True)
class SampleGrid:
    """Every so many samples of a plane's part, for what is smooth from one to the next.

    What lies on the crop is read at these, and enlarged to the samples: a tenth of the work of
    reading it at each sample.
    """

    step: int
    """Samples from one point to the next, in x and in y."""
    corner_xy: tuple[int, int]
    """The plane's sample where the square of ``step`` samples begins that the first point is the
    middle of."""
    size_xy: tuple[int, int]
    """How many points there are."""

    @classmethod
    def over(
        cls, part_xyxy: Box, from_plane: Float[np.ndarray, "2 3"], *, apart_px: int
    ) -> "SampleGrid":
        """Points over a plane's part and one to each side of it.

        Args:
            part_xyxy: The part.
            from_plane: Carries places among the samples to the pixels that are read.
            apart_px: Points lie no farther apart than so many of these pixels, or are all samples.
        """
        # Of a stretched plane the direction counts in which pixels are nearest.
        pixels_per_sample = float(np.linalg.norm(from_plane[:, :2], ord=2))
        step = whole_shrink(pixels_per_sample / apart_px)
        left, top, right, bottom = part_xyxy
        size = -(-(right - left) // step) + 2, -(-(bottom - top) // step) + 2
        return cls(step, (left - step, top - step), size)

    def read(
        self,
        values: Float32[np.ndarray, "size size"],
        from_plane: Float[np.ndarray, "2 3"],
        *,
        outside: float = 0.0,
    ) -> Float32[np.ndarray, "rows columns"]:
        """Values at each point.

        Args:
            values: On the crop, or another picture.
            from_plane: Carries places among the samples to its pixels.
            outside: What is read where there are none.
        """
        # Middles of squares of samples, not their corners, lie at whole numbers.
        middle = (self.step - 1) / 2
        x, y = self.corner_xy
        plane_from_grid = np.array([(self.step, 0, x + middle), (0, self.step, y + middle)], float)
        from_grid = chain(from_plane, plane_from_grid)
        return resample(values, from_grid, (0, 0, *self.size_xy), outside=outside)

    def near(
        self, points: Float32[np.ndarray, "across down"], part_xyxy: Box
    ) -> Float32[np.ndarray, "rows columns"]:
        """What was read at the points that a part of the plane lies between."""
        if self.step == 1:
            left, top, right, bottom = np.subtract(part_xyxy, self.corner_xy * 2).tolist()
            return points[top:bottom, left:right]
        x0, y0, x1, y1 = (
            (side - corner) // self.step
            for side, corner in zip(part_xyxy, self.corner_xy * 2, strict=True)
        )
        return points[y0 - 1 : y1 + 2, x0 - 1 : x1 + 2]

    def enlarge(
        self, near: Float32[np.ndarray, "across down"], part_xyxy: Box
    ) -> Float32[np.ndarray, "rows columns"]:
        """What was read at the points near a part of the plane, for each sample of it."""
        if self.step == 1:
            return near
        whole = near.shape[1] * self.step, near.shape[0] * self.step
        fine = cv2.resize(near, whole, interpolation=cv2.INTER_LINEAR)
        left, top, right, bottom = part_xyxy
        x, y = (
            (side - corner) % self.step + self.step
            for side, corner in zip((left, top), self.corner_xy, strict=True)
        )
        return fine[y : y + bottom - top, x : x + right - left]
