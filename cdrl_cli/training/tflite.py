"""TFLite networks as their file has them: layers in order, constants, shapes.

As much of the format as the landmarker's convolutional networks use. LiteRT brings the schema.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from cdrl_cli.errors import UsageError

_DTYPES = {0: np.float32, 1: np.float16, 2: np.int32}
"""By the format's number of a tensor type."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One operator of a network."""

    kind: str
    """Name of the builtin operator: ``CONV_2D``, ``PRELU``, …"""
    inputs: tuple[int, ...]
    """Tensors by number: what comes in, then weights and biases."""
    output: int
    options: Any
    """The operator's own: strides, padding, axis, fused activation."""


@dataclass(frozen=True, slots=True)
class TfliteNetwork:
    """A network with one input. Convention: pictures are batch, height, width, channels."""

    layers: tuple[Layer, ...]
    """In order of evaluation; constants in half precision are whole already."""
    constants: dict[int, np.ndarray]
    """Tensors whose values the file carries, by number; float32 or int32."""
    shapes: tuple[tuple[int, ...], ...]
    """Of every tensor."""
    input: int
    outputs: tuple[int, ...]

    def users(self, tensor: int) -> list[Layer]:
        """The layers that a tensor goes into."""
        return [layer for layer in self.layers if tensor in layer.inputs]


def read_tflite(data: bytes) -> TfliteNetwork:
    """The network of a ``.tflite`` file.

    Raises:
        UsageError: If LiteRT is not installed.
    """
    try:
        from ai_edge_litert import schema_py_generated as schema
    except ImportError as error:
        raise UsageError(
            "the landmarker's networks are read by LiteRT, which is not installed",
            hint="pip install 'spfem[evaluate]'",
        ) from error
    names = {number: name for name, number in vars(schema.BuiltinOperator).items()}
    model = schema.ModelT.InitFromPackedBuf(data, 0)
    (graph,) = model.subgraphs
    shapes = tuple(tuple(int(length) for length in tensor.shape) for tensor in graph.tensors)
    constants = {}
    for number, tensor in enumerate(graph.tensors):
        stored = model.buffers[tensor.buffer].data
        if stored is not None and len(stored):
            values = np.frombuffer(bytes(stored), _DTYPES[tensor.type]).reshape(shapes[number])
            constants[number] = values.astype(np.float32) if values.dtype == np.float16 else values
    layers = []
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        kind = names[max(code.builtinCode, code.deprecatedBuiltinCode)]
        inputs = tuple(int(number) for number in operator.inputs)
        (output,) = (int(number) for number in operator.outputs)
        if kind == "DEQUANTIZE":
            constants[output] = constants[inputs[0]]
        else:
            layers.append(Layer(kind, inputs, output, operator.builtinOptions))
    return TfliteNetwork(
        tuple(layers),
        constants,
        shapes,
        int(graph.inputs[0]),
        tuple(int(number) for number in graph.outputs),
    )
