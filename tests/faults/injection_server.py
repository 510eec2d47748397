"""Runs commands of spfem in forks of a process that has all libraries loaded, one fault in each.

Started by ``test_injection`` with the injector preloaded. Reads jobs from standard input, a JSON
object a line, and answers each by one: how the command ended, and how many calls were counted.
"""

import ctypes
import functools
import http.server
import json
import os
import sys
import threading
from pathlib import Path

import av
import cv2  # noqa: F401 - loaded once, for all
import onnxruntime  # noqa: F401

import cdrl_cli.batch
import cdrl_cli.checkpoints.install
import cdrl_cli.editing
from cdrl_cli.checkpoints.registry import Entry, UrlSource
from cdrl_cli.cli import app
from cdrl_cli.errors import SpfemError


def libraries() -> tuple[bytes, bytes]:
    folder = Path(av.__file__).parents[1] / "av.libs"
    return tuple(
        os.fsencode(next(folder.glob(f"{name}-*.so*"))) for name in ("libavcodec", "libavformat")
    )


def download(arguments: list[str]) -> int:
    """Install one weight file from a server in this process."""
    folder, name, digest, size = arguments

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that leaves is what is tested."""

    handler = functools.partial(Quiet, directory=folder)
    with Server(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        source = UrlSource(f"http://127.0.0.1:{server.server_port}/{name}")
        entry = Entry(
            name="part",
            sources=(source,),
            file="part.onnx",
            licence="MIT",
            purpose="a test",
            origin="this test",
            sha256=digest,
            size=int(size),
        )
        try:
            cdrl_cli.checkpoints.install.install_weights([entry])
        except SpfemError as error:
            sys.stderr.write(f"error: {error}\n")
            return error.exit_code
    return 0


def work(job: dict, injector: ctypes.CDLL) -> None:
    """Be the command; does not return."""
    os.chdir(job["folder"])
    for descriptor, name in ((1, job["out"]), (2, job["err"])):
        opened = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(opened, descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.update(job["variables"])
    # What a batch starts is another process, and not the one that is looked at.
    os.environ.pop("LD_PRELOAD", None)
    injector.injector_arm(os.fsencode(job["folder"]), job["at"], job["mode"])
    if job["arguments"][0] == "download":
        os._exit(download(job["arguments"][1:]))
    sys.argv[1:] = job["arguments"]
    try:
        app.main()
    except SystemExit as stop:
        os._exit(int(stop.code or 0))
    except BaseException:  # as Python's own end would
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
        os._exit(1)


def main() -> None:
    """Answer jobs until there are no more."""
    injector = ctypes.CDLL(os.environ["LD_PRELOAD"])
    injector.injector_what.restype = ctypes.c_char_p
    injector.injector_count.restype = ctypes.c_long
    injector.injector_arm.argtypes = [ctypes.c_char_p, ctypes.c_long, ctypes.c_int]
    injector.injector_prepare.restype = ctypes.c_void_p
    injector.injector_prepare(*libraries())
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            work(job, injector)
        _, status = os.waitpid(child, 0)
        answer = {
            "code": os.waitstatus_to_exitcode(status),
            "count": injector.injector_count(),
            "what": injector.injector_what().decode(),
        }
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":  # pytest imports it too, to look for doctests
    main()
