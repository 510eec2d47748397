r"""The landmarker's detector and its network of landmarks, from TFLite to ONNX. Nothing is learned.

What comes out is the same to some 1e-6 of the largest number; two things are written otherwise, for
ONNX Runtime computes convolutions in blocks of channels, and knows few other layers in that form:

- Its PReLU would take half of the time of the whole network. With slopes :math:`a` of its channels,
  :math:`\mathrm{prelu}(x) = x + (1 - a)\,\mathrm{relu}(-x)`: two convolutions of one point and one
  channel each, of which the first takes the ReLU with it and the second the sum.
- Where few channels go through one convolution by channel and one over channels, the part above 0
  and the part below go side by side: :math:`\mathrm{relu}(x)` and :math:`\mathrm{relu}(-x)`, the
  second times :math:`-a`. Blocks have 8 or 16 channels, so twice 8 cost what 8 cost.
- Channels of zeros are appended by a convolution with an identity.
"""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from cdrl_cli.checkpoints.export import write_model
from cdrl_cli.training.tflite import Layer, TfliteNetwork, read_tflite

DETECTOR_FILE, LANDMARKS_FILE = "face-detector.onnx", "face-landmarks.onnx"
"""Names of the files that are written."""

FEW_CHANNELS = 8
"""So many channels and fewer are split into the part above 0 and the part below."""

HALVED_FROM = 256
"""Fewest elements of a constant that is stored in half precision."""

_SAME, _RELU = 0, 1
"""The format's numbers of a padding and of a fused activation; 0 is no activation."""

_OPSET, _IR_VERSION = 17, 9
"""Of the files: the oldest ONNX Runtime that the project allows reads them."""


def convert_landmarker(bundle: Path, folder: Path) -> list[Path]:
    """Write both networks of ``face_landmarker.task`` into a folder.

    Args:
        bundle: The ``.task`` file, a zip.
        folder: It is there.

    Returns:
        The files: :data:`DETECTOR_FILE`, with ``pictures`` (uint8, pictures 128 128 3) in, and
        ``boxes`` (pictures 896 16) and ``scores`` (pictures 896, before the sigmoid) out;
        :data:`LANDMARKS_FILE`, with ``pictures`` (uint8, faces 256 256 3) in, and ``landmarks``
        (faces 478 3, pixels of the picture) and ``presence`` (faces, before the sigmoid) out.

    Raises:
        UsageError: If LiteRT is not installed.
    """
    with zipfile.ZipFile(bundle) as archive:
        detector = read_tflite(archive.read("face_detector.tflite"))
        landmarks = read_tflite(archive.read("face_landmarks_detector.tflite"))
    boxes, scores = detector.outputs
    points, presence, _ = landmarks.outputs
    models = {
        DETECTOR_FILE: _convert(
            detector,
            outputs={"boxes": (boxes, (-1, 896, 16)), "scores": (scores, (-1, 896))},
            scale=1 / 127.5,
            offset=-1.0,
        ),
        LANDMARKS_FILE: _convert(
            landmarks,
            outputs={"landmarks": (points, (-1, 478, 3)), "presence": (presence, (-1,))},
            scale=1 / 255,
            offset=0.0,
        ),
    }
    facts = {"recipe": "spfem train published", "licence": "Apache-2.0"}
    for name, model in models.items():
        write_model(folder / name, model, facts)
    return [folder / name for name in models]


def _convert(
    network: TfliteNetwork,
    *,
    outputs: dict[str, tuple[int, tuple[int, ...]]],
    scale: float,
    offset: float,
) -> Any:
    """An ``onnx.ModelProto`` that takes uint8 pictures.

    Args:
        network: What to convert.
        outputs: By name: the tensor, and its shape, -1 for the batch.
        scale: Times the levels 0..255, plus
        offset: is what the network wants.
    """
    from onnx import TensorProto, helper

    graph = _Graph(network)
    graph.take_pictures(scale, offset)
    for layer in network.layers:
        graph.add(layer)
    for name, (tensor, shape) in outputs.items():
        graph.give(name, tensor, shape)
    side = network.shapes[network.input][1]
    pictures = helper.make_tensor_value_info(
        "pictures", TensorProto.UINT8, ["pictures", side, side, 3]
    )
    given = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["pictures", *shape[1:]])
        for name, (_, shape) in outputs.items()
    ]
    return helper.make_model(
        helper.make_graph(graph.needed(outputs), "network", [pictures], given, graph.constants),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
    )


