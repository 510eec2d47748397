"""A picture in, the faces in it out: 478 landmarks and 52 expression coefficients each.

The network is MediaPipe's face landmarker (Apache-2.0); `weights/face_landmarker.md` is its card.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

LANDMARKS = 478
"""How many landmarks describe a face: 468 of the canonical mesh, then two irises of 5 (centre, then
four on the rim)."""

MESH_LANDMARKS = 468
"""How many of the landmarks are vertices of the canonical mesh: the first 468."""


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
        low, high = self.landmarks_xyz[:, :2].min(axis=0), self.landmarks_xyz[:, :2].max(axis=0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    @property
    def width_px(self) -> float:
        """Width of the box around the landmarks."""
        left, _, right, _ = self.box_xyxy
        return right - left


class Landmarker:
    """Finds faces in the successive pictures of one clip; a context manager.

    Not to be shared between clips: it follows faces from one picture to the next.

    Args:
        model: The ``.task`` bundle.
        max_faces: Faces looked for. Never 1 inside: for a single face MediaPipe adds a causal
            filter of its own, which lags behind the speech by some frames.

    Raises:
        ValueError: If ``max_faces`` is not positive.
    """

    def __init__(self, model: Path, *, max_faces: int = 4) -> None:
        if max_faces < 1:
            raise ValueError(f"max_faces must be at least 1, got {max_faces}")
        with _uninterrupted(), quiet_native_log():
            from mediapipe.tasks.python import vision
            from mediapipe.tasks.python.core.base_options import BaseOptions

            options = vision.FaceLandmarkerOptions(
                base_options=BaseOptions(model_asset_buffer=model.read_bytes()),
                running_mode=vision.RunningMode.VIDEO,
                num_faces=max(2, max_faces),
                output_face_blendshapes=True,
            )
            self._landmarker = vision.FaceLandmarker.create_from_options(options)
        self._max_faces = max_faces
        self._pictures = 0

    def __enter__(self) -> "Landmarker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the network."""
        with quiet_native_log():
            self._landmarker.close()

    def detect(self, picture: UInt8[np.ndarray, "height width 3"]) -> list[Face]:
        """The faces of the next picture, largest first.

        Args:
            picture: sRGB, upright, square pixels.
        """
        import mediapipe

        height, width = picture.shape[:2]
        image = mediapipe.Image(
            image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(picture)
        )
        # MediaPipe asks for rising milliseconds and, with its filter off, uses them for nothing
        # else; a count cannot stumble over equal or falling times in a damaged file.
        if self._pictures == 0:
            with quiet_native_log():
                result = self._landmarker.detect_for_video(image, 0)
        else:
            result = self._landmarker.detect_for_video(image, self._pictures * 33)
        self._pictures += 1
        # MediaPipe gives z in the unit of x (Convention of its face mesh).
        scale = np.array([width, height, width], np.float32)
        faces = [
            Face(
                landmarks_xyz=np.array([(p.x, p.y, p.z) for p in points], np.float32) * scale,
                expression=np.array([c.score for c in coefficients], np.float32),
            )
            for points, coefficients in zip(
                result.face_landmarks, result.face_blendshapes, strict=True
            )
        ]
        return sorted(faces, key=lambda face: -face.width_px)[: self._max_faces]


@contextmanager
def quiet_native_log() -> Iterator[None]:
    """Keep the native start-up lines of MediaPipe and its kin off the user's terminal.

    They are written to file descriptor 2 by C++ before any log level can be set; Python's own
    ``sys.stderr`` is flushed before and unaffected after.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nothing)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and their kin wait for the end of a block.

    While MediaPipe is imported and started a KeyboardInterrupt may be swallowed, and the edit goes
    on; or it leaves a thread half begun, for which Python's end waits for ever.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals interrupt the main thread alone
        return
    came: list[int] = []
    handlers = {
        number: handler
        for number in signal.valid_signals()
        if callable(handler := signal.getsignal(number)) and number != signal.SIGABRT
    }
    for number in handlers:
        signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])
