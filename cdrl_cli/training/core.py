"""Fit the numbers of the geometric core: canonical face, expression basis, emotion differences.

Everything is a closed-form fit over landmarks and coefficients of training clips; minutes on a
laptop, most of it in finding the landmarks, which are cached.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cdrl_cli.array_types import Float, Int
from cdrl_cli.checkpoints.files import write_arrays
from cdrl_cli.data.action_units import coded_expression
from cdrl_cli.data.motions import CLEARLY_ACTED
from cdrl_cli.data.prepared import PreparedClip
from cdrl_cli.emotion import Emotion
from cdrl_cli.face.blendshapes import COEFFICIENTS, COUNTERPARTS, SHARES
from cdrl_cli.face.landmarks import LANDMARKS
from cdrl_cli.generator.motion import NeutralPrior
from cdrl_cli.geometry.similarity import fit_similarity
from cdrl_cli.training.canonical_mesh import read_canonical_mesh
from cdrl_cli.weight_set import WeightSet

OUTER_EYE_CORNERS = (33, 263)
"""Landmarks at the outer corners of the eyes; their distance is the unit of head space."""

FIT_ROUNDS = 4
"""Rounds of locating heads with the canonical face and averaging it anew."""

FRAMES_A_CLIP = 40
"""Frames of one clip that enter the fit: neighbours say the same thing."""

RIDGE = 0.02
"""Penalty of the basis, in units of the mean variance of a coefficient."""


ACTED_STRENGTH = 0.95
"""Change of the coefficients (L2) from neutral to an acted emotion: the middle of what strong
actors do (0.6 to 1.3)."""


@dataclass(frozen=True, slots=True)
class ClipLandmarks:
    """What the landmarker saw in one clip."""

    dataset: str
    identity: str
    emotion: Emotion | None
    landmarks_xyz: Float[np.ndarray, "frames 478 3"]
    """Square pixels."""
    expression: Float[np.ndarray, "frames 52"]

    @classmethod
    def of(cls, prepared: PreparedClip) -> "ClipLandmarks":
        """What the core needs of a prepared clip."""
        clip = prepared.clip
        return cls(
            clip.dataset,
            clip.identity,
            clip.emotion,
            prepared.landmarks_xyz,
            prepared.expression,
        )

    def thinned(self) -> "ClipLandmarks":
        """At most ``FRAMES_A_CLIP`` frames, evenly spread."""
        keep = np.unique(
            np.linspace(0, len(self.expression) - 1, FRAMES_A_CLIP).round().astype(int)
        )
        return replace(
            self, landmarks_xyz=self.landmarks_xyz[keep], expression=self.expression[keep]
        )


@dataclass(frozen=True, slots=True)
class CoreNumbers:
    """What the geometric core knows."""

    canonical_xyz: Float[np.ndarray, "478 3"]
    rigidity: Float[np.ndarray, " 478"]
    basis: Float[np.ndarray, "52 478 3"]
    explained: float
    """Share of the landmarks' variance within a clip's identity that the basis explains (R2)."""


def mirror_landmarks(mesh_xyz: Float[np.ndarray, "468 3"]) -> Int[np.ndarray, " 478"]:
    """For each landmark, the one that a mirror turns it into.

    Args:
        mesh_xyz: The canonical mesh, symmetric about x = 0.
    """
    mirrored = mesh_xyz * (-1, 1, 1)
    partner = np.linalg.norm(mesh_xyz[None] - mirrored[:, None], axis=2).argmin(axis=1)
    # Irises: centre, then right, top, left, bottom of one eye; the mirror swaps eyes and sides.
    irises = [473, 476, 475, 474, 477, 468, 471, 470, 469, 472]
    return np.concatenate([partner, irises])


def save_core(
    path: Path,
    clips: list[ClipLandmarks],
    landmarker_file: Path,
    *,
    weight_set: WeightSet,
) -> CoreNumbers:
    """Fit everything and write the file that an edit loads.

    Args:
        path: ``core-….safetensors``.
        clips: Landmarks of the training clips.
        landmarker_file: Its bundle carries the mesh.
        weight_set: What the clips may teach; written into the file.
    """
    mesh_xyz, triangles, oval = read_canonical_mesh(landmarker_file)
    core = fit_core(clips, mesh_xyz)
    neutral = fit_neutral(clips)
    numbers = {
        "canonical_xyz": core.canonical_xyz,
        "rigidity": core.rigidity,
        "basis": core.basis,
        "neutral_mean": neutral.mean,
        "neutral_high": neutral.high,
        "differences": fit_differences(clips, neutral),
    }
    facts = {
        "recipe": "spfem train core",
        "weight_set": weight_set.value,
        "clips": str(len(clips)),
        "people": str(len({clip.identity for clip in clips})),
        "explained": f"{core.explained:.3f}",
    }
    arrays = {name: value.astype(np.float32) for name, value in numbers.items()}
    write_arrays(path, arrays | {"triangles": triangles, "oval": oval}, facts)
    return core


def fit_core(clips: Iterable[ClipLandmarks], mesh_xyz: Float[np.ndarray, "468 3"]) -> CoreNumbers:
    """Fit canonical face, rigidity and basis to clips of many people.

    Alternates between locating every head with the canonical face, and averaging what is seen in
    head space: canonical from the mean over people, rigidity from how little a landmark moves
    about its person's mean, basis from ridge regression of that movement on the coefficients.
    The mirror image of every frame counts too, which makes all three symmetric.

    Args:
        clips: Landmarks of the training clips.
        mesh_xyz: The landmarker's own canonical mesh, to begin with; head-space axes, any unit.
    """
    clips = [clip.thinned() for clip in clips]
    people = sorted({clip.identity for clip in clips})
    mirror = mirror_landmarks(mesh_xyz)
    canonical = _first_guess(mesh_xyz)
    rigidity = np.ones(LANDMARKS)
    rigidity[468:] = 0
    for _ in range(FIT_ROUNDS):
        placed = [_place(clip, canonical, rigidity) for clip in clips]
        means = np.stack([_person_mean(person, clips, placed) for person in people])
        canonical = _symmetric(means.mean(axis=0), mirror)
        canonical -= canonical[list(OUTER_EYE_CORNERS)].mean(axis=0)
        canonical /= np.linalg.norm(np.subtract(*canonical[list(OUTER_EYE_CORNERS)]))
        moves, shifts = _movements(people, clips, placed)
        spread = (moves**2).sum(axis=2).mean(axis=0)
        spread = (spread + spread[mirror]) / 2
        rigidity = np.median(spread) / spread
        rigidity[468:] = 0

    moves, shifts = _movements(people, clips, placed)
    moves = np.concatenate([moves, moves[:, mirror] * (-1, 1, 1)]).reshape(-1, LANDMARKS * 3)
    shifts = np.concatenate([shifts, shifts[:, COUNTERPARTS]])
    penalty = RIDGE * len(shifts) * shifts.var(axis=0).mean() * np.eye(COEFFICIENTS)
    basis = np.linalg.solve(shifts.T @ shifts + penalty, shifts.T @ moves)
    left = ((moves - shifts @ basis) ** 2).sum() / (moves**2).sum()
    return CoreNumbers(canonical, rigidity, basis.reshape(COEFFICIENTS, LANDMARKS, 3), 1 - left)


def fit_neutral(clips: Iterable[ClipLandmarks]) -> NeutralPrior:
    """How neutral faces look: every data set counts alike, and in it every person."""
    people = _means_by_person(clips, Emotion.NEUTRAL)
    by_set: dict[str, list[Float[np.ndarray, " 52"]]] = defaultdict(list)
    for (dataset, _), mean in people.items():
        by_set[dataset].append(mean)
    return NeutralPrior(
        mean=np.mean([np.mean(means, axis=0) for means in by_set.values()], axis=0),
        high=np.mean([np.percentile(means, 90, axis=0) for means in by_set.values()], axis=0),
    )


def fit_differences(
    clips: Iterable[ClipLandmarks], neutral: NeutralPrior
) -> Float[np.ndarray, "7 52"]:
    """How each emotion differs from neutral, in the order of :class:`Emotion`; neutral is 0.

    The mean over people of (their emotion minus their neutral; minus the neutral prior where
    their neutral is not known), of those who act it clearly, completed by the emotion's action
    units (EMFACS, Friesen and Ekman 1983), brought to the strength of real acting. Actors show
    anger or fear in many ways, which average out; the action units are what they share.
    """
    clips = list(clips)
    own_neutral = _means_by_person(clips, Emotion.NEUTRAL)
    differences = np.zeros((len(Emotion), COEFFICIENTS))
    for emotion in Emotion:
        if emotion is Emotion.NEUTRAL:
            continue
        measured = [
            SHARES * (mean - own_neutral.get(person, neutral.mean))
            for person, mean in _means_by_person(clips, emotion).items()
        ]
        clear = [d for d in measured if np.linalg.norm(d) > CLEARLY_ACTED]
        difference = coded_expression(emotion) + (np.mean(clear, axis=0) if clear else 0.0)
        differences[emotion.class_index] = difference * ACTED_STRENGTH / np.linalg.norm(difference)
    return differences


def _means_by_person(
    clips: Iterable[ClipLandmarks], emotion: Emotion
) -> dict[tuple[str, str], Float[np.ndarray, " 52"]]:
    """(data set, identity) to the mean coefficients of that person's clips of an emotion."""
    means: dict[tuple[str, str], list[Float[np.ndarray, " 52"]]] = defaultdict(list)
    for clip in clips:
        if clip.emotion is emotion:
            means[clip.dataset, clip.identity].append(clip.expression.mean(axis=0))
    return {person: np.mean(values, axis=0) for person, values in means.items()}


