"""Clips to learn from or to test on, run through the networks that an edit and CCRL run.

The landmarker, tracker and aligner of an edit find faces; a speech prior listens. What they find is
kept in a cache, as values of :mod:`cdrl_cli.data`, which runs no network itself.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from cdrl_cli.array_types import Float, Float32, Float64, Int16, UInt8
from cdrl_cli.checkpoints.models import Models
from cdrl_cli.data.augment import Noise, add_noise
from cdrl_cli.data.index import Clip
from cdrl_cli.data.prepared import (
    MOUTH_SIDE,
    ClipCrops,
    PreparedClip,
    load_crops,
    load_prepared,
    save_fields,
)
from cdrl_cli.data.takes import Take, place_on_grid, time_grid
from cdrl_cli.errors import UnreadableInputError
from cdrl_cli.face.alignment import FaceCrop, crop_face
from cdrl_cli.face.landmarks import Face
from cdrl_cli.face.stream import FACE_SIDE, Sighting, open_faces
from cdrl_cli.media import open_video
from cdrl_cli.media.audio import Sound, read_sound
from cdrl_cli.representation.audio_prior import SAMPLE_RATE_HZ, SpeechPrior, features_at
from cdrl_cli.representation.ccrl import RATE_HZ

CROPS_A_CLIP = 14
"""Frames of a clip whose aligned crops are kept at full size, evenly spread."""

SHORTEST_SOUND_S = 0.5
"""Length of a sound under which a clip counts as silent, seconds."""

MOUTH_LANDMARKS = (13, 14)
"""The inner lips' middles, whose canonical place is the middle of the mouth's crop."""

MOUTH_REACH_PX = 48
"""Half the side of the square around the mouth that is cut from the aligned crop, pixels."""


def prepare_clips(
    clips: list[Clip],
    models: Models,
    cache: Path,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[PreparedClip]:
    """Prepare clips, or read them from the cache; clips without a face are left out.

    Args:
        clips: What to prepare.
        models: The landmarker and the head model.
        cache: Folder of the cache; a cut run goes on where it stopped.
        progress: Called with (clips done, clips in all).
    """
    cache.mkdir(parents=True, exist_ok=True)
    for done, clip in enumerate(clips, start=1):
        kept = _place(clip, cache)
        if not kept.exists():
            save_fields(prepare_clip(clip, models), kept)
        prepared = load_prepared(clip, kept)
        if progress:
            progress(done, len(clips))
        if len(prepared.time_s):
            yield prepared


def prepare_clip(clip: Clip, models: Models) -> PreparedClip:
    """Find the largest face of every frame, cut it out, and read the sound."""
    times, landmarks, expressions, faces, mouths = [], [], [], [], []
    with open_faces(clip.path, models, max_faces=1) as stream:
        for tracked in stream.tracked():
            for seen in tracked.faces[:1]:
                crop = stream.crop(Sighting(tracked.frame, seen.face))
                times.append(float(tracked.frame.time))
                landmarks.append(seen.face.landmarks_xyz)
                expressions.append(seen.face.expression)
                faces.append(crop.thumbnail(FACE_SIDE))
                mouths.append(cut_mouth(crop.image(), _mouth_xy(crop, models)))
    sound = _sound(clip)
    return PreparedClip(
        clip=clip,
        time_s=np.array(times, np.float64),
        landmarks_xyz=np.array(landmarks, np.float32).reshape(-1, 478, 3),
        expression=np.array(expressions, np.float32).reshape(-1, 52),
        face=np.array(faces, np.uint8).reshape(-1, FACE_SIDE, FACE_SIDE, 3),
        mouth=np.array(mouths, np.uint8).reshape(-1, MOUTH_SIDE, MOUTH_SIDE),
        sound=np.round(sound.samples.clip(-1, 1) * 32767).astype(np.int16),
        sound_start_s=sound.start_s,
    )


def prepare_crops(
    prepared: Iterable[PreparedClip], models: Models, cache: Path
) -> Iterator[ClipCrops]:
    """Cut full-size crops out of prepared clips, or read them from the cache.

    Args:
        prepared: What was found in the clips.
        models: The head model.
        cache: Folder of the cache; a cut run goes on where it stopped.
    """
    cache.mkdir(parents=True, exist_ok=True)
    for one in prepared:
        kept = _place(one.clip, cache)
        if not kept.exists():
            save_fields(cut_crops(one, models), kept)
        yield load_crops(one.clip, kept)


def cut_crops(prepared: PreparedClip, models: Models) -> ClipCrops:
    """Read some frames again and cut the face out of them as an edit does."""
    chosen = np.linspace(0, len(prepared.time_s) - 1, CROPS_A_CLIP).round().astype(int)
    wanted = {prepared.time_s[i]: i for i in np.unique(chosen)}
    times, crops = [], []
    with open_video(prepared.clip.path) as video:
        aspect = video.info.sample_aspect
        for frame in video:
            found = wanted.pop(float(frame.time), None)
            if found is None:
                continue
            times.append(float(frame.time))
            face = Face(prepared.landmarks_xyz[found], prepared.expression[found])
            crops.append(crop_face(frame, face, models.head.locate(face), sample_aspect=aspect))
            if not wanted:
                break
    poses = [crop.crop_from_head for crop in crops]
    return ClipCrops(
        clip=prepared.clip,
        time_s=np.array(times),
        image=np.stack([crop.image() for crop in crops]),
        landmarks_xyz=np.stack([crop.landmarks_xyz for crop in crops]).astype(np.float32),
        crop_from_head=np.stack(
            [np.column_stack([pose.scale * pose.rotation, pose.translation]) for pose in poses]
        ).astype(np.float32),
        expression=np.stack([crop.expression for crop in crops]).astype(np.float32),
    )


def read_takes(
    prepared: Iterable[PreparedClip],
    prior: SpeechPrior,
    cache: Path,
    *,
    sound_late_s: Mapping[str, float] | None = None,
    noises: Callable[[Int16[np.ndarray, " samples"]], Sequence[Noise]] = lambda _: (),
    faces: bool = False,
) -> Iterator[Take]:
    """Bring prepared clips to the grid and listen to them.

    Args:
        prepared: Stills are left out.
        prior: Hears them; its features are kept.
        cache: Folder for them.
        sound_late_s: By the stem of a clip's file name, how much later than the picture its sound
            is; other clips are in time.
        noises: For the sound of a clip, through what else it is heard.
        faces: Show whole faces, instead of mouths.
    """
    cache.mkdir(parents=True, exist_ok=True)
    for one in prepared:
        grid_s = time_grid(one.time_s)
        if len(grid_s):
            late_s = (sound_late_s or {}).get(one.clip.path.stem, 0.0)
            clean, *noisy = (
                _listen(one, grid_s + late_s, prior, cache, noise)
                for noise in (None, *noises(one.sound))
            )
            yield replace(place_on_grid(one, grid_s, clean, faces=faces), noisy=tuple(noisy))


def _place(clip: Clip, cache: Path) -> Path:
    key = zlib.crc32(str(clip.path.resolve()).encode())
    return cache / f"{clip.path.stem}-{key:08x}.npz"


def cut_mouth(
    image: UInt8[np.ndarray, "256 256 3"], middle_xy: Float[np.ndarray, " 2"]
) -> UInt8[np.ndarray, "64 64"]:
    """Luma around a point of the aligned crop."""
    scale = MOUTH_SIDE / (2 * MOUTH_REACH_PX)
    shift = (MOUTH_SIDE - 1) / 2 - scale * middle_xy
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return cv2.warpAffine(
        grey,
        matrix,
        (MOUTH_SIDE, MOUTH_SIDE),
        flags=cv2.INTER_AREA,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _mouth_xy(crop: FaceCrop, models: Models) -> Float[np.ndarray, " 2"]:
    """Where the canonical face has its mouth: it follows the head, not the jaw."""
    mouth = models.head.canonical_xyz[list(MOUTH_LANDMARKS)].mean(axis=0, keepdims=True)
    return crop.crop_from_head.apply(mouth)[0, :2]


def _sound(clip: Clip) -> Sound:
    try:
        return read_sound(clip.audio or clip.path)
    except UnreadableInputError:
        return Sound(np.zeros(0, np.float32), 0.0)


def _listen(
    one: PreparedClip,
    heard_s: Float64[np.ndarray, " frames"],
    prior: SpeechPrior,
    cache: Path,
    noise: Noise | None,
) -> Float32[np.ndarray, "frames dim"]:
    if len(one.sound) < SHORTEST_SOUND_S * SAMPLE_RATE_HZ:
        return np.zeros((len(heard_s), 0), np.float32)
    label = "" if noise is None else f"-{noise.label}"
    digest = f"{len(one.sound)}-{zlib.crc32(one.sound.tobytes()):08x}"
    kept = cache / f"{prior.name}-{digest}{label}.npy"
    if not kept.exists():
        samples = one.sound.astype(np.float32) / 32767
        heard = prior.listen(samples if noise is None else add_noise(samples, noise))
        part = kept.with_name(f"{kept.stem}.part.npy")
        np.save(part, heard.astype(np.float16))
        part.replace(kept)
    features = np.load(kept).astype(np.float32)
    return features_at(features, prior.rate_hz, heard_s - one.sound_start_s, duration_s=1 / RATE_HZ)
