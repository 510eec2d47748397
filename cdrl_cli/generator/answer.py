"""What the networks of a renderer answer about a face, and how answers go over into each other."""

from dataclasses import dataclass

import cv2
import numpy as np

from cdrl_cli.array_types import Float32
from cdrl_cli.generator.irises import Irises


@dataclass(frozen=True, slots=True)
class Answer:
    """What the networks say of a face in a frame, on the aligned crop."""

    flow: Float32[np.ndarray, "2 128 128"]
    """Finer flow, crop pixels; 0 outside the mask."""
    colour: Float32[np.ndarray, "3 128 128"]
    """Added to colours, -1..1 of the range; 0 outside the mask."""
    mask: Float32[np.ndarray, "128 128"]
    """Of the look that was asked about."""
    light: Float32[np.ndarray, "256 256"] | None
    """Logarithm of how much lighter each pixel of the skin's window becomes; None where light is
    not learned."""
    irises: Irises
    """As they were seen beside."""

    @classmethod
    def between(
        cls, before: "Answer", after: "Answer", mask: Float32[np.ndarray, "128 128"]
    ) -> "Answer":
        """The answer about a look of this mask, midway between two others of the same face."""
        # Where one of the masks does not reach, the other's answer counts alone: the mean of both
        # would be half of it, along the moving rim of the face.
        share = mask / np.maximum(before.mask + after.mask, np.float32(1e-3))
        light = None
        if before.light is not None and after.light is not None:
            light = cv2.addWeighted(before.light, 0.5, after.light, 0.5, 0)
        return cls(
            flow=(before.flow + after.flow) * share,
            colour=(before.colour + after.colour) * share,
            mask=mask,
            light=light,
            irises=Irises.between(before.irises, after.irises),
        )
