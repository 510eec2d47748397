"""LSE-D and LSE-C: how far lips and sound are apart, by a SyncNet that the user supplies.

As Prajwal et al. (Wav2Lip, 2020) compute them with SyncNet (Chung and Zisserman 2016), written anew
from the description: windows of five frames at 25 a second and of .2 s of sound become vectors; the
mean distance over the clip is taken for each shift of up to :data:`MOST_SHIFT` frames. LSE-D is the
least of them, LSE-C the median less the least.

Differs in the crop: there a face detector's box, smoothed over time, here one around the landmarks
of each frame.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cdrl_cli.array_types import Float, Float32, UInt8
from cdrl_cli.errors import UnreadableInputError, WeightsError
from cdrl_cli.evaluation.footage import Footage
from cdrl_cli.media import open_video
from cdrl_cli.media.audio import SAMPLE_RATE_HZ, read_sound

RATE_HZ = 25
"""Frames a second that SyncNet was trained on."""

SIDE = 224
"""Of its crops, pixels."""

FRAMES, SPECTRA = 5, 20
"""Of a window: pictures, and the cepstra beside them, 100 a second."""

MOST_SHIFT = 15
"""Frames by which sound is moved to and fro."""

MARGIN = 0.4
"""Of half the face's box, to the left and right; twice that below."""

BATCH = 16

CEPSTRA, BANDS, LIFTER = 13, 26, 22
"""Coefficients of a cepstrum, bands of its spectrum, and of its lifter."""


@dataclass(frozen=True, slots=True)
class LipSync:
    """What SyncNet says of a clip."""

    distance: float
    """LSE-D; lower is better."""
    confidence: float
    """LSE-C; higher is better."""


class SyncNet(nn.Module):
    """Two towers, of pictures and of sound, to vectors of 1,024 numbers.

    Layers are named as in the published weights (``syncnet_v2.model``).
    """

    def __init__(self) -> None:
        super().__init__()
        self.netcnnaud = nn.Sequential(
            *_flat(1, 64), nn.MaxPool2d(1, 1),
            *_flat(64, 192), nn.MaxPool2d(3, (1, 2)),
            *_flat(192, 384), *_flat(384, 256), *_flat(256, 256), nn.MaxPool2d(3, 2),
            nn.Conv2d(256, 512, (5, 4)), nn.BatchNorm2d(512), nn.ReLU(),
        )  # fmt: skip
        self.netfcaud = _last_layers()
        self.netfclip = _last_layers()
        self.netcnnlip = nn.Sequential(
            *_deep(3, 96, (5, 7, 7), stride=2, padding=0), nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_deep(96, 256, (1, 5, 5), stride=2, padding=1),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            *_deep(256, 256, (1, 3, 3)), *_deep(256, 256, (1, 3, 3)), *_deep(256, 256, (1, 3, 3)),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_deep(256, 512, (1, 6, 6), padding=0),
        )  # fmt: skip

    def hear(self, cepstra: Float[Tensor, "batch 13 spectra"]) -> Float[Tensor, "batch 1024"]:
        """Vectors of windows of sound."""
        vectors: Tensor = self.netfcaud(self.netcnnaud(cepstra[:, None]).flatten(1))
        return vectors

    def see(self, pictures: Float[Tensor, "batch 3 5 224 224"]) -> Float[Tensor, "batch 1024"]:
        """Vectors of windows of pictures, blue first, 0..255."""
        vectors: Tensor = self.netfclip(self.netcnnlip(pictures).flatten(1))
        return vectors


def read_syncnet(weights: Path) -> SyncNet:
    """SyncNet with the user's weights, ready to be asked.

    Raises:
        WeightsError: If the file is missing, or holds none of SyncNet.
    """
    if not weights.is_file():
        raise WeightsError(f"{weights}: no such file", hint="SyncNet's syncnet_v2.model")
    network = SyncNet()
    try:
        network.load_state_dict(torch.load(weights, weights_only=True, map_location="cpu"))
    except Exception as error:  # torch raises a dozen kinds for a damaged file
        first = str(error).splitlines()[0]
        raise WeightsError(f"{weights}: no weights of SyncNet ({first})") from error
    return network.eval().requires_grad_(requires_grad=False)


