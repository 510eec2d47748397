"""Photographs of acted emotions, prepared for the network of light and creases."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import cv2
import numpy as np

from cdrl_cli.array_types import Bool, Float32
from cdrl_cli.checkpoints.models import Models
from cdrl_cli.data.datasets.london import read_london
from cdrl_cli.data.datasets.photos import Photo, emotion_shares, read_photos
from cdrl_cli.data.index import files_key
from cdrl_cli.data.prepared import save_arrays
from cdrl_cli.data.skin_pairs import MOST_TURN_DEG, FacePhotos, PairMaker, turn_deg
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UsageError
from cdrl_cli.face.alignment import FaceCrop, crop_face
from cdrl_cli.face.blendshapes import CEILINGS, SHARES
from cdrl_cli.face.tracking import DETECTION_SIDE_PX, find_faces
from cdrl_cli.generator.motion import Window
from cdrl_cli.generator.skin import WINDOW_EYE_DISTANCE_PX, WINDOW_SIZE, window_from_crop
from cdrl_cli.geometry.warp import scale_of
from cdrl_cli.media import open_video
from cdrl_cli.media.frames import VideoFrame
from cdrl_cli.reference import condition_of_label
from cdrl_cli.representation.expression_nets import COLOUR_SIDE, ExpressionNets
from cdrl_cli.training.config import DataConfig
from cdrl_cli.weight_set import WeightSet

ASKED_STRENGTHS = (0.7, 1.5)
"""Between which times the usual change the first photograph of a pair is moved."""

BY_REFERENCE_ODDS = 0.35
"""Share of the pairs that are moved by the second photograph's own change."""

LEAST_TRUST = 0.4
"""Share of the face that must be skin in both photographs of a pair."""

COMPOUND_SHARE, BETWEEN_SHARE, LONDON_SHARE = 0.5, 0.35, 0.5
"""How often a pair is drawn that ends in a compound emotion, that begins in an emotion, or that is
one of London's many smiles; 1 for the others."""

UNCLEAR_SHARE = 0.25
"""How often a pair is drawn whose second photograph does not look like what it is called; 1 where
it does for sure. Half of the actors show anger or fear so weakly that their mean is no wrinkle."""

OTHERWISE_SHARE = 0.1
"""The same where the actor moved otherwise than the edit does; 1 where as far in the same way."""

BETWEEN_ODDS = 0.3
"""Share of the photographs from which a pair leads to another emotion, where there is a neutral
one; without one all do."""


@dataclass(frozen=True, slots=True)
class SkinData:
    """Pairs to learn from, and of other people."""

    pairs: Mapping[str, np.ndarray]
    """Fields of :class:`~cdrl_cli.data.skin_pairs.SkinPairs`."""
    share: Float32[np.ndarray, " pairs"]
    """How often each is drawn, beside the others."""
    proof: Mapping[str, np.ndarray]
    """Of people who are not learned from: neutral to one of the six emotions."""
    photos: Sequence[Photo] = ()
    """Of the people who are learned from."""
    key: str = ""
    """Of the photographs as their files are; other ones have another."""


