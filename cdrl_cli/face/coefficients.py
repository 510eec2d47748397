"""Landmarks in, expression coefficients out: the landmarker's last network, by itself.

An edit moves landmarks and has to know how the landmarker would read the moved face.
"""

from typing import Any

import numpy as np

from cdrl_cli.array_types import Float

POINTS = np.array([
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66,
    67, 70, 78, 80, 81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144,
    145, 146, 148, 149, 150, 152, 153, 154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173,
    176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251, 263, 267, 269, 270, 276, 282, 283, 284,
    285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318, 321, 323, 324, 332,
    334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382, 384, 385, 386,
    387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, *range(468, 478),
])  # fmt: skip
"""Indices of the 146 landmarks that the network looks at (MediaPipe's face blendshapes graph)."""


class CoefficientReader:
    """Reads the 52 expression coefficients from 478 landmarks, as MediaPipe does.

    Args:
        network: Session of ``coefficients.onnx``: MediaPipe's MLP-Mixer (Apache-2.0), rebuilt by
            :mod:`cdrl_cli.training.coefficients`. The same numbers but for half-precision weights.
    """

    def __init__(self, network: Any) -> None:
        self._network = network

    def __call__(
        self, landmarks_xyz: Float[np.ndarray, "faces 478 3"]
    ) -> Float[np.ndarray, "faces 52"]:
        """Coefficients, 0..1.

        Args:
            landmarks_xyz: Square pixels, any position and scale; x right, y down.
        """
        points = landmarks_xyz[:, POINTS, :2].astype(np.float32)
        (read,) = self._network.run(None, {"points": points})
        return np.asarray(read, float)
