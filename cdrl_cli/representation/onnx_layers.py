"""Layers of an ONNX file as torch modules, so that what a published network says has a slope."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cdrl_cli.errors import WeightsError


@dataclass(frozen=True, slots=True)
class OnnxNode:
    """One node of a graph, with the weights that the file stores for it."""

    kind: str
    """Of the operator: ``Conv``."""
    inputs: tuple[str, ...]
    """Names of what flows in; stored weights are not among them."""
    output: str
    weights: tuple[Tensor, ...]
    options: Mapping[str, Any]


def read_nodes(path: Path) -> Iterator[OnnxNode]:
    """The nodes of a file, each after those it needs.

    Raises:
        WeightsError: If it is no ONNX file.
    """
    import onnx  # of the extra [train]
    from onnx import numpy_helper

    try:
        graph = onnx.load(str(path)).graph
    except Exception as error:  # protobuf raises kinds of its own for a damaged file
        raise WeightsError(f"{path}: no ONNX file ({error})") from error
    stored = {
        one.name: torch.from_numpy(numpy_helper.to_array(one).copy()) for one in graph.initializer
    }
    for node in graph.node:
        if node.op_type == "Identity" and node.input[0] in stored:
            stored[node.output[0]] = stored[node.input[0]]  # equal weights are stored once
            continue
        yield OnnxNode(
            kind=node.op_type,
            inputs=tuple(name for name in node.input if name not in stored),
            output=node.output[0],
            weights=tuple(stored[name] for name in node.input if name in stored),
            options={one.name: onnx.helper.get_attribute_value(one) for one in node.attribute},
        )


def build_convolution(node: OnnxNode) -> nn.Module:
    """A ``Conv`` with equal strides and paddings on all sides."""
    kernel, groups = node.weights[0], node.options.get("group", 1)
    outputs, inputs, side, _ = kernel.shape
    layer = nn.Conv2d(
        inputs * groups,
        outputs,
        side,
        node.options.get("strides", [1])[0],
        node.options.get("pads", [0])[0],
        groups=groups,
        bias=len(node.weights) > 1,
    )
    return filled(layer, *node.weights)


def build_norm(node: OnnxNode, *, flat: bool = False) -> nn.Module:
    """A ``BatchNormalization``, of pictures, or of vectors where ``flat``."""
    gain, offset, mean, variance = node.weights
    kind = nn.BatchNorm1d if flat else nn.BatchNorm2d
    norm = kind(len(gain), eps=node.options.get("epsilon", 1e-5))
    norm.running_mean, norm.running_var = mean, variance
    return filled(norm, gain, offset)


def build_slopes(node: OnnxNode) -> nn.Module:
    """A ``PRelu`` with a slope for each channel."""
    return filled(nn.PReLU(node.weights[0].numel()), node.weights[0].flatten())


def filled(layer: nn.Module, *weights: Tensor) -> nn.Module:
    """A layer with its weight, and its bias where it has one."""
    for name, value in zip(("weight", "bias"), weights, strict=False):
        setattr(layer, name, nn.Parameter(value))
    return layer


def any_flat(layers: Sequence[nn.Module]) -> bool:
    """Whether pictures have become vectors."""
    return any(isinstance(one, nn.Flatten) for one in layers)
