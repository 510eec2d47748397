"""Who a face is, with a slope: SFace in torch, so that an edit can be held to the person.

The same network as :mod:`cdrl_cli.face.identity` runs, and the evaluation too: what it says of an
edited face is what was learned to please, and a person's look has to confirm it.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from cdrl_cli.array_types import Float
from cdrl_cli.errors import WeightsError
from cdrl_cli.face.alignment import CROP_SIZE
from cdrl_cli.face.identity import SIDE
from cdrl_cli.representation.onnx_layers import (
    any_flat,
    build_convolution,
    build_norm,
    build_slopes,
    filled,
    read_nodes,
)


class Likeness(nn.Module):
    """Crops to unit vectors of identity.

    Args:
        model: SFace's ONNX file (``spfem download-weights identity``): a chain of layers, each of
            which is rebuilt.

    Raises:
        WeightsError: If the file is no such chain.
    """

    def __init__(self, model: Path) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for node in read_nodes(model):
            match node.kind:
                case "Sub":
                    self.middle = float(node.weights[0])
                case "Mul":
                    self.scale = float(node.weights[0])
                case "Conv":
                    layers.append(build_convolution(node))
                case "BatchNormalization":
                    layers.append(build_norm(node, flat=any_flat(layers)))
                case "PRelu":
                    layers.append(build_slopes(node))
                case "Flatten":
                    layers.append(nn.Flatten())
                case "Gemm":
                    outputs, inputs = node.weights[0].shape
                    layers.append(filled(nn.Linear(inputs, outputs), *node.weights))
                case "Dropout":
                    pass
                case other:
                    raise WeightsError(f"{model}: not SFace: {other} is none of its layers")
        self.layers = nn.Sequential(*layers)
        self.requires_grad_(requires_grad=False).eval()

    def forward(
        self, image: Float[Tensor, "batch 3 256 256"], where: Float[Tensor, "batch 112 112 2"]
    ) -> Float[Tensor, "batch features"]:
        """Embed faces; SFace answers 128 numbers each.

        Args:
            image: Crops, sRGB 0..1.
            where: Of :func:`template_grids`.
        """
        face = crops_to_template(image, where)
        return functional.normalize(self.layers((255 * face - self.middle) * self.scale), dim=1)


def crops_to_template(
    image: Float[Tensor, "batch 3 256 256"], where: Float[Tensor, "batch 112 112 2"]
) -> Float[Tensor, "batch 3 112 112"]:
    """Faces as networks of identity take them.

    Args:
        image: Crops.
        where: Of :func:`template_grids`.
    """
    return functional.grid_sample(image, where, align_corners=True)


def template_grids(
    template_from_crop: Float[Tensor, "batch 2 3"],
) -> Float[Tensor, "batch 112 112 2"]:
    """Where in each crop the pixels of the aligned face lie; -1..1 over the crop.

    Args:
        template_from_crop: Of :func:`~cdrl_cli.face.identity.align_to_template`.
    """
    along = torch.arange(SIDE, dtype=torch.float32, device=template_from_crop.device)
    y, x = torch.meshgrid(along, along, indexing="ij")
    aligned = torch.stack([x, y], dim=2).view(1, -1, 2)
    crop_from_template = torch.linalg.inv(template_from_crop[:, :, :2])
    grid = (aligned - template_from_crop[:, None, :, 2]) @ crop_from_template.transpose(1, 2)
    return grid.view(-1, SIDE, SIDE, 2) * (2 / (CROP_SIZE - 1)) - 1
