"""Two published expression nets that look at the pixels of a face, as an edit runs them.

face-api's net (112 px, colour) and FER's mini-Xception (64 px, grey; Arriaga et al. 2017), both
MIT. They have seen how many faces are built, so they read people whose neutral face nobody knows.
Their log probabilities are evidence for :mod:`cdrl_cli.representation.evidence`; neither is the
judge of the evaluation.
"""

from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, UInt8

COLOUR_SIDE = 112
"""Side of the colour picture that the first net takes, pixels."""

GREY_SIDE = 64
"""Side of the grey picture that the second net takes, pixels."""

LOOKS = 16
"""Most frames of a clip, spread over it, whose pixels are looked at."""


class ExpressionNets:
    """Both nets, in one file.

    Args:
        network: Session of ``expression-nets.onnx`` (``spfem train nets``).
    """

    def __init__(self, network: Any) -> None:
        self._network = network

    def __call__(self, close_ups: UInt8[np.ndarray, "looks 112 112 3"]) -> Float[np.ndarray, "2 7"]:
        """Mean log probability that each net gives each emotion, in the order of ``Emotion``.

        Args:
            close_ups: Squares around the landmarks of upright faces, sRGB
                (:meth:`cdrl_cli.face.alignment.FaceCrop.close_up`); at least one. At most
                :data:`LOOKS` of them are looked at.
        """
        chosen = np.unique(np.linspace(0, len(close_ups) - 1, LOOKS).round().astype(int))
        pictures = close_ups[chosen]
        grey = [
            cv2.resize(
                cv2.cvtColor(one, cv2.COLOR_RGB2GRAY),
                (GREY_SIDE,) * 2,
                interpolation=cv2.INTER_AREA,
            )
            for one in pictures
        ]
        colour = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)) / np.float32(255)
        shades = np.stack(grey)[:, None] / np.float32(255)
        # One at a time: what the nets make of many looks together is large in memory.
        judged = [
            self._network.run(None, {"colour": one[None], "grey": other[None]})[0]
            for one, other in zip(colour, shades, strict=True)
        ]
        return np.asarray(np.concatenate(judged).mean(axis=0), float)
