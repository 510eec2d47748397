r"""Audio says where to look in a picture: the paper's section 3.2, as an option of CCRL.

Queries are made of the speech at a frame, keys and values of its picture, and what is attended to
goes on as the picture's features:

.. math:: A = \operatorname{softmax}(q^\top k / \sqrt s), \qquad R = v A^\top.

:class:`CropAttention` does so in the small mouth crops, :class:`MapAttention` at the paper's size
in maps of ArcFace. Both leak: where one looks is enough to write down what one hears. Without
speech, as inside the generator, a query of their own stands in for it.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from cdrl_cli.array_types import Float

Scale = Literal["channels", "places", "as-published"]
"""What the logits of attention are divided by: the root of the number of channels of a key, in
training as at use; the root of the number of places likewise; or, as published, of places in
training and of channels at use, which is another attention than was learned."""

KEY_WIDTH = 16
"""Channels of a key of :class:`CropAttention`."""

SPEECH_WIDTH = 512
"""Length that a linear layer brings a moment's speech features to (the paper's section 4.1)."""

COARSE_PLACES = 7
"""Rows and columns that the features of a map are averaged down to before they are projected."""


class AudioAttention(nn.Module):
    """What both have in common: standardised speech, and the scale of attention.

    Args:
        speech_features: Of a frame.
        scale: Of the logits.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, speech_features: int, scale: Scale) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(speech_features))
        self.register_buffer("scale", torch.ones(speech_features))
        self._divided_by = scale

    def attend(
        self, queries: Float[Tensor, "... places keys"], keys: Float[Tensor, "... places keys"]
    ) -> Float[Tensor, "... places places"]:
        """Where each query looks: shares that are 1 in all."""
        places, channels = keys.shape[-2:]
        of_places = self._divided_by == "places" or (
            self._divided_by == "as-published" and self.training
        )
        size = places if of_places else channels
        return (queries @ keys.transpose(-1, -2) / size**0.5).softmax(dim=-1)

    def standardise(
        self, speech: Float[Tensor, "batch frames speech"]
    ) -> Float[Tensor, "batch frames speech"]:
        """Speech features about as long as each other."""
        return standardise_speech(speech, self.mean, self.scale)


class CropAttention(AudioAttention):
    r"""Attention in the feature map of a mouth crop.

    A query for each place is made from the frame's speech features; keys of :data:`KEY_WIDTH`
    channels from the map and a learned embedding of the place; values are the map itself, since a
    matrix of their own would merge with the one behind.

    Differs from the paper: the place is in the keys alone, since in the values it would carry the
    audio.

    Args:
        channels: Of the map.
        places: Of the map, rows times columns.
        speech_features: Of a frame.
        width: Of the features that come out.
        scale: Of the logits.
    """

    def __init__(
        self, channels: int, places: int, *, speech_features: int, width: int, scale: Scale
    ) -> None:
        super().__init__(speech_features, scale)
        self.query = nn.Linear(speech_features, places * KEY_WIDTH)
        self.silence = nn.Parameter(torch.randn(places, KEY_WIDTH))
        self.key = nn.Linear(channels, KEY_WIDTH)
        self.position = nn.Parameter(torch.randn(places, KEY_WIDTH))
        self.output = nn.Linear(channels * places, width)

    def forward(
        self,
        maps: Float[Tensor, "batch frames channels rows columns"],
        speech: Float[Tensor, "batch frames speech"] | None,
    ) -> Float[Tensor, "batch frames width"]:
        """Features of each frame's map, attended to where ``speech`` says."""
        values = maps.flatten(3).transpose(2, 3)
        queries = self.silence
        if speech is not None:
            asked = self.query(self.standardise(speech))
            queries = asked.unflatten(2, self.silence.shape)
        where = self.attend(queries, self.key(values) + self.position)
        features: Tensor = self.output((where @ values).flatten(2))
        return features


class MapAttention(AudioAttention):
    """Attention in maps of ArcFace as the paper has it, over all their places.

    A linear layer and a convolution over time make a vector of the speech around a frame, another
    linear layer a query of it for each place, beside a learned one. Keys and values are
    convolutions of the map.

    Differs from the paper, whose content code is the attended map itself: here it is averaged down
    to :data:`COARSE_PLACES` and projected, so that windows of frames have one code.

    Args:
        channels: Of the map.
        places: Of the map, rows times columns.
        speech_features: Of a frame.
        width: Of the features that come out.
        scale: Of the logits.
    """

    def __init__(
        self, channels: int, places: int, *, speech_features: int, width: int, scale: Scale
    ) -> None:
        super().__init__(speech_features, scale)
        self.speech = nn.Linear(speech_features, SPEECH_WIDTH)
        self.over_time = nn.Conv1d(SPEECH_WIDTH, channels, 3, padding=1)
        self.query = nn.Linear(1, places)
        self.position = nn.Parameter(0.02 * torch.randn(places, channels))
        self.key = nn.Conv2d(channels, channels, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.output = nn.Linear(channels * COARSE_PLACES**2, width)

    def forward(
        self,
        maps: Float[Tensor, "batch frames channels rows columns"],
        speech: Float[Tensor, "batch frames speech"] | None,
    ) -> Float[Tensor, "batch frames width"]:
        """Features of each frame's map, attended to where ``speech`` says."""
        pictures = maps.flatten(0, 1)
        keys = self.key(pictures).flatten(2).transpose(1, 2)
        values = self.value(pictures).flatten(2).transpose(1, 2)
        queries = self.position
        if speech is not None:
            said = self.speech(self.standardise(speech)).transpose(1, 2)
            heard = self.over_time(said).transpose(1, 2).flatten(0, 1)
            queries = self.query(heard[..., None]).transpose(1, 2) + self.position
        seen = self.attend(queries, keys) @ values
        looked = seen.transpose(1, 2).unflatten(2, maps.shape[3:])
        coarse = functional.adaptive_avg_pool2d(looked, COARSE_PLACES)
        features: Tensor = self.output(coarse.flatten(1))
        return features.view(*maps.shape[:2], -1)


def standardise_speech(
    speech: Float[Tensor, "batch frames speech"],
    mean: Float[Tensor, " speech"],
    scale: Float[Tensor, " speech"],
) -> Float[Tensor, "batch frames speech"]:
    """Each feature less its mean, in units of its spread, cut at five of them."""
    # Whisper has a few features that leap; they are no reason to shout.
    return ((speech - mean) / scale).clamp(-5, 5)
