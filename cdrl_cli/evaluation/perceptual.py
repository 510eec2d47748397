"""Generic picture features: EfficientNet-lite0, learned from ImageNet, of no face in particular.

No part of the generator learns from it, so it can say how much an edit looks like a photo.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cdrl_cli.array_types import Float, Float32, UInt8
from cdrl_cli.checkpoints.load import find_weights

Pictures = Sequence[UInt8[np.ndarray, "side side 3"]]

_STAGES = (
    # kernel, stride, expansion, channels, repeats: Tan and Le 2019, table 1; lite0 has no
    # squeeze-and-excitation and ReLU6 instead of swish.
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
_STEM, _HEAD = 32, 1280
_MEAN, _SCALE = 127.0, 128.0
"""Pixels, 0..255, become (value - mean) / scale."""

_TAPS = (2, 4, 10)
"""Blocks whose output is compared by :meth:`PerceptualNetwork.distance`: strides 4, 8 and 16."""

BATCH = 16
"""Pictures that run through the network at a time."""


class PerceptualNetwork(nn.Module):
    """EfficientNet-lite0 without its classifier; names as in the published file."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = nn.Conv2d(3, _STEM, 3, 2, bias=False)
        self._bn0 = _norm(_STEM)
        strides = [(k, s if i == 0 else 1, e, c) for k, s, e, c, n in _STAGES for i in range(n)]
        widths = [_STEM, *(channels for *_, channels in strides)]
        self._blocks = nn.ModuleList(
            _Block(into, out, kernel, stride, expansion)
            for (into, out), (kernel, stride, expansion, _) in zip(
                pairwise(widths), strides, strict=True
            )
        )
        self._conv_head = nn.Conv2d(widths[-1], _HEAD, 1, bias=False)
        self._bn1 = _norm(_HEAD)

    def forward(
        self, pictures: Float[Tensor, "batch 3 height width"]
    ) -> tuple[Float[Tensor, "batch 1280"], list[Tensor]]:
        """Features of whole pictures, and maps of features of their parts (:data:`_TAPS`).

        Args:
            pictures: sRGB, 0..255.
        """
        x = (pictures - _MEAN) / _SCALE
        x = functional.relu6(self._bn0(_convolve(self._conv_stem, x)))
        maps = []
        for place, block in enumerate(self._blocks):
            x = block(x)
            if place in _TAPS:
                maps.append(x)
        x = functional.relu6(self._bn1(self._conv_head(x)))
        return x.mean(dim=(2, 3)), maps


class _Block(nn.Module):
    """Widen, filter each channel, narrow; added to what came in where the shapes agree."""

    def __init__(self, into: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = into * expansion
        if expansion > 1:
            self._expand_conv = nn.Conv2d(into, wide, 1, bias=False)
            self._bn0 = _norm(wide)
        self._depthwise_conv = nn.Conv2d(wide, wide, kernel, stride, groups=wide, bias=False)
        self._bn1 = _norm(wide)
        self._project_conv = nn.Conv2d(wide, out, 1, bias=False)
        self._bn2 = _norm(out)
        self._widens, self._adds = expansion > 1, into == out and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu6(self._bn0(self._expand_conv(x))) if self._widens else x
        y = functional.relu6(self._bn1(_convolve(self._depthwise_conv, y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self._adds else y


@dataclass(frozen=True, slots=True)
class Perception:
    """The network, and what is asked of it."""

    network: PerceptualNetwork

    def features(self, pictures: Pictures) -> Float32[np.ndarray, "pictures 1280"]:
        """One vector a picture.

        Args:
            pictures: sRGB, all of one size.
        """
        found = [np.zeros((0, _HEAD), np.float32)]
        with torch.inference_mode():
            found += [self.network(part)[0].numpy() for part in _batches(pictures)]
        return np.concatenate(found)

    def distance(
        self,
        one: UInt8[np.ndarray, "side side 3"],
        other: UInt8[np.ndarray, "side side 3"],
        weight: Float[np.ndarray, "side side"],
    ) -> float:
        """How differently two pictures look, part by part.

        Squared distance of unit feature vectors at the same place, mean over the places and three
        sizes of parts; as LPIPS (Zhang et al. 2018) without its learned weights.

        Args:
            one: sRGB.
            other: Of the same size.
            weight: How much each pixel counts, 0..1.

        Returns:
            0 to 4; 0 for equal pictures.
        """
        (pair,) = _batches([one, other])
        counts = torch.from_numpy(weight).float()[None, None]
        total = 0.0
        with torch.inference_mode():
            _, maps = self.network(pair)
            for found in maps:
                unit = functional.normalize(found, dim=1)
                apart = (unit[0] - unit[1]).square().sum(dim=0)
                here = functional.interpolate(counts, apart.shape, mode="area")[0, 0]
                total += float((here * apart).sum() / here.sum().clamp(min=1e-9))
        return total / len(maps)


def load_perception() -> Perception:
    """The network of the reports.

    Raises:
        WeightsError: If it has not been downloaded.
    """
    return Perception(read_network(find_weights("perceptual")))


def read_network(path: Path) -> PerceptualNetwork:
    """A published file's network, ready to run."""
    network = PerceptualNetwork()
    values = torch.load(path, map_location="cpu", weights_only=True)
    network.load_state_dict({k: v for k, v in values.items() if not k.startswith("_fc.")})
    return network.requires_grad_(requires_grad=False).eval()


def _batches(pictures: Pictures) -> list[Tensor]:
    stacks = [np.stack(pictures[i : i + BATCH]) for i in range(0, len(pictures), BATCH)]
    return [torch.from_numpy(one).permute(0, 3, 1, 2).float() for one in stacks]


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


def _convolve(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """With TensorFlow's padding: as little as needed, and rather more at right and bottom."""
    kernel, stride = layer.kernel_size[0], layer.stride[0]
    pads = [max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in x.shape[:1:-1]]
    around = [part for pad in pads for part in (pad // 2, pad - pad // 2)]
    return layer(functional.pad(x, around))
