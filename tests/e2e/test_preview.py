"""``spfem preview`` shows the frames that ``spfem edit`` writes."""

import json
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np

from cdrl_cli.edit_options import EditOptions
from cdrl_cli.media import open_video
from cdrl_cli.preview import preview_edits

from .conftest import edit_clip, spfem

F = Fraction


def check_same(moments, edited, place=0, *, within=0.0):
    """``within``: of the change that the edit makes, in the mean."""
    with open_video(edited) as video:
        for moment in moments:
            frame = next(iter(video.frames_from(moment.time - F(1, 1000))))
            assert abs(frame.time - moment.time) <= F(1, 1000)  # Matroska counts milliseconds
            written = frame.rgb().astype(int)
            change = np.abs(written - moment.source.rgb())
            assert change.max() > 30
            off = np.abs(written - moment.edited[place].rgb())
            assert off.mean() <= within * change.mean()


def test_frames_by_reference_are_those_of_the_edit(lossless, clips, models):
    edits = [EditOptions(reference=clips / "joy.mp4"), EditOptions(emotion="sad")]
    moments = list(preview_edits(lossless.source, edits, models, times=[F(1, 2), F(2)]))
    assert [moment.time for moment in moments] == [F(1, 2), F(2)]
    check_same(moments, lossless.output)


def test_frames_by_label_are_those_of_the_edit(clips, tmp_path, models):
    source = clips / "WolfgangLanger_Pexels.mp4"
    words = ["-e", "happy", "--start", "6", "--end", "11", "--codec", "ffv1"]
    edit = edit_clip(source, tmp_path / "out.mkv", *words)
    part = EditOptions(emotion="happy", start=F(6), end=F(11))
    edits = [part, replace(part, intensity=2.0)]
    check_same(list(preview_edits(source, edits, models, moments=2)), edit.output, within=0.1)


def test_the_command_writes_one_picture(clips, tmp_path):
    words = ["preview", clips / "single_face.mp4", "-e", "joy,sad", "--at", "1.5"]
    done = spfem(*words, "--json", "-o", "sheet.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["edits"] == ["happy", "sad"]
    assert said["moments"] == [{"time": 1.5, "untouched": [None, None]}]
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]
    assert cv2.imread(str(tmp_path / "sheet.png")).shape[1] > 3 * 200
    again = spfem(*words, "-o", "sheet.png", cwd=tmp_path)
    assert again.returncode == 6, again.stderr


def test_a_clip_without_a_face_shows_none(clips, tmp_path):
    done = spfem("preview", clips / "no_face.mp4", "-e", "happy", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert "no face can be edited at" in done.stderr
    assert not list(tmp_path.iterdir())
