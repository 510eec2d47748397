"""Who a face is, by a network that the evaluation does not ask: MobileFaceNet, with a slope.

Learned with ArcFace's loss (Chen et al. 2018, Deng et al. 2019). An edit that is held to the person
by it is measured by SFace (:mod:`cdrl_cli.face.identity`), so that what is measured is not what was
learned to please. Its file comes in a package (``weights/skin.md`` says which).
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cdrl_cli.array_types import Float
from cdrl_cli.errors import WeightsError
from cdrl_cli.training.teachers.identity import crops_to_template
from cdrl_cli.training.tflite import Layer, TfliteNetwork, read_tflite

_SAME_PADDING = 0
"""TensorFlow's number of a padding by which a picture keeps its size."""

_IN_A_SLOPE = {"RELU", "ABS", "SUB", "MUL"}
"""What the file has instead of a PReLU, before the sum of both sides."""


class Recogniser(nn.Module):
    """Crops to unit vectors of identity, and to what its first layers see.

    Args:
        model: The network's ``.tflite`` file.

    Raises:
        UsageError: If LiteRT, which brings the format, is not installed.
        WeightsError: If the file is no such network.
    """

    def __init__(self, model: Path) -> None:
        super().__init__()
        try:
            network = read_tflite(model.read_bytes())
        except OSError as error:
            raise WeightsError(f"{model}: no network of recognition ({error.strerror})") from error
        self._input, (self._output,) = network.input, network.outputs
        made_by = {layer.output: layer for layer in network.layers}
        self._plan: list[tuple[str, tuple[int, ...], int]] = []
        self.layers = nn.ModuleDict()
        for layer in network.layers:
            if layer.kind in _IN_A_SLOPE:
                continue
            built, inputs = _build(layer, network, made_by)
            self._plan.append((layer.kind, inputs, layer.output))
            if built is not None:
                self.layers[str(layer.output)] = built
        self.requires_grad_(requires_grad=False).eval()

    def forward(
        self, image: Float[Tensor, "batch 3 256 256"], where: Float[Tensor, "batch 112 112 2"]
    ) -> Float[Tensor, "batch features"]:
        """Embed faces; 192 numbers each.

        Args:
            image: Crops, sRGB 0..1.
            where: Of :func:`~cdrl_cli.training.teachers.identity.template_grids`.
        """
        return self.embed(crops_to_template(image, where))

    def embed(self, face: Float[Tensor, "batch 3 side side"]) -> Float[Tensor, "batch features"]:
        """The same of faces that are aligned already.

        Args:
            face: sRGB, 0..1, as large as the network was learned for.
        """
        found, _ = self._run(face, features=0)
        return functional.normalize(found.flatten(1), dim=1)

    def look(
        self, face: Float[Tensor, "batch 3 side side"], *, features: int
    ) -> list[Float[Tensor, "batch ..."]]:
        """What lies behind its first sums, unit vectors at each place: for perceptual distances.

        Args:
            face: sRGB, 0..1, with about 55 pixels between the outer corners of the eyes.
            features: How many of its sums, from the front.
        """
        _, seen = self._run(face, features=features)
        return [functional.normalize(one, dim=1) for one in seen]

    def _run(self, face: Tensor, *, features: int) -> tuple[Tensor, list[Tensor]]:
        values = {self._input: (255 * face - 127.5) / 128}
        seen: list[Tensor] = []
        for kind, inputs, output in self._plan:
            x = values[inputs[0]]
            if str(output) in self.layers:
                values[output] = self.layers[str(output)](x)
            elif kind == "ADD":
                values[output] = x + values[inputs[1]]
                seen.append(values[output])
                if features and len(seen) == features:
                    return x, seen
            else:
                values[output] = x
        return values[self._output], seen


class _Convolution(nn.Module):
    """A convolution with TensorFlow's padding: what an even side lacks is added at its end."""

    def __init__(
        self, kernel: np.ndarray, bias: np.ndarray, *, stride: int, groups: int, same: bool
    ) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.from_numpy(np.array(kernel, order="C")))
        self.bias = nn.Parameter(torch.from_numpy(np.array(bias)))
        self._stride, self._groups, self._same = stride, groups, same

    def forward(self, x: Tensor) -> Tensor:
        if self._same and self.kernel.shape[-1] > 1:
            side, stride = x.shape[-1], self._stride
            lacks = max((-(-side // stride) - 1) * stride + self.kernel.shape[-1] - side, 0)
            x = functional.pad(x, (lacks // 2, lacks - lacks // 2) * 2)
        return functional.conv2d(x, self.kernel, self.bias, self._stride, groups=self._groups)


def _build(
    layer: Layer, network: TfliteNetwork, made_by: dict[int, Layer]
) -> tuple[nn.Module | None, tuple[int, ...]]:
    """A layer's module, None where it has no weights; and the tensors that flow into it."""
    constants = network.constants
    options: Any = layer.options
    match layer.kind:
        case "CONV_2D" | "DEPTHWISE_CONV_2D":
            deep = layer.kind == "CONV_2D"
            stored, bias = (constants[number] for number in layer.inputs[1:3])
            kernel = stored.transpose((0, 3, 1, 2) if deep else (3, 0, 1, 2))
            same = options.padding == _SAME_PADDING
            groups = 1 if deep else len(kernel)
            return _Convolution(
                kernel, bias, stride=options.strideW, groups=groups, same=same
            ), layer.inputs[:1]
        case "ADD":
            first, second = (made_by.get(number) for number in layer.inputs)
            if first is None or second is None or (first.kind, second.kind) != ("RELU", "MUL"):
                return None, layer.inputs
            # relu(x) + a (x - |x|): x is left, or times 2 a where it is negative.
            (slope,) = (constants[number] for number in second.inputs if number in constants)
            prelu = nn.PReLU(slope.size)
            prelu.weight = nn.Parameter(2 * torch.from_numpy(slope.reshape(-1).copy()))
            return prelu, first.inputs
        case "RESHAPE":
            return None, layer.inputs[:1]
        case other:
            raise WeightsError(f"not MobileFaceNet: {other} is none of its layers")
