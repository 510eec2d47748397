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
from jaxtyping import Float
from torch import Tensor, nn

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
        x = self.stem[0]((self.scale / reach * x).transpose(1, 2))
        x = self.stem[1](x.transpose(1, 2))
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], dim=1)
        for number in range(_BLOCKS):
            wide, narrow, up, down = self.blocks[4 * number : 4 * number + 4]
            mixed = narrow(torch.relu(wide(self._norm(x, 2 * number).transpose(1, 2))))
            x = x + mixed.transpose(1, 2)
            x = x + down(torch.relu(up(self._norm(x, 2 * number + 1))))
        return torch.sigmoid(self.head(x[:, 0]))

    def _norm(self, x: Tensor, place: int) -> Tensor:
        apart = x - x.mean(dim=2, keepdim=True)
        spread = (apart.square().mean(dim=2, keepdim=True) + self.epsilon).rsqrt()
        return apart * spread * self.gains[place]


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
