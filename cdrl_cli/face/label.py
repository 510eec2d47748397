"""A small label, drawn onto a frame, that says that it is AI-edited."""

from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np

from cdrl_cli.array_types import Float32, UInt8
from cdrl_cli.media.frames import VideoFrame
from cdrl_cli.notation import Corner

WORDS = "AI-edited"
"""What the label says."""

HEIGHT_SHARE = 0.055
"""Height of the label by the shorter side of the picture: 20 pixels at 360p, 119 at 2160p."""

LEAST_HEIGHT_PX = 16
"""Height below which its letters could not be read, pixels."""

MARGIN_SHARE = 0.5
"""Distance of the label from the picture's borders, by its own height."""

OPACITY = 0.85
"""How much of what lies under the label's ground it hides, 0..1; its letters hide all."""

_DRAWN_PX = 96
"""Height in which it is drawn before it is shrunk, pixels."""


@dataclass(frozen=True, slots=True)
class Label:
    """The label for pictures of one size."""

    box_xyxy: tuple[int, int, int, int]
    """Where it stands, pixels, exclusive at right and bottom."""
    pixels: UInt8[np.ndarray, "height width 3"]
    mask: Float32[np.ndarray, "height width"]
    """How much of each pixel it hides."""

    @classmethod
    def draw(
        cls, width: int, height: int, corner: Corner, *, sample_aspect: Fraction = Fraction(1)
    ) -> "Label":
        """Draw the label for a size.

        Args:
            width: Of the picture, pixels.
            height: Of the picture, pixels.
            corner: Where it stands.
            sample_aspect: Width of a pixel by its height.
        """
        aspect = float(sample_aspect)
        tall = max(LEAST_HEIGHT_PX, round(HEIGHT_SHARE * min(width * aspect, height)))
        tall = min(tall, height)
        letters = _letters()
        wide = max(round(tall * letters.shape[1] / letters.shape[0] / aspect), 1)
        wide = min(wide, width)
        margin_y = min(round(MARGIN_SHARE * tall), height - tall)
        margin_x = min(round(MARGIN_SHARE * tall / aspect), width - wide)
        left = margin_x if corner.endswith("left") else width - wide - margin_x
        top = margin_y if corner.startswith("top") else height - tall - margin_y
        drawn = cv2.resize(letters, (wide, tall), interpolation=cv2.INTER_AREA)
        return cls(
            (left, top, left + wide, top + tall),
            np.repeat(drawn[..., None], 3, axis=2),
            np.maximum(np.float32(OPACITY), drawn.astype(np.float32) / 255),
        )

    def on(self, frame: VideoFrame) -> VideoFrame:
        """The frame with the label; nothing else of it changes."""
        pixels = self.pixels
        if frame.rgb((0, 0, 1, 1)).dtype == np.uint16:
            pixels = pixels.astype(np.uint16) * 257
        return frame.with_patch(self.box_xyxy, pixels, self.mask)


def _letters() -> UInt8[np.ndarray, "height width"]:
    """White letters on black, with a rim around them, large."""
    font, size, stroke = cv2.FONT_HERSHEY_SIMPLEX, _DRAWN_PX / 44, 4
    (wide, tall), _ = cv2.getTextSize(WORDS, font, size, stroke)
    rim = (_DRAWN_PX - tall) // 2
    canvas = np.zeros((_DRAWN_PX, wide + 2 * rim), np.uint8)
    cv2.putText(canvas, WORDS, (rim, rim + tall), font, size, 255, stroke, cv2.LINE_AA)
    return canvas
