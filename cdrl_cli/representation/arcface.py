"""ArcFace's picture prior: IResNet-50 up to its third stage, frozen (the paper's section 3.2).

The weights are those of a recognition network of insightface, an ONNX file with 50 layers such as
``w600k_r50.onnx``. What it says of a face is kept as a map: where in the picture, not only what.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from cdrl_cli.array_types import Float
from cdrl_cli.errors import WeightsError
from cdrl_cli.representation.onnx_layers import (
    build_convolution,
    build_norm,
    build_slopes,
    read_nodes,
)

MAP_CHANNELS = 256
"""Channels of the third stage."""

STRIDE = 8
"""Pixels of the picture under a place of the map: 224 pixels make 28 places."""

STAGES = ((64, 3), (128, 4), (256, 14))
"""Channels and blocks of the first three stages of IResNet-50 (Deng et al. 2019)."""

MIDDLE, SCALE = 127.5, 127.5
"""Of the 0..255 that insightface subtracts and divides by."""


class ArcFacePrior(nn.Module):
    """Faces to maps of features.

    Args:
        model: insightface's ONNX file; None for random weights, always the same, which tests
            use.

    Raises:
        WeightsError: If the file is no IResNet-50.
    """

    def __init__(self, model: Path | None) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)  # random weights are the same ones whenever a run goes on
            self.features = IResNetStages() if model is None else OnnxStages(model)
        self.requires_grad_(requires_grad=False).eval()

    def forward(
        self, faces: Float[Tensor, "batch 3 side side"]
    ) -> Float[Tensor, "batch 256 places places"]:
        """Maps of the third stage, an eighth as wide as the pictures.

        Args:
            faces: sRGB 0..1.
        """
        maps: Tensor = self.features((255 * faces - MIDDLE) / SCALE)
        return maps


def resize_faces(
    faces: Float[Tensor, "batch 3 height width"], side: int
) -> Float[Tensor, "batch 3 side side"]:
    """Faces at the side that a prior takes, bilinear with a slope."""
    return functional.interpolate(
        faces, (side, side), mode="bilinear", antialias=True, align_corners=False
    )


class IResNetStages(nn.Module):
    """The architecture with weights of its own."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64),
        ]  # fmt: skip
        inputs = 64
        for channels, blocks in STAGES:
            for block in range(blocks):
                layers.append(_Block(inputs, channels, stride=1 if block else 2))
                inputs = channels
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Float[Tensor, "batch 3 side side"]) -> Float[Tensor, "batch 256 h w"]:
        """Through all layers."""
        maps: Tensor = self.layers(x)
        return maps


class _Block(nn.Module):
    """Norm, convolution, norm, PReLU, convolution, norm; and what came in."""

    def __init__(self, inputs: int, channels: int, *, stride: int) -> None:
        super().__init__()
        self.way = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.PReLU(channels),
            nn.Conv2d(channels, channels, 3, stride, 1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Float[Tensor, "batch c h w"]) -> Float[Tensor, "batch d i j"]:
        """The block's sum."""
        total: Tensor = self.way(x) + self.shortcut(x)
        return total


class OnnxStages(nn.Module):
    """The same out of an ONNX file, whose norms may be folded into its convolutions.

    Args:
        model: The file.

    Raises:
        WeightsError: If it is no IResNet-50.
    """

    def __init__(self, model: Path) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        self._graph: list[tuple[tuple[str, ...], str]] = []
        blocks = sum(count for _, count in STAGES)
        made = channels = 0
        for node in read_nodes(model):
            match node.kind:
                case "Conv":
                    layer: nn.Module = build_convolution(node)
                    channels = len(node.weights[0])
                case "BatchNormalization":
                    layer = build_norm(node)
                case "PRelu":
                    layer = build_slopes(node)
                case "Add":
                    layer, made = _Sum(), made + 1
                case "Sub" | "Mul" | "Div" | "Identity" | "Dropout" if not channels:
                    layer = nn.Identity()  # the picture comes in as insightface would make it
                case other:
                    raise WeightsError(f"{model}: no IResNet-50: {other} is none of its layers")
            self.layers.append(layer)
            self._graph.append((node.inputs, node.output))
            if made == blocks:
                break
        if made != blocks or channels != MAP_CHANNELS:
            raise WeightsError(f"{model}: no IResNet-50: its third stage is not there")

    def forward(self, x: Float[Tensor, "batch 3 side side"]) -> Float[Tensor, "batch 256 h w"]:
        """Through all nodes."""
        flows: dict[str, Tensor] = {self._graph[0][0][0]: x}
        for layer, (inputs, output) in zip(self.layers, self._graph, strict=True):
            flows[output] = layer(*(flows[name] for name in inputs))
        return flows[self._graph[-1][1]]


class _Sum(nn.Module):
    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        return torch.add(one, other)
