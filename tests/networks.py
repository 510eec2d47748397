"""Small networks of made-up weights, in the files of real ones."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def write_likeness(path, last="BatchNormalization"):
    """As SFace is built: one convolution, a depthwise one, norms, a projection."""
    rng = np.random.default_rng(0)
    stored, nodes, flow = [], [], ["data"]

    def put(name, *shape, low=-0.3, high=0.3):
        values = rng.uniform(low, high, shape).astype(np.float32)
        stored.append(numpy_helper.from_array(values, name))
        return name

    def add(kind, *weights, **options):
        flow.append(f"after_{len(flow)}")
        nodes.append(helper.make_node(kind, [flow[-2], *weights], [flow[-1]], **options))

    def norm(name, width):
        parts = [put(f"{name}_{part}", width) for part in ("gain", "offset", "mean")]
        return (*parts, put(f"{name}_var", width, low=0.5, high=1.5))

    stored += [
        numpy_helper.from_array(np.array([127.5], np.float32), "middle"),
        numpy_helper.from_array(np.array([1 / 128], np.float32), "unit"),
    ]
    add("Sub", "middle")
    add("Mul", "unit")
    add("Conv", put("k1", 4, 3, 3, 3), pads=[1] * 4, strides=[2, 2], kernel_shape=[3, 3], group=1)
    add("BatchNormalization", *norm("n1", 4), epsilon=1e-3)
    add("PRelu", put("slope", 4, 1, 1))
    add("Conv", put("k2", 4, 1, 3, 3), pads=[1] * 4, strides=[2, 2], kernel_shape=[3, 3], group=4)
    add("Dropout")
    add("Flatten")
    add("Gemm", put("w", 8, 4 * 28 * 28), put("b", 8), transB=1)
    if last == "BatchNormalization":
        add(last, *norm("n2", 8), epsilon=2e-5)
    else:
        add(last)
    image = helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3, 112, 112])
    end = helper.make_tensor_value_info(flow[-1], TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "chain", [image], [end], stored)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)]), path)
