"""CCRL: what a mouth says, as a unit vector that the speech it belongs to shares.

The paper (section 3.2) attends from audio to image features and takes the result as the content
code. Such a code can be a function of the audio alone, and its loss falls to 0 without a look at
the mouth. Here image and speech have an encoder each, which meet only in the loss: the code of a
mouth is a function of the mouth. The paper's way is an option
(:mod:`cdrl_cli.representation.audio_attention`): the audio chooses where to attend.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from cdrl_cli.array_types import Float
from cdrl_cli.face.blendshapes import MOUTH_COEFFICIENTS
from cdrl_cli.representation.arcface import MAP_CHANNELS
from cdrl_cli.representation.audio_attention import (
    COARSE_PLACES,
    AudioAttention,
    CropAttention,
    MapAttention,
    Scale,
    standardise_speech,
)

RATE_HZ = 25
"""Frames a second of the windows that CCRL encodes."""

CROP_SIDE = 32
"""Side of the mouth crops that the content encoder takes, pixels; larger ones are averaged down,
differentiably."""

VIEWS = ("crops", "coefficients", "both")
"""Names of the inputs that the content encoder takes: mouth crops, mouth coefficients, or both. It
learns all three at once."""

_GROUPS = 8
_POOL = 3
_MAP_CHANNELS = 48
_MAP_POSITIONS = (CROP_SIDE // 8) ** 2
_MAP_BLOCKS = 4
_MAP_STRIDE = 8


@dataclass(frozen=True, slots=True)
class ContentConfig:
    """Sizes of both encoders."""

    frames: int = 25
    """Of a window, at :data:`RATE_HZ`."""
    speech_features: int = 768
    """Of the prior, in each 40 ms."""
    width: int = 128
    """Channels of the temporal layers."""
    dimension: int = 96
    """Length of a code."""
    image: Literal["mouth", "arcface"] = "mouth"
    """What pictures come in as: luma around the mouth, or maps of the whole face that ArcFace's
    third stage makes (:mod:`cdrl_cli.representation.arcface`)."""
    image_side: int = 224
    """Of the faces that such maps are made of, pixels; a multiple of 8."""
    attention: Literal["none", "audio"] = "none"
    """Where pictures are attended to: everywhere, or as the audio says, which leaks
    (:mod:`~cdrl_cli.representation.audio_attention`)."""
    attention_scale: Scale = "channels"
    """What attention is divided by; ``as-published``: by one thing in training, by another at
    use."""


class ContentEncoder(nn.Module):
    """A window of mouth crops, of mouth coefficients, or of both, to a unit content code.

    Features of each modality are centred over the window before they are averaged: what does not
    move, such as a constant smile or a person's own mouth, drops out.
    """

    coefficient_scale: Tensor

    def __init__(self, config: ContentConfig | None = None) -> None:
        super().__init__()
        self.config = config or ContentConfig()
        width = self.config.width
        self.register_buffer("coefficient_scale", torch.ones(len(MOUTH_COEFFICIENTS)))
        self.attention = _new_attention(self.config)
        self.crop: nn.Module
        if self.config.image == "arcface":
            self.crop = MapBranch(None if self.attention else width)
        elif self.attention is None:
            self.crop = nn.Sequential(
                *_shrinking(1, 16), *_shrinking(16, 32), *_shrinking(32, _MAP_CHANNELS),
                nn.Flatten(), nn.Linear(_MAP_CHANNELS * _MAP_POSITIONS, width),
            )  # fmt: skip
        else:
            # Zeros around a picture would mark its border in the map: even a blank one would then
            # say where the audio attends.
            self.crop = nn.Sequential(
                *_shrinking(1, 16, "replicate"),
                *_shrinking(16, 32, "replicate"),
                *_shrinking(32, _MAP_CHANNELS, "replicate"),
            )
        self.coefficients = nn.Linear(len(MOUTH_COEFFICIENTS), width)
        self.time = TemporalEncoder(self.config)

    def forward(
        self,
        crops: Float[Tensor, "batch frames ..."] | None,
        coefficients: Float[Tensor, "batch frames mouth"] | None,
        speech: Float[Tensor, "batch frames speech"] | None = None,
    ) -> Float[Tensor, "batch dimension"]:
        """Encode windows.

        Args:
            crops: Luma around the mouth, -1..1, square, or maps of the face, as
                :attr:`ContentConfig.image` says; None if only the motion is known.
            coefficients: Those of :data:`~cdrl_cli.face.blendshapes.MOUTH_COEFFICIENTS`; None if
                only pixels are known.
            speech: Features of a speech prior, for attention; an encoder without it ignores them.

        Returns:
            Unit vectors.

        Raises:
            ValueError: If both are None.
        """
        return self.encode(*self.features(crops, coefficients, speech))

    def features(
        self,
        crops: Float[Tensor, "batch frames ..."] | None,
        coefficients: Float[Tensor, "batch frames mouth"] | None,
        speech: Float[Tensor, "batch frames speech"] | None = None,
    ) -> list[Float[Tensor, "batch frames channels"]]:
        """Centred features of each modality that is there."""
        found = []
        if crops is not None:
            found.append(self._look(crops, speech))
        if coefficients is not None:
            found.append(self.coefficients(coefficients / self.coefficient_scale))
        return [one - one.mean(dim=1, keepdim=True) for one in found]

    def encode(
        self, *features: Float[Tensor, "batch frames channels"]
    ) -> Float[Tensor, "batch dimension"]:
        """The code of the mean of some modalities' :meth:`features`."""
        if not features:
            raise ValueError("neither crops nor coefficients: nothing to encode")
        return self.time(torch.stack(features).mean(dim=0))

    def encode_views(
        self,
        crops: Float[Tensor, "batch frames ..."],
        coefficients: Float[Tensor, "batch frames mouth"],
        speech: Float[Tensor, "batch frames speech"] | None = None,
    ) -> dict[str, Float[Tensor, "batch dimension"]]:
        """The code of each of :data:`VIEWS`; the crops are encoded once."""
        pixels, motion = self.features(crops, coefficients, speech)
        codes = (self.encode(pixels), self.encode(motion), self.encode(pixels, motion))
        return dict(zip(VIEWS, codes, strict=True))

    def _look(
        self,
        crops: Float[Tensor, "batch frames ..."],
        speech: Float[Tensor, "batch frames speech"] | None,
    ) -> Float[Tensor, "batch frames channels"]:
        pictures = crops.flatten(0, 1)
        if self.config.image == "mouth":
            pictures = functional.adaptive_avg_pool2d(pictures[:, None], CROP_SIDE)
        features: Tensor = self.crop(pictures).unflatten(0, crops.shape[:2])
        return features if self.attention is None else self.attention(features, speech)