def read_skin_data(
    data: DataConfig,
    root: Path,
    cache: Path,
    models: Models,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> SkinData:
    """The pairs of a folder of photographs that a recipe may learn from.

    Args:
        data: Which; its ``validation_identities`` are not learned from. People of the split ``val``
            say nothing: edits are measured on them.
        root: Folder with ``photos/`` and ``london/``.
        cache: What was found is kept there, a file a set of photographs.
        models: Landmarker, head model, mesh, basis, motion editor.
        progress: Called with (photographs done, photographs in all), then with pairs.

    Raises:
        UsageError: If there is no pair to learn from.
    """
    photos = [
        photo
        for photo in find_photos(root, data.stills)
        if data.weight_set in (WeightSet.RESEARCH, photo.licence_class)
    ]
    key = files_key(photo.path for photo in photos)
    kept = cache / f"faces-{data.weight_set}-{key}.npz"
    if not kept.exists():
        faces = gather_faces(photos, models, progress=progress)
        save_arrays(
            {one.name: getattr(faces, one.name) for one in fields(faces)}, kept, save=np.savez
        )
    with np.load(kept) as arrays:
        faces = FacePhotos(**{one.name: arrays[one.name] for one in fields(FacePhotos)})
    shown = [photos[row] for row in faces.row.astype(int)]
    maker = PairMaker(models.mesh, models.head.canonical_xyz, models.basis.displacement)
    chosen = list(choose_pairs(faces, shown))
    if not chosen:
        raise UsageError(f"{root}: no two photographs of one person to learn from")
    made, ends, clear = [], [], []
    for done, (first, second) in enumerate(chosen):
        if shown[first].split != "val":
            rng = np.random.default_rng(done)
            change = ask_for(faces.expression[[first, second]], shown[second].emotions, models, rng)
            made.append(maker.make(faces, first, second, change))
            ends.append((shown[first], shown[second]))
            clear.append(read_clearly(faces, second, shown[second].emotions, models.published_nets))
        if progress:
            progress(done + 1, len(chosen))
    pairs = {name: np.stack([one[name] for one in made]) for name in made[0]}
    pairs["emotion"] = np.stack([emotion_shares(second.emotions) for _, second in ends])
    share = np.array([how_often(*one) for one in ends], np.float32)
    share *= UNCLEAR_SHARE + (1 - UNCLEAR_SHARE) * np.array(clear, np.float32)
    usable = _trusted_part(pairs) >= LEAST_TRUST
    pairs, share = _rows(pairs, usable), share[usable]
    ends = [one for one, is_usable in zip(ends, usable, strict=True) if is_usable]
    share *= agreement(
        pairs["change"],
        faces.expression[pairs["second"].astype(int)] - pairs["source"],
        [second.emotions for _, second in ends],
    )
    asked = np.array([first.identity in data.validation_identities for first, _ in ends])
    plain = np.array([_is_neutral(first) and not second.is_compound for first, second in ends])
    learned = [
        photo
        for photo in photos
        if photo.split != "val" and photo.identity not in data.validation_identities
    ]
    return SkinData(
        pairs=_rows(pairs, ~asked),
        share=share[~asked],
        proof=_rows(pairs, asked & plain),
        photos=learned,
        key=key,
    )


def find_photos(root: Path, stills: Sequence[str]) -> list[Photo]:
    """Photographs of the data sets of a recipe."""
    found = read_photos(root / "photos") if "photos" in stills else []
    for clip in read_london(root / "london") if "london" in stills else ():
        assert clip.emotion is not None  # by its file's name
        found.append(
            Photo(
                path=clip.path,
                dataset=clip.dataset,
                identity=clip.identity,
                emotion=clip.emotion.value,
                emotions=(clip.emotion,),
                label_certain=clip.label_certain,
                licence_class=clip.licence_class,
                split=clip.split,
            )
        )
    return found


def choose_pairs(faces: FacePhotos, shown: Sequence[Photo]) -> Iterator[tuple[int, int]]:
    """Which photographs make pairs: one person, neutral to emotion, and some between emotions.

    Args:
        faces: What was found.
        shown: Of which photographs, row for row.
    """
    rng = np.random.default_rng(0)
    people: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for row, photo in enumerate(shown):
        people[photo.dataset, photo.identity].append(row)
    for rows in people.values():
        calm = [row for row in rows if _is_neutral(shown[row])]
        for row in rows:
            if _is_neutral(shown[row]):
                continue
            begins = []
            if calm:
                begins.append(min(calm, key=lambda one: turn_deg(faces, one, row)))
            others = [one for one in rows if shown[one].emotions != shown[row].emotions]
            if others and (not calm or rng.random() < BETWEEN_ODDS):
                begins.append(int(rng.choice(others)))
            for first in dict.fromkeys(begins):
                if turn_deg(faces, first, row) <= MOST_TURN_DEG:
                    yield first, row


def ask_for(
    expressions: Float32[np.ndarray, "2 52"],
    emotions: Sequence[Emotion],
    models: Models,
    rng: np.random.Generator,
) -> Float32[np.ndarray, " 52"]:
    """The change of a photograph's coefficients by which an edit shows another's emotion.

    Asked for by the emotion's name, more often, or by the other photograph as a reference; a little
    more or less, so that light and creases follow the emotion and not how far a face moves.

    Args:
        expressions: Of the photograph that is edited, and of the other.
        emotions: What the other is called.
        models: Motion editor, CERL.
        rng: Draws which.
    """
    source, shown = expressions.astype(float)
    strength = rng.uniform(*ASKED_STRENGTHS)
    if rng.random() < BY_REFERENCE_ODDS:
        change = strength * SHARES * (shown - source)
        return np.asarray((source + change).clip(0.0, CEILINGS) - source, np.float32)
    named = [condition_of_label(emotion, models) for emotion in emotions]
    embedding = np.mean([one.embedding for one in named], axis=0)
    likelihood = np.mean([one.likelihood for one in named], axis=0)
    condition = replace(
        named[0], embedding=embedding / np.linalg.norm(embedding), likelihood=likelihood
    )
    # A photograph may begin in an emotion: its person rests elsewhere, and nobody knows where.
    window = Window(np.zeros(1), source[None], rest=source)
    asked = models.motion(source, window, condition, intensity=strength)
    return np.asarray(asked - source, np.float32)


def read_clearly(
    faces: FacePhotos, row: int, emotions: Sequence[Emotion], nets: ExpressionNets
) -> float:
    """How clearly a photograph shows what it is called: 0..1, by the surer of two published nets.

    Args:
        faces: All photographs.
        row: Which.
        emotions: What it is called.
        nets: Look at its pixels; neither judges edits.
    """
    # As FaceCrop.close_up, of which no more is kept than the window.
    points = faces.landmarks_xyz[row, :, :2]
    low, high = points.min(axis=0), points.max(axis=0)
    scale = COLOUR_SIDE / float((high - low).max())
    shift = (COLOUR_SIDE - 1) / 2 - scale * (low + high) / 2
    close_up = cv2.warpAffine(
        cv2.GaussianBlur(faces.image[row], (0, 0), 0.4 / scale),
        np.array([(scale, 0, shift[0]), (0, scale, shift[1])]),
        (COLOUR_SIDE, COLOUR_SIDE),
        borderMode=cv2.BORDER_REPLICATE,
    )
    likely = np.exp(nets(close_up[None]))
    return float(likely[:, [emotion.class_index for emotion in emotions]].sum(axis=1).max())


def agreement(
    asked: Float32[np.ndarray, "pairs 52"],
    acted: Float32[np.ndarray, "pairs 52"],
    emotions: Sequence[tuple[Emotion, ...]],
) -> Float32[np.ndarray, " pairs"]:
    """How far actors move as an edit moves them, beside the others who show the same; mean 1.

    Skin must belong to the movement that is seen: an edit raises the brows for surprise, half of
    the actors hardly do, and have no line on the forehead.

    Args:
        asked: Change of the coefficients that an edit makes.
        acted: That the actor made.
        emotions: What the actor showed.
    """
    along = (SHARES * acted * asked).sum(axis=1) / np.square(asked).sum(axis=1).clip(min=1e-6)
    agrees = OTHERWISE_SHARE + (1 - OTHERWISE_SHARE) * along.clip(0, 1)
    groups: defaultdict[tuple[Emotion, ...], list[int]] = defaultdict(list)
    for row, shown in enumerate(emotions):
        groups[shown].append(row)
    for rows in groups.values():
        agrees[rows] /= agrees[rows].mean()
    return np.asarray(agrees, np.float32)


def how_often(first: Photo, second: Photo) -> float:
    """How often a pair is drawn, beside the others."""
    share = COMPOUND_SHARE if second.is_compound else 1.0
    if not _is_neutral(first):
        share *= BETWEEN_SHARE
    return share * (LONDON_SHARE if first.dataset == "London" else 1.0)


def _is_neutral(photo: Photo) -> bool:
    return photo.emotions == (Emotion.NEUTRAL,)


def _trusted_part(pairs: Mapping[str, np.ndarray]) -> Float32[np.ndarray, " pairs"]:
    mask = pairs["mask"].astype(np.float32) / 255
    trusted = (mask * pairs["trust"] / 255).mean(axis=(1, 2))
    return np.asarray(trusted / np.maximum(mask.mean(axis=(1, 2)), 1e-3), np.float32)


def _rows(
    pairs: Mapping[str, np.ndarray], chosen: Bool[np.ndarray, " pairs"]
) -> dict[str, np.ndarray]:
    return {name: values[chosen] for name, values in pairs.items()}


def gather_faces(
    photos: Sequence[Photo],
    models: Models,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> FacePhotos:
    """Find the largest face of each photograph and cut its window out.

    One without a face is left out.

    Args:
        photos: Stills.
        models: Landmarker and head model.
        progress: Called with (photographs done, photographs in all).
    """
    found: list[tuple[np.ndarray, ...]] = []
    for done, photo in enumerate(photos):
        found += [(*one, np.array(done, np.float32)) for one in _look_at(photo.path, models)]
        if progress:
            progress(done + 1, len(photos))
    columns = [np.stack(column) for column in zip(*found, strict=True)]
    return FacePhotos(*columns)


def cut_face(path: Path, models: Models) -> tuple[VideoFrame, FaceCrop] | None:
    """A photograph, and the crop of its largest face; None where it shows none.

    Args:
        path: The photograph, with square pixels.
        models: Landmarker and head model.
    """
    with open_video(path) as video:
        frame = next(iter(video))
    landmarker = models.open_landmarker(max_faces=1)
    faces = find_faces(frame.picture(DETECTION_SIDE_PX), frame, landmarker, 1.0)
    return (frame, crop_face(frame, faces[0], models.head.locate(faces[0]))) if faces else None


def _look_at(path: Path, models: Models) -> Iterator[tuple[np.ndarray, ...]]:
    found = cut_face(path, models)
    if found is not None:
        frame, crop = found
        window = np.vstack([window_from_crop(), (0, 0, 1)])
        window_from_frame = (window @ np.vstack([crop.crop_from_frame, (0, 0, 1)]))[:2]
        zoom = scale_of(window_from_frame)
        pixels = frame.rgb((0, 0, frame.width, frame.height))
        if zoom < 1:
            pixels = cv2.GaussianBlur(pixels, (0, 0), 0.4 / zoom)
        image = cv2.warpAffine(
            pixels, window_from_frame, (WINDOW_SIZE, WINDOW_SIZE),
            flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        scale = WINDOW_EYE_DISTANCE_PX / crop.crop_from_head.scale
        landmarks = crop.landmarks_xyz * scale
        landmarks[:, :2] += window[:2, 2]
        pose = crop.crop_from_head
        linear = scale * pose.scale * pose.rotation
        shift = scale * pose.translation
        shift[:2] += window[:2, 2]
        yield (
            image,
            landmarks.astype(np.float32),
            np.column_stack([linear, shift]).astype(np.float32),
            crop.expression.astype(np.float32),
            np.array(zoom, np.float32),
        )
