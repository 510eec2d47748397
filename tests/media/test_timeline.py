from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from clips import Clip, make_clip
from media.contract import copy_planes

from cdrl_cli.media import open_video
from cdrl_cli.media.timeline import read_timeline

LONG = Clip(frames=60, options={"preset": "ultrafast", "bf": "2", "g": "12"}, audio=())


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    return make_clip(tmp_path_factory.mktemp("timeline") / "long.mp4", LONG)


def numbered(frames):
    return [(frame.index, frame.time, copy_planes(frame.for_encoder())) for frame in frames]


def same(one, other):
    assert [each[:2] for each in one] == [each[:2] for each in other]
    for (*_, planes), (*_, others) in zip(one, other, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(planes, others, strict=True))


def test_key_frames_are_found_with_their_place_and_their_time(long):
    timeline = read_timeline(long)
    assert [entry.number for entry in timeline.entries] == [0, 12, 24, 36, 48]
    assert [timeline.time(entry.shown) for entry in timeline.entries][1] == Fraction(12, 25)
    assert all(entry.is_closed for entry in timeline.entries)
    assert len(timeline.shown) == len(timeline.decoded) == 60
    assert timeline.number_at(Fraction(12, 25)) == 12
    assert timeline.number_at(Fraction(12, 25) + Fraction(1, 1000)) == 13


X265 = "keyint=12:min-keyint=12:log-level=error"
KINDS = {
    "ordinary.mp4": LONG,
    "ordinary.mkv": LONG,
    "ordinary.ts": LONG,
    "late.mkv": replace(LONG, start=Fraction(20)),
    "hevc.mkv": replace(
        LONG,
        codec="libx265",
        options={"preset": "ultrafast", "x265-params": X265},
    ),
    "vp9.webm": replace(LONG, codec="libvpx-vp9", options={"deadline": "realtime", "g": "12"}),
    "mpeg4.avi": replace(LONG, codec="mpeg4", options={"g": "12", "bf": "2"}),
    "mpeg2.ts": replace(LONG, codec="mpeg2video", options={"g": "12", "bf": "2"}),
    "variable.mkv": replace(
        LONG,
        times=[Fraction(n * 40 + n % 3 * 7, 1000) for n in range(60)],
        time_base=Fraction(1, 1000),
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_part_is_what_the_whole_shows_there(name, tmp_path):
    path = make_clip(tmp_path / name, KINDS[name])
    with open_video(path) as video:
        whole = numbered(video)
    timeline = read_timeline(path)
    assert timeline is not None
    begin, end = whole[29][1], whole[41][1]
    part = timeline.part(begin, end)
    with open_video(path) as video:
        same(numbered(video.frames_of(part)), whole[29:41])
    assert part.entry.packet > 0
    with open_video(path) as video:
        same(numbered(video.frames_of(timeline.part(whole[50][1], None))), whole[50:])


def test_times_that_are_not_in_order_make_no_timeline(tmp_path):
    path = make_clip(tmp_path / "joined.ts", replace(LONG, frames=12))
    path.write_bytes(path.read_bytes() * 2)
    assert read_timeline(path) is None


def test_a_key_frame_of_h264_that_others_reach_across_is_no_entry(tmp_path):
    options = LONG.options | {"x264-params": "open-gop=1:bframes=2:keyint=12:min-keyint=12"}
    path = make_clip(tmp_path / "open.mkv", replace(LONG, options=options))
    with av.open(str(path)) as container:
        assert sum(packet.is_keyframe for packet in container.demux(video=0)) > 1
    assert len(read_timeline(path).entries) == 1
