"""The landmarker's network from landmarks to coefficients, taken out of its bundle.

MediaPipe hides it behind its detector. Here it is rebuilt in torch from the bundle's own weights,
so that a slope can be followed through it, and written as ONNX, so that an edit can ask it how a
moved face would be read. Nothing is learned.
"""

import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cdrl_cli.array_types import Float
from cdrl_cli.errors import UsageError
from cdrl_cli.nn.litert import open_interpreter

_NETWORK = "face_blendshapes.tflite"
_BLOCKS = 4
_STEM = ((24, 9), (25, 10))
_HEAD = (44, 19)
_TOKEN, _SCALE, _EPSILON = 49, 58, 61
"""Tensors of the bundle's file: places of (weight, bias), of the class token, the scale of the
points and the epsilon of the norms."""


def _block_places(block: int) -> tuple[tuple[int, int], ...]:
    """Places of one block's four layers: over the tokens out and back, over channels the same."""
    weight, wide, narrow = 26 + 4 * block, 1 + 2 * block, 11 + 2 * block
    return (weight, wide), (weight + 1, narrow), (weight + 2, wide + 1), (weight + 3, narrow + 1)


class CoefficientNetwork(nn.Module):
    """MediaPipe's MLP-Mixer (Tolstikhin et al. 2021) from 146 points to 52 coefficients.

    Args:
        read: Returns a tensor of the bundle by its place.
    """

    token: Tensor

    def __init__(self, read: Callable[[int], Tensor]) -> None:
        super().__init__()

        def linear(places: tuple[int, int]) -> nn.Linear:
            weight, bias = read(places[0]), read(places[1])
            weight = weight.reshape(len(bias), -1)
            layer = nn.Linear(weight.shape[1], weight.shape[0])
            with torch.no_grad():
                layer.weight.copy_(weight)
                layer.bias.copy_(bias)
            return layer.requires_grad_(False)

        self.stem = nn.ModuleList(linear(one) for one in _STEM)
        self.blocks = nn.ModuleList(
            linear(one) for block in range(_BLOCKS) for one in _block_places(block)
        )
        self.head = linear(_HEAD)
        gains = [read(57 - place) for place in range(2 * _BLOCKS)]
        self.gains = nn.ParameterList(nn.Parameter(one, requires_grad=False) for one in gains)
        self.register_buffer("token", read(_TOKEN).reshape(1, 1, -1))
        self.scale, self.epsilon = float(read(_SCALE)), float(read(_EPSILON))

    def forward(self, points: Float[Tensor, "batch 146 2"]) -> Float[Tensor, "batch 52"]:
        """Coefficients, 0..1.

        Args:
            points: The landmarks of :data:`~cdrl_cli.face.coefficients.POINTS`, square pixels.
        """
        x = points - points.mean(dim=1, keepdim=True)
        reach = (x.square().sum(dim=2, keepdim=True) + 1e-12).sqrt().mean(dim=1, keepdim=True)
        # Written for ONNX Runtime, which takes a product of two matrices, its bias and its ReLU as
        # one step, and a product of stacks of matrices by itself.
        x = _over_tokens(self.stem[0], self.scale / reach * x)
        x = self.stem[1](x.flatten(0, 1)).unflatten(0, x.shape[:2])
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], dim=1)
        for number in range(_BLOCKS):
            wide, narrow, up, down = self.blocks[4 * number : 4 * number + 4]
            mixed = torch.relu(_over_tokens(wide, self._norm(x, 2 * number)))
            if number == _BLOCKS - 1:  # the answer is read from the first token alone
                x = x[:, :1] + _over_tokens(narrow, mixed, 1)
            else:
                x = x + _over_tokens(narrow, mixed)
            rows = self._norm(x, 2 * number + 1).flatten(0, 1)
            x = x + down(torch.relu(up(rows))).unflatten(0, x.shape[:2])
        return torch.sigmoid(self.head(x[:, 0]))

    def _norm(self, x: Tensor, place: int) -> Tensor:
        gain = self.gains[place].reshape(-1)
        return functional.layer_norm(x, gain.shape, gain, eps=self.epsilon)


def _over_tokens(
    layer: nn.Module, x: Float[Tensor, "batch tokens channels"], rows: int | None = None
) -> Float[Tensor, "batch rows channels"]:
    """A linear layer over the tokens of each channel; of its outputs the first rows, or all."""
    weight, bias = (layer.get_parameter(name)[:rows] for name in ("weight", "bias"))
    return functional.conv1d(x, weight[:, :, None], bias)


def read_coefficient_network(landmarker_file: Path) -> CoefficientNetwork:
    """The network out of ``face_landmarker.task``.

    Raises:
        UsageError: If LiteRT, which reads it, is not installed.
    """
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(landmarker_file) as bundle:
        file = Path(bundle.extract(_NETWORK, folder))
        try:
            source = open_interpreter(file)
        except ImportError as error:
            raise UsageError(
                "the landmarker's network is read by LiteRT, which is not installed",
                hint="pip install 'spfem[evaluate]'",
            ) from error

        def read(place: int) -> Tensor:
            return torch.from_numpy(np.array(source.get_tensor(place), np.float32))

        return CoefficientNetwork(read).eval()
