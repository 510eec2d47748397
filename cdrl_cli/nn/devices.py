"""What networks run on: the processor by ONNX Runtime or OpenVINO, or a graphics processor.

A device that is asked for and does not work is an error; nothing is run elsewhere in silence.
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib import util
from typing import Any, Final, Literal

import numpy as np

from cdrl_cli.errors import DeviceError, UsageError
from cdrl_cli.nn.onnx import import_quietly

Kind = Literal["cpu", "cuda", "mps", "openvino"]

DEVICE_WORDS: Final = "auto, cpu, cuda, cuda:N, mps or openvino"
"""What may be asked for."""

PROVIDERS: Final = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "mps": "CoreMLExecutionProvider",
}
"""ONNX Runtime's names of what it runs networks by."""

_HINTS: Final = {
    "cuda": "pip install 'spfem[cuda]', and a driver for an NVIDIA card; spfem doctor says more",
    "mps": "macOS on Apple silicon has it",
    "openvino": "pip install 'spfem[openvino]'",
}

# Opset 13, one Identity node from x to y, both float32 of shape (1,); made with onnx.helper.
_IDENTITY_ONNX: Final = (
    b'\x08\x07:7\n\x10\n\x01x\x12\x01y"\x08Identity\x12\x01gZ\x0f\n\x01x\x12\n\n\x08\x08\x01'
    b"\x12\x04\n\x02\x08\x01b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\r"
)


@dataclass(frozen=True, slots=True)
class Device:
    """Where the networks of every frame run; what runs once or is small stays on the processor."""

    kind: Kind = "cpu"
    index: int = 0
    """Of several NVIDIA cards, from 0."""

    def __str__(self) -> str:
        """As it is asked for."""
        return f"{self.kind}:{self.index}" if self.kind == "cuda" else self.kind

    @property
    def engine(self) -> str:
        """What runs the networks there, with its version."""
        if self.kind == "openvino":
            from importlib import metadata

            return f"OpenVINO {metadata.version('openvino')}"
        return f"ONNX Runtime {import_quietly().__version__}"


CPU: Final = Device()
"""The processor, by ONNX Runtime."""


def parse_device(word: str) -> Device | None:
    """The device that a word names; None for ``auto``.

    >>> parse_device("cuda:1"), parse_device("auto")
    (Device(kind='cuda', index=1), None)

    Raises:
        UsageError: If it names none.
    """
    if word == "auto":
        return None
    match = re.fullmatch(r"cpu|mps|openvino|cuda(?::(\d{1,3}))?", word, re.ASCII)
    if match is None:
        raise UsageError(f"no device '{word}'", hint=f"one of: {DEVICE_WORDS}")
    kind: Any = word.partition(":")[0]
    return Device(kind, int(match[1] or 0))


def read_device(word: str) -> str:
    """A word that names a device, or ``auto``, as it is; whether it works is not asked.

    Raises:
        UsageError: If it names none.
    """
    parse_device(word)
    return word


def find_device(word: str = "auto") -> Device:
    """The device to run on, tried.

    ``auto`` is the first NVIDIA card if ONNX Runtime can use one, and else the processor: OpenVINO
    and Apple's processors are taken when they are asked for.

    Raises:
        UsageError: If the word names no device.
        DeviceError: If the device does not work here.
    """
    device = parse_device(word)
    if device is None:
        cuda = Device("cuda")
        return cuda if device_fault(cuda) is None else CPU
    fault = device_fault(device)
    if fault is not None:
        raise DeviceError(f"device {device}: {fault}", hint=_HINTS.get(device.kind))
    return device


@cache
def device_fault(device: Device) -> str | None:
    """Why a device does not work here; None where it does."""
    if device.kind == "openvino":
        return None if util.find_spec("openvino") else "OpenVINO is not installed"
    runtime = import_quietly()
    if PROVIDERS[device.kind] not in runtime.get_available_providers():
        return f"this ONNX Runtime ({runtime.__version__}) is built without it"
    try:
        session = open_session(_IDENTITY_ONNX, runtime.SessionOptions(), device)
        session.run(None, {"x": np.ones(1, np.float32)})
    except Exception as error:  # its errors have no root of their own
        return (str(error).strip() or type(error).__name__).split("\n")[0]
    return None


def open_session(model: Any, options: Any, device: Device) -> Any:
    """A session of ONNX Runtime on a device, and nowhere else.

    Args:
        model: The file, or its bytes.
        options: ``onnxruntime.SessionOptions``.
        device: The processor, ``cuda`` or ``mps``.

    Raises:
        DeviceError: If ONNX Runtime would run it elsewhere.
    """
    runtime = import_quietly()
    provider = PROVIDERS[device.kind]
    if device.kind == "cuda" and hasattr(runtime, "preload_dlls"):
        runtime.preload_dlls()  # CUDA's libraries, where pip has put them
    chosen: Any = (provider, {"device_id": device.index}) if device.kind == "cuda" else provider
    session = runtime.InferenceSession(model, options, providers=[chosen])
    if session.get_providers()[0] != provider:
        raise DeviceError(
            f"device {device}: ONNX Runtime cannot load it and would run on the processor",
            hint=_HINTS.get(device.kind),
        )
    return session
