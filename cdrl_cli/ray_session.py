"""A connection to a Ray cluster, which finds the machines and tries again when one is lost.

Every machine must have this package, and see the files under the same names: nothing is copied.
"""

import logging
import os
import socket
import sys
from contextlib import ExitStack, redirect_stdout
from typing import Any

from cdrl_cli.errors import SpfemError, UsageError

MAX_RETRIES = 3
"""Machines that may be lost over one task."""

MAX_PENDING = 1000
"""Tasks handed to Ray at a time; it is made for many, and the next ones lose nothing by waiting."""

ANSWER_S = 5.0
"""Seconds within which a machine answers; Ray itself waits for minutes, and then ends the process
without a word."""

_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""How HTTP/2, which Ray speaks, begins: a fixed line, and a frame of settings, here none (RFC 9113,
section 3.4)."""

_SETTINGS = 4
"""Type of the frame by which a server answers it: the fourth of its nine bytes."""

_SIGNALS = 128
"""Exit codes from here on say that a signal came."""


class RaySession:
    """A context manager that gives Ray, connected.

    Args:
        address: What :func:`ray.init` takes: ``auto`` or ``HOST:PORT``.

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
            check_answer(self._address)
            # Ray tells of lost machines on stdout, which is not ours to give.
            self._stack.enter_context(redirect_stdout(sys.stderr))
            self._ray.init(address=self._address, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, OverflowError, ValueError, RuntimeError, SystemExit) as error:
            self._stack.close()
            if isinstance(error, SystemExit) and int(error.code or 0) >= _SIGNALS:
                raise
            reason = "it gave up" if isinstance(error, SystemExit) else error
            raise SpfemError(
                f"no Ray cluster at {self._address} ({reason})",
                hint="start one with: ray start --head",
            ) from error
        return self._ray

    def __exit__(self, *_: object) -> None:
        self._ray.shutdown()
        self._stack.close()


def check_answer(address: str) -> None:
    """Whether Ray may be at an address: somebody listens there, and speaks HTTP/2.

    Args:
        address: ``HOST:PORT``; of what has no port, such as ``auto``, nothing is asked.

    Raises:
        OSError: If the name is unknown, nobody takes a connection within :data:`ANSWER_S`, or
            what answers cannot be Ray.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdecimal()):
        return
    with socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_S) as link:
        if os.environ.get("RAY_USE_TLS", "0") != "0":  # it then waits for another greeting
            return
        link.sendall(_GREETING)
        frame = link.recv(9, socket.MSG_WAITALL)
    if frame[3:4] != bytes((_SETTINGS,)):
        raise ConnectionError("what answers there is not Ray")
