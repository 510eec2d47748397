"""The sound of a file as one channel of samples, on the video's clock."""

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from cdrl_cli.array_types import Float32
from cdrl_cli.errors import UnreadableInputError
from cdrl_cli.media.clock import Clock
from cdrl_cli.media.input import open_container
from cdrl_cli.media.probe import is_main_candidate

SAMPLE_RATE_HZ = 16_000
"""What speech networks take."""


@dataclass(frozen=True, slots=True)
class Sound:
    """Mono samples at :data:`SAMPLE_RATE_HZ`."""

    samples: Float32[np.ndarray, " samples"]
    """-1..1."""
    start_s: float
    """Time of the first sample on the clock that the video shares, seconds."""


def read_sound(path: Path) -> Sound:
    """Decode the first audio stream of a file; all of it is held in memory.

    Raises:
        UnreadableInputError: If there is none, or it cannot be decoded.
    """
    try:
        with open_container(path) as container:
            if not container.streams.audio:
                raise UnreadableInputError(f"{path}: no audio stream")
            resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE_HZ)
            pieces: list[Float32[np.ndarray, " samples"]] = []
            start_s = None
            stream = container.streams.audio[0]
            videos = [each for each in container.streams.video if is_main_candidate(each)]
            clock = Clock(container, videos[0] if videos else None)
            for packet in clock.follow(container.demux()):
                for frame in stream.decode(packet) if packet.stream.index == stream.index else ():
                    if start_s is None:
                        start_s = float(frame.time or 0.0)
                    pieces += [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
            pieces += [piece.to_ndarray()[0] for piece in resampler.resample(None)]
    except (av.FFmpegError, OSError) as error:
        raise UnreadableInputError(f"{path}: the sound cannot be read ({error})") from error
    if start_s is None:
        raise UnreadableInputError(f"{path}: the audio stream holds no samples")
    return Sound(np.concatenate(pieces), start_s)
