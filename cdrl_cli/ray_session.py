"""A connection to a Ray cluster, which finds the machines and tries again when one is lost.

Every machine must have this package, and see the files under the same names: nothing is copied.
"""

import logging
import os
import sys
from contextlib import ExitStack, redirect_stdout
from typing import Any

from cdrl_cli.errors import SpfemError, UsageError

MAX_RETRIES = 3
"""Machines that may be lost over one task."""

MAX_PENDING = 1000
"""Tasks handed to Ray at a time; it is made for many, and the next ones lose nothing by waiting."""


class RaySession:
    """A context manager that gives Ray, connected.

    Args:
        address: What :func:`ray.init` takes: ``auto``, ``HOST:PORT``, ``ray://HOST:PORT``.

    Raises:
        UsageError: If Ray is not installed.
        SpfemError: If there is no cluster at the address.
    """

    def __init__(self, address: str) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report to its makers
        try:
            import ray
        except ImportError as error:
            raise UsageError(
                "--ray needs Ray, which is not installed", hint="pip install 'spfem[ray]'"
            ) from error
        self._ray: Any = ray
        self._address = address
        self._stack = ExitStack()

    def __enter__(self) -> Any:
        try:
            # Ray tells of lost machines on stdout, which is not ours to give.
            self._stack.enter_context(redirect_stdout(sys.stderr))
            self._ray.init(address=self._address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError, RuntimeError) as error:
            self._stack.close()
            raise SpfemError(
                f"no Ray cluster at {self._address} ({error})",
                hint="start one with: ray start --head",
            ) from error
        return self._ray

    def __exit__(self, *_: object) -> None:
        self._ray.shutdown()
        self._stack.close()
