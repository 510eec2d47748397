"""Who a face is: aligned by ArcFace's template, embedded by any network that insightface loads."""

import contextlib
import io
import warnings
from pathlib import Path

import cv2
import numpy as np

from cdrl_cli.array_types import Float32, Float64, UInt8
from cdrl_cli.nn.onnx import import_quietly

_EYE_CORNERS = ((33, 133), (362, 263))
SIDE = 112
"""Side of the aligned face that identity networks take, pixels."""

_NOSE_TIP, _MOUTH_CORNERS = 4, (61, 291)


def five_points(landmarks_xyz: Float32[np.ndarray, "478 3"]) -> Float32[np.ndarray, "5 2"]:
    """Eyes, nose tip and mouth corners, left in the picture first: what the template aligns."""
    xy = landmarks_xyz[:, :2]
    eyes = [xy[list(corners)].mean(axis=0) for corners in _EYE_CORNERS]
    return np.stack([*eyes, xy[_NOSE_TIP], *(xy[corner] for corner in _MOUTH_CORNERS)])


def align_to_template(
    landmarks_xyz: Float32[np.ndarray, "478 3"],
) -> Float64[np.ndarray, "2 3"]:
    """The similarity that brings a face to ArcFace's template of 112 x 112 pixels."""
    from insightface.utils.face_align import estimate_norm

    with warnings.catch_warnings():  # of scikit-image, about what insightface calls
        warnings.simplefilter("ignore", FutureWarning)
        return np.asarray(estimate_norm(five_points(landmarks_xyz)))


class IdentityEncoder:
    """A face to a unit vector; the cosine of two tells whether they show one person.

    Args:
        model: An ArcFace-like ONNX file, such as SFace (``spfem download-weights identity``).
    """

    def __init__(self, model: Path) -> None:
        import_quietly()
        from insightface.model_zoo import get_model

        with contextlib.redirect_stdout(io.StringIO()):  # it prints its providers
            self._network = get_model(str(model), providers=["CPUExecutionProvider"])

    def embed(
        self,
        picture: UInt8[np.ndarray, "height width 3"],
        landmarks_xyz: Float32[np.ndarray, "478 3"],
    ) -> Float32[np.ndarray, " dimension"]:
        """Who is in the picture.

        Args:
            picture: sRGB.
            landmarks_xyz: Pixels of the picture.

        Returns:
            A unit vector; SFace's has 128 numbers.
        """
        bgr = np.ascontiguousarray(picture[..., ::-1])
        aligned = cv2.warpAffine(bgr, align_to_template(landmarks_xyz), (SIDE, SIDE))
        embedding = self._network.get_feat(aligned)[0]
        return (embedding / np.linalg.norm(embedding)).astype(np.float32)
