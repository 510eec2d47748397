"""What the pixels of a face add to CERL: wrinkles and lids, which coefficients hardly show.

How a face is built shifts its expression coefficients, and without a neutral clip of the person
that shift is taken for emotion. A net that learned from the photographs of many people has seen
how faces are built. Differs from the paper (section 3.3: CLIP image features, a learned head):
the net is face-api's published one (MIT), frozen, and its opinion shifts the embedding in closed
form (:meth:`cdrl_cli.representation.reading.EmotionReader.embed`), so nothing is learned twice.

In numpy: an edit asks it once, and does not wait for torch.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Float32, UInt8

from cdrl_cli.emotion import Emotion

SIDE = 112
"""Side of the picture that the net takes, pixels."""

ORDER = ("neutral", "happy", "sad", "angry", "fear", "disgusted", "surprised")
"""Emotions, as its last layer has them."""

MEAN_RGB = (122.782, 117.001, 104.298)
"""What it takes off every pixel, 0..255."""

TIGHT_ROWS, TIGHT_COLUMNS = (20 / 112, 104 / 112), (14 / 112, 98 / 112)
"""Part of the aligned crop that holds the face from brows to chin, and little else."""

FLOOR = 1e-3
"""Probability below which the net's doubts are not believed."""

USUAL_SHARE = 0.5
"""Of what the net says of everybody that is taken off what it says of a clip: it calls most faces
neutral, and most faces are."""

Weights = Mapping[str, Float[np.ndarray, "..."]]
Maps = Float32[np.ndarray, "looks _rows _columns _channels"]


class AppearanceReader:
    """Aligned crops of a clip to what they speak for.

    Args:
        weights: The expression net of face-api, four dense blocks of separable convolutions, under
            its names and in its layout (height, width, inputs, outputs).
        usual: Mean of :meth:`opinion` over acted clips, each person and each emotion alike.
    """

    def __init__(self, weights: Weights, usual: Float32[np.ndarray, " 7"] | None = None) -> None:
        self.weights = {name: value.astype(np.float32) for name, value in weights.items()}
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
        logits = self.judge(tighten(faces))
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares = (shares / shares.sum(axis=1, keepdims=True)).mean(axis=0)
        return np.log(shares[[ORDER.index(emotion.value) for emotion in Emotion]] + FLOOR)

    def judge(
        self, pictures: Float32[np.ndarray, "looks 112 112 3"]
    ) -> Float32[np.ndarray, "looks 7"]:
        """Logits in the order of :data:`ORDER`, of tight square crops, sRGB 0..255."""
        x = (pictures - np.array(MEAN_RGB, np.float32)) / 255
        for block in range(4):
            first = np.maximum(self._convolve(x, f"dense{block}/conv0", 2), 0)
            total = first
            for layer in (1, 2, 3):
                fed = first if layer == 1 else np.maximum(total, 0)
                total = total + self._convolve(fed, f"dense{block}/conv{layer}", 1)
            x = np.maximum(total, 0)
        return x.mean(axis=(1, 2)) @ self.weights["fc/weights"] + self.weights["fc/bias"]

    def _convolve(self, x: Maps, name: str, stride: int) -> Maps:
        # TensorFlow's "same": an even side that is halved has its border at the far end only.
        near = 0 if stride == 2 and x.shape[1] % 2 == 0 else 1  # noqa: PLR2004
        padded = np.pad(x, ((0, 0), (near, 1), (near, 1), (0, 0)))
        rows, columns = ((side + near - 2) // stride + 1 for side in x.shape[1:3])
        taps = [
            padded[:, dy : dy + stride * rows : stride, dx : dx + stride * columns : stride]
            for dy in range(3)
            for dx in range(3)
        ]
        bias = self.weights[f"{name}/bias"]
        if f"{name}/filters" in self.weights:
            kernels = self.weights[f"{name}/filters"].reshape(9, x.shape[3], -1)
            return sum((tap @ kernel for tap, kernel in zip(taps, kernels, strict=True)), bias)
        depth = self.weights[f"{name}/depthwise_filter"].reshape(9, -1)
        mixed = np.zeros_like(taps[0])
        for tap, weight in zip(taps, depth, strict=True):
            mixed += tap * weight
        return mixed @ self.weights[f"{name}/pointwise_filter"][0, 0] + bias


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
