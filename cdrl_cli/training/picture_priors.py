"""Pictures through the paper's frozen priors: maps for CCRL, features for CERL."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from cdrl_cli.array_types import Float, Float32
from cdrl_cli.data.performances import Neutrals, Performance, has_known_emotion
from cdrl_cli.data.prepared import ClipCrops
from cdrl_cli.emotion import Emotion
from cdrl_cli.representation.arcface import ArcFacePrior, resize_faces
from cdrl_cli.representation.clip_prior import FEATURES, ClipPrior

AT_ONCE = 64
"""Pictures that a prior is shown at once."""


class FaceMaps:
    """Windows of faces to windows of ArcFace's maps, without a slope.

    Args:
        prior: ArcFace's stages.
        side: Of the faces that they see, pixels.
        device: Where they are seen.
    """

    def __init__(self, prior: ArcFacePrior, side: int, device: torch.device) -> None:
        self._prior, self._side = prior.to(device), side

    def __call__(
        self, crops: Float[Tensor, "batch frames ..."]
    ) -> Float[Tensor, "batch frames 256 places places"]:
        """Maps.

        Args:
            crops: sRGB -1..1, (batch, frames, 3, height, width).
        """
        with torch.no_grad():
            parts = [
                self._prior(resize_faces((part + 1) / 2, self._side))
                for part in torch.split(crops.flatten(0, 1), AT_ONCE)
            ]
        return torch.cat(parts).unflatten(0, crops.shape[:2])  # type: ignore[no-untyped-call]


class ClipSentences:
    """CLIP's text tower as the language prior reads through it.

    Args:
        prior: CLIP.
    """

    def __init__(self, prior: ClipPrior) -> None:
        self._prior = prior

    def encode(self, sentences: Iterable[str]) -> Float32[np.ndarray, "sentences 512"]:
        """What sentences mean, unit vectors, one row each."""
        words = list(sentences)
        parts = [words[start : start + AT_ONCE] for start in range(0, len(words), AT_ONCE)]
        encoded = [self._prior.encode_sentences(part).numpy(force=True) for part in parts]
        return np.concatenate(encoded).astype(np.float32)


def see_performances(
    crops: Iterable[ClipCrops], prior: ClipPrior, device: torch.device, *, looks: int
) -> Iterator[Performance]:
    """Clips whose emotion is known, as CLIP sees their crops: a unit vector a crop.

    Args:
        crops: Of clips.
        prior: CLIP.
        device: Where it looks.
        looks: So many crops of each clip at most, spread over it.
    """
    prior.to(device)
    for one in crops:
        if has_known_emotion(one.clip):
            chosen = np.unique(np.linspace(0, len(one.image) - 1, looks).round().astype(int))
            pictures = (
                torch.from_numpy(one.image[chosen]).permute(0, 3, 1, 2).to(device).float() / 255
            )
            with torch.inference_mode():
                seen = [prior.encode_pictures(part) for part in torch.split(pictures, AT_ONCE)]
            yield Performance(one.clip, torch.cat(seen).numpy(force=True))


def find_seen_neutrals(performances: Iterable[Performance]) -> Neutrals:
    """Each person's mean over neutral clips, and the mean over people; 0 where there is none."""
    means: dict[str, list[np.ndarray]] = {}
    for one in performances:
        if one.clip.emotion is Emotion.NEUTRAL:
            means.setdefault(one.clip.identity, []).append(one.expression.mean(axis=0))
    own = {name: np.mean(values, axis=0).astype(np.float32) for name, values in means.items()}
    prior = np.mean(list(own.values()), axis=0) if own else np.zeros(FEATURES)
    return Neutrals(prior.astype(np.float32), own)
