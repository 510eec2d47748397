"""Edits by label of calm photographs, without skin: what the network of skin is to finish.

The frozen part of an edit (motion, mesh, renderer) is the shipped one, and done once; a step of
training then multiplies the skin's ratio in and looks at the picture.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cdrl_cli.array_types import Float, Float16, Float32, Int, UInt8
from cdrl_cli.checkpoints.models import Models
from cdrl_cli.data.datasets.photos import Photo
from cdrl_cli.data.prepared import save_arrays
from cdrl_cli.emotion import Emotion
from cdrl_cli.face.alignment import CROP_SIZE, FaceCrop
from cdrl_cli.face.blendshapes import COEFFICIENTS
from cdrl_cli.face.compositing import paste_face
from cdrl_cli.face.identity import SIDE, align_to_template
from cdrl_cli.generator.motion import Window
from cdrl_cli.generator.renderer import SHADOW_TINT, LearnedRenderer, WarpRenderer, tell
from cdrl_cli.generator.skin import WINDOW_SIZE, Skin, SkinMasks, tell_skin, window_from_crop
from cdrl_cli.media.frames import VideoFrame
from cdrl_cli.reference import condition_of_label
from cdrl_cli.training.skin_data import cut_face

INTENSITIES = (0.5, 0.75, 1.0, 1.0, 1.0, 1.25)
"""Of which one is drawn for each edit."""

MOST_OTHERS = 8
"""So many other photographs of a person are kept, simple emotions before compound ones."""

_EMOTIONS = [emotion for emotion in Emotion if emotion is not Emotion.NEUTRAL]


@dataclass(frozen=True, slots=True)
class SkinEdits:
    """Edits without skin, a row each; and their people."""

    picture: UInt8[np.ndarray, "edits 256 256 3"]
    """The crop, moved and rendered, sRGB."""
    seen: Float16[np.ndarray, "edits 9 128 128"]
    """What the network of skin sees of it."""
    condition: Float32[np.ndarray, "edits 111"]
    """What it is told, the emotion as it was asked for, not yet times
    :data:`~cdrl_cli.generator.skin.STRENGTHS`."""
    mask: UInt8[np.ndarray, "edits 256 256"]
    """Where its answer shows, window pixels, 0..255."""
    emotion: Int[np.ndarray, " edits"]
    """Class index of what was asked for."""
    person: Int[np.ndarray, " edits"]
    """Row of the person."""
    landmarks: Float32[np.ndarray, "people 478 3"]
    """Of the calm photograph, crop pixels."""
    template: Float32[np.ndarray, "people 2 3"]
    """Its :func:`~cdrl_cli.face.identity.align_to_template`."""
    others: UInt8[np.ndarray, "people 8 112 112 3"]
    """Other photographs of the person, as networks of identity take them."""
    shown: Int[np.ndarray, "people 8"]
    """Class index of the emotion of each, -1 where it is compound, -2 where there is none."""


@dataclass(frozen=True, slots=True)
class EditBatch:
    """Some edits, as tensors."""

    picture: Float[Tensor, "batch 3 256 256"]
    """sRGB, 0..1."""
    seen: Float[Tensor, "batch 9 128 128"]
    condition: Float[Tensor, "batch 111"]
    """The emotion as an edit tells it (:func:`~cdrl_cli.generator.skin.tell_skin`)."""
    asked: Float[Tensor, "batch 59"]
    """Change and emotion as they were asked for."""
    mask: Float[Tensor, "batch 1 256 256"]
    emotion: Int[Tensor, " batch"]
    landmarks: Float[Tensor, "batch 478 3"]
    template: Float[Tensor, "batch 2 3"]
    other: Float[Tensor, "batch 3 112 112"]
    """Another photograph of the person, which does not show the emotion that is asked for."""

    def to(self, device: torch.device) -> "EditBatch":
        """The same on a device."""
        return EditBatch(**{one.name: getattr(self, one.name).to(device) for one in fields(self)})


def read_skin_edits(
    photos: Sequence[Photo],
    models: Models,
    network: Any,
    kept: Path,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> SkinEdits:
    """Edit each person's calm photograph to each emotion, or take what was kept of it.

    Args:
        photos: Of people to learn from; one without a calm photograph, or with no other, is left
            out.
        models: Landmarker, head model, mesh, motion editor; its renderer is the core.
        network: The renderer's network, as a session of ONNX Runtime.
        kept: File that they are kept in.
        progress: Called with (people done, people in all).
    """
    if not kept.exists():
        save_arrays(_gather(photos, models, network, progress), kept, save=np.savez)
    with np.load(kept) as arrays:
        return SkinEdits(**{one.name: arrays[one.name] for one in fields(SkinEdits)})


def draw_edits(edits: SkinEdits, count: int, rng: np.random.Generator) -> EditBatch:
    """A batch to learn from.

    Args:
        edits: All of them.
        count: How many.
        rng: Draws which, and the other photographs.
    """
    rows = rng.choice(len(edits.person), count)
    people = edits.person[rows]
    others = [
        edits.others[person][_draw_other(edits.shown[person], int(edits.emotion[row]), rng)]
        for row, person in zip(rows, people, strict=True)
    ]

    def planes(values: UInt8[np.ndarray, "batch side side 3"]) -> Float[Tensor, "batch 3 h w"]:
        return torch.from_numpy(values).permute(0, 3, 1, 2).float() / 255

    asked = torch.from_numpy(edits.condition[rows])
    told = asked.clone()
    emotions = edits.condition[rows, 2 * COEFFICIENTS :]
    told[:, 2 * COEFFICIENTS :] = torch.from_numpy(tell_skin(emotions))
    return EditBatch(
        picture=planes(edits.picture[rows]),
        seen=torch.from_numpy(edits.seen[rows]).float(),
        condition=told,
        asked=asked[:, COEFFICIENTS:],
        mask=torch.from_numpy(edits.mask[rows])[:, None].float() / 255,
        emotion=torch.from_numpy(edits.emotion[rows]).long(),
        landmarks=torch.from_numpy(edits.landmarks[people]),
        template=torch.from_numpy(edits.template[people]),
        other=planes(np.stack(others)),
    )


def _draw_other(shown: Int[np.ndarray, " 8"], emotion: int, rng: np.random.Generator) -> int:
    there = np.flatnonzero(shown > -2)  # noqa: PLR2004 - of none
    elsewise = there[shown[there] != emotion]
    return int(rng.choice(elsewise if len(elsewise) else there))


def shade_picture(
    picture: Float[Tensor, "batch 3 256 256"], shade: Float[Tensor, "batch 1 256 256"]
) -> Float[Tensor, "batch 3 256 256"]:
    """Crops with light and creases, as :func:`~cdrl_cli.face.compositing.paste_face` shows them.

    Args:
        picture: sRGB, 0..1.
        shade: Logarithm of the ratio of brightness, window pixels, under its mask.
    """
    matrix = window_from_crop()
    places = np.arange(CROP_SIZE)
    x, y = (matrix[axis, axis] * places + matrix[axis, 2] for axis in (0, 1))
    grid = np.stack(np.meshgrid(x, y), axis=2) * (2 / (WINDOW_SIZE - 1)) - 1
    where = torch.from_numpy(grid).to(shade).expand(len(shade), -1, -1, -1)
    found = functional.grid_sample(shade, where, align_corners=True)
    tint = shade.new_tensor(SHADOW_TINT).view(1, 3, 1, 1)
    return (picture * torch.exp(tint * found)).clamp(0, 1)


class _Recorder:
    """Takes the place of the skin's network: keeps what it is asked, and shows its mask."""

    def __init__(self) -> None:
        self.asked: Mapping[str, np.ndarray] = {}

    def run(self, _outputs: None, asked: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        self.asked = asked
        return [np.ones((1, 1, WINDOW_SIZE, WINDOW_SIZE), np.float32)]


class _Editor:
    """Edits photographs as shipped, but for the skin.

    Args:
        models: Motion editor, mesh; its renderer is the core.
        network: The renderer's network.
    """

    def __init__(self, models: Models, network: Any) -> None:
        assert isinstance(models.renderer, WarpRenderer)
        self._models, self._recorder = models, _Recorder()
        masks = SkinMasks.draw(models.head.canonical_xyz, models.mesh.oval)
        self._renderer = LearnedRenderer(models.renderer, network, Skin(masks, self._recorder))

    def edit(
        self, frame: VideoFrame, crop: FaceCrop, rng: np.random.Generator
    ) -> Iterator[dict[str, Any]]:
        """A calm face, edited to each emotion by its name; what is kept of each edit."""
        source = crop.expression.astype(float)
        for emotion in _EMOTIONS:
            condition = condition_of_label(emotion, self._models)
            intensity = float(rng.choice(INTENSITIES))
            window = Window(np.zeros(1), source[None])
            shown = self._models.motion(source, window, condition, intensity=intensity)
            asked = condition.likelihood * intensity
            rendering = self._renderer(crop, shown, asked)
            assert rendering.shade is not None
            yield {
                "picture": recut(paste_face(frame, crop, replace(rendering, shade=None)), crop),
                "seen": self._recorder.asked["picture"][0].astype(np.float16),
                "condition": tell(crop, shown, asked).astype(np.float32),
                "mask": np.rint(255 * rendering.shade.logarithm).astype(np.uint8),
                "emotion": emotion.class_index,
            }


def _gather(
    photos: Sequence[Photo],
    models: Models,
    network: Any,
    progress: Callable[[int, int], None] | None,
) -> dict[str, np.ndarray]:
    people: defaultdict[tuple[str, str], list[Photo]] = defaultdict(list)
    for photo in photos:
        people[photo.dataset, photo.identity].append(photo)
    editor = _Editor(models, network)
    rng = np.random.default_rng(0)
    edits: defaultdict[str, list[Any]] = defaultdict(list)
    for done, name in enumerate(sorted(people)):
        person = _meet(people[name], models, rng)
        if person is not None:
            frame, crop, others = person
            for key, value in _describe(crop, others).items():
                edits[key].append(value)
            for edit in editor.edit(frame, crop, rng):
                edits["person"].append(len(edits["template"]) - 1)
                for key, value in edit.items():
                    edits[key].append(value)
        if progress:
            progress(done + 1, len(people))
    return {key: np.stack(values) for key, values in edits.items()}


_Other = tuple[Photo, FaceCrop]


def _meet(
    photos: Sequence[Photo], models: Models, rng: np.random.Generator
) -> tuple[VideoFrame, FaceCrop, list[_Other]] | None:
    """A person's calm photograph, and others; None where either is missing."""
    calm = [photo for photo in photos if photo.emotions == (Emotion.NEUTRAL,)]
    found = cut_face(calm[0].path, models) if calm else None
    if found is None:
        return None
    rest = [photo for photo in photos if photo is not calm[0]]
    rest.sort(key=lambda photo: (photo.is_compound, rng.random()))
    seen = ((photo, cut_face(photo.path, models)) for photo in rest[:MOST_OTHERS])
    others = [(photo, one[1]) for photo, one in seen if one is not None]
    return (*found, others) if others else None


def _describe(crop: FaceCrop, others: Sequence[_Other]) -> dict[str, np.ndarray]:
    """What is kept of a person."""
    pictures = np.zeros((MOST_OTHERS, SIDE, SIDE, 3), np.uint8)
    shown = np.full(MOST_OTHERS, -2)
    for place, (photo, other) in enumerate(others):
        pictures[place] = _align(other)
        shown[place] = -1 if photo.is_compound else photo.emotions[0].class_index
    landmarks = crop.landmarks_xyz.astype(np.float32)
    return {
        "landmarks": landmarks,
        "template": align_to_template(landmarks).astype(np.float32),
        "others": pictures,
        "shown": shown,
    }


def _align(crop: FaceCrop) -> UInt8[np.ndarray, "112 112 3"]:
    template = align_to_template(crop.landmarks_xyz.astype(np.float32))
    return np.asarray(cv2.warpAffine(crop.image(), template, (SIDE, SIDE)), np.uint8)


def recut(frame: VideoFrame, crop: FaceCrop) -> UInt8[np.ndarray, "256 256 3"]:
    """The crop of another frame where one was cut from."""
    return replace(crop, cutout=frame.cutout(crop.box_xyxy)).image()
