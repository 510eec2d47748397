"""What is said, as features over time: the audio side of the content representation.

A prior turns sound into features at its own rate; :func:`features_at` brings them to the video's
times. The paper takes layer 20 of XLSR-53; anything that meets :class:`SpeechPrior` will do.
"""

from functools import cache
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
import torch

from cdrl_cli.array_types import Float, Float32
from cdrl_cli.errors import WeightsError

SAMPLE_RATE_HZ = 16_000
"""Samples a second of the sound that priors take."""

MEL_BANDS = 80
"""Bands of the log-mel spectrogram."""

MEL_RATE_HZ = 100
"""Spectra a second of the log-mel spectrogram."""

WINDOW_SAMPLES = 400
"""Samples of sound under the window of one spectrum, 25 ms."""

HOP_SAMPLES = SAMPLE_RATE_HZ // MEL_RATE_HZ
"""Samples of sound from one spectrum to the next, 10 ms."""

PASSAGE_S = 28
"""Length of sound that Whisper encodes at once, seconds; it takes at most 30 s, and the rest is
silence."""

SILENCE_S = 1
"""Silence appended to each passage, seconds. Whisper was trained on passages padded to 30 s; with a
second of silence its features correlate at .98 with those, at a tenth of the time."""


@runtime_checkable
class SpeechPrior(Protocol):
    """Sound in, features out."""

    name: ClassVar[str]
    """Stable; caches and checkpoints carry it."""
    rate_hz: ClassVar[int]
    """Features a second; feature ``i`` describes the moment ``i / rate_hz``."""

    def listen(
        self, samples: Float32[np.ndarray, " samples"]
    ) -> Float32[np.ndarray, "features dim"]:
        """Features of mono sound at 16 kHz, -1..1."""
        ...


class LogMelPrior:
    """Log-mel spectrogram: nothing learned, nothing to download."""

    name: ClassVar[str] = "log-mel"
    rate_hz: ClassVar[int] = MEL_RATE_HZ

    def listen(
        self, samples: Float32[np.ndarray, " samples"]
    ) -> Float32[np.ndarray, "features 80"]:
        """See :func:`log_mel`."""
        return log_mel(samples)


class WhisperPrior:
    """The encoder of Whisper (Radford et al. 2022), run by CTranslate2.

    Args:
        folder: With ``model.bin`` and ``config.json``; ``download-weights speech`` brings it.

    Raises:
        WeightsError: If CTranslate2 is not installed.
    """

    name: ClassVar[str] = "whisper"
    rate_hz: ClassVar[int] = 50

    def __init__(self, folder: Path, *, threads: int = 1) -> None:
        try:
            import ctranslate2
        except ImportError as error:
            raise WeightsError(
                "ctranslate2, which runs Whisper, is not installed",
                hint="pip install 'spfem[speech]', or train with prior = \"log-mel\"",
            ) from error
        self._storage = ctranslate2.StorageView
        self._model = ctranslate2.models.Whisper(
            str(folder), device="cpu", compute_type="float32", intra_threads=threads
        )

    def listen(
        self, samples: Float32[np.ndarray, " samples"]
    ) -> Float32[np.ndarray, "features 384"]:
        """The encoder's last layer; passages of :data:`PASSAGE_S` seconds, one after the other."""
        step = PASSAGE_S * SAMPLE_RATE_HZ
        passages = [samples[start : start + step] for start in range(0, len(samples), step)]
        return np.concatenate([self._hear(passage) for passage in passages])

    def _hear(
        self, passage: Float32[np.ndarray, " samples"]
    ) -> Float32[np.ndarray, "features 384"]:
        features = -(-len(passage) * self.rate_hz // SAMPLE_RATE_HZ)
        padded = np.pad(passage, (0, SILENCE_S * SAMPLE_RATE_HZ))
        mel = log_mel(padded)
        mel = np.ascontiguousarray(mel[: len(mel) // 2 * 2].T[None])
        encoded = self._model.encode(self._storage.from_array(mel))
        return np.array(encoded)[0, :features]


def log_mel(samples: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, "features 80"]:
    r"""Log-mel spectrogram as Whisper takes it: 80 bands, 100 Hz.

    .. math:: x = \tfrac14 \bigl(4 + \max(\log_{10} M|S|^2, \max - 8)\bigr)

    with the short-time spectrum :math:`S` (25 ms Hann windows, centred on multiples of 10 ms, the
    ends reflected) and Slaney's mel bank :math:`M`.

    Args:
        samples: Mono at 16 kHz, -1..1; at least 13 ms.
    """
    spectrum = torch.stft(
        torch.from_numpy(samples),
        WINDOW_SAMPLES,
        HOP_SAMPLES,
        window=torch.hann_window(WINDOW_SAMPLES),
        return_complex=True,
    )
    power = spectrum[:, :-1].abs() ** 2
    level = (torch.from_numpy(mel_bank()) @ power).clamp(min=1e-10).log10()
    return ((level.clamp(min=level.max() - 8) + 4) / 4).T.numpy()


@cache
def mel_bank() -> Float32[np.ndarray, "80 201"]:
    """Triangles over the spectrum, each of area 1, evenly spaced on Slaney's mel scale.

    Linear to 1 kHz (15 mel), logarithmic above it (27 mel for a factor of 6.4).
    """
    bins_hz = np.fft.rfftfreq(WINDOW_SAMPLES, 1 / SAMPLE_RATE_HZ)
    knee_mel, knee_hz = 15, 1000
    top_mel = knee_mel + 27 * np.log(bins_hz[-1] / knee_hz) / np.log(6.4)
    mel = np.linspace(0, top_mel, MEL_BANDS + 2)
    above_hz = knee_hz * 6.4 ** ((mel - knee_mel) / 27)
    edges_hz = np.where(mel < knee_mel, mel * knee_hz / knee_mel, above_hz)
    low, middle, high = (edges_hz[i : i + MEL_BANDS, None] for i in range(3))
    rising = (bins_hz - low) / (middle - low)
    falling = (high - bins_hz) / (high - middle)
    triangles = np.maximum(0, np.minimum(rising, falling))
    return (triangles * 2 / (high - low)).astype(np.float32)


def features_at(
    features: Float32[np.ndarray, "features dim"],
    rate_hz: int,
    time_s: Float[np.ndarray, " times"],
    *,
    duration_s: float,
) -> Float32[np.ndarray, "times stacked"]:
    """Features of the intervals around given moments, side by side.

    Args:
        features: What a prior heard.
        rate_hz: Its rate.
        time_s: Middles of the intervals, on the clock whose 0 is the first sample.
        duration_s: Of each interval; it holds ``rate_hz * duration_s`` features.

    Returns:
        That many features for each moment, each interpolated linearly; the ends go on for ever.
    """
    count = round(rate_hz * duration_s)
    offset_s = (np.arange(count) - (count - 1) / 2) / rate_hz
    position = ((time_s[:, None] + offset_s) * rate_hz).clip(0, len(features) - 1)
    before = np.floor(position).astype(int).clip(max=max(len(features) - 2, 0))
    after = (before + 1).clip(max=len(features) - 1)
    share = (position - before)[..., None]
    blended = features[before] * (1 - share) + features[after] * share
    return blended.reshape(len(time_s), -1).astype(np.float32)