def measure_sync(network: SyncNet, clip: Path, sound: Path, footage: Footage) -> LipSync | None:
    """LSE of a clip.

    Args:
        network: Of :func:`read_syncnet`.
        clip: The file.
        sound: The file that holds its sound; may be the same.
        footage: The faces of its frames.

    Returns:
        None where there is no sound, or less than two windows of both.
    """
    try:
        heard = read_sound(sound)
    except UnreadableInputError:
        return None
    times_s, crops = cut_faces(clip, footage)
    grid_s = np.arange(times_s[0], times_s[-1], 1 / RATE_HZ)
    places = np.abs(times_s[:, None] - grid_s).argmin(axis=0)
    begins = round((times_s[0] - heard.start_s) * SAMPLE_RATE_HZ)
    samples = heard.samples[max(begins, 0) :]
    if begins < 0:
        samples = np.pad(samples, (-begins, 0))
    spectra = mel_cepstra(np.round(samples * 32767).astype(np.float64))
    count = min(len(places) - FRAMES, (len(spectra) - SPECTRA) // (100 // RATE_HZ)) + 1
    if count <= 1:
        return None
    seen, said = [], []
    pictures = torch.from_numpy(crops[places][..., ::-1].copy()).permute(3, 0, 1, 2).float()
    voices = torch.from_numpy(spectra.T.copy()).float()
    with torch.inference_mode():
        for first in range(0, count, BATCH):
            starts = range(first, min(first + BATCH, count))
            seen.append(network.see(torch.stack([pictures[:, s : s + FRAMES] for s in starts])))
            cuts = [voices[:, 4 * s : 4 * s + SPECTRA] for s in starts]
            said.append(network.hear(torch.stack(cuts)))
    return compare(torch.cat(seen), torch.cat(said))


def compare(seen: Float[Tensor, "windows d"], heard: Float[Tensor, "windows d"]) -> LipSync:
    """LSE-D and LSE-C of the vectors of successive windows, one a frame."""
    padded = functional.pad(heard, (0, 0, MOST_SHIFT, MOST_SHIFT))
    shifts = [
        functional.pairwise_distance(seen, padded[shift : shift + len(seen)]).mean()
        for shift in range(2 * MOST_SHIFT + 1)
    ]
    distances = torch.stack(shifts)
    least = float(distances.min())
    return LipSync(least, float(distances.median()) - least)


def cut_faces(
    clip: Path, footage: Footage
) -> tuple[Float[np.ndarray, " frames"], UInt8[np.ndarray, "frames 224 224 3"]]:
    """Times and crops of all frames that show a face, as SyncNet frames it; RGB."""
    places = {int(index): place for place, index in enumerate(footage.frame)}
    times, crops = [], []
    with open_video(clip) as video:
        for frame in video:
            place = places.get(frame.index)
            if place is None:
                continue
            rgb = frame.rgb()
            xy = footage.landmarks_xyz[place, :, :2].astype(float)
            low, high = xy.min(axis=0), xy.max(axis=0)
            x, y = (low + high) / 2
            half = float((high - low).max()) / 2
            reach = half * (1 + MARGIN)
            scale = SIDE / (2 * reach)
            matrix = np.array([[scale, 0, -scale * (x - reach)], [0, scale, -scale * (y - half)]])
            times.append(float(frame.time))
            crops.append(cv2.warpAffine(rgb, matrix, (SIDE, SIDE), flags=cv2.INTER_AREA))
    return np.array(times), np.stack(crops)


def mel_cepstra(samples: Float[np.ndarray, " samples"]) -> Float32[np.ndarray, "frames 13"]:
    """Mel cepstra of mono sound at 16 kHz, 100 a second, as SyncNet was trained on.

    The defaults of python_speech_features: windows of 25 ms without a taper, pre-emphasis .97,
    26 bands to 8 kHz, an orthonormal DCT, a lifter of 22; the first coefficient is the logarithm of
    the window's energy.

    Args:
        samples: As 16-bit numbers, -32768..32767.
    """
    length, step, size = SAMPLE_RATE_HZ // 40, SAMPLE_RATE_HZ // 100, 512
    sharp = np.append(samples[:1], samples[1:] - 0.97 * samples[:-1])
    count = 1 + max(0, -(-(len(sharp) - length) // step))
    sharp = np.pad(sharp, (0, max(0, (count - 1) * step + length - len(sharp))))
    windows = np.lib.stride_tricks.sliding_window_view(sharp, length)[::step][:count]
    power = np.abs(np.fft.rfft(windows, size)) ** 2 / size
    tiny = np.finfo(float).eps
    energy = power.sum(axis=1)
    levels = np.log(np.maximum(power @ _bands(size).T, tiny))
    order = np.arange(CEPSTRA)
    waves = np.cos(np.pi * order[:, None] * (2 * np.arange(BANDS) + 1) / (2 * BANDS))
    waves *= np.sqrt(np.where(order == 0, 1, 2) / BANDS)[:, None]
    cepstra = levels @ waves.T * (1 + LIFTER / 2 * np.sin(np.pi * order / LIFTER))
    cepstra[:, 0] = np.log(np.maximum(energy, tiny))
    return cepstra.astype(np.float32)


def _bands(size: int) -> Float[np.ndarray, "bands bins"]:
    """Triangles over the bins of a spectrum, evenly spaced in mel."""
    top = 2595 * np.log10(1 + SAMPLE_RATE_HZ / 2 / 700)
    hertz = 700 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595) - 1)
    corners = np.floor((size + 1) * hertz / SAMPLE_RATE_HZ)
    bins = np.arange(size // 2 + 1)
    bands = np.zeros((BANDS, len(bins)))
    for band, (low, middle, high) in enumerate(
        zip(corners, corners[1:], corners[2:], strict=False)
    ):
        rising, falling = (bins >= low) & (bins < middle), (bins >= middle) & (bins < high)
        bands[band, rising] = (bins[rising] - low) / (middle - low)
        bands[band, falling] = (high - bins[falling]) / (high - middle)
    return bands


def _flat(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()


def _deep(
    inputs: int,
    outputs: int,
    kernel: tuple[int, int, int],
    *,
    stride: int = 1,
    padding: int = 1,
) -> tuple[nn.Module, ...]:
    """A convolution over frames, rows and columns; stride and padding are of the picture."""
    convolution = nn.Conv3d(
        inputs, outputs, kernel, stride=(1, stride, stride), padding=(0, padding, padding)
    )
    return convolution, nn.BatchNorm3d(outputs), nn.ReLU()


def _last_layers() -> nn.Sequential:
    return nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 1024))
