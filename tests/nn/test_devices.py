"""What networks run on: words, faults, and no run elsewhere in silence."""

import numpy as np
import pytest

from cdrl_cli.errors import DeviceError, UsageError
from cdrl_cli.nn import devices
from cdrl_cli.nn.devices import CPU, Device, device_fault, find_device, parse_device
from cdrl_cli.nn.networks import open_network


@pytest.fixture
def identity(tmp_path):
    path = tmp_path / "identity.onnx"
    path.write_bytes(devices._IDENTITY_ONNX)
    return path


@pytest.mark.parametrize("word", ["cpu", "mps", "openvino", "cuda:0", "cuda:7"])
def test_a_device_is_called_what_it_is_asked_for_by(word):
    assert str(parse_device(word)) == word


@pytest.mark.parametrize("word", ["", "gpu", "CPU", "cuda:", "cuda:x", "cuda:-1", "cpu:0"])
def test_a_word_that_names_no_device_is_refused(word):
    with pytest.raises(UsageError, match="no device"):
        find_device(word)


def test_the_processor_always_works():
    assert find_device("cpu") == CPU
    assert device_fault(CPU) is None


@pytest.mark.parametrize("word", ["cuda", "mps"])
def test_a_device_that_is_not_here_is_an_error_with_its_own_exit_code(word, monkeypatch):
    monkeypatch.setitem(devices.PROVIDERS, word, "NowhereExecutionProvider")
    device_fault.cache_clear()
    with pytest.raises(DeviceError, match="built without it") as caught:
        find_device(word)
    assert caught.value.exit_code == 8
    assert caught.value.hint
    device_fault.cache_clear()


def test_auto_falls_back_to_the_processor_where_there_is_no_card(monkeypatch):
    monkeypatch.setattr(devices, "device_fault", lambda _: "not here")
    assert find_device("auto") == CPU


def test_auto_takes_a_card_that_works(monkeypatch):
    monkeypatch.setattr(devices, "device_fault", lambda _: None)
    assert find_device("auto") == Device("cuda")


def test_a_session_that_would_run_elsewhere_is_refused(monkeypatch, identity):
    class Elsewhere:
        def get_providers(self):
            return ["CPUExecutionProvider"]

    runtime = devices.import_quietly()
    monkeypatch.setattr(runtime, "InferenceSession", lambda *_, **__: Elsewhere())
    with pytest.raises(DeviceError, match="would run on the processor"):
        devices.open_session(identity, None, Device("mps"))


def test_openvino_answers_as_onnx_runtime_does(identity):
    pytest.importorskip("openvino")
    given = {"x": np.array([1.5], np.float32)}
    networks = [open_network(identity, device=Device(kind)) for kind in ("cpu", "openvino")]
    for asked in (None, ["y"]):
        answers = [network.run(asked, given)[0] for network in networks]
        np.testing.assert_allclose(*answers, atol=1e-2)
