"""ONNX networks run by OpenVINO (an extra), for processors that compute with bfloat16."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class OpenVinoNetwork:
    """A network, asked as a session of ONNX Runtime is.

    Args:
        path: The ONNX file.
        threads: Of a layer; None leaves it to OpenVINO.
    """

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        import openvino

        settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}
        if threads is not None:
            settings["INFERENCE_NUM_THREADS"] = threads
        self._model = openvino.Core().compile_model(path, "CPU", settings)

    def run(
        self, names: Sequence[str] | None, feeds: Mapping[str, NDArray[Any]]
    ) -> list[NDArray[Any]]:
        """The outputs, by name or all in their order."""
        answered = self._model.create_infer_request().infer(dict(feeds), share_inputs=True)
        outputs = self._model.outputs
        wanted = range(len(outputs)) if names is None else map(self._place, names)
        return [np.array(answered[outputs[place]]) for place in wanted]

    def _place(self, name: str) -> int:
        return next(i for i, one in enumerate(self._model.outputs) if name in one.get_names())
