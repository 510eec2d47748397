"""Time, work and memory of an edit beside a mere re-encode of the same clip, as Markdown.

    python benchmarks/speed.py --sizes 360p 1080p --seconds 10 --repeat 5

The clip is ten seconds of an actress (640x360, 24 frames a second, with sound), enlarged for the
other sizes and repeated for other lengths. Each run is a process of its own, so that its peak
memory is its own; edit and re-encode take turns, so that what else the machine does meets both.
Numbers are medians. ``benchmarks/results/`` keeps the tables.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CLIPS = ROOT / ".cache" / "clips"

START, END = Fraction(8), Fraction(18)
"""The ten seconds of the actress's clip in which no hand hides her face."""

HEIGHTS = {"360p": 360, "720p": 720, "1080p": 1080, "2160p": 2160}
"""Lines of a picture, by the name of its size."""


@dataclass(frozen=True, slots=True)
class Run:
    """One edit or re-encode, in a process of its own."""

    frames: int
    elapsed_s: float
    """From opening the source to the finished file, with loading the networks and reading the
    reference; without starting Python."""
    first_frame_s: float
    """From starting the process to the first frame in the encoder."""
    tail_s: float
    """From the first frame in the encoder to the finished file."""
    cpu_s: float
    """Of all threads, from starting the process to its end."""
    peak_mib: float
    """Largest resident set of the process."""


Sink = Callable[[object], None]
"""Called after each frame that is written."""


def reencode(
    source: Path,
    output: Path,
    written: Sink,
    _: argparse.Namespace,
    *,
    preset: str | None = None,
) -> int:
    """Decode and encode every frame, copy the rest; the least that any edit costs.

    Args:
        source: The clip.
        output: The file to write.
        written: Called after each frame.
        preset: Speed of x264; None is an edit's.
    """
    from cdrl_cli.media.reader import open_video
    from cdrl_cli.media.writer import VideoWriter
    from cdrl_cli.processors import usable_cores

    frames = 0
    with (
        open_video(source) as video,
        VideoWriter(
            output,
            like=video.info,
            copy_from=source,
            preset=preset,
            threads=usable_cores(),  # nothing else wants a core here
        ) as writer,
    ):
        for frame in video:
            writer.write(frame)
            frames += 1
            written(None)
    return frames


def edit(source: Path, output: Path, written: Sink, options: argparse.Namespace) -> int:
    """What ``spfem edit`` does."""
    from cdrl_cli.processors import loading, settle_process

    settle_process()
    with loading():
        from cdrl_cli.checkpoints.ahead import NetworksAhead
        from cdrl_cli.weight_set import WeightSet

        weight_set = WeightSet(options.weights)
        ahead = NetworksAhead(weight_set, reads_reference=not options.emotion)
        from cdrl_cli.checkpoints.models import load_models
        from cdrl_cli.editing import EditOptions, edit_video

    asked = (
        EditOptions(emotion=options.emotion)
        if options.emotion
        else EditOptions(reference=CLIPS / "grief.mp4")
    )
    models = load_models(weight_set, ahead=ahead)
    return edit_video(source, output, asked, progress=written, models=models).frames


RUNS: dict[str, Callable[[Path, Path, Sink, argparse.Namespace], int]] = {
    "re-encode": reencode,
    # FFmpeg's default, whatever an edit is told: tables of several versions can be compared by it.
    "re-encode, medium": partial(reencode, preset="medium"),
    "edit": edit,
}


def run_here(name: str, source: Path, output: Path, options: argparse.Namespace) -> Run:
    """One run, in this process, which was started for it."""
    began_s = time.perf_counter()
    first: list[float] = []

    def written(_: object) -> None:
        if not first:
            first.append(time.time())

    frames = RUNS[name](source, output, written, options)
    ended = time.time()
    used = resource.getrusage(resource.RUSAGE_SELF)
    # Linux counts ru_maxrss in KiB, macOS in bytes.
    unit = 1024**2 if sys.platform == "darwin" else 1024
    return Run(
        frames=frames,
        elapsed_s=time.perf_counter() - began_s,
        first_frame_s=first[0] - options.started,
        tail_s=ended - first[0],
        cpu_s=used.ru_utime + used.ru_stime,
        peak_mib=used.ru_maxrss / unit,
    )


