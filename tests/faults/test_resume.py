"""An edit that is killed again and again, and goes on each time."""

import os
import random
import subprocess
import time

import av
import pytest
from slow_clips import slow_down

from .conftest import LIMIT_S, Spfem, count

KILLS = int(os.environ.get("SPFEM_KILLS", "20"))


def packets(path):
    with av.open(str(path)) as container:
        return [(bytes(each), each.pts, each.dts, each.duration) for each in container.demux()]


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_an_edit_killed_twenty_times_is_the_one_that_was_not(clips, spfem: Spfem):
    film = slow_down(
        clips / "single_face.mp4", spfem.folder / "film.mp4", frames=72, times=135, repeats=6
    )
    words = ["edit", "film.mp4", "-e", "happy", "--neutralise", "--resume"]
    assert spfem(*words, "-o", "whole.mp4").returncode == 0
    moments = random.Random(18)
    killed, finished = 0, set[int]()
    end_s = time.monotonic() + 60 * LIMIT_S
    while killed < KILLS:
        assert time.monotonic() < end_s
        before = set(spfem.folder.glob(".out.mp4.*.resume/*"))
        running = spfem.start(*words, "-o", "out.mp4")
        if moments.random() < 0.7:  # else while it starts
            while running.poll() is None and set(
                spfem.folder.glob(".out.mp4.*.resume/*")
            ) <= before | {path.with_suffix(".part") for path in before}:
                time.sleep(0.01)
        try:
            running.wait(moments.uniform(0, 0.8))
        except subprocess.TimeoutExpired:
            running.kill()
        _, err = running.communicate()
        assert running.returncode == -9, (killed, err)
        killed += 1
        finished.add(len(list(spfem.folder.glob(".out.mp4.*.resume/*.json"))))
        assert not (spfem.folder / "out.mp4").exists()
    done = spfem(*words, "-o", "out.mp4")
    assert done.returncode == 0, done.stderr
    assert packets(spfem.folder / "out.mp4") == packets(spfem.folder / "whole.mp4")
    assert spfem.visible() == {film.name, "whole.mp4", "out.mp4"}
    count(f"killed, with up to {max(finished)} segments finished, and resumed", killed)