class MapBranch(nn.Module):
    """Maps of a face to features of it: four residual blocks, as in the paper's section 3.2.

    What lies where is kept until the last layer, coarsely: the mouth opens in one place.

    Args:
        width: Of the features; None: the maps themselves come out, for audio to attend to.
    """

    def __init__(self, width: int | None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.GroupNorm(_GROUPS, MAP_CHANNELS),
                nn.GELU(),
                nn.Conv2d(MAP_CHANNELS, MAP_CHANNELS, 3, padding=1),
                nn.GroupNorm(_GROUPS, MAP_CHANNELS),
                nn.GELU(),
                nn.Conv2d(MAP_CHANNELS, MAP_CHANNELS, 3, padding=1),
            )
            for _ in range(_MAP_BLOCKS)
        )
        self.output = None if width is None else nn.Linear(MAP_CHANNELS * COARSE_PLACES**2, width)

    def forward(
        self, maps: Float[Tensor, "frames 256 places places"]
    ) -> Float[Tensor, "frames ..."]:
        """Features of each frame, or its map."""
        for block in self.blocks:
            maps = maps + block(maps)
        if self.output is None:
            return maps
        coarse = functional.adaptive_avg_pool2d(maps, COARSE_PLACES)
        features: Tensor = self.output(coarse.flatten(1))
        return features


def _new_attention(config: ContentConfig) -> AudioAttention | None:
    if config.attention == "none":
        return None
    attention: type[CropAttention | MapAttention] = CropAttention
    channels, places = _MAP_CHANNELS, _MAP_POSITIONS
    if config.image == "arcface":
        attention = MapAttention
        channels, places = MAP_CHANNELS, (config.image_side // _MAP_STRIDE) ** 2
    return attention(
        channels,
        places,
        speech_features=config.speech_features,
        width=config.width,
        scale=config.attention_scale,
    )


class SpeechEncoder(nn.Module):
    """A window of a prior's features to a unit code in the space of content codes."""

    mean: Tensor
    scale: Tensor

    def __init__(self, config: ContentConfig | None = None) -> None:
        super().__init__()
        self.config = config or ContentConfig()
        self.register_buffer("mean", torch.zeros(self.config.speech_features))
        self.register_buffer("scale", torch.ones(self.config.speech_features))
        self.input = nn.Linear(self.config.speech_features, self.config.width)
        self.time = TemporalEncoder(self.config)

    def forward(
        self, speech: Float[Tensor, "batch frames speech"]
    ) -> Float[Tensor, "batch dimension"]:
        """Encode windows; returns unit vectors."""
        return self.time(self.input(standardise_speech(speech, self.mean, self.scale)))


class TemporalEncoder(nn.Module):
    """Features of successive frames to a unit vector that knows their order."""

    def __init__(self, config: ContentConfig) -> None:
        super().__init__()
        width = config.width
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.GroupNorm(_GROUPS, width), nn.GELU(), nn.Conv1d(width, width, 5, padding=2)
            )
            for _ in range(3)
        )
        self.head = nn.Linear(width * -(-config.frames // _POOL), config.dimension)

    def forward(
        self, features: Float[Tensor, "batch frames channels"]
    ) -> Float[Tensor, "batch dimension"]:
        """Mix over time, average threes, project."""
        mixed = features.transpose(1, 2)
        for layer in self.layers:
            mixed = mixed + layer(mixed)
        pooled = functional.avg_pool1d(mixed, _POOL, ceil_mode=True)
        return functional.normalize(self.head(pooled.flatten(1)), dim=1)


def _shrinking(
    inputs: int, outputs: int, padding: Literal["zeros", "replicate"] = "zeros"
) -> tuple[nn.Module, ...]:
    """A convolution that halves the side."""
    return (
        nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, padding_mode=padding),
        nn.GroupNorm(_GROUPS, outputs),
        nn.GELU(),
    )
