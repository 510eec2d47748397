"""Two published expression nets that look at the pixels of a face, as an edit runs them.

face-api's net (112 px, colour) and FER's mini-Xception (64 px, grey; Arriaga et al. 2017), both
MIT. They have seen how many faces are built, so they read people whose neutral face nobody knows.
Their log probabilities are evidence for :mod:`cdrl_cli.representation.evidence`; neither is the
judge of the evaluation.
"""

from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from typing import Any

import cv2
import numpy as np

from cdrl_cli.array_types import Float, UInt8
from cdrl_cli.processors import usable_cores

COLOUR_SIDE = 112
"""Side of the colour picture that the first net takes, pixels."""

GREY_SIDE = 64
"""Side of the grey picture that the second net takes, pixels."""

LOOKS = 16
"""Most frames of a clip, spread over it, whose pixels are looked at."""

REMEMBERED = 64
"""Most pictures whose answer is kept."""

MOST_AT_ONCE = 4
"""Most pictures that are looked at side by side."""


class ExpressionNets:
    """Both nets, in one file.

    Args:
        network: Session of ``expression-nets.onnx`` (``spfem train nets``).
    """

    def __init__(self, network: Any) -> None:
        self._network = network
        self._judged: dict[bytes, Float[np.ndarray, "2 7"]] = {}
        """Answers by digests of pictures: most of a reference's are asked about twice."""

    def __call__(self, close_ups: UInt8[np.ndarray, "looks 112 112 3"]) -> Float[np.ndarray, "2 7"]:
        """Mean log probability that each net gives each emotion, in the order of ``Emotion``.

        Args:
            close_ups: Squares around the landmarks of upright faces, sRGB
                (:meth:`cdrl_cli.face.alignment.FaceCrop.close_up`); at least one. At most
                :data:`LOOKS` of them are looked at.
        """
        # Not numpy's ``unique``, which imports masked arrays.
        chosen = sorted(set(np.linspace(0, len(close_ups) - 1, LOOKS).round().astype(int).tolist()))
        # Not all at once: what the nets make of many looks together is large in memory.
        with ThreadPoolExecutor(min(usable_cores(), MOST_AT_ONCE)) as pool:
            judged = np.stack(list(pool.map(self._judge, close_ups[chosen])))
        return np.asarray(judged.mean(axis=0), float)

    def _judge(self, picture: UInt8[np.ndarray, "112 112 3"]) -> Float[np.ndarray, "2 7"]:
        """Log probabilities for one picture."""
        digest = blake2b(picture.tobytes()).digest()
        known = self._judged.get(digest)
        if known is not None:
            return known
        grey = cv2.resize(
            cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY),
            (GREY_SIDE,) * 2,
            interpolation=cv2.INTER_AREA,
        )
        colour = np.ascontiguousarray(picture.transpose(2, 0, 1)) / np.float32(255)
        shades = grey[None] / np.float32(255)
        answer: Float[np.ndarray, "1 2 7"]
        (answer,) = self._network.run(None, {"colour": colour[None], "grey": shades[None]})
        if len(self._judged) >= REMEMBERED:
            self._judged.clear()
        self._judged[digest] = answer[0]
        return answer[0]
