"""Whether this machine can do the work: what is wrong, and how to mend it. Changes nothing.

Each check tries what an edit would do, since a library that is installed need not load.
"""

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path

import cdrl_cli

MIN_PYTHON = (3, 11)

ENOUGH_DISK = 1_000_000_000
"""Bytes: all optional weights, with the package they come in."""

ENOUGH_MEMORY = 1_000_000_000
"""Bytes: the models and one window of 4K frames."""


class Status(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """Something is slower or not to be had; an edit works."""
    ERROR = "error"
    """An edit does not work."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    status: Status
    detail: str
    """What was found."""
    fix: str | None = None
    """How to mend it, or to get what is not there."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All that was looked at."""

    ok: bool
    """No check is an error."""
    version: str
    checks: tuple[Check, ...]


def diagnose() -> Diagnosis:
    """Look at Python, packages, devices, codecs, weights, folders and the machine.

    Nothing is written but a folder for what other libraries would otherwise leave in the user's
    cache; it is temporary and removed.
    """
    with _leave_no_traces():
        checks = tuple(check for look in CHECKS for check in _look(look))
    ok = all(check.status is not Status.ERROR for check in checks)
    return Diagnosis(ok, cdrl_cli.__version__, checks)


def _look(look: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """The checks of one function; a bug or a broken library in it is one more of them."""
    try:
        yield from look()
    except Exception as error:  # a doctor that falls ill himself helps nobody
        name = look.__name__.removeprefix("_check_").replace("_", " ")
        yield Check(name, Status.ERROR, f"{type(error).__name__}: {error}", _REINSTALL)


_REINSTALL = "install spfem again: pip install --force-reinstall spfem"


@contextmanager
def _leave_no_traces() -> Iterator[None]:
    """Keep libraries from writing: ONNX Runtime its use, Python bytecode."""
    before = dict(os.environ), sys.dont_write_bytecode
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before[0])
        sys.dont_write_bytecode = before[1]


# Python and packages


def _check_python() -> Iterator[Check]:
    found = f"{platform.python_version()}, {platform.system()} {platform.machine()}"
    if sys.version_info < MIN_PYTHON:
        yield Check("python", Status.ERROR, found, "use Python 3.11 or newer")
    else:
        yield Check("python", Status.OK, found)


def _check_packages() -> Iterator[Check]:
    """Each dependency against the bounds that this installation states."""
    from packaging.requirements import Requirement

    try:
        stated = metadata.requires("spfem") or []
    except metadata.PackageNotFoundError:
        yield Check(
            "packages",
            Status.WARNING,
            "spfem runs from its sources, so no bounds of its packages are known",
            "pip install -e . in the checkout",
        )
        return
    for requirement in map(Requirement, stated):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield _check_package(requirement.name, str(requirement.specifier))


def _check_package(name: str, bounds: str) -> Check:
    from packaging.specifiers import SpecifierSet

    fix = f"pip install '{name}{bounds}'"
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Check(f"package {name}", Status.ERROR, "not installed", fix)
    if SpecifierSet(bounds).contains(found, prereleases=True):
        return Check(f"package {name}", Status.OK, f"{found} ({bounds})")
    return Check(f"package {name}", Status.ERROR, f"{found}, not {bounds}", fix)


def _check_opencv() -> Iterator[Check]:
    """OpenCV's wheels write to one folder: of different versions, the later breaks the earlier."""
    found = {}
    for flavour in ("", "-contrib", "-headless", "-contrib-headless"):
        with suppress(metadata.PackageNotFoundError):
            name = f"opencv{flavour}-python" if "less" not in flavour else f"opencv-python{flavour}"
            found[name] = metadata.version(name)
    import cv2

    detail = f"loads {cv2.__version__}"
    if len(set(found.values())) > 1:
        wheels = ", ".join(f"{name} {version}" for name, version in found.items())
        fix = "pip install " + " ".join(f"{n}=={max(found.values())}" for n in found)
        yield Check("opencv", Status.WARNING, f"{detail}; wheels differ: {wheels}", fix)
    else:
        yield Check("opencv", Status.OK, detail)


# Devices


def _check_torch() -> Iterator[Check]:
    """Every device that torch claims to have adds two numbers; no edit needs torch."""
    try:
        import torch
    except ModuleNotFoundError:
        found = "not installed, optional: it trains and evaluates weights"
        yield Check("torch", Status.OK, found, "pip install 'spfem[train]'")
        return

    devices = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        devices.append("mps")
    for device in devices:
        name = f"torch {device}"
        model = torch.cuda.get_device_name(device) if device.startswith("cuda") else ""
        try:
            torch.ones(1, device=device).add(1).item()
        except RuntimeError as error:
            status = Status.ERROR if device == "cpu" else Status.WARNING
            yield Check(name, status, _first_line(error), "check the driver, or the torch build")
        else:
            yield Check(name, Status.OK, f"usable, torch {torch.__version__} {model}".rstrip())


def _check_devices() -> Iterator[Check]:
    """What ``--device`` may name: each runs a network of one node."""
    from cdrl_cli.nn.devices import Device, device_fault, find_device

    for device in (Device(), Device("cuda"), Device("mps"), Device("openvino")):
        name, fault = f"device {device}", device_fault(device)
        if fault is None:
            yield Check(name, Status.OK, f"usable, {device.engine}")
        elif device.kind == "cpu":
            yield Check(name, Status.ERROR, fault, "pip install --force-reinstall onnxruntime")
        elif device.kind == "cuda" and _has_both_runtimes():
            fix = "pip install --force-reinstall --no-deps onnxruntime-gpu"
            yield Check(name, Status.WARNING, "onnxruntime was installed over onnxruntime-gpu", fix)
        else:
            get = f"pip install 'spfem[{device.kind}]'" if device.kind != "mps" else None
            yield Check(name, Status.OK, f"not usable, optional: {fault}", get)
    yield Check("device auto", Status.OK, f"takes {find_device()}")


def _has_both_runtimes() -> bool:
    """Both wheels of ONNX Runtime write to one folder; the one that came last is what loads."""
    with suppress(metadata.PackageNotFoundError):
        return bool(metadata.version("onnxruntime") and metadata.version("onnxruntime-gpu"))
    return False


def _check_landmarker() -> Iterator[Check]:
    """The networks that find faces load, and look at an empty picture."""
    import numpy as np

    from cdrl_cli.checkpoints.files import open_landmark_networks
    from cdrl_cli.checkpoints.load import find_weights
    from cdrl_cli.errors import WeightsError
    from cdrl_cli.face.landmarks import Landmarker

    try:
        files = [find_weights(name) for name in ("face-detector", "face-landmarks", "coefficients")]
        Landmarker(open_landmark_networks(*files)).detect(np.zeros((64, 64, 3), np.uint8))
    except WeightsError as error:  # the check of the weights says how to mend it
        yield Check("landmarker", Status.ERROR, str(error), error.hint)
    else:
        yield Check("landmarker", Status.OK, "finds no face where there is none")


def _check_codecs() -> Iterator[Check]:
    """Every encoder that an output may ask for encodes a picture."""
    from cdrl_cli.media.codecs import encoder_fault
    from cdrl_cli.media.encoder import ENCODERS

    for encoder in ENCODERS.values():
        name = f"encoder {encoder.codec}"
        fault = encoder_fault(encoder)
        if fault is None:
            yield Check(name, Status.OK, encoder.library)
            continue
        if encoder.is_hardware:
            yield Check(name, Status.OK, f"not usable, optional: {fault}")
            continue
        status = Status.ERROR if encoder.codec == "h264" else Status.WARNING
        fix = "pip install --force-reinstall --only-binary=av av; or choose another --codec"
        yield Check(name, status, f"{encoder.library}: {fault}", fix)


def _check_signing() -> Iterator[Check]:
    """Content Credentials; without the package nothing is missing but them."""
    try:
        import c2pa
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError)
        found = "c2pa-python is not installed, optional" if missing else _first_line(error)
        status = Status.OK if missing else Status.WARNING
        yield Check("signing", status, found, "pip install 'spfem[c2pa]'")
    else:
        yield Check("signing", Status.OK, f"c2pa-python {c2pa.__version__}")


