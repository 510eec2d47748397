"""From torch to files and back: an exported network's one file serves edits and training."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor, nn

from cdrl_cli.checkpoints.files import write_arrays

HALVED_FROM = 64
"""Fewest elements of a tensor that is stored in half precision in a file that is; smaller ones stay
whole."""


def export_network(
    path: Path,
    network: nn.Module,
    example: Sequence[Tensor],
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    facts: Mapping[str, str],
    dynamic: Mapping[str, Mapping[int, str]] | None = None,
    half: bool = False,
) -> None:
    """Write a network as an ONNX graph; the file appears under its name when whole.

    Args:
        path: The file.
        network: What was learned; it is put in evaluation mode.
        example: An input of each kind; where a length varies, its own is 2 or more.
        inputs: Names of the inputs.
        outputs: Names of the outputs.
        facts: Metadata: texts by name.
        dynamic: By input, the axes whose length varies, and a name for each.
        half: Store large tensors in half precision; they are computed with in single precision.
    """
    shapes = None
    if dynamic is not None:
        shapes = tuple(
            {axis: torch.export.Dim(name) for axis, name in dynamic[one].items()}
            if one in dynamic
            else None
            for one in inputs
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own: it uses what torch has deprecated
        program = torch.onnx.export(
            network.float().eval(),
            tuple(example),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=shapes,
            # Its optimiser drops "+ 1e-8" as if it were nothing; ONNX Runtime has its own.
            optimize=False,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    _forget_origins(model)
    _fix_types(model)
    if half:
        _halve(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_model(path, model, facts)


def write_model(path: Path, model: Any, facts: Mapping[str, str]) -> None:
    """Write an ONNX model with metadata; the file appears under its name when it is whole.

    Args:
        path: The file.
        model: ``onnx.ModelProto``.
        facts: Metadata: texts by name.
    """
    for key, value in facts.items():
        model.metadata_props.add(key=key, value=value)
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(model.SerializeToString())
    part.replace(path)


def read_exported(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors by the names they had in torch, and metadata, of an exported network."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    tensors = {
        one.name: torch.from_numpy(np.array(numpy_helper.to_array(one)))
        for one in model.graph.initializer
    }
    return tensors, {one.key: one.value for one in model.metadata_props}


def load_exported(network: nn.Module, tensors: Mapping[str, Tensor], *, but: Sequence[str]) -> None:
    """Give a network its weights back.

    Args:
        network: Of the kind and size that was exported.
        tensors: Of :func:`read_exported`.
        but: Names of weights that no exported graph needs; they stay as they are.

    Raises:
        KeyError: If the file lacks one of the others.
    """
    kept = {name: value for name, value in network.state_dict().items() if name in but}
    network.load_state_dict(
        {name: tensors[name] for name in network.state_dict() if name not in but} | kept
    )


def _forget_origins(model: Any) -> None:
    """Drop where in the code each node came from: larger than the weights, and a local path."""
    model.graph.ClearField("value_info")
    model.graph.ClearField("metadata_props")
    for node in model.graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")


def _fix_types(model: Any) -> None:
    """Say of convolutions' missing biases, written as zeros of their input's type, what type it is.

    ONNX Runtime cannot know before it runs that these are constant, and then computes convolutions
    by channel two to five times as long.
    """
    from onnx import TensorProto, helper

    makers = {name: node for node in model.graph.node for name in node.output}
    biases = [bias for one in model.graph.node if one.op_type == "Conv" for bias in one.input[2:]]
    for name in biases:
        maker = makers.get(name)
        while maker is not None and maker.op_type == "Expand":
            maker = makers.get(maker.input[0])
        if maker is not None and maker.op_type == "CastLike":
            maker.op_type = "Cast"
            del maker.input[1]
            maker.attribute.append(helper.make_attribute("to", TensorProto.FLOAT))


def _halve(model: Any) -> None:
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    casts = []
    for index, one in enumerate(graph.initializer):
        values = numpy_helper.to_array(one)
        if values.dtype == np.float32 and values.size >= HALVED_FROM:
            small = numpy_helper.from_array(values.astype(np.float16), f"{one.name}.half")
            casts.append(helper.make_node("Cast", [small.name], [one.name], to=TensorProto.FLOAT))
            graph.initializer[index].CopyFrom(small)
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """What :func:`write_tensors` wrote: tensors, and facts."""
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118 - not a dict


def write_tensors(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, str]) -> None:
    """Write a file, and its folder if need be; it appears under its name when whole."""
    write_arrays(path, {name: one.numpy(force=True) for name, one in tensors.items()}, facts)
