"""A made-up tree of MEAD whose clips show real faces: whoever speaks, and whatever is said.

    python tests/paper/trees.py FOLDER

Three speakers, seven emotions, three sentences: 63 clips of 28 frames, cut from three sample
clips. What a clip is called has nothing to do with what it shows.
"""

import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from dataset_trees import mead_paths  # noqa: E402 - found where this script is
from sample_clips import fetch_clips  # noqa: E402 - likewise

SPEAKERS = {
    "M003": ("single_face.mp4", 0.0),
    "W011": ("WolfgangLanger_Pexels.mp4", 12.1),
    "W021": ("face_noface.mov", 0.0),
}
"""Which sample clip stands for a speaker, and the second from which it shows a face."""

FRAMES, RATE, WIDTH = 28, 25, 320


def read_pictures(path: Path, start_s: float, count: int) -> list[np.ndarray]:
    with av.open(path) as container:
        pictures = []
        for frame in container.decode(video=0):
            if float(frame.time) >= start_s:
                height = round(frame.height * WIDTH / frame.width / 2) * 2
                small = frame.reformat(WIDTH, height, "rgb24", interpolation="AREA")
                pictures.append(small.to_ndarray())
            if len(pictures) == count:
                break
    return pictures


def write_clip(path: Path, pictures: list[np.ndarray], seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    with av.open(path, "w") as container:
        video = container.add_stream("libx264", RATE, options={"preset": "ultrafast"})
        video.height, video.width = pictures[0].shape[:2]
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("aac", 16_000, layout="mono")
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(video.encode(frame))
        time = np.arange(len(pictures) * 16_000 // RATE) / 16_000
        tone = 0.3 * np.sin(2 * np.pi * rng.uniform(100, 300) * time) * rng.uniform(0.5, 1)
        sound = (tone + 0.02 * rng.normal(size=len(time))).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(sound, "fltp", "mono")
        frame.rate, frame.pts = 16_000, 0
        container.mux(audio.encode(frame))
        for stream in (video, audio):
            container.mux(stream.encode(None))


def write_tree(root: Path, clips: Path, sentences: int = 3) -> Path:
    """The tree below ``root``, cut from the sample clips in a folder."""
    shown = {}
    for person, (name, start) in SPEAKERS.items():
        shown[person] = read_pictures(clips / name, start, FRAMES + 30)
    for seed, path in enumerate(mead_paths(people=SPEAKERS, sentences=sentences)):
        pictures = shown[path.parts[0]]
        first = seed % max(1, len(pictures) - FRAMES + 1)
        write_clip(root / path, pictures[first : first + FRAMES], seed)
    return root


if __name__ == "__main__":
    write_tree(Path(sys.argv[1]) / "MEAD", fetch_clips(ROOT / ".cache" / "clips"))
