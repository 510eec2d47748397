"""Every kind of side data is kept, told, or listed as harmless."""

from pathlib import Path

import av
import av.packet
import pytest
from av.sidedata.sidedata import Type
from clips import BT2020_PQ, HDR10_X265, Clip, make_clip

from cdrl_cli.media import VideoWriter, open_video, probe_video
from cdrl_cli.media.sidedata import (
    CAPTIONS,
    HARMLESS,
    KEPT,
    LOST,
    PACKET_KINDS,
    side_data_kinds,
)

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("kind", list(Type), ids=lambda kind: kind.name)
def test_every_kind_of_frames_has_one_fate(kind, tmp_path):
    assert sum(kind in table for table in (KEPT, HARMLESS, LOST)) == 1
    source = make_clip(tmp_path / "a.mp4", Clip(frames=2, audio=()))
    for codec, suffix in (("h264", "mp4"), ("vp9", "webm")):
        with VideoWriter(tmp_path / f"b.{suffix}", like=probe_video(source), codec=codec) as writer:
            writer.note_side_data([kind])
        if kind in LOST:
            assert writer.warnings == (f"left out: {LOST[kind]}",)
        elif kind is Type.A53_CC and codec == "vp9":
            assert writer.warnings == (f"left out: {CAPTIONS}",)
        else:
            assert writer.warnings == ()


def test_every_kind_of_packets_has_its_place():
    known = set()
    for number in range(200):
        try:
            known.add(av.packet.packet_sidedata_type_to_literal(number))
        except (ValueError, IndexError, KeyError):
            break
    assert len(known) >= 40
    assert known <= set(PACKET_KINDS)


def test_the_documents_name_what_is_lost():
    text = (ROOT / "docs" / "operations.md").read_text().lower()
    for words in ("hdr10+", "hdr vivid", "dolby vision", "icc profile", "stereo 3d",
                  "spherical", "ambient viewing environment", "frame timecodes"):  # fmt: skip
        assert words in text


def with_captions(source: Path, output: Path) -> Path:
    """A copy whose pictures carry closed captions (ATSC A/53, CEA-608)."""
    captions = b"\xb5\x00\x31GA94\x03" + bytes([0x40 | 1, 0xFF]) + b"\xfc\x94\x2c" + b"\xff"
    unit = b"\x06\x04" + bytes([len(captions)]) + captions + b"\x80"
    with av.open(str(source)) as read, av.open(str(output), "w") as written:
        stream = read.streams.video[0]
        target = written.add_stream_from_template(stream)
        for packet in read.demux(stream):
            if packet.dts is None:
                continue
            copy = av.Packet(len(unit).to_bytes(4, "big") + unit + bytes(packet))
            copy.pts, copy.dts, copy.duration = packet.pts, packet.dts, packet.duration
            copy.time_base, copy.is_keyframe = packet.time_base, packet.is_keyframe
            copy.stream = target
            written.mux(copy)
    return output


def kinds_of(path: Path) -> set[Type]:
    with av.open(str(path)) as container:
        return set().union(*map(side_data_kinds, container.decode(video=0)))


@pytest.mark.parametrize(
    ("codec", "suffix"), [("h264", "mp4"), ("hevc", "mp4"), ("vp9", "webm"), ("av1", "mkv")]
)
def test_captions_are_kept_or_named(tmp_path, codec, suffix):
    plain = make_clip(tmp_path / "a.mp4", Clip(frames=5, audio=()))
    source = with_captions(plain, tmp_path / "b.mp4")
    assert Type.A53_CC in kinds_of(source)
    output = tmp_path / f"c.{suffix}"
    with (
        open_video(source) as video,
        VideoWriter(output, like=video.info, copy_from=source, codec=codec) as writer,
    ):
        for frame in video:
            writer.write(frame)
        writer.note_side_data(video.side_data)
    is_told = f"left out: {CAPTIONS}" in writer.warnings
    assert (Type.A53_CC in kinds_of(output)) != is_told


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_light_is_kept_by_those_that_claim_it(tmp_path, codec):
    source = make_clip(
        tmp_path / "a.mp4",
        Clip(codec="libx265", pixel_format="yuv420p10le", frames=3, audio=(), context=BT2020_PQ,
             options={"preset": "ultrafast", "x265-params": HDR10_X265}),
    )  # fmt: skip
    output = tmp_path / "b.mp4"
    with (
        open_video(source) as video,
        VideoWriter(output, like=video.info, copy_from=source, codec=codec) as writer,
    ):
        for frame in video:
            writer.write(frame)
    assert writer.warnings == ()
    wanted = {Type.MASTERING_DISPLAY_METADATA, Type.CONTENT_LIGHT_LEVEL}
    assert wanted <= kinds_of(output)
