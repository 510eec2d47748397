"""Landmarks of training clips, found once and kept."""

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from cdrl_cli.data.clips import Clip
from cdrl_cli.face.landmarks import Landmarker
from cdrl_cli.face.tracking import DETECTION_SIDE_PX
from cdrl_cli.media import open_video
from cdrl_cli.training.core import ClipLandmarks


def read_landmarks(
    clips: list[Clip],
    landmarker_file: Path,
    cache: Path,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[ClipLandmarks]:
    """The landmarks of clips, from the cache where it has them; clips without a face are left out.

    Args:
        clips: What to read.
        landmarker_file: The landmarker's model.
        cache: Folder of the cache; a cut run goes on where it stopped.
        progress: Called with (clips done, clips in all).
    """
    cache.mkdir(parents=True, exist_ok=True)
    for done, clip in enumerate(clips, start=1):
        name = f"{clip.path.stem}-{zlib.crc32(str(clip.path.resolve()).encode()):08x}.npz"
        kept = cache / name
        if not kept.exists():
            _find(clip, landmarker_file, kept)
        with np.load(kept) as seen:
            if len(seen["expression"]):
                yield ClipLandmarks(
                    clip.dataset,
                    clip.identity,
                    clip.emotion,
                    seen["landmarks_xyz"],
                    seen["expression"],
                )
        if progress:
            progress(done, len(clips))


def _find(clip: Clip, landmarker_file: Path, kept: Path) -> None:
    with open_video(clip.path) as video, Landmarker(landmarker_file) as landmarker:
        found = [
            faces[0] for f in video if (faces := landmarker.detect(f.picture(DETECTION_SIDE_PX)))
        ]
    part = kept.with_suffix(".part.npz")
    np.savez(
        part,
        landmarks_xyz=np.array([face.landmarks_xyz for face in found]),
        expression=np.array([face.expression for face in found]),
    )
    part.replace(kept)
