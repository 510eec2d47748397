"""The paper's speech prior: XLSR-53, layer 20 (Conneau et al. 2020), by torchaudio."""

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch

from cdrl_cli.array_types import Float32
from cdrl_cli.errors import WeightsError
from cdrl_cli.representation.audio_prior import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from torch import nn

LAYER = 20
"""Of the 24 layers of its transformer, the one whose output is taken (the paper's section 4.1)."""

WINDOW = 128
"""Features that the transformer sees at once: 2.56 seconds (the paper's section 4.1)."""

OVERLAP = 15
"""Features that two successive windows share; the earlier window's second half of them is cut off,
and the later one's first."""

FEATURES = 1024
"""Of a moment."""

HOP = SAMPLE_RATE_HZ // 50
"""Samples from one feature to the next."""

RECEPTIVE = 400
"""Samples under one feature."""


class XlsrPrior:
    """Sound to features, 50 a second: what XLSR-53's layer 20 says of it.

    Differs from the paper, which projects them to 512 numbers by a linear layer: here the encoder
    of speech has that layer.

    Args:
        weights: torchaudio's ``wav2vec2_fairseq_large_xlsr53.pth``.

    Raises:
        WeightsError: If torchaudio is not installed, or the file holds no XLSR-53.
    """

    name: ClassVar[str] = "xlsr-53"
    rate_hz: ClassVar[int] = 50

    def __init__(self, weights: Path) -> None:
        self._network = build_xlsr()
        try:
            state = torch.load(weights, weights_only=True, map_location="cpu")
            self._network.load_state_dict(state)
        except Exception as error:  # torch raises a dozen kinds for a damaged file
            raise WeightsError(f"{weights}: no weights of XLSR-53 ({error})") from error

    def listen(
        self, samples: Float32[np.ndarray, " samples"]
    ) -> Float32[np.ndarray, "features 1024"]:
        """See :class:`~cdrl_cli.representation.audio_prior.SpeechPrior`."""
        count = max(1, -(-len(samples) // HOP))
        # As fairseq trained it: the whole recording has mean 0 and variance 1.
        even = (samples - samples.mean()) / (samples.std() + 1e-5)
        padded = np.pad(even, (0, (count + 1) * HOP + RECEPTIVE - len(even)))
        sound = torch.from_numpy(padded).float()
        found = np.zeros((count, FEATURES), np.float32)
        step = WINDOW - OVERLAP
        for start in range(0, count, step):
            heard = self._hear(sound[start * HOP : (start + WINDOW) * HOP + RECEPTIVE - HOP])
            skipped = OVERLAP // 2 if start else 0
            part = heard[skipped : count - start]
            found[start + skipped : start + skipped + len(part)] = part
            if start + WINDOW >= count:
                break
        return found

    def _hear(self, sound: torch.Tensor) -> Float32[np.ndarray, "features 1024"]:
        with torch.inference_mode():
            layers, _ = self._network.extract_features(sound[None], num_layers=LAYER)  # type: ignore[operator]
        return np.asarray(layers[-1][0].numpy(), np.float32)


class RandomXlsrPrior(XlsrPrior):
    """The architecture with random weights, always the same: for tests."""

    name: ClassVar[str] = "xlsr-53-random"

    def __init__(self) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self._network = build_xlsr()


def build_xlsr() -> "nn.Module":
    """XLSR-53 with random weights.

    Raises:
        WeightsError: If torchaudio is not installed.
    """
    try:
        from torchaudio.models import wav2vec2_xlsr_300m  # the same sizes as XLSR-53's
    except ImportError as error:
        raise WeightsError(
            "torchaudio, which runs XLSR-53, is not installed",
            hint="pip install 'spfem[train]' -c constraints-train.txt",
        ) from error
    network: nn.Module = wav2vec2_xlsr_300m(
        encoder_projection_dropout=0.0,
        encoder_attention_dropout=0.0,
        encoder_ff_interm_dropout=0.0,
        encoder_dropout=0.0,
        encoder_layer_drop=0.0,
    )
    return network.eval().requires_grad_(requires_grad=False)
