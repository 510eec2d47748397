r"""What an encoder's settings cost and keep, on clips, as Markdown.

    python benchmarks/encoders.py libx264 14 a.mp4 b.mp4 \
        --words "medium:rc-lookahead=30" "fast:weightb=0:mixed-refs=0:partitions=p8x8,i8x8,i4x4"

Each row encodes the first frames of every clip on one thread, at a preset and with what the library
is told beside it, and decodes them again. The first row is what the others are held against.
"""

import argparse
import io
import time
from fractions import Fraction

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from cdrl_cli.media.planes import planar_format, plane_arrays

LIBRARIES = {
    "libx264": ("x264-params", "", "yuv420p"),
    "libx265": ("x265-params", "log-level=error:pools=none:frame-threads=1", "yuv420p10le"),
}
"""What a library's own words are called, which it gets in any case, and its pixel format."""


def luma(frame: av.VideoFrame) -> NDArray[np.float32]:
    """Samples of the luma, 0..255."""
    layout = planar_format(frame.format.name)
    samples, *_ = plane_arrays(frame, layout)
    return samples.astype(np.float32) / np.float32(2 ** (layout.bit_depth - 8))


def measure(library: str, crf: str, words: str, clip: str, count: int) -> tuple[float, ...]:
    """Processor time a frame in ms, bytes a frame, and PSNR of the luma in dB."""
    key, always, pixel_format = LIBRARIES[library]
    preset, _, own = words.partition(":")
    with av.open(clip, "r") as container:
        stream = container.streams.video[0]
        rate = stream.average_rate or Fraction(25)
        frames = [one for one, _ in zip(container.decode(stream), range(count), strict=False)]
    frames = [one.reformat(format=pixel_format) for one in frames]
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as output:
        target = output.add_stream(library, rate=rate)
        assert isinstance(target, VideoStream)
        target.width, target.height = frames[0].width, frames[0].height
        target.pix_fmt, target.codec_context.thread_count = pixel_format, 1
        told = ":".join(filter(None, (always, own)))
        target.codec_context.options = {"crf": crf, "preset": preset, key: told}
        began = time.process_time()
        for number, frame in enumerate(frames):
            frame.pts, frame.time_base, frame.pict_type = number, 1 / rate, 0
            output.mux(target.encode(frame))
        output.mux(target.encode(None))
        spent = time.process_time() - began
    size = file.tell()
    file.seek(0)
    with av.open(file, "r") as container:
        again = container.decode(video=0)
        errors = [
            ((luma(one) - luma(other)) ** 2).mean()
            for one, other in zip(again, frames, strict=True)
        ]
    return spent / len(frames) * 1e3, size / len(frames), 10 * np.log10(255**2 / np.mean(errors))


def main() -> None:
    """Print the table: means over the clips of ratios to the first row, and of decibels."""
    parser = argparse.ArgumentParser(description="What an encoder's settings cost and keep.")
    parser.add_argument("library", choices=LIBRARIES)
    parser.add_argument("crf")
    parser.add_argument("clips", nargs="+")
    parser.add_argument("--words", nargs="+", required=True, metavar="PRESET[:WORDS]")
    parser.add_argument("--frames", type=int, default=50)
    options = parser.parse_args()
    print("| settings | processor time | bytes | PSNR (dB) |\n|---|---:|---:|---:|")
    first = None
    for words in options.words:
        rows = np.array([
            measure(options.library, options.crf, words, clip, options.frames)
            for clip in options.clips
        ])  # fmt: skip
        first = rows if first is None else first
        cost, size = (rows[:, :2] / first[:, :2]).mean(axis=0)
        print(f"| `{words}` | {cost:.2f} | {size:.2f} | {rows[:, 2].mean():.2f} |", flush=True)


if __name__ == "__main__":
    main()
