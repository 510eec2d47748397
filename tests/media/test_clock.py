"""Files whose own clock jumps, wraps, starts late or below 0."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest
from clips import Audio, Clip, make_clip

from cdrl_cli.media import open_video
from cdrl_cli.media.clock import Clock

from .contract import edit_clip, read_packets, read_video

F = Fraction
ZERO = F(0)
WRAP_S = F(2**33, 90_000)
CLIP = Clip(frames=25, audio=(Audio(codec="mp2"),))


def copy_packets(source: Path, output: Path, offset: Fraction = ZERO) -> Path:
    """The same packets, so much later; a transport stream counts them modulo 2 ** 33."""
    options = {"mpegts_copyts": "1"} if output.suffix == ".ts" else {}
    muxer = {".ts": "mpegts", ".mkv": "matroska"}.get(output.suffix)
    with (
        av.open(str(source)) as read,
        av.open(str(output), "w", format=muxer, container_options=options) as written,
    ):
        written.container_options["avoid_negative_ts"] = "disabled"
        targets = {s.index: written.add_stream_from_template(s, opaque=True) for s in read.streams}
        for packet in read.demux():
            if packet.dts is not None:
                ticks = round(offset / packet.time_base)
                packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
                packet.stream = targets[packet.stream.index]
                written.mux(packet)
    return output


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clocks")
    make_clip(folder / "base.mp4", CLIP)
    for name, offset in {"a": F(1), "late": F(36000), "wrap": WRAP_S - F(1, 2)}.items():
        copy_packets(folder / "base.mp4", folder / f"{name}.ts", offset)
    return folder


def join(output: Path, *parts: Path) -> Path:
    output.write_bytes(b"".join(part.read_bytes() for part in parts))
    return output


def shown_times(path: Path) -> list[Fraction]:
    return read_video(path).times


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
@pytest.mark.parametrize("second", ["a", "late"], ids=["again", "ahead"])
def test_what_is_behind_a_jump_comes_behind_what_was_before(folder, tmp_path, second, suffix):
    source = join(tmp_path / "b.ts", folder / "a.ts", folder / f"{second}.ts")
    edited = edit_clip(source, tmp_path / f"o{suffix}")
    assert edited.warnings == (
        "the file's clock jumps 1 time: what follows was put behind what came before",
    )
    times = shown_times(edited.output)
    assert len(times) == 50
    steps = [after - before for before, after in pairwise(times)]
    assert all(abs(step - F(1, 25)) < F(1, 500) for step in steps[:24] + steps[25:])
    assert F(1, 50) < steps[24] < F(1, 5)
    sound = [packet.pts for packet in read_packets(edited.output)[1]]
    assert len(sound) == 2 * len(read_packets(folder / "a.ts")[1])
    assert all(after > before for before, after in pairwise(sound))
    # Sound and picture of the second part are as far apart as those of the first.
    half = len(sound) // 2
    assert abs((times[25] - sound[half]) - (times[0] - sound[0])) < F(1, 200)


def test_three_parts_are_two_jumps(folder, tmp_path):
    a = folder / "a.ts"
    edited = edit_clip(join(tmp_path / "b.ts", a, a, a), tmp_path / "o.mkv")
    assert "2 times" in edited.warnings[0]
    assert len(shown_times(edited.output)) == 75


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_a_clock_that_wraps_goes_on(folder, tmp_path, suffix):
    edited = edit_clip(folder / "wrap.ts", tmp_path / f"o{suffix}")
    assert edited.warnings in ((), edited.warnings[:1])  # it begins late, or below 0
    times = shown_times(edited.output)
    assert len(times) == 25
    assert 0 <= times[0] < F(1, 5)
    assert abs(times[-1] - times[0] - F(24, 25)) < F(1, 500)
    assert all(packet.pts >= 0 for packet in read_packets(edited.output)[1])


@pytest.mark.parametrize("name", ["late.ts", "late.mkv", "late.mp4"])
def test_a_clock_that_begins_late_is_set_to_0_and_that_is_said(folder, tmp_path, name):
    source = folder / name
    if not source.exists():
        copy_packets(folder / "base.mp4", source, F(36000))
    edited = edit_clip(source, tmp_path / "o.mp4")
    assert "begins at 3600" in edited.warnings[0]
    assert shown_times(edited.output)[0] < F(1, 5)
    with av.open(str(edited.output)) as container:
        assert container.duration < 2_000_000
    assert all(packet.pts < 2 for packet in read_packets(edited.output)[1])


def test_a_transport_stream_begins_at_0_without_a_word(folder, tmp_path):
    edited = edit_clip(folder / "a.ts", tmp_path / "o.mp4")
    assert edited.warnings == ()
    with open_video(folder / "a.ts") as video:
        assert video.info.origin >= F(9, 10)
        assert next(iter(video)).time < F(1, 5)


def test_a_matroska_that_begins_late_but_soon_keeps_its_clock(tmp_path):
    source = make_clip(tmp_path / "a.mkv", Clip(start=F(5), audio=()))
    edited = edit_clip(source, tmp_path / "b.mkv")
    assert shown_times(edited.output) == shown_times(source)
    assert edited.warnings == ()


@pytest.mark.parametrize("overlap_s", [F(1, 1000), F(1, 50)])
def test_a_small_step_back_is_put_in_order_in_the_muxer_s_ticks(folder, tmp_path, overlap_s):
    length = F(len(read_packets(folder / "a.ts")[1]) * 1152, 44100)
    later = copy_packets(folder / "base.mp4", tmp_path / "later.ts", F(1) + length - overlap_s)
    source = join(tmp_path / "b.ts", folder / "a.ts", later)
    edited = edit_clip(source, tmp_path / "o.mp4")
    assert edited.warnings == ()
    assert len(shown_times(edited.output)) == 50
    dts = [packet.dts for packet in read_packets(edited.output)[1]]
    assert len(dts) == 2 * len(read_packets(folder / "a.ts")[1])
    assert dts == sorted(set(dts))


def clocked(folder: Path, times: list[int], *, loose: bool) -> tuple[list[int], int]:
    """What becomes of times, in frames, of packets of a video; and how often they jump."""
    with av.open(str(folder / ("a.ts" if loose else "base.mp4"))) as container:
        stream = container.streams.video[0]
        step = round(F(1, 25) / stream.time_base)
        clock = Clock(container, stream)
        packets = []
        for time in times:
            packet = av.Packet(b"picture")
            packet.stream, packet.time_base, packet.duration = stream, stream.time_base, step
            packet.pts = packet.dts = stream.start_time + time * step
            packets.append(packet)
        begin = stream.start_time - round(clock.origin / stream.time_base)
        found = [(packet.pts - begin) / step for packet in clock.follow(packets)]
        return [round(time) for time in found], clock.restarts


@pytest.mark.parametrize("loose", [True, False])
@pytest.mark.parametrize("wild", [9999, 60, 0, -9999])
def test_one_wild_time_is_no_jump(folder, loose, wild):
    times = [*range(20), wild, *range(21, 40)]
    assert clocked(folder, times, loose=loose) == (times, 0)


def test_a_long_gap_is_meant_in_kinds_of_files_whose_clocks_do_not_jump(folder):
    times = [*range(20), *range(9000, 9020)]
    assert clocked(folder, times, loose=False) == (times, 0)
    assert clocked(folder, times, loose=True) == ([*range(40)], 1)


@pytest.mark.parametrize("loose", [True, False])
def test_a_new_start_is_one_in_every_kind_of_file(folder, loose):
    assert clocked(folder, [*range(20), *range(20)], loose=loose) == ([*range(40)], 1)
