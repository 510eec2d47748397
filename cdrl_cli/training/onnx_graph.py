"""ONNX graphs that are written step by step."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cdrl_cli.checkpoints.export import write_model

RUNTIMES_OWN = "com.microsoft"
"""Domain of the steps that ONNX Runtime has beside the standard's."""

_OPSET, _IR_VERSION = 18, 9
"""Of the files: the oldest ONNX Runtime that the project allows reads them."""


class OnnxGraph:
    """A graph under construction: steps and constants, each known by a name."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._stored: list[Any] = []

    def write(
        self,
        path: Path,
        inputs: Mapping[str, Sequence[int]],
        outputs: Mapping[str, Sequence[int]],
        *,
        facts: Mapping[str, str],
    ) -> None:
        """Write the graph; the file appears under its name when it is whole.

        Args:
            path: The file.
            inputs: Shapes by name, in single precision.
            outputs: The same of what is answered.
            facts: Metadata: texts by name.
        """
        from onnx import TensorProto, helper

        given, answered = (
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
                for name, shape in shapes.items()
            ]
            for shapes in (inputs, outputs)
        )
        model = helper.make_model(
            helper.make_graph(self._nodes, "network", given, answered, self._stored),
            opset_imports=[helper.make_opsetid("", _OPSET), helper.make_opsetid(RUNTIMES_OWN, 1)],
            ir_version=_IR_VERSION,
        )
        write_model(path, model, facts)

    def split(self, x: str, *sizes: int, axis: int = 1) -> list[str]:
        """Parts of an axis, of these sizes."""
        names = [f"{x}.{k}" for k in range(len(sizes))]
        self.node("Split", [x, self.constant(np.array(sizes, np.int64))], outputs=names, axis=axis)
        return names

    def slice(self, x: str, parts: Mapping[int, tuple[int, int]]) -> str:
        """Some parts of some axes: from, and one behind the last."""
        starts, ends = zip(*parts.values(), strict=True)
        given = self.constants(*(np.array(one, np.int64) for one in (starts, ends, list(parts))))
        return self.node("Slice", [x, *given])

    def pad(self, x: str, value: np.uint8 | None = None) -> str:
        """A pixel more on each side: of a value, or what is on the edge."""
        pads = self.constant(np.array([0, 1, 1, 0] * 2, np.int64))
        if value is None:
            return self.node("Pad", [x, pads], mode="edge")
        return self.node("Pad", [x, pads, self.constant(value)])

    def reshape(self, x: str, *shape: int) -> str:
        """The same numbers in another shape; -1 is what remains."""
        return self.node("Reshape", [x, self.constant(np.array(shape, np.int64))])

    def node(
        self, kind: str, inputs: list[str], *, outputs: list[str] | None = None, **attributes: Any
    ) -> str:
        """Add a step; it answers the name of its first output."""
        from onnx import helper

        outputs = outputs or [f"t{len(self._nodes)}"]
        self._nodes.append(helper.make_node(kind, inputs, outputs, **attributes))
        return outputs[0]

    def constants(self, *values: NDArray[Any] | np.generic) -> list[str]:
        """Store constants."""
        return [self.constant(one) for one in values]

    def constant(self, values: NDArray[Any] | np.generic) -> str:
        """Store a constant."""
        from onnx import numpy_helper

        name = f"c{len(self._stored)}"
        self._stored.append(numpy_helper.from_array(np.array(values, order="C"), name))
        return name
