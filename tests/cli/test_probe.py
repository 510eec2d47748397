import json
from fractions import Fraction
from pathlib import Path

import pytest

from cdrl_cli import inspection
from cdrl_cli.cli.app import run
from cdrl_cli.inspection import FaceSpan, Inspection
from cdrl_cli.media.frames import ColorTags, StreamInfo, VideoInfo

FOUND = Inspection(
    info=VideoInfo(
        path=Path("talk.mp4"),
        container="mov,mp4,m4a,3gp,3g2,mj2",
        width=1080,
        height=1920,
        rotation_deg=90,
        mirrored=False,
        sample_aspect=Fraction(1),
        frame_rate=Fraction(30000, 1001),
        time_base=Fraction(1, 30000),
        duration=Fraction(1001, 100),
        frame_count=300,
        codec="h264",
        pixel_format="yuv420p",
        bit_depth=8,
        color=ColorTags("bt709", "bt709", "bt709", full_range=False),
        streams=(
            StreamInfo(0, "video", "h264", None, None),
            StreamInfo(1, "audio", "aac", "eng", "Stereo"),
        ),
        chapters=0,
    ),
    frames=300,
    faces=(
        FaceSpan(1, Fraction(0), Fraction(10), 300, 231.5, largest=True, editable_frames=290),
        FaceSpan(2, Fraction(5), Fraction(10), 150, 64.0, largest=False, editable_frames=0),
    ),
    shots=(Fraction(0), Fraction(5)),
    warnings=("the last frame is damaged",),
)


@pytest.fixture(autouse=True)
def _found(monkeypatch):
    def inspect_video(source, *, progress=None, video_stream=None):
        assert source == Path("talk.mp4")
        return FOUND

    monkeypatch.setattr(inspection, "inspect_video", inspect_video)


def test_a_person_reads_streams_faces_and_shots(capsys):
    assert run(["probe", "talk.mp4"]) == 0
    out, err = capsys.readouterr()
    assert err == "warning: the last frame is damaged\n"
    lines = out.splitlines()
    assert "picture   1080x1920, 29.970 fps,  0:10.010" in lines
    assert "rotation  90 degrees clockwise" in lines
    assert "stream 1  audio aac eng Stereo" in lines
    assert "shots     2:  0:00.000,  0:05.000" in lines
    assert lines[-2].split() == "1 0:00.000 0:10.000 300 (100%) 290 232 px largest".split()
    assert lines[-1].split() == "2 0:05.000 0:10.000 150 ( 50%) 0 64 px".split()


def test_json_gives_times_as_numbers_and_rates_as_ratios(capsys):
    assert run(["probe", "talk.mp4", "--json", "--quiet"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"info", "frames", "faces", "shots", "warnings"}
    assert found["shots"] == [0.0, 5.0]
    assert found["info"]["frame_rate"] == "30000/1001"
    assert found["info"]["duration"] == 10.01
    assert found["info"]["path"] == "talk.mp4"
    assert found["info"]["streams"][1]["language"] == "eng"
    assert found["faces"][0] == {
        "number": 1,
        "first": 0.0,
        "last": 10.0,
        "frames": 300,
        "median_width_px": 231.5,
        "largest": True,
        "editable_frames": 290,
    }
