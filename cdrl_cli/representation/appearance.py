"""What the pixels of a face add to CERL: wrinkles and lids, which coefficients hardly show.

How a face is built shifts its expression coefficients, and without a neutral clip of the person
that shift is taken for emotion. A net that learned from the photographs of many people has seen
how faces are built. Differs from the paper (section 3.3: CLIP image features, a learned head):
the net is face-api's published one (MIT), frozen, and its opinion shifts the embedding in closed
form (:meth:`cdrl_cli.representation.emotion_reader.EmotionReader.embed`), so nothing is learned
twice. An edit runs the net by ONNX Runtime.
"""

from collections.abc import Callable

import numpy as np

from cdrl_cli.array_types import Float32, UInt8
from cdrl_cli.emotion import Emotion

SIDE = 112
"""Side of the picture that the expression net takes, pixels."""

ORDER = ("neutral", "happy", "sad", "angry", "fear", "disgusted", "surprised")
"""Emotions in the order of the expression net's last layer."""

MEAN_RGB = (122.782, 117.001, 104.298)
"""Colour that the expression net takes off every pixel, 0..255."""

TIGHT_ROWS, TIGHT_COLUMNS = (20 / 112, 104 / 112), (14 / 112, 98 / 112)
"""First and last row, and column, of the part of the aligned crop that holds the face from brows to
chin and little else; shares of its side."""

FLOOR = 1e-3
"""Least probability that the expression net is taken to mean, 0..1: it is added to each."""

USUAL_SHARE = 0.5
"""Share of the expression net's mean opinion of everybody that is taken off its opinion of a clip,
0..1: it calls most faces neutral, and most faces are."""

ExpressionNetwork = Callable[
    [Float32[np.ndarray, "looks 3 112 112"]], Float32[np.ndarray, "looks 7"]
]
"""Tight square pictures, sRGB 0..1, to logits in the order of :data:`ORDER`."""


class AppearanceReader:
    """Aligned crops of a clip to what they speak for.

    Args:
        network: The expression net of face-api.
        usual: Mean of :meth:`opinion` over acted clips, each person and each emotion alike.
    """

    def __init__(
        self, network: ExpressionNetwork, usual: Float32[np.ndarray, " 7"] | None = None
    ) -> None:
        self._network = network
        self.usual = np.zeros(len(Emotion), np.float32) if usual is None else usual

    def __call__(self, faces: UInt8[np.ndarray, "looks side side 3"]) -> Float32[np.ndarray, " 7"]:
        """How much more than usual the clip looks like each emotion, in nats; the mean is 0.

        Args:
            faces: The aligned crop (:func:`cdrl_cli.face.alignment.crop_face`), sRGB, any size.
        """
        evidence = self.opinion(faces) - USUAL_SHARE * self.usual
        return np.asarray(evidence - evidence.mean(), np.float32)

    def opinion(self, faces: UInt8[np.ndarray, "looks side side 3"]) -> Float32[np.ndarray, " 7"]:
        """Logarithm of the mean probability over looks, in the order of :class:`Emotion`."""
        pictures = np.ascontiguousarray(tighten(faces).transpose(0, 3, 1, 2))
        logits = self._network(pictures / np.float32(255))
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares = (shares / shares.sum(axis=1, keepdims=True)).mean(axis=0)
        return np.log(shares[[ORDER.index(emotion.value) for emotion in Emotion]] + FLOOR)


def tighten(
    faces: UInt8[np.ndarray, "looks side side 3"],
) -> Float32[np.ndarray, "looks 112 112 3"]:
    """The part of aligned crops that the net looks at, at its size, 0..255."""
    side = faces.shape[1]
    top, bottom, left, right = (round(side * x) for x in (*TIGHT_ROWS, *TIGHT_COLUMNS))
    rows, columns = _resizing(bottom - top), _resizing(right - left)
    tight = faces[:, top:bottom, left:right].astype(np.float32)
    return np.einsum("yi,nijc,xj->nyxc", rows, tight, columns, optimize=True)


def _resizing(length: int) -> Float32[np.ndarray, "112 length"]:
    """What of each pixel goes into each of the new ones: bilinear, averaging where it shrinks."""
    step = length / SIDE
    middles = (np.arange(SIDE) + 0.5) * step
    apart = np.abs(np.arange(length) + 0.5 - middles[:, None])
    shares = np.maximum(1 - apart / max(step, 1.0), 0)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float32)
