"""Memory must not grow with the length of a video."""

import subprocess
import sys
from pathlib import Path

import pytest
from clips import Audio, Clip, make_clip, paint_scene

EDIT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from cdrl_cli.media import VideoWriter, open_video

source, output = Path(sys.argv[1]), Path(sys.argv[2])
with (
    open_video(source) as video,
    VideoWriter(output, like=video.info, copy_from=source, preset="ultrafast") as writer,
):
    for frame in video:
        frame.picture(320)
        writer.write(frame)
lines = Path("/proc/self/status").read_text().splitlines()
print(next(line.split()[1] for line in lines if line.startswith("VmHWM")))
"""
ROOT = Path(__file__).parents[2]


def peak_kib(source: Path, output: Path) -> int:
    """Peak resident memory of an edit in a process of its own.

    Not ``ru_maxrss``: a child inherits that from the process that started it.
    """
    command = [sys.executable, "-c", EDIT, str(source), str(output), str(ROOT)]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(result.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is asked for the Linux way")
def test_a_minute_takes_no_more_memory_than_ten_seconds(tmp_path: Path) -> None:
    picture = paint_scene(0, 640, 360)

    def long_clip(seconds: int) -> Path:
        clip = Clip(
            width=640,
            height=360,
            frames=25 * seconds,
            audio=(Audio(),),
            # The same picture again and again: fast to make, and as large to decode.
            paint=lambda *_: picture,
        )
        return make_clip(tmp_path / f"{seconds}.mp4", clip)

    short = peak_kib(long_clip(10), tmp_path / "a.mp4")
    long = peak_kib(long_clip(60), tmp_path / "b.mp4")
    assert short > 30_000
    assert long <= max(1.1 * short, short + 10 * 1024), f"{short = } KiB, {long = } KiB"