# Weights and the machine


def _check_weights() -> Iterator[Check]:
    from cdrl_cli.checkpoints.load import inspect_entry, weights_error
    from cdrl_cli.checkpoints.registry import read_manifest

    for entry in read_manifest().values():
        state = inspect_entry(entry)
        name = f"weights {entry.name}"
        worst = Status.ERROR if entry.embedded else Status.WARNING
        if state.verified and state.sha256 is not None:
            found = f"{state.path}, sha256 {state.sha256[:12]}…, {entry.licence}"
            yield Check(name, Status.OK, found)
        elif state.present or state.embedded:
            yield Check(name, worst, str(weights_error(state)), state.remedy)
        else:
            missing = f"not installed, optional; {entry.licence}"
            yield Check(name, Status.OK, missing, state.remedy)


def _check_folders() -> Iterator[Check]:
    """Where we would write can be written; asked, not tried."""
    from cdrl_cli.checkpoints.registry import data_folder

    home = os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface"
    for name, folder, fix in (
        ("data folder", data_folder(), "mend its permissions, or name another in SPFEM_HOME"),
        ("hub cache", Path(home), "mend its permissions, or name another in HF_HOME"),
        ("current folder", Path.cwd(), "give --output a folder that you may write to"),
    ):
        there = _nearest_folder(folder)
        state = "writable" if there == folder else f"not there; can be made in {there}"
        if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
            yield Check(name, Status.OK, f"{folder}: {state}")
        else:
            yield Check(name, Status.WARNING, f"{folder}: not writable", fix)


def _check_disk() -> Iterator[Check]:
    from cdrl_cli.checkpoints.registry import data_folder

    for name, folder in (("data", data_folder()), ("current", Path.cwd())):
        free = shutil.disk_usage(_nearest_folder(folder)).free
        enough = free >= ENOUGH_DISK
        yield Check(
            f"disk of {name} folder",
            Status.OK if enough else Status.WARNING,
            f"{free / 1e9:.1f} GB free",
            None if enough else "make room there",
        )


def _check_machine() -> Iterator[Check]:
    from cdrl_cli.processors import usable_cores

    yield Check("processors", Status.OK, f"{usable_cores()} usable of {os.cpu_count()}")
    try:
        page = os.sysconf("SC_PAGE_SIZE")
        total, free = (os.sysconf(f"SC_{kind}PHYS_PAGES") * page for kind in ("", "AV"))
    except (AttributeError, ValueError, OSError):  # not every system says
        yield Check("memory", Status.OK, "unknown")
        return
    detail = f"{total / 1e9:.1f} GB, {free / 1e9:.1f} GB of it unused"
    if total < ENOUGH_MEMORY:
        yield Check("memory", Status.WARNING, detail, "edit smaller pictures, or elsewhere")
    else:
        yield Check("memory", Status.OK, detail)


def _nearest_folder(path: Path) -> Path:
    return next(place for place in (path, *path.parents) if place.exists())


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).split("\n")[0]


CHECKS = (
    _check_python,
    _check_packages,
    _check_opencv,
    _check_torch,
    _check_devices,
    _check_landmarker,
    _check_codecs,
    _check_signing,
    _check_weights,
    _check_folders,
    _check_disk,
    _check_machine,
)
"""In the order of the report."""
