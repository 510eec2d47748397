"""Networks of an edit, verified and opened on threads of their own.

Opening a network takes most of its time outside of Python, which meanwhile imports what runs it:
so a program begins here, before it imports anything else of an edit.
"""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from cdrl_cli.checkpoints.load import find_weights
from cdrl_cli.checkpoints.registry import read_manifest
from cdrl_cli.nn.devices import CPU, Device, find_device
from cdrl_cli.nn.networks import open_network
from cdrl_cli.processors import multiplies_bytes, usable_cores
from cdrl_cli.weight_set import WeightSet

LANDMARKS: Final = ("face-landmarks", "face-detector", "coefficients")
"""Weights of the networks that find and read faces; the one that takes longest is the first."""

OF_EVERY_FRAME: Final = frozenset({"renderer", "skin"})
"""Parts of a weight set that run on the device that is asked for; all else is small, and runs on
the processor."""

_OF_THE_START: Final = frozenset({"expression-nets"})
"""Run a few times at the start of an edit, and keep no memory for the next time."""


class NetworksAhead:
    """Begins to open the networks that an edit needs, and hands each out once.

    What fails on a thread is raised where it is asked for.

    Args:
        weight_set: Whose networks.
        device: What the networks of every frame run on, as it is asked for
            (:mod:`cdrl_cli.nn.devices`).
        core: Those of the geometric core alone.
        own_generator: The motion editor and the renderer are not the set's, and not opened here.
        reads_reference: Those that read a reference, too.
        threads: How many are opened at once; None is one for each core but the one that imports.
    """

    def __init__(
        self,
        weight_set: WeightSet,
        *,
        device: str = "auto",
        core: bool = False,
        own_generator: bool = False,
        reads_reference: bool = False,
        threads: int | None = None,
    ) -> None:
        threads = max(usable_cores() - 1, 1) if threads is None else threads
        self._pool = ThreadPoolExecutor(threads, "opening")
        self.device: Future[Device] = self._pool.submit(find_device, device)
        """What was asked for, tried."""
        self._files: dict[str, Future[Path]] = {}
        self._networks: dict[str, Future[Any]] = {}
        self._names: dict[Path, str] = {}
        for name in LANDMARKS:
            self._begin(name)
        if not (core or own_generator):
            # The twin in int8, where that may be quicker, is to be that of the other one.
            twin = multiplies_bytes() and device in {"auto", "cpu"}
            if twin:
                self._files[weight_set.entry("renderer")] = self._pool.submit(
                    find_weights, weight_set.entry("renderer")
                )
            self._begin(weight_set.entry("renderer-int8" if twin else "renderer"))
            self._begin(weight_set.entry("motion"))
        if not core and weight_set.entry("skin") in read_manifest():
            self._begin(weight_set.entry("skin"))
        self._begin(weight_set.entry("cerl"))
        if reads_reference:
            self._begin(name_nets(weight_set))

    def _begin(self, name: str) -> None:
        self._files[name] = file = self._pool.submit(find_weights, name)
        self._networks[name] = self._pool.submit(self._open, name, file)

    def _open(self, name: str, file: "Future[Path]") -> Any:
        return open_network(file.result(), **self._how(name))

    def _how(self, name: str) -> Mapping[str, Any]:
        part = name.rpartition("-")[0] or name
        device = self.device.result() if part in OF_EVERY_FRAME else CPU
        keep_memory = not ({name, part} & _OF_THE_START)
        # Faces are followed and frames are rendered side by side: each network on one thread.
        return {"device": device, "threads": 1, "keep_memory": keep_memory}

    def find(self, name: str) -> Path:
        """The file of some weights, verified; see :func:`~cdrl_cli.checkpoints.load.find_weights`.

        Raises:
            WeightsError: If it is missing or damaged.
        """
        file = self._files.pop(name, None)
        if file is None:
            return find_weights(name)
        self._names[file.result()] = name
        return file.result()

    def open(self, path: Path, **how: Any) -> Any:
        """The network in a file that was found, as :func:`~cdrl_cli.nn.networks.open_network` has.

        Raises:
            DeviceError: If it cannot run where it is asked to.
        """
        name = self._names.pop(path, "")
        begun = self._networks.pop(name, None)
        if begun is None or dict(self._how(name)) != {"device": CPU, "keep_memory": True} | how:
            return open_network(path, **how)
        return begun.result()

    def keep(self, *names: str) -> None:
        """Let go of networks that were begun and have not been asked for, but for these."""
        self._networks = {name: self._networks[name] for name in names if name in self._networks}

    def close(self) -> None:
        """Begin no more; waits for nothing."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> "NetworksAhead":
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()


def name_nets(weight_set: WeightSet) -> str:
    """The weights of the expression nets that an edit asks.

    Those of the research set are tuned on acted faces; else they are as they were published.
    """
    is_published = weight_set is WeightSet.PERMISSIVE
    return "expression-nets" if is_published else weight_set.entry("expression-nets")
