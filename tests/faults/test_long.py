"""A long film in the memory of a short one, through the whole command."""

import os
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import pytest

from .conftest import Spfem, count


def repeat(source: Path, output: Path, times: int) -> None:
    """A film that shows the same packets again and again."""
    with av.open(str(output), "w") as written:
        with av.open(str(source)) as read:
            video = read.streams.video[0]
            target = written.add_stream_from_template(video)
            packets = [packet for packet in read.demux(video) if packet.dts is not None]
            length = round(Fraction(len(packets)) / video.average_rate / video.time_base)
            facts = [(bytes(p), p.pts, p.dts, p.duration, p.is_keyframe) for p in packets]
            time_base = video.time_base
        for number in range(times):
            for data, pts, dts, duration, is_keyframe in facts:
                packet = av.Packet(data)
                packet.stream, packet.time_base = target, time_base
                packet.pts, packet.dts = pts + number * length, dts + number * length
                packet.duration, packet.is_keyframe = duration, is_keyframe
                written.mux(packet)


def peak_mib(spfem: Spfem, source: Path, output: str) -> float:
    words = ["edit", source, "-e", "sad", "-o", output, "--preset", "ultrafast", "--crf", 30]
    running = spfem.start(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(running.pid, 0)
    running.returncode = os.waitstatus_to_exitcode(status)
    assert running.returncode == 0
    return usage.ru_maxrss / 1024


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_half_an_hour_takes_no_more_memory_than_half_a_minute(clips, spfem: Spfem):
    minutes = float(os.environ.get("SPFEM_LONG_MINUTES", "30"))
    seed = clips / "single_face.mp4"  # 2.4 s
    short, long = spfem.folder / "short.mp4", spfem.folder / "long.mp4"
    repeat(seed, short, 12)
    repeat(seed, long, round(minutes * 60 / 2.4))
    little, much = peak_mib(spfem, short, "a.mp4"), peak_mib(spfem, long, "b.mp4")
    assert much <= 1.15 * little + 20, f"{little = } MiB, {much = } MiB"
    with av.open(str(spfem.folder / "b.mp4")) as container:
        assert container.streams.video[0].frames == 72 * round(minutes * 60 / 2.4)
    count(f"film of {minutes:g} minutes: {much:.0f} MiB (half a minute: {little:.0f} MiB)")
