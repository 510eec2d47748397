"""ONNX networks on this machine's processor."""

import os
from pathlib import Path
from typing import Any


def import_quietly() -> Any:
    """ONNX Runtime, told to report nothing and to print no warnings.

    It would leave a device id and a usage database in the user's cache, and looks at the variable
    that forbids it when it is first imported.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)  # errors
    return onnxruntime


def open_network(path: Path) -> Any:
    """A session (``onnxruntime.InferenceSession``) on the CPU.

    Its threads wait asleep: another one of ours follows the faces meanwhile.
    """
    runtime = import_quietly()
    options = runtime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
