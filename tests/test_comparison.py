from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from clips import ROTATIONS, Clip, make_clip

from cdrl_cli.comparison import name_comparison, write_comparison
from cdrl_cli.errors import PolicyError, UsageError
from cdrl_cli.media import open_video, probe_video
from cdrl_cli.media.side_by_side import PairPainter

F = Fraction


def read(path):
    with open_video(path) as video:
        return video.info, list(video)


def test_names_lie_beside_the_output():
    assert name_comparison("side", Path("a/out.mp4")) == ("side", Path("a/out.side.mp4"))
    assert name_comparison("both.mkv", Path("out.mp4")) == ("side", Path("both.mkv"))
    with pytest.raises(UsageError, match="no name to put it beside"):
        name_comparison("wipe", Path("-"))
    with pytest.raises(UsageError, match="not compared by 'diagonal'"):
        name_comparison("diagonal", Path("out.mp4"))


def test_both_stand_side_by_side_with_the_sound_at_the_same_times(short, tmp_path):
    count = write_comparison(short, short, tmp_path / "both.mp4")
    info, frames = read(tmp_path / "both.mp4")
    _, source = read(short)
    assert count == len(frames) == len(source) == 10
    assert (info.width, info.height) == (1280, 360)
    assert [frame.time for frame in frames] == [frame.time for frame in source]
    assert {stream.kind for stream in info.streams} == {"video", "audio"}
    shown = frames[5].rgb().astype(int)
    assert np.abs(shown[:, :640] - source[5].rgb()).mean() < 4
    assert np.abs(shown[:, 640:] - source[5].rgb()).mean() < 4
    with pytest.raises(PolicyError, match="exists already"):
        write_comparison(short, short, tmp_path / "both.mp4")


def test_the_line_wanders_from_before_to_after(tmp_path):
    def grey(level):
        return lambda *size: np.full((size[2], size[1], 3), level, np.uint8)

    paths = [
        make_clip(tmp_path / f"{level}.mp4", Clip(paint=grey(level), frames=60))
        for level in (40, 200)
    ]
    write_comparison(*paths, tmp_path / "wipe.mp4", layout="wipe")
    _, frames = read(tmp_path / "wipe.mp4")
    assert frames[0].rgb().mean() == pytest.approx(200, abs=6)
    assert frames[25].rgb()[:, :40].mean() == pytest.approx(40, abs=8)
    assert frames[25].rgb()[:, -40:].mean() == pytest.approx(200, abs=8)
    assert frames[50].rgb()[:, :-8].mean() == pytest.approx(40, abs=6)


def test_turned_and_stretched_videos_stand_upright_with_square_pixels(tmp_path):
    path = make_clip(
        tmp_path / "a.mp4",
        Clip(matrix=ROTATIONS[90, False], context={"sample_aspect_ratio": F(4, 3)}),
    )
    info = probe_video(path)
    painter = PairPainter(info, "side")
    with open_video(path) as video:
        frame = next(iter(video))
    painted = painter.paint(frame, frame)
    assert (painted.width, painted.height) == (painter.info.width, painter.info.height)
    picture = frame.picture(200)
    assert painted.height / (painted.width / 2) == pytest.approx(
        picture.shape[0] / picture.shape[1], rel=0.05
    )


def test_what_is_no_edit_of_the_source_is_refused(short, tmp_path):
    other = make_clip(tmp_path / "other.mp4", replace(Clip(), frames=5))
    with pytest.raises(UsageError, match="its frames are not those of"):
        write_comparison(short, other, tmp_path / "both.mp4")
    assert not (tmp_path / "both.mp4").exists()
