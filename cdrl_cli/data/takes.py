"""Prepared clips on one clock: mouth and speech side by side, 25 times a second."""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Float64, Int, Int16, UInt8
from torch import Tensor

from cdrl_cli.data.augment import Noise, add_noise
from cdrl_cli.data.index import Clip
from cdrl_cli.data.prepared import PreparedClip
from cdrl_cli.face.blendshapes import MOUTH_COEFFICIENTS
from cdrl_cli.representation.audio_prior import SAMPLE_RATE_HZ, SpeechPrior, features_at
from cdrl_cli.representation.ccrl import CROP_SIDE, RATE_HZ, ContentEncoder

MAX_DISTANCE_S = 0.04
"""Time from a grid point to its nearest frame beyond which the mouth counts as not seen."""

SHORTEST_SOUND_S = 0.5

CODE_EVERY = 3
"""Frames between the windows whose codes are averaged over a clip."""


@dataclass(frozen=True, slots=True)
class Take:
    """One clip with a voice, on the grid of multiples of 40 ms."""

    clip: Clip
    time_s: Float64[np.ndarray, " frames"]
    """Multiples of 1 / 25 s on the video's clock."""
    crops: UInt8[np.ndarray, "frames 32 32"]
    """Luma around the mouth, of the nearest frame."""
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

    crops: Float[Tensor, "batch frames 32 32"]
    coefficients: Float[Tensor, "batch frames mouth"]
    speech: Float[Tensor, "batch frames dim"]

    @classmethod
    def of(cls, windows: Sequence[tuple[Take, int]], frames: int) -> "Windows":
        """Cut windows, each a take and its first frame."""
        cuts = [(take, slice(start, start + frames)) for take, start in windows]
        crops = torch.from_numpy(np.stack([take.crops[cut] for take, cut in cuts]))
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


def read_takes(
    prepared: Iterable[PreparedClip],
    prior: SpeechPrior,
    cache: Path,
    *,
    sound_late_s: Mapping[str, float] | None = None,
    noises: Callable[[Int16[np.ndarray, " samples"]], Sequence[Noise]] = lambda _: (),
) -> Iterator[Take]:
    """Bring prepared clips to the grid and listen to them.

    Args:
        prepared: Stills are left out.
        prior: Hears them; its features are kept.
        cache: Folder for them.
        sound_late_s: By the stem of a clip's file name, how much later than the picture its sound
            is; other clips are in time.
        noises: For the sound of a clip, through what else it is heard.
    """
    cache.mkdir(parents=True, exist_ok=True)
    for one in prepared:
        grid_s = time_grid(one.time_s)
        if len(grid_s):
            late_s = (sound_late_s or {}).get(one.clip.path.stem, 0.0)
            clean, *noisy = (
                _listen(one, grid_s + late_s, prior, cache, noise)
                for noise in (None, *noises(one.sound))
            )
            yield replace(_on_grid(one, grid_s, clean), noisy=tuple(noisy))


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


def mean_codes(content: ContentEncoder, take: Take) -> dict[str, Float[np.ndarray, " dimension"]]:
    """A clip's mean content code, by view; not a unit vector."""
    frames = content.config.frames
    chosen = [(take, int(start)) for start in take.starts(frames)[::CODE_EVERY]]
    windows = Windows.of(chosen, frames)
    with torch.inference_mode():
        codes = content.encode_views(windows.crops, windows.coefficients)
    return {view: seen.mean(dim=0).numpy() for view, seen in codes.items()}


def _on_grid(
    one: PreparedClip,
    grid_s: Float64[np.ndarray, " frames"],
    speech: Float32[np.ndarray, "frames dim"],
) -> Take:
    after = np.searchsorted(one.time_s, grid_s).clip(1, len(one.time_s) - 1)
    earlier = grid_s - one.time_s[after - 1] <= one.time_s[after] - grid_s
    nearest = after - earlier
    mouth = one.expression[:, MOUTH_COEFFICIENTS]
    columns = [np.interp(grid_s, one.time_s, column) for column in mouth.T]
    return Take(
        clip=one.clip,
        time_s=grid_s,
        crops=np.stack([_shrink(one.mouth[frame]) for frame in nearest]),
        coefficients=np.stack(columns, axis=1).astype(np.float32),
        speech=speech,
        seen=np.abs(one.time_s[nearest] - grid_s) <= MAX_DISTANCE_S,
    )


def _shrink(crop: UInt8[np.ndarray, "64 64"]) -> UInt8[np.ndarray, "32 32"]:
    return cv2.resize(crop, (CROP_SIDE, CROP_SIDE), interpolation=cv2.INTER_AREA)


def _listen(
    one: PreparedClip,
    heard_s: Float64[np.ndarray, " frames"],
    prior: SpeechPrior,
    cache: Path,
    noise: Noise | None,
) -> Float32[np.ndarray, "frames dim"]:
    if len(one.sound) < SHORTEST_SOUND_S * SAMPLE_RATE_HZ:
        return np.zeros((len(heard_s), 0), np.float32)
    label = "" if noise is None else f"-{noise.label}"
    digest = f"{len(one.sound)}-{zlib.crc32(one.sound.tobytes()):08x}"
    kept = cache / f"{prior.name}-{digest}{label}.npy"
    if not kept.exists():
        samples = one.sound.astype(np.float32) / 32767
        heard = prior.listen(samples if noise is None else add_noise(samples, noise))
        part = kept.with_name(f"{kept.stem}.part.npy")
        np.save(part, heard.astype(np.float16))
        part.replace(kept)
    features = np.load(kept).astype(np.float32)
    return features_at(features, prior.rate_hz, heard_s - one.sound_start_s, duration_s=1 / RATE_HZ)
