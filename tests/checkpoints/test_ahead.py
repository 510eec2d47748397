import pytest

from cdrl_cli.checkpoints import ahead as opening
from cdrl_cli.checkpoints.ahead import NetworksAhead
from cdrl_cli.checkpoints.load import find_weights
from cdrl_cli.errors import WeightsError
from cdrl_cli.nn.devices import CPU
from cdrl_cli.weight_set import WeightSet

pytestmark = pytest.mark.weights


@pytest.fixture
def opened(monkeypatch):
    """Names of the files that are opened, in order; what was asked for is what is answered."""
    paths = []

    def open_network(path, **how):
        paths.append(path.name)
        return path.name, how

    monkeypatch.setattr(opening, "open_network", open_network)
    return paths


def test_each_network_is_opened_once_and_handed_out_once(opened):
    with NetworksAhead(WeightSet.PERMISSIVE, device="cpu", core=True) as ahead:
        path = ahead.find("face-landmarks")
        name, how = ahead.open(path, threads=1)
        assert (name, how["device"]) == ("face-landmarks.onnx", CPU)
        assert opened.count(name) == 1
        ahead.open(path, threads=1)
        assert opened.count(name) == 2


def test_a_network_that_is_asked_for_in_another_way_is_opened_anew(opened):
    with NetworksAhead(WeightSet.PERMISSIVE, device="cpu", core=True) as ahead:
        path = ahead.find("coefficients")
        assert ahead.open(path, threads=2)[1] == {"threads": 2}
    assert opened.count(path.name) <= 2


@pytest.mark.parametrize("reads", [True, False])
def test_what_reads_a_reference_is_opened_where_there_is_one(opened, reads):
    with NetworksAhead(WeightSet.PERMISSIVE, device="cpu", reads_reference=reads) as ahead:
        ahead.find("cerl-permissive")
        ahead.open(ahead.find("expression-nets"), threads=1, keep_memory=False)
    assert ahead.find("motion-permissive") == find_weights("motion-permissive")
    assert opened.count("expression-nets.onnx") == 1


def test_what_is_not_kept_is_opened_when_it_is_asked_for(opened):
    with NetworksAhead(WeightSet.PERMISSIVE, device="cpu") as ahead:
        motion, cerl = ahead.find("motion-permissive"), ahead.find("cerl-permissive")
        ahead.keep("cerl-permissive")
        ahead.open(cerl, threads=1)
        assert opened.count(cerl.name) == 1
        assert ahead.open(motion, threads=1)[0] == motion.name


def test_damage_is_told_to_whoever_asks(monkeypatch):
    def find(name):
        raise WeightsError(f"weights '{name}' are damaged")

    monkeypatch.setattr(opening, "find_weights", find)
    with (
        NetworksAhead(WeightSet.PERMISSIVE, device="cpu", core=True) as ahead,
        pytest.raises(WeightsError, match="'face-detector' are damaged"),
    ):
        ahead.find("face-detector")
