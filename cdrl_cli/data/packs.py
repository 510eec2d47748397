"""Faces of training clips in one small file: what travels to a machine that trains.

A machine with a GPU often has neither the clips nor the landmarker. What the generator's training
needs of them fits a few dozen megabytes: pictures as JPEG, landmarks to a 64th of a pixel.
"""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import cv2
import numpy as np

from cdrl_cli.array_types import Float32, UInt8
from cdrl_cli.data.faces import FaceClip
from cdrl_cli.data.index import Clip, Role
from cdrl_cli.data.prepared import ClipCrops, save_arrays
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UnreadableInputError

QUALITY = 85
"""JPEG quality of the pictures in a pack, 0..100."""

STEPS_A_PIXEL = 64
"""Steps in which a pack keeps a landmark's coordinate, in each pixel."""

_COLUMNS = 16
"""Mouths beside each other in a clip's sheet of them."""


def write_pack(path: Path, clips: Sequence[FaceClip]) -> None:
    """Write clips; the file appears when whole.

    Args:
        path: ``….npz``.
        clips: Their geometry (owner, depth) is not kept: it is drawn again from the landmarks.
    """
    arrays: dict[str, np.ndarray] = {"facts": _bytes(json.dumps([_facts(one) for one in clips]))}
    for number, one in enumerate(clips):
        pictures = [_jpeg(image[..., ::-1]) for image in one.crops.image]
        arrays |= {
            f"{number}/image": np.concatenate(pictures),
            f"{number}/sizes": np.array([len(picture) for picture in pictures]),
            f"{number}/landmarks": _fine(one.crops.landmarks_xyz),
            f"{number}/crop_from_head": one.crops.crop_from_head,
            f"{number}/crop_expression": one.crops.expression,
            f"{number}/template_from_crop": one.template_from_crop.astype(np.float32),
            f"{number}/time_s": one.crops.time_s,
            f"{number}/expression": one.expression.astype(np.float16),
            f"{number}/mouth": _jpeg(_sheet(one.mouth)),
            f"{number}/place": one.place,
        }
    save_arrays(arrays, path)


Geometry = tuple[np.ndarray, np.ndarray]
"""Owner and depth of a crop's pixels."""


def read_pack(
    path: Path,
    draw: Callable[[Float32[np.ndarray, "478 3"]], Geometry],
    *,
    wanted: Callable[[Clip], bool] = lambda _: True,
) -> list[FaceClip]:
    """Clips that :func:`write_pack` wrote.

    Args:
        path: The file.
        draw: Landmarks of a crop to its geometry; called for every crop, in threads.
        wanted: Which clips are read; the others cost nothing.

    Raises:
        UnreadableInputError: If it is no such file.
    """
    try:
        # Opened here, because numpy leaves a damaged file open.
        with path.open("rb") as file, np.load(file) as kept, ThreadPoolExecutor() as workers:
            faces = []
            for number, facts in enumerate(json.loads(kept["facts"].tobytes())):
                clip = _clip(facts)
                if wanted(clip):
                    one = {name: kept[f"{number}/{name}"] for name in _NAMES}
                    drawn = list(workers.map(draw, _coarse(one["landmarks"])))
                    faces.append(_face_clip(clip, one, drawn))
            return faces
    except (OSError, KeyError, ValueError, BadZipFile) as error:
        raise UnreadableInputError(f"{path}: no pack of faces ({error})") from error


_NAMES = (
    "image", "sizes", "landmarks", "crop_from_head", "crop_expression", "template_from_crop",
    "time_s", "expression", "mouth", "place",
)  # fmt: skip


def _face_clip(clip: Clip, one: dict[str, np.ndarray], geometry: Sequence[Geometry]) -> FaceClip:
    ends = np.cumsum(one["sizes"])
    pictures = np.split(one["image"], ends[:-1])
    images = [_picture(picture, cv2.IMREAD_COLOR)[..., ::-1] for picture in pictures]
    owners, depths = zip(*geometry, strict=True)
    return FaceClip(
        crops=ClipCrops(
            clip=clip,
            time_s=one["time_s"],
            image=np.stack(images),
            landmarks_xyz=_coarse(one["landmarks"]),
            crop_from_head=one["crop_from_head"],
            expression=one["crop_expression"],
        ),
        owner=np.stack(owners),
        inside_px=np.stack(depths),
        expression=one["expression"].astype(np.float32),
        mouth=_mouths(_picture(one["mouth"], cv2.IMREAD_GRAYSCALE), len(one["expression"])),
        place=one["place"],
        template_from_crop=one["template_from_crop"],
    )


def _facts(one: FaceClip) -> dict[str, Any]:
    """Its row of the index; where it lay on this machine is nobody's business."""
    clip = one.clip
    return asdict(clip) | {"path": clip.path.name, "audio": None, "roles": sorted(clip.roles)}


def _clip(facts: dict[str, Any]) -> Clip:
    emotion = facts["emotion"] and Emotion(facts["emotion"])
    roles = frozenset(map(Role, facts.get("roles", ())))  # older packs have none
    return Clip(**facts | {"path": Path(facts["path"]), "emotion": emotion, "roles": roles})


def _bytes(text: str) -> UInt8[np.ndarray, " bytes"]:
    return np.frombuffer(text.encode(), np.uint8)


def _jpeg(picture: UInt8[np.ndarray, "..."]) -> UInt8[np.ndarray, " bytes"]:
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].ravel()


def _picture(data: UInt8[np.ndarray, " bytes"], mode: int) -> UInt8[np.ndarray, "..."]:
    picture = cv2.imdecode(data, mode)
    if picture is None:
        raise ValueError("a picture is damaged")
    return picture.astype(np.uint8)


def _fine(landmarks: Float32[np.ndarray, "frames 478 3"]) -> np.ndarray:
    return np.round(landmarks * STEPS_A_PIXEL).clip(-32768, 32767).astype(np.int16)


def _coarse(landmarks: np.ndarray) -> Float32[np.ndarray, "frames 478 3"]:
    return landmarks.astype(np.float32) / STEPS_A_PIXEL


def _sheet(mouths: UInt8[np.ndarray, "grid side side"]) -> UInt8[np.ndarray, "height width"]:
    """Mouths side by side, row by row."""
    rows = -(-len(mouths) // _COLUMNS)
    full = np.zeros((rows * _COLUMNS, *mouths.shape[1:]), np.uint8)
    full[: len(mouths)] = mouths
    side = mouths.shape[1]
    return full.reshape(rows, _COLUMNS, side, side).swapaxes(1, 2).reshape(rows * side, -1)


def _mouths(
    sheet: UInt8[np.ndarray, "height width"], count: int
) -> UInt8[np.ndarray, "grid side side"]:
    side = sheet.shape[1] // _COLUMNS
    cut = sheet.reshape(-1, side, _COLUMNS, side).swapaxes(1, 2).reshape(-1, side, side)
    return np.ascontiguousarray(cut[:count])
