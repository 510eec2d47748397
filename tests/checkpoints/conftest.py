import hashlib
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from cdrl_cli.checkpoints import fetch
from cdrl_cli.checkpoints.registry import Entry, PackageSource, UrlSource

CONTENT = bytes(range(256)) * 4096
"""What a weight file holds: 1 MiB."""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home of our own, with a network, where nobody waits long."""
    monkeypatch.setenv("SPFEM_HOME", str(tmp_path / "home"))
    for name in ("SPFEM_OFFLINE", "HF_HUB_OFFLINE", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(fetch, "PAUSE_S", 0.001)
    return tmp_path / "home"


def make_entry(name: str = "part", *sources: object, content: bytes = CONTENT, **fields) -> Entry:
    """An entry whose sources may be addresses."""
    known = {
        "file": f"{name}.onnx",
        "licence": "MIT",
        "purpose": "a test",
        "origin": "this test",
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
    }
    typed = tuple(UrlSource(s) if isinstance(s, str) else s for s in sources)
    return Entry(name=name, sources=typed, **known | fields)


def make_unverified(name: str = "byhand", **fields) -> Entry:
    """An entry without a digest, under terms that bind."""
    return make_entry(
        name,
        "https://example.org/pack.zip",
        **{"sha256": None, "size": None, "binds": True, "terms": "https://example.org/terms"}
        | fields,
    )


def make_wheel(folder: Path, members: dict[str, bytes], *, name: str = "spfem_test_part") -> Path:
    """A wheel that pip takes."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{name}-1.0.dist-info"
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for member, content in members.items():
            wheel.writestr(member, content)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        tag = "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr(f"{info}/WHEEL", tag)
        wheel.writestr(f"{info}/RECORD", "")
    return path


def package_source(member: str = "part/part.onnx") -> PackageSource:
    """A member of the wheel that :func:`make_wheel` makes."""
    return PackageSource("spfem-test-part==1.0", member)


@pytest.fixture
def find_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which pip finds its wheels, and nowhere else."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@dataclass
class Server:
    """An HTTP server on loopback, which answers as it is told."""

    url: str
    content: bytes = CONTENT
    ranges: list[str | None] = field(default_factory=list)
    """What was asked for, a request each."""
    statuses: list[int] = field(default_factory=list)
    """Answers to the next requests; after that, all is well."""
    cut_after: list[int] = field(default_factory=list)
    """Bytes after which the next connections break."""
    knows_range: bool = True
    stall_s: float = 0.0
    """Silence of the first answer after its first bytes."""
    chunk_pause_s: float = 0.0
    says_length: bool = True


@pytest.fixture
def server() -> Iterator[Server]:
    served = Server("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            served.ranges.append(asked)
            if served.statuses and (status := served.statuses.pop(0)) != 200:
                self.send_error(status)
                return
            body = served.content
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
            if start and served.knows_range:
                body = body[start:]
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-/{len(served.content)}")
            else:
                self.send_response(200)
            if served.says_length:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if served.cut_after:
                body = body[: served.cut_after.pop(0)]
            try:
                self.wfile.write(body[:1000])
                self.wfile.flush()
                time.sleep(served.stall_s if len(served.ranges) == 1 else 0)
                for at in range(1000, len(body), 1 << 16):
                    self.wfile.write(body[at : at + (1 << 16)])
                    time.sleep(served.chunk_pause_s)
            except OSError:  # the client has had enough
                pass

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        served.url = f"http://127.0.0.1:{httpd.server_port}/part.onnx"
        thread = Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield served
        httpd.shutdown()
        thread.join()


@pytest.fixture
def files(home: Path) -> Callable[[], set[str]]:
    """What lies in the weights folder, the lock aside."""

    def listed() -> set[str]:
        folder = home / "weights"
        return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.name != ".lock"}

    return listed