def _first_guess(mesh_xyz: Float[np.ndarray, "468 3"]) -> Float[np.ndarray, "478 3"]:
    canonical = np.zeros((LANDMARKS, 3))
    canonical[:468] = mesh_xyz / np.linalg.norm(np.subtract(*mesh_xyz[list(OUTER_EYE_CORNERS)]))
    return canonical


def _symmetric(
    points: Float[np.ndarray, "478 3"], mirror: Int[np.ndarray, " 478"]
) -> Float[np.ndarray, "478 3"]:
    middle = (points[33, 0] + points[263, 0]) / 2
    centred = points - (middle, 0, 0)
    return (centred + centred[mirror] * (-1, 1, 1)) / 2


def _place(
    clip: ClipLandmarks,
    canonical: Float[np.ndarray, "478 3"],
    rigidity: Float[np.ndarray, " 478"],
) -> Float[np.ndarray, "frames 478 3"]:
    """A clip's landmarks in head space."""
    return np.stack(
        [
            fit_similarity(canonical, seen.astype(float), rigidity).inverse().apply(seen)
            for seen in clip.landmarks_xyz
        ]
    )


def _person_mean(
    person: str, clips: list[ClipLandmarks], placed: list[Float[np.ndarray, "frames 478 3"]]
) -> Float[np.ndarray, "478 3"]:
    """Mean over a person's clips, each clip alike."""
    return np.mean(
        [p.mean(axis=0) for clip, p in zip(clips, placed, strict=True) if clip.identity == person],
        axis=0,
    )


def _movements(
    people: list[str],
    clips: list[ClipLandmarks],
    placed: list[Float[np.ndarray, "frames 478 3"]],
) -> tuple[Float[np.ndarray, "in_all 478 3"], Float[np.ndarray, "in_all 52"]]:
    """Every frame's landmarks and coefficients, minus their person's means."""
    moves, shifts = [], []
    for person in people:
        own = [i for i, clip in enumerate(clips) if clip.identity == person]
        seen = np.concatenate([placed[i] for i in own])
        coefficients = np.concatenate([clips[i].expression for i in own]).astype(float)
        moves.append(seen - seen.mean(axis=0))
        shifts.append(coefficients - coefficients.mean(axis=0))
    return np.concatenate(moves), np.concatenate(shifts)
