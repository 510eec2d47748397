"""Prepared clips on one clock: mouth and speech side by side, 25 times a second."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor

from cdrl_cli.array_types import Bool, Float, Float32, Float64, Int, UInt8
from cdrl_cli.data.index import Clip
from cdrl_cli.data.prepared import PreparedClip
from cdrl_cli.face.blendshapes import MOUTH_COEFFICIENTS
from cdrl_cli.representation.ccrl import CROP_SIDE, RATE_HZ

_IN_COLOUR = 5

MAX_DISTANCE_S = 0.04
"""Time from a grid point to its nearest frame beyond which the mouth counts as not seen."""


@dataclass(frozen=True, slots=True)
class Take:
    """One clip with a voice, on the grid of multiples of 40 ms."""

    clip: Clip
    time_s: Float64[np.ndarray, " frames"]
    """Multiples of 1 / 25 s on the video's clock."""
    crops: UInt8[np.ndarray, "frames ..."]
    """Of the nearest frame: luma around the mouth, 32 x 32, or the whole face, 112 x 112 x 3."""
    coefficients: Float32[np.ndarray, "frames mouth"]
    """Mouth coefficients, interpolated."""
    speech: Float32[np.ndarray, "frames dim"]
    """What the prior heard in the 40 ms around; no columns where the clip has no sound."""
    seen: Bool[np.ndarray, " frames"]
    """A face was found there."""
    noisy: tuple[Float32[np.ndarray, "frames dim"], ...] = ()
    """``speech`` as the prior heard it through noise."""

    @property
    def versions(self) -> list["Take"]:
        """As it was recorded, and with each noisy speech for its speech."""
        return [self, *(replace(self, speech=one, noisy=()) for one in self.noisy)]

    @property
    def has_speech(self) -> bool:
        """Whether there was sound to listen to."""
        return self.speech.shape[1] > 0

    def starts(self, frames: int) -> Int[np.ndarray, " starts"]:
        """Where windows of so many frames can begin, the mouth seen throughout."""
        if len(self.seen) < frames:
            return np.zeros(0, int)
        views = np.lib.stride_tricks.sliding_window_view(self.seen, frames)
        return np.flatnonzero(views.all(axis=1))


@dataclass(frozen=True, slots=True)
class Windows:
    """Some windows as networks take them."""

    crops: Float[Tensor, "batch frames ..."]
    """-1..1; colours before rows and columns."""
    coefficients: Float[Tensor, "batch frames mouth"]
    speech: Float[Tensor, "batch frames dim"]

    @classmethod
    def of(cls, windows: Sequence[tuple[Take, int]], frames: int) -> "Windows":
        """Cut windows, each a take and its first frame."""
        cuts = [(take, slice(start, start + frames)) for take, start in windows]
        crops = torch.from_numpy(np.stack([take.crops[cut] for take, cut in cuts]))
        if crops.ndim == _IN_COLOUR:
            crops = crops.permute(0, 1, 4, 2, 3)
        return cls(
            crops=crops.float() / 127.5 - 1,
            coefficients=torch.from_numpy(np.stack([take.coefficients[cut] for take, cut in cuts])),
            speech=torch.from_numpy(np.stack([take.speech[cut] for take, cut in cuts])),
        )

    @classmethod
    def spread(cls, take: Take, frames: int, count: int) -> "Windows":
        """So many windows of a take at even distances; all there are, if there are fewer."""
        starts = take.starts(frames)
        chosen = starts[np.unique(np.linspace(0, len(starts) - 1, count).astype(int))]
        return cls.of([(take, int(start)) for start in chosen], frames)

    def to(self, device: torch.device) -> "Windows":
        """The same on a device."""
        return Windows(self.crops.to(device), self.coefficients.to(device), self.speech.to(device))


def time_grid(time_s: Float64[np.ndarray, " frames"]) -> Float64[np.ndarray, " grid"]:
    """Multiples of 1 / 25 s from the first time to the last.

    Exact: a product of integers divided once, so that equal moments are equal numbers.
    """
    if not len(time_s):
        return np.zeros(0)
    # A frame rate's rounding must not lose the grid point that a frame falls on.
    first = int(np.ceil(time_s[0] * RATE_HZ - 1e-6))
    last = int(np.floor(time_s[-1] * RATE_HZ + 1e-6))
    return np.arange(first, last + 1) / RATE_HZ if last > first else np.zeros(0)


def place_on_grid(
    one: PreparedClip,
    grid_s: Float64[np.ndarray, " frames"],
    speech: Float32[np.ndarray, "frames dim"],
    *,
    faces: bool = False,
) -> Take:
    """A prepared clip at 25 frames a second.

    Args:
        one: The clip.
        grid_s: Of :func:`time_grid`, not empty.
        speech: What was heard at each of its moments.
        faces: Show whole faces in colour, instead of mouths in luma.
    """
    after = np.searchsorted(one.time_s, grid_s).clip(1, len(one.time_s) - 1)
    earlier = grid_s - one.time_s[after - 1] <= one.time_s[after] - grid_s
    nearest = after - earlier
    mouth = one.expression[:, MOUTH_COEFFICIENTS]
    columns = [np.interp(grid_s, one.time_s, column) for column in mouth.T]
    return Take(
        clip=one.clip,
        time_s=grid_s,
        crops=(
            one.face[nearest]
            if faces
            else np.stack([_shrink(one.mouth[frame]) for frame in nearest])
        ),
        coefficients=np.stack(columns, axis=1).astype(np.float32),
        speech=speech,
        seen=np.abs(one.time_s[nearest] - grid_s) <= MAX_DISTANCE_S,
    )


def _shrink(crop: UInt8[np.ndarray, "64 64"]) -> UInt8[np.ndarray, "32 32"]:
    return cv2.resize(crop, (CROP_SIDE, CROP_SIDE), interpolation=cv2.INTER_AREA)
