"""What a program of ours asks of the machine that it runs on."""

import errno
import gc
import os
import platform
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from clips import Clip, make_clip

from cdrl_cli.media import VideoWriter, open_video
from cdrl_cli.media.encoder import ENCODERS
from cdrl_cli.processors import keep_scheduling, loading, usable_cores

COUNT_POOLS = """
import ctypes, re, sys, tempfile, threading
from cdrl_cli.processors import share_pools

share_pools()
libc = ctypes.CDLL(None)
both = threading.Barrier(4)

def take():
    both.wait()
    bytearray(100_000)
    both.wait()

threads = [threading.Thread(target=take) for _ in range(4)]
for one in threads: one.start()
for one in threads: one.join()
libc.fdopen.restype = ctypes.c_void_p
with tempfile.TemporaryFile() as file:
    stream = ctypes.c_void_p(libc.fdopen(file.fileno(), b"w"))
    libc.malloc_info(0, stream)
    libc.fflush(stream)
    file.seek(0)
    print(len(re.findall(b"<heap nr", file.read())))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other libraries do as they like")
@pytest.mark.parametrize(("said", "pools"), [({}, 2), ({"MALLOC_ARENA_MAX": "4"}, 4)])
def test_threads_share_pools_of_memory_unless_people_say_otherwise(said, pools):
    environment = {k: v for k, v in os.environ.items() if k != "MALLOC_ARENA_MAX"} | said
    command = [sys.executable, "-c", COUNT_POOLS]
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert int(done.stdout) == pools


@pytest.mark.parametrize(("said", "threads"), [({}, 1), ({"OPENCV_FOR_THREADS_NUM": "2"}, 2)])
def test_opencv_wakes_no_helpers_unless_people_say_otherwise(said, threads):
    known = {k: v for k, v in os.environ.items() if k != "OPENCV_FOR_THREADS_NUM"}
    program = (
        "import sys; from cdrl_cli.processors import spare_helpers; "
        "steps = [spare_helpers, lambda: __import__('cv2')]; "
        "[step() for step in steps[:: int(sys.argv[1])]]; "
        "print(sys.modules['cv2'].getNumThreads())"
    )
    for order in ("1", "-1"):
        command = [sys.executable, "-c", program, order]
        done = subprocess.run(command, env=known | said, capture_output=True, check=True)
        assert int(done.stdout) == threads


@pytest.mark.skipif(platform.system() != "Linux", reason="threads are counted in /proc")
@pytest.mark.parametrize(("said", "helpers"), [({}, 0), ({"OPENBLAS_NUM_THREADS": "2"}, 1)])
def test_numpy_wakes_no_helpers_unless_people_say_otherwise(said, helpers):
    known = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    program = (
        "import os; from cdrl_cli.processors import spare_helpers; spare_helpers(); "
        "import numpy; print(len(os.listdir('/proc/self/task')) - 1)"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=known | said, capture_output=True, check=True)
    assert int(done.stdout) == min(helpers, usable_cores() - 1)


@pytest.mark.skipif(platform.system() != "Linux", reason="a class of Linux's scheduler")
@pytest.mark.parametrize(("chosen", "then"), [("SCHED_OTHER", "SCHED_BATCH"), ("SCHED_IDLE",) * 2])
def test_an_edit_works_in_batches_unless_people_chose_another_class(chosen, then):
    program = (
        "import os, sys; from threading import Thread; "
        "from cdrl_cli.processors import settle_process; "
        "os.sched_setscheduler(0, getattr(os, sys.argv[1]), os.sched_param(0)); settle_process(); "
        "Thread(target=lambda: print(os.sched_getscheduler(0))).start()"
    )
    command = [sys.executable, "-c", program, chosen]
    done = subprocess.run(command, capture_output=True, check=True)
    assert int(done.stdout) == getattr(os, then)


def test_no_garbage_is_sought_among_what_was_loaded():
    try:
        with loading():
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()


@pytest.mark.skipif(platform.system() != "Linux", reason="other systems have other classes")
def test_a_library_that_reschedules_threads_changes_nothing():
    before = os.sched_getscheduler(0)
    other = os.SCHED_OTHER if before == os.SCHED_BATCH else os.SCHED_BATCH
    over, ready = threading.Event(), threading.Event()

    def work():
        ready.set()
        over.wait()

    with keep_scheduling():
        os.sched_setscheduler(0, other, os.sched_param(0))
        thread = threading.Thread(target=work)
        thread.start()
        ready.wait()
        assert os.sched_getscheduler(thread.native_id) == other
    found = os.sched_getscheduler(0), os.sched_getscheduler(thread.native_id)
    over.set()
    thread.join()
    assert found == (before, before)


def test_where_classes_cannot_be_asked_for_nothing_is_kept(monkeypatch):
    def refuse(_: int) -> int:
        raise OSError(errno.ENOSYS, "no such call")

    monkeypatch.setattr(os, "sched_getparam", refuse, raising=False)
    with keep_scheduling():
        done = True
    assert done


@pytest.mark.skipif(platform.system() != "Linux", reason="other systems have other classes")
@pytest.mark.parametrize(
    "codec", [name for name, encoder in ENCODERS.items() if not encoder.is_hardware]
)
def test_no_encoder_takes_the_machine_for_itself(tmp_path, codec):
    source = make_clip(tmp_path / "a.mp4", Clip(frames=3, audio=()))
    with (
        open_video(source) as video,
        VideoWriter(tmp_path / "b.mkv", like=video.info, codec=codec) as writer,
    ):
        for frame in video:
            writer.write(frame)
        classes = set()
        for folder in Path("/proc/self/task").iterdir():
            with suppress(ProcessLookupError):  # it has just ended
                classes.add(os.sched_getscheduler(int(folder.name)))
    assert classes <= {os.SCHED_OTHER, os.SCHED_BATCH}