class _Graph:
    """An ONNX graph under construction. Convention: batch, channels, height, width."""

    def __init__(self, network: TfliteNetwork) -> None:
        self._network = network
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}
        self._known: set[str] = set()
        self._split: dict[int, np.ndarray] = {}
        """Slopes by tensor: it is there as its parts above and below 0, to be weighted with 1 and
        minus the slope."""
        self._scale_of: dict[int, np.float32] = {}
        """Tensors that are still to be multiplied by a number."""
        self._doubled: set[int] = set()
        """Tensors whose two halves are to be added."""

    @property
    def constants(self) -> list[Any]:
        """The constants that nodes use; in half precision where nothing is lost."""
        return list(self._constants.values())

    def needed(self, outputs: Any) -> list[Any]:
        """The nodes that lead to some outputs, in order."""
        wanted, kept = set(outputs), []
        for node in reversed(self._nodes):
            if wanted.intersection(node.output):
                wanted.update(node.input)
                kept.append(node)
        self._constants = {name: one for name, one in self._constants.items() if name in wanted}
        return kept[::-1]

    def take_pictures(self, scale: float, offset: float) -> None:
        """From levels 0..255, channels last, to what the first layer wants."""
        from onnx import TensorProto

        self._node("Transpose", ["pictures"], "turned", perm=[0, 3, 1, 2])
        self._node("Cast", ["turned"], "planes", to=TensorProto.FLOAT)
        first = _name(self._network.input)
        if not offset:  # what pads the picture stays 0, so the first layer's weights take the scale
            self._node("Identity", ["planes"], first)
            self._scale_of[self._network.input] = np.float32(scale)
            return
        self._node("Mul", ["planes", self._constant("scale", np.float32(scale))], "scaled")
        self._node("Add", ["scaled", self._constant("offset", np.float32(offset))], first)

    def give(self, name: str, tensor: int, shape: tuple[int, ...]) -> None:
        """Name a tensor as an output, channels last where it is a picture."""
        wanted = self._constant(f"{name}.shape", np.array(shape, np.int64))
        source = _name(tensor)
        if len(self._network.shapes[tensor]) == 4:  # noqa: PLR2004 - a picture's axes
            self._node("Transpose", [source], f"{name}.last", perm=[0, 2, 3, 1])
            source = f"{name}.last"
        self._node("Reshape", [source, wanted], name)

    def add(self, layer: Layer) -> None:
        """One layer, and the activation that is fused to it."""
        adders = {
            "CONV_2D": self._convolve,
            "DEPTHWISE_CONV_2D": self._convolve,
            "PRELU": self._bend,
            "PAD": self._append_channels,
            "MAX_POOL_2D": self._pool,
            "RESHAPE": self._flatten,
        }
        simple = {"RELU": "Relu", "ADD": "Add", "LOGISTIC": "Sigmoid"}
        result = _name(layer.output)
        fused = getattr(layer.options, "fusedActivationFunction", 0)
        before = f"{result}.before" if fused else result
        if layer.kind in simple:
            self._node(simple[layer.kind], [_name(one) for one in layer.inputs], before)
        elif layer.kind == "CONCATENATION":
            axis = layer.options.axis
            self._node("Concat", [_name(one) for one in layer.inputs], before, axis=axis)
        else:
            adders[layer.kind](layer, before)
        if fused:
            assert fused == _RELU, layer
            self._node("Relu", [before], result)

    def _convolve(self, layer: Layer, result: str) -> None:
        source, weight, bias = layer.inputs
        by_channel = layer.kind == "DEPTHWISE_CONV_2D"
        weights = self._network.constants[weight].transpose(
            (3, 0, 1, 2) if by_channel else (0, 3, 1, 2)
        )
        biases = self._network.constants[bias]
        if source in self._split:
            assert by_channel
            slopes = self._split[source].reshape(-1, 1, 1, 1)
            weights = np.concatenate([weights, -slopes * weights])
            biases = np.concatenate([biases, np.zeros_like(biases)])
            self._doubled.add(layer.output)
        elif source in self._doubled:
            assert not by_channel
            weights = np.concatenate([weights, weights], axis=1)
        elif self._can_split(layer):
            weights = np.concatenate([weights, -weights])
            biases = np.concatenate([biases, -biases])
        if source in self._scale_of:
            weights = weights * self._scale_of[source]
        options = layer.options
        height, width = weights.shape[2:]
        rows, columns = self._network.shapes[source][1:3]
        top, bottom = _padding(rows, height, options.strideH, options.padding)
        left, right = _padding(columns, width, options.strideW, options.padding)
        named = [
            self._constant(f"{result}.weight", weights),
            self._constant(f"{result}.bias", biases),
        ]
        self._node(
            "Conv",
            [_name(source), *named],
            result,
            kernel_shape=[height, width],
            strides=[options.strideH, options.strideW],
            pads=[top, left, bottom, right],
            group=len(weights) if by_channel else 1,
        )

    def _can_split(self, layer: Layer) -> bool:
        """Whether few channels go by a PReLU alone to a convolution by channel, then over them."""
        kinds: list[str] = []
        while len(users := self._network.users(layer.output)) == 1 and len(kinds) < 3:  # noqa: PLR2004
            (layer,) = users
            kinds.append(layer.kind)
        channels = self._network.shapes[layer.output][-1]
        return kinds == ["PRELU", "DEPTHWISE_CONV_2D", "CONV_2D"] and channels <= 2 * FEW_CHANNELS

    def _bend(self, layer: Layer, result: str) -> None:
        source, slope = layer.inputs
        slopes = self._network.constants[slope].reshape(-1)
        maker = next(one for one in self._network.layers if one.output == source)
        if maker.kind == "CONV_2D" and self._can_split(maker):
            self._node("Relu", [_name(source)], result)
            self._split[layer.output] = slopes
            return
        self._scale(_name(source), -np.ones_like(slopes), f"{result}.turned")
        self._node("Relu", [f"{result}.turned"], f"{result}.below")
        self._scale(f"{result}.below", 1 - slopes, f"{result}.rest")
        self._node("Add", [_name(source), f"{result}.rest"], result)

    def _scale(self, source: str, factors: np.ndarray, result: str) -> None:
        """Multiply channels, by a convolution of one point."""
        count = len(factors)
        weights = self._constant(f"{result}.weight", factors.reshape(count, 1, 1, 1))
        zeros = self._constant(f"zeros.{count}", np.zeros(count, np.float32))
        self._node("Conv", [source, weights, zeros], result, kernel_shape=[1, 1], group=count)

    def _append_channels(self, layer: Layer, result: str) -> None:
        (source, _), padding = layer.inputs, self._network.constants[layer.inputs[1]]
        assert not padding[:3].any(), padding
        assert padding[3, 0] == 0, padding
        narrow = self._network.shapes[source][3]
        wide = narrow + int(padding[3, 1])
        identity = np.eye(wide, narrow, dtype=np.float32).reshape(wide, narrow, 1, 1)
        weights = self._constant(f"identity.{wide}.{narrow}", identity)
        zeros = self._constant(f"zeros.{wide}", np.zeros(wide, np.float32))
        self._node("Conv", [_name(source), weights, zeros], result, kernel_shape=[1, 1])

    def _pool(self, layer: Layer, result: str) -> None:
        options = layer.options
        rows, columns = self._network.shapes[layer.inputs[0]][1:3]
        top, bottom = _padding(rows, options.filterHeight, options.strideH, options.padding)
        left, right = _padding(columns, options.filterWidth, options.strideW, options.padding)
        self._node(
            "MaxPool",
            [_name(layer.inputs[0])],
            result,
            kernel_shape=[options.filterHeight, options.filterWidth],
            strides=[options.strideH, options.strideW],
            pads=[top, left, bottom, right],
        )

    def _flatten(self, layer: Layer, result: str) -> None:
        """Rows of channels, in the order of a picture whose channels are last."""
        shape = (-1, *self._network.shapes[layer.output][1:])
        self._node("Transpose", [_name(layer.inputs[0])], f"{result}.last", perm=[0, 2, 3, 1])
        wanted = self._constant(f"{result}.shape", np.array(shape, np.int64))
        self._node("Reshape", [f"{result}.last", wanted], result)

    def _node(self, kind: str, inputs: list[str], result: str, **attributes: Any) -> None:
        from onnx import helper

        self._nodes.append(helper.make_node(kind, inputs, [result], **attributes))

    def _constant(self, name: str, values: np.ndarray | np.float32) -> str:
        """Store a constant, once; a large one in half precision, where that is exact."""
        from onnx import TensorProto, numpy_helper

        if name in self._known:
            return name
        self._known.add(name)
        values, stored = np.ascontiguousarray(values), name
        if values.dtype == np.float32 and values.size >= HALVED_FROM:
            half = values.astype(np.float16)
            if np.array_equal(half.astype(np.float32), values):
                values, stored = half, f"{name}.half"
                self._node("Cast", [stored], name, to=TensorProto.FLOAT)
        self._constants[stored] = numpy_helper.from_array(values, stored)
        return name


def _name(tensor: int) -> str:
    return f"t{tensor}"


def _padding(size: int, window: int, stride: int, kind: int) -> tuple[int, int]:
    """Zeros before and behind a row of some size, as TensorFlow counts them."""
    if kind != _SAME:
        return 0, 0
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2
