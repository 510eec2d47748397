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


def open_network(path: Path, *, threads: int | None = None, keep_memory: bool = True) -> Any:
    """A session (``onnxruntime.InferenceSession``) on the CPU.

    Its threads wait asleep: another one of ours follows the faces meanwhile.

    Args:
        path: The ONNX file.
        threads: Of a layer; None is one for each core. A network so small that waking a thread
            takes longer than its layers takes 1.
        keep_memory: Keep what a run needed for the next one; a network that runs a few times at
            the start of an edit should not.
    """
    runtime = import_quietly()
    options = runtime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_cpu_mem_arena = keep_memory
    if threads is not None:
        options.intra_op_num_threads = threads
    return runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def read_facts(network: Any) -> dict[str, str]:
    """The metadata that a network's file carries: texts by name."""
    return dict(network.get_modelmeta().custom_metadata_map)