def run_elsewhere(name: str, source: Path, options: argparse.Namespace) -> Run:
    """One run, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--run", name, str(source), f"{folder}/out.mp4"]
        command += ["--weights", options.weights, "--started", str(time.time())]
        command += ["--emotion", options.emotion] if options.emotion else []
        # A package that pip has installed lies compiled; so do we from the second run on.
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        done = subprocess.run(
            command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT, env=environment
        )
    return Run(**json.loads(done.stdout.splitlines()[-1]))


def compare(source: Path, options: argparse.Namespace) -> dict[str, list[Run]]:
    """Several runs of each kind, taking turns."""
    runs: dict[str, list[Run]] = {name: [] for name in RUNS}
    for _ in range(options.repeat):
        for name, done in runs.items():
            done.append(run_elsewhere(name, source, options))
    return runs


HEADER = """\
| size | run | frames/s | of it after the first frame | CPU s per s of video | times re-encode \
| times x264's medium | peak memory | start to first frame |
|---|---|---:|---:|---:|---:|---:|---:|---:|"""


def print_rows(size: str, seconds: int, runs: dict[str, list[Run]]) -> None:
    """The lines of the table for one clip."""
    least, medium = (
        statistics.median(run.elapsed_s for run in runs[name])
        for name in ("re-encode", "re-encode, medium")
    )
    clip = f"{size}, {seconds} s"
    for name, done in runs.items():

        def middle(read: Callable[[Run], float], done: list[Run] = done) -> float:
            return statistics.median(map(read, done))

        print(
            f"| {clip} | {name} | {middle(lambda run: run.frames / run.elapsed_s):.1f} "
            f"| {middle(lambda run: (run.frames - 1) / run.tail_s):.1f} "
            f"| {middle(lambda run: run.cpu_s) / seconds:.2f} "
            f"| {middle(lambda run: run.elapsed_s) / least:.2f} "
            f"| {middle(lambda run: run.elapsed_s) / medium:.2f} "
            f"| {middle(lambda run: run.peak_mib):.0f} MiB "
            f"| {middle(lambda run: run.first_frame_s):.2f} s |",
            flush=True,
        )


def describe_machine() -> str:
    """Processor and cores, in words."""
    model = platform.processor() or platform.machine()
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        lines = facts.read_text().splitlines()
        model = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), model)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model} ({platform.machine()}), {cores} cores, {platform.system()}, no GPU used"


def find_clip(size: str, seconds: int) -> Path:
    """The clip of a size and length; made once."""
    import sample_clips

    sample_clips.fetch_clips(CLIPS)
    ten = CLIPS / "ten_seconds.mp4"
    if not ten.exists():
        sample_clips.cut_clip(CLIPS / sample_clips.ACTRESS, ten, start=START, end=END)
    lines = HEIGHTS[size]
    clip = CLIPS / f"speed_{size}_{seconds}s.mp4"
    if not clip.exists():
        part = clip.with_suffix(".part.mp4")
        command = ["ffmpeg", "-y", "-loglevel", "error", "-stream_loop", str(seconds // 10)]
        command += ["-i", str(ten), "-t", str(seconds), "-c:a", "copy"]
        command += ["-vf", f"scale=-2:{lines}:flags=lanczos", "-c:v", "libx264", "-crf", "18"]
        subprocess.run([*command, str(part)], check=True)
        part.replace(clip)
    return clip


def main() -> None:
    """Print the tables: end to end for each size and length, then where the time goes."""
    parser = argparse.ArgumentParser(description="Time, work and memory of an edit, as Markdown.")
    parser.add_argument("--sizes", nargs="+", choices=HEIGHTS, default=[*HEIGHTS])
    parser.add_argument("--seconds", nargs="+", type=int, default=[10, 60], metavar="S")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="360p, 10 s, three runs")
    parser.add_argument("--weights", default="permissive", choices=["permissive", "research"])
    parser.add_argument("--emotion", help="ask by a label; without it by a reference")
    parser.add_argument("--no-stages", action="store_true", help="end to end only")
    parser.add_argument("--run", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--started", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "benchmarks")]
    if options.run:
        name, source, output = options.run
        print(json.dumps(asdict(run_here(name, Path(source), Path(output), options))))
        return
    if options.quick:
        options.sizes, options.seconds, options.repeat = ["360p"], [10], 3
    print(f"{describe_machine()}; {options.weights} weights; medians of {options.repeat}\n")
    print(HEADER, flush=True)
    for seconds in options.seconds:
        for size in options.sizes:
            print_rows(size, seconds, compare(find_clip(size, seconds), options))
    if not options.no_stages:
        import stages

        for size in options.sizes:
            print(flush=True)
            stages.print_table(size, find_clip(size, min(options.seconds)), options)


if __name__ == "__main__":
    main()
