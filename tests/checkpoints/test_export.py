import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from cdrl_cli.checkpoints.export import export_network, load_exported, read_exported
from cdrl_cli.nn.networks import open_network
from cdrl_cli.nn.onnx import read_facts


class Root(nn.Module):
    """A layer, and the root of a sum that may be as small as what is added to it."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(16, 16)
        self.unused = nn.Parameter(torch.full((3,), 2.0))

    def forward(self, x):
        return self.layer(x), (x.square().mean(dim=1) + 1e-8).sqrt()


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Root()


@pytest.fixture(scope="module", params=[False, True], ids=["whole", "half"])
def path(request, network, tmp_path_factory):
    made = tmp_path_factory.mktemp("export") / "new" / "root.onnx"
    export_network(
        made,
        network,
        [torch.ones(2, 16)],
        inputs=["x"],
        outputs=["y", "root"],
        dynamic={"x": {0: "rows"}},
        facts={"recipe": "a test"},
        half=request.param,
    )
    return made


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_it_runs_as_in_torch_for_any_number_of_rows(network, path, rows):
    x = np.random.default_rng(rows).standard_normal((rows, 16)).astype(np.float32)
    with torch.inference_mode():
        expected, _ = network(torch.from_numpy(x))
    found, _ = open_network(path).run(None, {"x": x})
    np.testing.assert_allclose(found, expected.numpy(), atol=2e-3)


def test_tiny_terms_are_kept(path):
    _, root = open_network(path).run(None, {"x": np.zeros((1, 16), np.float32)})
    assert root[0] == pytest.approx(1e-4)


@pytest.mark.parametrize("path", [False], indirect=True)  # half precision is for use alone
def test_weights_come_back_under_their_names(network, path):
    tensors, facts = read_exported(path)
    again = Root()
    load_exported(again, tensors, but=["unused"])
    assert torch.equal(again.layer.weight, network.layer.weight)
    assert facts["recipe"] == "a test"


def test_metadata_is_there_and_nothing_of_the_machine(path):
    assert read_facts(open_network(path))["recipe"] == "a test"
    model = onnx.load(path)
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)
    assert b"cdrl_cli" not in path.read_bytes()
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_convolution_without_biases_has_nothing_but_constants_beside_its_input(tmp_path):
    """Else ONNX Runtime neither fuses it nor computes it in blocks of channels."""
    layer = nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False)
    export_network(
        tmp_path / "layer.onnx",
        nn.Sequential(layer, nn.BatchNorm2d(16)),
        [torch.ones(2, 16, 8, 8)],
        inputs=["x"],
        outputs=["y"],
        dynamic={"x": {0: "pictures"}},
        facts={},
    )
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "run.onnx")
    onnxruntime.InferenceSession(tmp_path / "layer.onnx", options)
    assert "BatchNormalization" not in [
        node.op_type for node in onnx.load(tmp_path / "run.onnx").graph.node
    ]
