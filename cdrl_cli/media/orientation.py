"""The eight ways a stored picture can lie, and the way back to upright.

Convention: ``upright = mirror(turn(coded))``: turn clockwise by ``rotation_deg``, then flip left to
right if ``mirrored``. Boxes are (x0, y0, x1, y1), exclusive at right and bottom.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cdrl_cli.array_types import Float

Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Orientation:
    """How a coded picture must be turned and flipped to be seen upright."""

    rotation_deg: int = 0
    """Clockwise: 0, 90, 180 or 270."""
    mirrored: bool = False

    def __post_init__(self) -> None:
        if self.rotation_deg not in (0, 90, 180, 270):
            raise ValueError(f"a picture turns by quarters, got {self.rotation_deg = }")

    @classmethod
    def from_display_matrix(cls, matrix: Sequence[int] | None) -> "Orientation":
        r"""Read the nine integers of a container's display matrix.

        Coded :math:`(x, y)` is shown at :math:`(a x + c y, b x + d y)` with ``a, b, _, c, d`` the
        first entries (ISO/IEC 14496-12, 6.2.2). A negative determinant is a reflection: undoing
        the flip of x (the signs of a and c) leaves a rotation with first column (a, b). An angle
        between the quarters, which no player draws either, is read as the nearest quarter.
        """
        if matrix is None:
            return cls()
        a, b, _, c, d = matrix[:5]
        mirrored = a * d - b * c < 0
        if mirrored:
            a = -a
        if abs(a) >= abs(b):
            return cls(0 if a >= 0 else 180, mirrored)
        return cls(90 if b > 0 else 270, mirrored)

    @property
    def swaps_axes(self) -> bool:
        """Width and height change places."""
        return self.rotation_deg in (90, 270)

    def swapped(self, width: int, height: int) -> tuple[int, int]:
        """Upright (width, height) of a coded size; and, as it is its own inverse, the way back."""
        return (height, width) if self.swaps_axes else (width, height)

    def upright(self, coded: NDArray[Any]) -> NDArray[Any]:
        """Turn a coded (height, width, ...) array upright; a view."""
        turned = np.rot90(coded, -(self.rotation_deg // 90))
        return turned[:, ::-1] if self.mirrored else turned

    def coded(self, upright: NDArray[Any]) -> NDArray[Any]:
        """Lay an upright (height, width, ...) array as it is stored; a view."""
        flipped = upright[:, ::-1] if self.mirrored else upright
        return np.rot90(flipped, self.rotation_deg // 90)

    def coded_box(self, box_xyxy: Box, width: int, height: int) -> Box:
        """Where an upright box lies in the coded picture.

        Args:
            box_xyxy: Upright pixels.
            width: Of the upright picture.
            height: Of the upright picture.
        """
        x0, y0, x1, y1 = box_xyxy
        if self.mirrored:
            x0, x1 = width - x1, width - x0
        match self.rotation_deg:
            case 90:
                return y0, width - x1, y1, width - x0
            case 180:
                return width - x1, height - y1, width - x0, height - y0
            case 270:
                return height - y1, x0, height - y0, x1
            case _:
                return x0, y0, x1, y1

    def upright_from_coded(self, width: int, height: int) -> Float[np.ndarray, "2 3"]:
        """The matrix that carries coded places (middles of pixels) to upright ones.

        Args:
            width: Of the upright picture.
            height: Of the upright picture.
        """
        right, bottom = width - 1, height - 1
        turned = {
            0: [(1, 0, 0), (0, 1, 0)],
            90: [(0, -1, right), (1, 0, 0)],
            180: [(-1, 0, right), (0, -1, bottom)],
            270: [(0, 1, 0), (-1, 0, bottom)],
        }
        matrix = np.array(turned[self.rotation_deg], float)
        if self.mirrored:
            matrix[0] = np.array([0, 0, right]) - matrix[0]
        return matrix
