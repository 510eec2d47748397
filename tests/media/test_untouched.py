"""An edit of a part of a video: what lies outside is the source's, packet for packet."""

from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from clips import Audio, Clip, make_clip
from media.contract import main_index, paint_ellipse, read_packets, read_video

from cdrl_cli.media import VideoWriter, open_video
from cdrl_cli.media.encoding import Encoding
from cdrl_cli.media.splicing import Splice
from cdrl_cli.media.untouched import find_splice

X264 = {"preset": "medium", "g": "12", "bf": "2"}
LONG = Clip(frames=60, options=X264, audio=(Audio(),))
START, END = Fraction(27, 25), Fraction(30, 25)


def packets_of(path):
    with av.open(str(path)) as container:
        return [
            (bytes(each), each.pts * each.time_base, (each.dts or 0) * each.time_base)
            for each in container.demux(container.streams[main_index(path)])
            if each.size
        ]


def edit(source, output, *, start=START, end=END, **options):
    """Paint into a part; what is outside is copied if that is proven."""
    with open_video(source) as video:
        encoding = Encoding(output, options.get("codec"), None, options.get("preset"))
        splice = find_splice(video.info, encoding, start=start, end=end)
        if not isinstance(splice, Splice):
            return splice
        part = splice.timeline.part(splice.begin_time, splice.end_time)
        with VideoWriter(
            output, like=video.info, copy_from=source, splice=splice, **options
        ) as writer:
            for frame in video.frames_of(part):
                is_wanted = (start or 0) <= frame.time and (end is None or frame.time < end)
                writer.write(paint_ellipse(frame) if is_wanted else frame)
    return splice


KINDS = {
    "ordinary.mp4": (LONG, ".mp4"),
    "to-mkv.mp4": (LONG, ".mkv"),
    "to-mov.mkv": (LONG, ".mov"),
    "ordinary.mkv": (LONG, ".mkv"),
    "no-b-frames.mp4": (replace(LONG, options=X264 | {"bf": "0"}), ".mp4"),
    "no-pyramid.mp4": (replace(LONG, options=X264 | {"b-pyramid": "none"}), ".mp4"),
    "main.mp4": (replace(LONG, options=X264 | {"profile": "main"}), ".mp4"),
    "baseline.mp4": (replace(LONG, options=X264 | {"profile": "baseline", "bf": "0"}), ".mp4"),
    "full-range.mp4": (replace(LONG, pixel_format="yuvj420p"), ".mp4"),
    "4-2-2.mp4": (replace(LONG, pixel_format="yuv422p"), ".mp4"),
    "late.mp4": (replace(LONG, start=Fraction(20)), ".mp4"),
    "turned.mp4": (replace(LONG, matrix=(0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)), ".mp4"),
    "variable.mp4": (
        replace(
            LONG,
            times=[Fraction(n * 40 + n % 3 * 7, 1000) for n in range(60)],
            time_base=Fraction(1, 1000),
        ),
        ".mp4",
    ),
    "vp9.webm": (
        replace(
            LONG,
            codec="libvpx-vp9",
            options={"deadline": "good", "cpu-used": "5", "g": "12", "auto-alt-ref": "1"},
            audio=(Audio("libopus"),),
        ),
        ".webm",
    ),
    "ffv1.mkv": (
        replace(LONG, codec="ffv1", options={"level": "3", "slicecrc": "1"}),
        ".mkv",
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_what_is_outside_is_copied_and_every_frame_decodes(name, tmp_path):
    clip, suffix = KINDS[name]
    source = make_clip(tmp_path / name, clip)
    start, end = START + clip.start, END + clip.start
    codec = "ffv1" if clip.codec == "ffv1" else None
    splice = edit(source, tmp_path / f"out{suffix}", start=start, end=end, codec=codec)
    assert isinstance(splice, Splice), splice
    assert 0 < splice.copied < 60
    before, after = read_video(source), read_video(tmp_path / f"out{suffix}")
    assert len(after.times) == 60
    assert all(
        abs(a - b) <= Fraction(1, 1000) for a, b in zip(after.times, before.times, strict=True)
    )
    changed = [
        not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
        for one, other in zip(before.planes, after.planes, strict=True)
    ]
    held = [splice.holds(time) for time in before.times]
    assert sum(held) == 60 - splice.copied
    assert not any(
        is_changed for is_changed, is_held in zip(changed, held, strict=True) if not is_held
    )
    assert any(changed)
    packets, own = packets_of(tmp_path / f"out{suffix}"), packets_of(source)
    assert len(packets) == 60
    assert sum(one[0] == other[0] for one, other in zip(packets, own, strict=True)) >= splice.copied
    if suffix == source.suffix == ".mp4":
        assert sorted(one[1] for one in packets) == sorted(one[1] for one in own)
        assert [one[2] for one in packets] == [one[2] for one in own]
        assert read_packets(tmp_path / "out.mp4") == read_packets(source)


REFUSED = {
    "mpeg4.mp4": (replace(LONG, codec="mpeg4", options={"g": "12"}), ".mp4", "it is mpeg4"),
    "h264.ts": (LONG, ".mp4", "parameter sets are not all in its header"),
    "hevc.mp4": (
        replace(LONG, codec="libx265", options={"x265-params": "keyint=12:log-level=error"}),
        ".mp4",
        "it is hevc, and the output h264",
    ),
    "interlaced.mp4": (
        replace(LONG, options=X264 | {"x264-params": "tff=1", "flags": "+ildct"}),
        ".mp4",
        "it is interlaced",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_copied_is_named(name, tmp_path):
    clip, suffix, why = REFUSED[name]
    found = edit(make_clip(tmp_path / name, clip), tmp_path / f"out{suffix}")
    assert isinstance(found, str)
    assert why in found


@pytest.mark.parametrize("x265_copy", ["hevc"])
def test_parameters_that_differ_fail_the_trial(tmp_path, x265_copy):
    clip = replace(
        LONG, codec="libx265", options={"x265-params": "keyint=12:open-gop=0:log-level=error"}
    )
    found = edit(make_clip(tmp_path / "a.mp4", clip), tmp_path / "out.mp4", codec=x265_copy)
    assert "the encoder's parameters are not those of the source" in found


def test_one_group_of_pictures_is_encoded_whole(tmp_path):
    source = make_clip(tmp_path / "a.mp4", replace(LONG, options=X264 | {"g": "250"}))
    assert edit(source, tmp_path / "out.mp4") is None
    assert edit(source, tmp_path / "out.mp4", start=Fraction(99), end=None) is None


def test_a_trial_notices_pictures_that_come_out_otherwise(tmp_path, monkeypatch):
    source = make_clip(tmp_path / "a.mp4", LONG)
    # As if the source's parameter sets got lost.
    monkeypatch.setattr(Splice, "header", lambda _splice, of_encoder: of_encoder)
    assert "trial of the joins" in edit(source, tmp_path / "out.mp4")
