"""Made-up data sets in their owners' layouts: made-up clips under the names of real ones."""

import shutil
from pathlib import Path

from clips import Clip, make_clip

MEAD_EMOTIONS = ("angry", "disgusted", "fear", "happy", "neutral", "sad", "surprised")


def small_clip(path, **more):
    """Half a second of noise that hums; no face."""
    path.parent.mkdir(parents=True, exist_ok=True)
    make_clip(path, Clip(width=32, height=32, frames=5, **more))
    return path


def copy_clip(clip, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(clip, path)


def mead_paths(people=("M003", "W011", "W021"), sentences=3, emotions=MEAD_EMOTIONS):
    """Where clips of MEAD lie."""
    for person in people:
        for emotion in emotions:
            level = "level_1" if emotion == "neutral" else "level_3"
            for number in range(1, sentences + 1):
                yield Path(person, "video", "front", emotion, level, f"{number:03}.mp4")


def write_mead(root, clip, **which):
    """A tree of MEAD whose clips are all alike."""
    for path in mead_paths(**which):
        copy_clip(clip, root / path)
    return root
