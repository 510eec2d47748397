"""A second of a long film is edited in seconds, and the rest of it is left as it is."""

from fractions import Fraction

import av
import numpy as np
import pytest
from slow_clips import slow_down

from .conftest import edit_clip, frame_times

REPEATS = 250
"""Of 72 frames at 30 a second: ten minutes."""


def packets(path):
    with av.open(str(path)) as container:
        return [(bytes(each), each.pts, each.dts) for each in container.demux(video=0) if each.size]


def pictures(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray() for frame in container.decode(video=0)]


@pytest.fixture(scope="module")
def film(clips, tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return slow_down(clips / "single_face.mp4", path, frames=72, times=1, repeats=REPEATS)


def test_a_second_of_ten_minutes_takes_seconds(film, tmp_path):
    words = ["--emotion", "happy", "--start", 300, "--end", 301]
    edit = edit_clip(film, tmp_path / "out.mp4", *words)
    assert edit.report["frames"] == 72 * REPEATS
    assert edit.report["copied_frames"] >= 72 * (REPEATS - 2)
    assert edit.report["warnings"] == []
    # Tracking and encoding all of it would take some minutes.
    assert edit.report["elapsed_s"] < 40
    before, after = packets(film), packets(edit.output)
    assert sorted(one[1] for one in before) == sorted(one[1] for one in after)
    assert [one[2] for one in before] == [one[2] for one in after]
    same = sum(one[0] == other[0] for one, other in zip(before, after, strict=True))
    assert same == edit.report["copied_frames"]


@pytest.mark.ffmpeg
def test_ffmpeg_decodes_every_frame_of_it(film, tmp_path):
    words = ["--emotion", "happy", "--start", 5, "--end", 6, "--preset", "ultrafast"]
    edit = edit_clip(film, tmp_path / "out.mkv", *words)
    times = frame_times(edit.output)
    assert len(times) == 72 * REPEATS
    exact = frame_times(film)
    assert max(abs(a - b) for a, b in zip(times, exact, strict=True)) <= Fraction(1, 1000)


def test_the_edited_part_is_the_same_whether_or_not_the_rest_is_copied(clips, tmp_path):
    source = tmp_path / "source.mkv"
    with av.open(str(clips / "single_face.mp4")) as read, av.open(str(source), "w") as written:
        target = written.add_stream("ffv1", rate=30)
        target.width, target.height, target.pix_fmt = 640, 360, "yuv420p"
        target.options = {"level": "3", "slicecrc": "1"}
        frames = list(read.decode(video=0))
        for number, frame in enumerate([*frames, *frames[::-1], *frames]):
            frame.pts, frame.time_base, frame.pict_type = number, Fraction(1, 30), 0
            written.mux(target.encode(frame))
        written.mux(target.encode(None))
    words = ["--emotion", "happy", "--codec", "ffv1", "--start", 4, "--end", 5]
    auto = edit_clip(source, tmp_path / "auto.mkv", *words)
    never = edit_clip(source, tmp_path / "never.mkv", *words, "--copy-untouched", "never")
    assert (auto.report["copied_frames"], never.report["copied_frames"]) == (180, 0)
    one, other = pictures(auto.output), pictures(never.output)
    assert len(one) == len(other) == 216
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    changed = [not np.array_equal(a, b) for a, b in zip(one, pictures(source), strict=True)]
    assert auto.report["edited_frames"] - 2 <= sum(changed) <= auto.report["edited_frames"]
    assert not any(changed[:120])
    assert not any(changed[150:])
