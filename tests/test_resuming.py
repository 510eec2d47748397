"""Edits that were stopped and go on: what comes out is what one that was not stopped makes."""

import json
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from slow_clips import slow_down

from cdrl_cli.editing import EditOptions, edit_video
from cdrl_cli.errors import PolicyError
from cdrl_cli.face.landmarks import Face
from cdrl_cli.face.numbering import Numbering
from cdrl_cli.face.tracking import TrackedFace, TrackedFrame
from cdrl_cli.media.encoder import ENCODERS
from cdrl_cli.media.segments import SegmentStore, leftovers
from cdrl_cli.planning import plan_edit, room_for_segments
from pictures import ArrayFrame


def face_at(x):
    """A face twenty pixels wide."""
    points = np.zeros((478, 3), np.float32)
    points[:, 0] = np.linspace(x, x + 20, 478)
    return Face(points, np.zeros(52, np.float32))


class Stopped(BaseException):
    """The process would have been killed here."""


def packets(path):
    with av.open(str(path)) as container:
        return [(bytes(each), each.pts, each.dts, each.duration) for each in container.demux()]


@pytest.fixture(scope="module")
def film(clips, tmp_path_factory):
    """15 frames in 96 seconds: four segments."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return slow_down(clips / "single_face.mp4", path, frames=15, times=180)


OPTIONS = EditOptions(emotion="happy", neutralise=True, preset="ultrafast", resume=True)
"""What is found out about a face when it is met counts to its last frame."""


@pytest.fixture(scope="module")
def whole(models, film, tmp_path_factory):
    """The edit that was not stopped."""
    path = tmp_path_factory.mktemp("whole") / "whole.mp4"
    result = edit_video(film, path, OPTIONS, models=models)
    assert [each.name for each in path.parent.iterdir()] == ["whole.mp4"]
    return result


def test_an_edit_that_was_stopped_three_times_comes_out_the_same(models, film, whole, tmp_path):
    resumed = tmp_path / "resumed.mp4"

    def stop_at(frame):
        def report(progress):
            if progress.frames_done == frame:
                raise Stopped

        return report

    begun = []
    for frame in (2, 8, 13):
        with pytest.raises(Stopped):
            edit_video(film, resumed, OPTIONS, models=models, progress=stop_at(frame))
        assert not resumed.exists()
        (folder,) = leftovers(resumed)
        begun.append(len(list(folder.glob("*.json"))))
    assert begun == [0, 1, 2]
    again = edit_video(film, resumed, OPTIONS, models=models)
    assert packets(resumed) == packets(whole.output)
    assert (again.frames, again.edited_frames, again.faces) == (15, whole.edited_frames, 1)
    assert again.schedule == whole.schedule
    assert [path.name for path in tmp_path.iterdir()] == ["resumed.mp4"]


def test_other_options_begin_afresh_and_say_so(models, film, tmp_path):
    def stop(_progress):
        raise Stopped

    output = tmp_path / "out.mp4"
    with pytest.raises(Stopped):
        edit_video(film, output, OPTIONS, models=models, progress=stop)
    other = replace(OPTIONS, end=Fraction(40), copy_untouched="never")
    with pytest.raises(Stopped):
        edit_video(film, output, other, models=models, progress=stop)
    (folder,) = leftovers(output)
    store = SegmentStore(output, folder.name.split(".")[-2])
    with pytest.raises(PolicyError, match="another process is at this very edit"):
        edit_video(film, output, other, models=models)
    store.close()
    with pytest.raises(Stopped):
        edit_video(film, output, OPTIONS, models=models, progress=stop)
    assert len(leftovers(output)) == 1


def test_a_version_that_encodes_otherwise_begins_afresh(models, film, tmp_path, monkeypatch):
    def stop(progress):
        if progress.frames_done == 8:
            raise Stopped

    output, quiet = tmp_path / "out.mp4", replace(OPTIONS, preset=None)
    other = replace(ENCODERS["h264"], default_params="ref=5")
    monkeypatch.setitem(ENCODERS, "h264", other)
    with pytest.raises(Stopped):
        edit_video(film, output, quiet, models=models, progress=stop)
    assert plan_edit(film, output, quiet, models=models).segments_done == 1
    monkeypatch.undo()
    assert plan_edit(film, output, quiet, models=models).segments_done == 0
    again = edit_video(film, output, quiet, models=models)
    assert "or of another version had begun was removed" in "".join(again.warnings)
    with av.open(str(output)) as container:
        assert len(list(container.decode(video=0))) == 15


def test_a_plan_finds_what_an_edit_between_copied_packets_has_done(models, clips, tmp_path):
    def stop(progress):
        if progress.frames_done == 20:
            raise Stopped

    film = slow_down(
        clips / "single_face.mp4", tmp_path / "film.mp4", frames=13, times=180, repeats=2
    )
    output, late = tmp_path / "out.mp4", replace(OPTIONS, start=Fraction(100), preset=None)
    with pytest.raises(Stopped):
        edit_video(film, output, late, models=models, progress=stop)
    plan = plan_edit(film, output, late, models=models)
    assert plan.copied_frames > 0
    assert plan.segments_done == 1


def test_a_plan_tells_what_an_edit_would_do_and_writes_nothing(models, film, whole, tmp_path):
    output = tmp_path / "out.mp4"
    plan = plan_edit(film, output, OPTIONS, models=models)
    assert not list(tmp_path.iterdir())
    assert (plan.frames, plan.frames_in_range, plan.encoded_frames, plan.copied_frames) == (
        15,
        15,
        15,
        0,
    )
    assert (plan.tried_frames, plan.edited_frames, plan.faces) == (15, 15, 1)
    assert (plan.segments, plan.segments_done) == (4, 0)
    real = whole.output.stat().st_size
    assert 0.5 * real < plan.output_bytes < 2 * real
    assert plan.output_bytes < plan.disk_bytes < 3 * real
    needed, free = room_for_segments(film, output, OPTIONS)
    assert 0.5 * plan.disk_bytes < needed < 2 * plan.disk_bytes
    assert free > 0


def test_faces_keep_their_numbers_from_segment_to_segment():
    def frame(index, *faces):
        return TrackedFrame(
            ArrayFrame(np.zeros((9, 16, 3), np.uint8), index, Fraction(index, 25)),
            tuple(
                TrackedFace(number, face_at(x), np.zeros((1, 52), np.float32), np.zeros(1), 1.0)
                for number, x in faces
            ),
            starts_shot=False,
        )

    first = Numbering()
    assert [
        [face.number for face in one.faces]
        for one in first.follow([frame(0, (1, 20)), frame(1, (1, 20), (2, 60))])
    ] == [[1], [1, 2]]
    told = json.loads(json.dumps(first.state()))
    second = Numbering(told)
    frames = [frame(1, (1, 61), (2, 21)), frame(2, (1, 61), (2, 21), (3, 80))]
    assert [[face.number for face in one.faces] for one in second.follow(frames)] == [
        [2, 1],
        [2, 1, 3],
    ]
