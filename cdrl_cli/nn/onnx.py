"""ONNX Runtime, without its telemetry and warnings."""

import os
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


def read_facts(network: Any) -> dict[str, str]:
    """The metadata that a network's file carries: texts by name."""
    return dict(network.get_modelmeta().custom_metadata_map)
