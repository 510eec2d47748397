"""What the pixels of a face add to CERL: wrinkles and lids, which coefficients hardly show.

How a face is built shifts its expression coefficients, and without a neutral clip of the person
that shift is taken for emotion. A net that learned from the photographs of many people has seen
how faces are built. Differs from the paper (section 3.3: CLIP image features, a learned head):
the net is face-api's published one (MIT), frozen, and its opinion shifts the embedding in closed
form (:meth:`cdrl_cli.checkpoints.emotion.EmotionModels.embed`), so nothing is learned twice.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from cdrl_cli.emotion import Emotion

SIDE = 112
"""Side of the picture that the net takes, pixels."""

ORDER = ("neutral", "happy", "sad", "angry", "fear", "disgusted", "surprised")
"""Emotions, as its last layer has them."""

TIGHT_ROWS, TIGHT_COLUMNS = (20 / 112, 104 / 112), (14 / 112, 98 / 112)
"""Part of the aligned crop that holds the face from brows to chin, and little else."""

FLOOR = 1e-3
"""Probability below which the net's doubts are not believed."""

USUAL_SHARE = 0.5
"""Of what the net says of everybody that is taken off what it says of a clip: it calls most faces
neutral, and most faces are."""

_MEAN_RGB = (122.782, 117.001, 104.298)


class ExpressionNet(nn.Module):
    """The expression net of face-api: four dense blocks of separable convolutions.

    Args:
        weights: Under face-api's names and in its layout (height, width, inputs, outputs).
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.weights = nn.ParameterDict(
            {
                name.replace(".", "_"): nn.Parameter(value, requires_grad=False)
                for name, value in weights.items()
            }
        )

    def forward(self, picture: Float[Tensor, "batch 3 112 112"]) -> Float[Tensor, "batch 7"]:
        """Logits in the order of :data:`ORDER`, of tight square crops, sRGB 0..1."""
        mean = picture.new_tensor(_MEAN_RGB).view(1, 3, 1, 1)
        x = (255 * picture - mean) / 255
        for block in range(4):
            first = functional.relu(self._convolve(x, f"dense{block}/conv0", 2))
            total = first
            for layer in (1, 2, 3):
                fed = first if layer == 1 else functional.relu(total)
                total = total + self._convolve(fed, f"dense{block}/conv{layer}", 1)
            x = functional.relu(total)
        return x.mean(dim=(2, 3)) @ self.weights["fc/weights"] + self.weights["fc/bias"]

    def _convolve(
        self, x: Float[Tensor, "batch inputs height width"], name: str, stride: int
    ) -> Float[Tensor, "batch outputs rows columns"]:
        if stride == 2 and x.shape[-1] % 2 == 0:  # noqa: PLR2004 - TensorFlow's "same"
            x, padding = functional.pad(x, (0, 1, 0, 1)), 0
        else:
            padding = 1
        bias = self.weights[f"{name}/bias"]
        if f"{name}/filters" in self.weights:
            kernel = self.weights[f"{name}/filters"].permute(3, 2, 0, 1)
            return functional.conv2d(x, kernel, bias, stride, padding)
        depth = self.weights[f"{name}/depthwise_filter"].permute(2, 3, 0, 1)
        point = self.weights[f"{name}/pointwise_filter"].permute(3, 2, 0, 1)
        x = functional.conv2d(x, depth, None, stride, padding, groups=x.shape[1])
        return functional.conv2d(x, point, bias)


class AppearanceReader(nn.Module):
    """Aligned crops of a clip to what they speak for.

    Args:
        weights: Of :class:`ExpressionNet`.
    """

    usual: Tensor
    """Mean of :meth:`opinion` over acted clips, each person and each emotion alike."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.net = ExpressionNet(weights)
        self.register_buffer("usual", torch.zeros(len(Emotion)))

    def forward(self, faces: UInt8[Tensor, "frames side side 3"]) -> Float[Tensor, " 7"]:
        """How much more than usual the clip looks like each emotion, in nats; the mean is 0.

        Args:
            faces: The aligned crop (:func:`cdrl_cli.face.alignment.crop_face`), sRGB, any size.
        """
        evidence = self.opinion(faces) - USUAL_SHARE * self.usual
        return evidence - evidence.mean()

    def opinion(self, faces: UInt8[Tensor, "frames side side 3"]) -> Float[Tensor, " 7"]:
        """Logarithm of the mean probability over frames, in the order of :class:`Emotion`."""
        side = faces.shape[1]
        top, bottom, left, right = (round(side * x) for x in (*TIGHT_ROWS, *TIGHT_COLUMNS))
        tight = faces[:, top:bottom, left:right].permute(0, 3, 1, 2).float() / 255
        picture = functional.interpolate(
            tight, (SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False
        )
        shares = self.net(picture).softmax(dim=1).mean(dim=0)
        return (shares[[ORDER.index(emotion.value) for emotion in Emotion]] + FLOOR).log()
