"""ONNX networks, opened on a device."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

from cdrl_cli.nn.devices import CPU, Device, open_session
from cdrl_cli.nn.onnx import import_quietly

OpenNetwork = Callable[..., Any]
"""What opens a network as :func:`open_network` does, or has it open already."""


def open_network(
    path: Path,
    *,
    device: Device = CPU,
    threads: int | None = None,
    keep_memory: bool = True,
) -> Any:
    """A session (``onnxruntime.InferenceSession``), or what is asked as one is.

    Its threads wait asleep: another one of ours follows the faces meanwhile.

    Args:
        path: The ONNX file.
        device: Where it runs.
        threads: Of a layer on the processor; None is one for each core. A network so small that
            waking a thread takes longer than its layers takes 1.
        keep_memory: Keep what a run needed for the next one; a network that runs a few times at
            the start of an edit should not.

    Raises:
        DeviceError: If it cannot run there.
    """
    if device.kind == "openvino":
        from cdrl_cli.nn.openvino import OpenVinoNetwork

        return OpenVinoNetwork(path, threads=threads)
    options = import_quietly().SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_cpu_mem_arena = keep_memory
    if keep_memory and device.kind == "cpu":
        with _SHARING:
            _share_memory()
        options.add_session_config_entry("session.use_env_allocators", "1")
    if threads is not None:
        options.intra_op_num_threads = threads
    return open_session(path, options, device)


_SHARING = Lock()


@cache
def _share_memory() -> None:
    """Let the networks on the processor use one pool of memory, once for the process.

    It grows by what is asked for. A pool for each network doubles its size whenever it is short.
    """
    runtime: Any = import_quietly()
    runtime.create_and_register_allocator(
        runtime.OrtMemoryInfo(
            "Cpu", runtime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, runtime.OrtMemType.DEFAULT
        ),
        # No bound; as much as requested; first size and unused rest as it likes.
        runtime.OrtArenaCfg(0, 1, -1, -1),
    )
