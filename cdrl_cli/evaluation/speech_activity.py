"""When somebody speaks, and how loudly: what THEval asks of a clip's sound."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cdrl_cli.array_types import Bool, Float, Float32
from cdrl_cli.errors import UnreadableInputError
from cdrl_cli.media.audio import SAMPLE_RATE_HZ, read_sound

SHORTEST_SILENCE_S = 0.3
"""Pauses that are shorter count neither as speech nor as silence, seconds."""

VOLUME_S = 0.05
"""Length, and distance, of the windows whose loudness is measured, seconds."""

VOICE = {
    "threshold": 0.5,
    "min_speech_duration_ms": 250,
    "min_silence_duration_ms": 100,
    "speech_pad_ms": 30,
}
"""Settings of the voice detector: those of Silero VAD itself, which THEval leaves as they are."""


@dataclass(frozen=True, slots=True)
class SpeechActivity:
    """Who listens to a clip hears this."""

    spoken_s: tuple[tuple[float, float], ...]
    """Begin and end of what is spoken, in order, on the video's clock, seconds."""
    start_s: float
    """Time of the first sample on that clock, seconds."""
    volume: Float32[np.ndarray, " windows"]
    """Root mean square of the samples around every :data:`VOLUME_S`, from the first sample on."""

    def spoken(self, time_s: Float[np.ndarray, " frames"]) -> Bool[np.ndarray, " frames"]:
        """Which frames are spoken."""
        heard = np.zeros(len(time_s), bool)
        for begin, end in self.spoken_s:
            heard |= (time_s >= begin) & (time_s <= end)
        return heard

    def silent(self, time_s: Float[np.ndarray, " frames"]) -> Bool[np.ndarray, " frames"]:
        """Which frames lie in silences of :data:`SHORTEST_SILENCE_S` or longer."""
        edges = [float(time_s[0]), *(x for pair in self.spoken_s for x in pair), float(time_s[-1])]
        quiet = np.zeros(len(time_s), bool)
        for begin, end in zip(edges[::2], edges[1::2], strict=True):
            if end - begin >= SHORTEST_SILENCE_S:
                quiet |= (time_s >= begin) & (time_s <= end)
        return quiet & ~self.spoken(time_s)

    def loudness(self, time_s: Float[np.ndarray, " frames"]) -> Float[np.ndarray, " frames"]:
        """Volume at the time of each frame."""
        windows_s = self.start_s + VOLUME_S * np.arange(len(self.volume))
        return np.interp(time_s, windows_s, self.volume)


def hear_speech(path: Path) -> SpeechActivity | None:
    """Listen to a file with Silero's voice detector; None where it has no sound."""
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    try:
        sound = read_sound(path)
    except UnreadableInputError:
        return None
    found = get_speech_timestamps(sound.samples, VadOptions(**VOICE))
    spoken = tuple(
        (sound.start_s + one["start"] / SAMPLE_RATE_HZ, sound.start_s + one["end"] / SAMPLE_RATE_HZ)
        for one in found
    )
    return SpeechActivity(spoken, sound.start_s, measure_volume(sound.samples))


def measure_volume(samples: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, " windows"]:
    """Root mean square around every :data:`VOLUME_S`; beyond both ends there is silence."""
    step = round(VOLUME_S * SAMPLE_RATE_HZ)
    count = 1 + len(samples) // step
    padded = np.zeros(count * step, np.float32)
    padded[step // 2 :][: len(samples)] = samples[: len(padded) - step // 2]
    return np.sqrt(np.square(padded.reshape(count, step)).mean(axis=1))
