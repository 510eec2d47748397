"""Clips and pictures of acted faces, read as an edit reads a reference, once for all runs."""

import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from cdrl_cli.checkpoints.models import Models
from cdrl_cli.data.index import Clip
from cdrl_cli.data.prepared import save_arrays
from cdrl_cli.errors import SpfemError
from cdrl_cli.face.stream import FaceTrack
from cdrl_cli.generator.motion import find_expressive
from cdrl_cli.reference import Reference, gather_evidence, read_track

Describe = Callable[[FaceTrack, FaceTrack], dict[str, np.ndarray]]
"""Called with a whole clip and its more expressive half; of a picture both are the picture."""


def read_acted_faces(
    clips: Sequence[Clip],
    models: Models,
    cache: Path,
    describe: Describe,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[dict[str, np.ndarray] | None]:
    """Read clips and pictures, or take them from the cache.

    Args:
        clips: What is read.
        models: Read faces.
        cache: Folder of what was read; made where it is missing.
        describe: Arrays that are kept of a clip beside ``frames``, the number of its frames with a
            face, and ``expression`` and ``shape``, the means of its more expressive half.
        progress: Called with (done, in all).

    Yields:
        The arrays of each clip, in order; None for one without a face.
    """
    cache.mkdir(parents=True, exist_ok=True)
    for done, clip in enumerate(clips, start=1):
        kept = cache / f"{clip.path.stem}-{zlib.crc32(str(clip.path.resolve()).encode()):08x}.npz"
        if not kept.exists():
            save_arrays(_read(clip, models, describe), kept)
        with np.load(kept) as arrays:
            yield dict(arrays) if arrays["frames"] > 0 else None
        if progress:
            progress(done, len(clips))


def _read(clip: Clip, models: Models, describe: Describe) -> dict[str, np.ndarray]:
    try:
        track = read_track(Reference(clip.path), models)
    except SpfemError:
        return {"frames": np.array(0)}
    half = track.where(find_expressive(track.expressions, models.neutral.mean))
    shown = gather_evidence(half)
    return {
        "frames": np.array(len(track.time_s)),
        "expression": shown.expression,
        "shape": shown.shape.astype(np.float32),
        **describe(track, half),
    }
