"""Time and memory of an edit beside a mere re-encode of the same clip, as a Markdown table.

    python benchmarks/speed.py

Each run is a process of its own, so that its peak memory is its own. Times are those of the call,
from opening the source to the finished file; they include loading the networks and reading the
reference, not starting Python. The best of several runs counts: the others measure the neighbours.
"""

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CLIPS = ROOT / ".cache" / "clips"

START, END = Fraction(8), Fraction(18)
"""The ten seconds of the actress's clip (640x360, with audio) in which no hand hides her face."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run."""

    frames: int
    elapsed_s: float
    peak_mib: float
    """Largest resident set of the process."""


def reencode(source: Path, output: Path) -> int:
    """Decode and encode every frame, copy the rest; the least that any edit costs."""
    from cdrl_cli.media.reader import open_video
    from cdrl_cli.media.writer import VideoWriter

    frames = 0
    with (
        open_video(source) as video,
        VideoWriter(output, like=video.info, copy_from=source) as writer,
    ):
        for frame in video:
            writer.write(frame)
            frames += 1
    return frames


def edit(source: Path, output: Path) -> int:
    """What ``spfem edit`` does."""
    from cdrl_cli.editing import EditOptions, edit_video

    return edit_video(source, output, EditOptions(reference=CLIPS / "grief.mp4")).frames


ROWS = {"decode and re-encode": reencode, "edit": edit}


def _measure_here(row: str, source: Path, output: Path) -> Measurement:
    start_s = time.perf_counter()
    frames = ROWS[row](source, output)
    elapsed_s = time.perf_counter() - start_s
    # Linux counts ru_maxrss in KiB, macOS in bytes.
    unit = 1024**2 if sys.platform == "darwin" else 1024
    return Measurement(frames, elapsed_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)


def measure(row: str, source: Path, *, repeat: int) -> Measurement:
    """The best of several runs, each in a process of its own."""
    runs = []
    for _ in range(repeat):
        with tempfile.TemporaryDirectory() as folder:
            output = str(Path(folder, "out.mp4"))
            command = [sys.executable, __file__, "--row", row, str(source), output]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
        runs.append(Measurement(**json.loads(done.stdout.splitlines()[-1])))
    return min(runs, key=lambda run: run.elapsed_s)


def print_table(source: Path, *, repeat: int) -> None:
    """Measure every row and print the table."""
    baseline: Measurement | None = None
    print(f"{source.name}, {platform.machine()}, best of {repeat}\n")
    print("| run | frames | time | frames/s | times re-encode | peak memory |")
    print("|---|---:|---:|---:|---:|---:|")
    for row in ROWS:
        run = measure(row, source, repeat=repeat)
        baseline = baseline or run
        print(
            f"| {row} | {run.frames} | {run.elapsed_s:.2f} s | {run.frames / run.elapsed_s:.1f} "
            f"| {run.elapsed_s / baseline.elapsed_s:.2f} | {run.peak_mib:.0f} MiB |",
            flush=True,
        )


def main() -> None:
    """Without arguments: the table, for ten seconds at 640x360."""
    parser = argparse.ArgumentParser(description="Time and memory of an edit, as Markdown.")
    parser.add_argument("--source", type=Path, help="another clip")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--row", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    if options.row:
        row, source, output = options.row
        run = _measure_here(row, Path(source), Path(output))
        print(json.dumps({name: getattr(run, name) for name in Measurement.__slots__}))
        return
    import sample_clips

    sample_clips.fetch_clips(CLIPS)
    source = options.source or CLIPS / "ten_seconds.mp4"
    if not source.exists():
        sample_clips.cut_clip(CLIPS / sample_clips.ACTRESS, source, start=START, end=END)
    print_table(source, repeat=options.repeat)


if __name__ == "__main__":
    main()
