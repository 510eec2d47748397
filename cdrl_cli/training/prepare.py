"""Training clips, run through the same landmarker, tracker and aligner as an edit."""

import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from cdrl_cli.checkpoints.models import Models
from cdrl_cli.data.crops import ClipCrops, load_crops
from cdrl_cli.data.index import Clip
from cdrl_cli.data.prepared import MOUTH_SIDE, PreparedClip, load_prepared
from cdrl_cli.data.stored import save_fields
from cdrl_cli.errors import UnreadableInputError
from cdrl_cli.face.alignment import FaceCrop, crop_face
from cdrl_cli.face.landmarks import Face
from cdrl_cli.face.stream import FACE_SIDE, Sighting, open_faces
from cdrl_cli.media import open_video
from cdrl_cli.media.audio import Sound, read_sound

CROPS_A_CLIP = 14
"""Frames of a clip that are kept at full size."""

MOUTH_LANDMARKS = (13, 14)
MOUTH_REACH_PX = 48
"""Half the side of the mouth's part of the aligned crop."""


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
