"""The paper's frozen priors, opened as a recipe names their weights.

``weights``: the file that ``spfem download-weights`` knows; ``random``: the architecture with
random weights, for tests; anything else: the path of a file.
"""

from dataclasses import dataclass
from pathlib import Path

from cdrl_cli.checkpoints.load import find_weights
from cdrl_cli.errors import WeightsError
from cdrl_cli.representation.arcface import ArcFacePrior
from cdrl_cli.representation.audio_prior import SpeechPrior
from cdrl_cli.representation.clip_prior import ClipPrior
from cdrl_cli.representation.xlsr import RandomXlsrPrior, XlsrPrior

RANDOM = "random"
"""Name of random weights."""


@dataclass(frozen=True, slots=True)
class PriorConfig:
    """Where the weights of the paper's priors are: ``weights``, ``random``, or a path."""

    clip: str = "weights"
    """CLIP ViT-B/32, in open_clip's format."""
    xlsr: str = "weights"
    """XLSR-53, in torchaudio's format."""
    arcface: str = "weights"
    """A recognition network of insightface with 50 layers, ONNX."""


def open_clip_prior(place: str) -> ClipPrior:
    """CLIP ViT-B/32.

    Raises:
        WeightsError: If its weights are missing or damaged, or open_clip is not installed.
    """
    return ClipPrior(_find(place, "prior-clip"))


def open_arcface_prior(place: str) -> ArcFacePrior:
    """IResNet-50 up to its third stage.

    Raises:
        WeightsError: If its weights are missing or are no IResNet-50.
    """
    return ArcFacePrior(_find(place, "prior-arcface"))


def open_xlsr_prior(place: str) -> SpeechPrior:
    """XLSR-53, layer 20.

    Raises:
        WeightsError: If its weights are missing or damaged, or torchaudio is not installed.
    """
    file = _find(place, "prior-xlsr")
    return RandomXlsrPrior() if file is None else XlsrPrior(file)


def _find(place: str, entry: str) -> Path | None:
    """The file; None for random weights."""
    if place == RANDOM:
        return None
    if place == "weights":
        return find_weights(entry)
    path = Path(place)
    if not path.is_file():
        raise WeightsError(
            f"{path}: no such file", hint=f"spfem download-weights {entry} says where it is had"
        )
    return path
