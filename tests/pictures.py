"""Frames that live in memory: the protocol of the media package over a plain array."""

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from jaxtyping import Shaped

from cdrl_cli.media.frames import Cutout, Plane


@dataclass(frozen=True, slots=True)
class ArrayFrame:
    """A frame whose planes are red, green and blue."""

    pixels: Shaped[np.ndarray, "height width 3"]
    """uint8, or uint16 for deeper video."""
    index: int = 0
    time: Fraction = Fraction(0)
    sample_aspect: Fraction = Fraction(1)

    @property
    def width(self) -> int:
        return self.pixels.shape[1]

    @property
    def height(self) -> int:
        return self.pixels.shape[0]

    def picture(self, max_side):
        wide, high = float(self.width * self.sample_aspect), float(self.height)
        shrink = min(1.0, max_side / max(wide, high))
        size = max(1, round(wide * shrink)), max(1, round(high * shrink))
        eight = self.pixels if self.pixels.dtype == np.uint8 else self.pixels // 256
        return cv2.resize(eight.astype(np.uint8), size, interpolation=cv2.INTER_AREA)

    def rgb(self, box_xyxy=None):
        left, top, right, bottom = box_xyxy or (0, 0, self.width, self.height)
        assert 0 <= left < right <= self.width
        assert 0 <= top < bottom <= self.height
        return self.pixels[top:bottom, left:right].copy()

    def with_patch(self, box_xyxy, rgb, mask):
        left, top, right, bottom = box_xyxy
        assert rgb.shape == (bottom - top, right - left, 3)
        assert mask.shape == rgb.shape[:2]
        pixels = self.pixels.copy()
        old = pixels[top:bottom, left:right].astype(float)
        mixed = np.round(old + mask[..., None] * (rgb - old)).astype(pixels.dtype)
        pixels[top:bottom, left:right] = mixed
        return replace(self, pixels=pixels)

    def cutout(self, box_xyxy, *, shrink=1):
        rgb = self.rgb(box_xyxy)
        height, width = rgb.shape[:2]
        size = max(round(width / shrink), 1), max(round(height / shrink), 1)
        across, down = size[0] / width, size[1] / height
        left, top = box_xyxy[:2]
        from_frame = np.array(
            [
                (across, 0, across * (0.5 - left) - 0.5),
                (0, down, down * (0.5 - top) - 0.5),
            ]
        )
        return Cutout(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), from_frame)

    def planes(self, box_xyxy):
        white = np.iinfo(self.pixels.dtype).max
        return tuple(
            Plane(
                samples=np.ascontiguousarray(self.pixels[..., channel]),
                part_xyxy=box_xyxy,
                step_xy=(1, 1),
                from_frame=np.eye(2, 3),
                weights=tuple(float(white * (channel == other)) for other in range(3)),
                black=0.0,
                largest=white,
            )
            for channel in range(3)
        )

    def with_planes(self, patches):
        pixels = self.pixels.copy()
        for (left, top, right, bottom), parts in patches:
            pixels[top:bottom, left:right] = np.stack(parts, axis=2)
        return replace(self, pixels=pixels)


def noise(height, width, *, seed=0, dtype=np.uint8):
    """A picture without two equal neighbours: every moved pixel shows."""
    high = np.iinfo(dtype).max + 1
    return np.random.default_rng(seed).integers(0, high, (height, width, 3), dtype)


def waves(height, width):
    """A smooth picture: what is read between its pixels can be computed."""
    y, x = np.mgrid[:height, :width]
    angles = x / 17.0, y / 13.0, (x + y) / 23.0
    return np.stack([127.5 + 100 * np.sin(a) for a in angles], axis=2).round().astype(np.uint8)


def read_pictures(path: Path, count: int):
    """The first pictures of a clip, by PyAV alone."""
    with av.open(path) as container:
        frames = container.decode(video=0)
        return [next(frames).to_ndarray(format="rgb24") for _ in range(count)]


def write_pictures(path: Path, pictures, *, rate: int = 25) -> None:
    """A clip of RGB pictures, lossless but for the rounding of its colours."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("ffv1", rate=rate)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv444p"
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
