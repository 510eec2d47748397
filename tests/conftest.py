"""What every test may count on: seeds, real clips, and tools that may or must not be missing."""

import importlib.util
import os
import random
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Generator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from filelock import FileLock
from hypothesis import settings

import sample_clips
from cdrl_cli.checkpoints.load import inspect_entry
from cdrl_cli.checkpoints.models import Models, load_models
from cdrl_cli.checkpoints.registry import select_entries

# The same examples every time: a failure on one machine is a failure on all. A shared machine
# may take its time over one of them.
settings.register_profile("spfem", derandomize=True, deadline=None, max_examples=40)
settings.load_profile("spfem")

# The AV1 encoder reads it once, at its first use, which may be a test that makes a clip.
os.environ.setdefault("SVT_LOG", "1")

# As the commands do, for the whole process: else it would depend on which test runs one first.
cv2.setNumThreads(1)

CLIP_CACHE = Path(__file__).parents[1] / ".cache" / "clips"


MAY_SKIP = (
    "gpu is missing",
    "guides is missing",  # two of its files are on GitHub alone, or in an npm package
    "tmpfs is missing",  # an unprivileged machine cannot mount one
    "permissions do not bind root",
    "there is no full device",
    "no /dev/full to stand for a full disk",
    "peak memory is asked for the Linux way",
)
"""Reasons to skip that hold even where ``SPFEM_REQUIRE=all`` says that nothing may be missing."""


def require(tool: str, *, present: bool) -> None:
    """Skip on a laptop that lacks a tool; fail where ``SPFEM_REQUIRE=ffmpeg,gpu`` names it.

    ``all`` stands for every tool but those of :data:`MAY_SKIP`, which count if they are named.
    """
    if present:
        return
    required = os.environ.get("SPFEM_REQUIRE", "").split(",")
    reason = f"{tool} is missing"
    if tool in required or ("all" in required and reason not in MAY_SKIP):
        pytest.fail(f"{reason}, and SPFEM_REQUIRE names it")
    pytest.skip(reason)


def require_weights(*names: str) -> None:
    """Skip, or fail where it is required, without optional weights or a group of them."""
    for name in names:
        present = all(inspect_entry(entry).verified for entry in select_entries([name]))
        require(name, present=present)


@pytest.fixture
def set_opencv_threads() -> Generator[Callable[[int], None]]:
    """Sets how many threads OpenCV takes, until the test ends."""
    before = cv2.getNumThreads()
    yield cv2.setNumThreads
    cv2.setNumThreads(before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where ``SPFEM_REQUIRE=all``, a test that skips for any other reason has failed too."""
    report = yield
    if "all" in os.environ.get("SPFEM_REQUIRE", "").split(",") and report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        if not hasattr(report, "wasxfail") and not reason.endswith(MAY_SKIP):
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} was skipped, and SPFEM_REQUIRE=all: {reason}"
    return report


def _has_cuda() -> bool:
    if importlib.util.find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()


TOOLS = {
    "ffmpeg": lambda: shutil.which("ffmpeg") is not None and shutil.which("ffprobe") is not None,
    "gpu": _has_cuda,
    "exiftool": lambda: shutil.which("exiftool") is not None,
}


def pytest_configure() -> None:
    """Give children the signals as a shell gives them.

    What is ignored or blocked when the tests start (by ``nohup``, by ``&`` in a script, by some
    runners of CI) would be so in every program that they start, and no test could interrupt one.
    """
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            is_interrupt = number == signal.SIGINT
            signal.signal(number, signal.default_int_handler if is_interrupt else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())


def pytest_runtest_setup(item: pytest.Item) -> None:
    for tool, is_present in TOOLS.items():
        if item.get_closest_marker(tool) is not None:
            require(tool, present=is_present())


FAULT = "fault"
"""Property of a test's report: a kind of fault, and how many of it ended as they should."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count the faults of all tests, whichever process ran them."""
    faults: Counter[str] = Counter()
    reports = (report for some in terminalreporter.stats.values() for report in some)
    for report in reports:
        if getattr(report, "when", None) == "teardown":
            faults.update(dict(value for name, value in report.user_properties if name == FAULT))
    if faults:
        terminalreporter.section("faults")
        for kind, number in sorted(faults.items()):
            terminalreporter.write_line(f"{number:>5}  {kind}")


@pytest.fixture(autouse=True)
def _seeds() -> None:
    random.seed(0)


@pytest.fixture(autouse=True)
def _fairness() -> Generator[None]:
    """No test makes this process real-time: all that it starts later would be so, too."""
    yield
    try:
        is_fair = os.sched_getscheduler(0) not in (os.SCHED_FIFO, os.SCHED_RR)
    except (AttributeError, OSError):  # not Linux, or musl
        return
    if not is_fair:  # the next test has not done it
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    assert is_fair


@pytest.fixture
def generator() -> np.random.Generator:
    """Numpy's source of randomness, the same for every test."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def models() -> Models:
    """What an edit runs on: the embedded default."""
    return load_models()


@pytest.fixture(scope="session")
def short(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten frames of a face, with sound."""
    path = tmp_path_factory.mktemp("short") / "short.mp4"
    sample_clips.cut_clip(clips / "single_face.mp4", path, start=Fraction(0), end=Fraction(1, 3))
    return path


@pytest.fixture(scope="session")
def clips() -> Path:
    """Folder with the real sample clips and the two references cut from them.

    Of several processes that test, one fetches them.
    """
    CLIP_CACHE.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(CLIP_CACHE / ".lock"):
            return sample_clips.fetch_clips(CLIP_CACHE)
    except sample_clips.FetchError:
        require("clips", present=False)
        raise
