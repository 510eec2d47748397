"""The same recording in other circumstances: noise and gain of a voice, light of a picture."""

import zlib
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from cdrl_cli.array_types import Float, Float32, Int16

GAIN_DB = (-9.0, 6.0)
"""Least and most gain that a recording gets, decibels; what leaves -1..1 is clipped."""

SNR_DB = (8.0, 25.0)
"""Least and most ratio of a recording's power, its pauses included, to that of added noise,
decibels."""

Colour = Literal["white", "pink"]
"""Spectrum of added noise: of one power at all frequencies, or in all octaves."""


@dataclass(frozen=True, slots=True)
class Noise:
    """What is done to the waveform of a recording, before any prior hears it."""

    gain_db: float
    snr_db: float
    colour: Colour
    """Of alike power at all frequencies, or in all octaves."""
    seed: int
    """Of the noise's samples."""

    @property
    def label(self) -> str:
        """Part of a file name; other noise has another one."""
        return f"{self.gain_db:+.1f}dB-{self.colour}-{self.snr_db:.1f}dB-{self.seed:08x}"


def draw_noises(
    sound: Int16[np.ndarray, " samples"],
    *,
    count: int,
    gain_db: tuple[float, float] = GAIN_DB,
    snr_db: tuple[float, float] = SNR_DB,
) -> list[Noise]:
    """So many ways to alter a recording: the same each time, so that what is heard can be kept.

    Args:
        sound: The recording.
        count: More begin with those of fewer.
        gain_db: Drawn between these, evenly.
        snr_db: Drawn between these, evenly.
    """
    colours: tuple[Colour, ...] = get_args(Colour)
    drawn = np.random.default_rng(zlib.crc32(sound.tobytes()))
    return [
        Noise(
            gain_db=round(drawn.uniform(*gain_db), 1),
            snr_db=round(drawn.uniform(*snr_db), 1),
            colour=colours[drawn.integers(len(colours))],
            seed=int(drawn.integers(1 << 32)),
        )
        for _ in range(count)
    ]


def add_noise(
    samples: Float32[np.ndarray, " samples"], noise: Noise
) -> Float32[np.ndarray, " samples"]:
    """The recording, -1..1, with noise and then made louder or softer."""
    spectrum = np.fft.rfft(np.random.default_rng(noise.seed).normal(size=len(samples)))
    if noise.colour == "pink":
        # Power falls as 1 / f; nothing is left at 0 Hz.
        spectrum[0] = 0
        spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    hiss = np.fft.irfft(spectrum, len(samples))
    level = _rms(samples) * 10 ** (-noise.snr_db / 20)
    louder = 10 ** (noise.gain_db / 20) * (samples + level * hiss / _rms(hiss))
    return louder.clip(-1, 1).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Light:
    """Gain of each colour, contrast and gamma of some pictures: cameras and rooms differ."""

    gain: Float[Tensor, "batch 3 1 1"]
    gamma: Float[Tensor, "batch 1 1 1"]

    @classmethod
    def draw(cls, count: int, rng: np.random.Generator) -> "Light":
        """So many lights."""
        both = rng.uniform(0.75, 1.2, (count, 1, 1, 1)) * rng.uniform(0.93, 1.07, (count, 3, 1, 1))
        gamma = np.exp(rng.normal(0, 0.2, (count, 1, 1, 1)))
        return cls(torch.from_numpy(both).float(), torch.from_numpy(gamma).float())

    def __call__(self, image: Float[Tensor, "some 3 h w"]) -> Float[Tensor, "some 3 h w"]:
        """The first so many pictures in the first so many lights."""
        count = len(image)
        gamma, gain = (one[:count].to(image.device) for one in (self.gamma, self.gain))
        return (image.clamp(min=1e-4) ** gamma * gain).clamp(0, 1)


def _rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
