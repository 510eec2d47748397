"""How believable edits look: scores of their pictures, beside real ones of the same people."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cdrl_cli.array_types import Float
from cdrl_cli.checkpoints.models import Models
from cdrl_cli.data.index import Clip
from cdrl_cli.editing import EditOptions
from cdrl_cli.evaluation import belief
from cdrl_cli.evaluation.footage import Footage, Reader
from cdrl_cli.evaluation.perceptual import load_perception
from cdrl_cli.evaluation.pictures import (
    AXES,
    ClipFeatures,
    PictureReader,
    acted_by,
    edit_photo,
    other_people,
    other_picture,
    photo_pairs,
    real_photos,
)
from cdrl_cli.evaluation.plan import Asking, Task, reference_pool
from cdrl_cli.evaluation.protocol import Protocol
from cdrl_cli.evaluation.scores import ActedLook, Belief, PhotoScore, Score


@dataclass(frozen=True, slots=True)
class Known:
    """What real pictures of a source's person show."""

    patches: Float[np.ndarray, "patches dim"]
    """Features of patches of real acted clips."""
    own: Float[np.ndarray, " identity"] | None
    """Who is seen in another picture of the person."""
    others: Float[np.ndarray, "people identity"]
    """Who is seen in one picture each of other people."""


class LookMeasurer:
    """Measures pictures of edits, and keeps what it has seen of real ones.

    Args:
        pictures: Reads them.
        clips: The index.
        photos: Photos of people.
        protocol: Names people and emotions.
    """

    def __init__(
        self,
        pictures: PictureReader,
        clips: Sequence[Clip],
        photos: Sequence[Clip],
        protocol: Protocol,
    ) -> None:
        self._pictures = pictures
        self._clips, self._photos, self._protocol = clips, photos, protocol
        self._features: dict[Path, ClipFeatures] = {}
        self._edited: dict[tuple[str, str], ClipFeatures] = {}
        self._known: dict[Path, Known] = {}
        real = pictures.photo_features(real_photos(photos, protocol))
        self._axes = belief.principal_axes(real, count=AXES) if len(real) > 1 else np.eye(1, 0)
        self._real = (real @ self._axes if len(real) > 1 else real[:, :0]).astype(np.float32)

    @classmethod
    def load(
        cls,
        reader: Reader,
        clips: Sequence[Clip],
        photos: Sequence[Clip],
        protocol: Protocol,
        cache: Path,
    ) -> "LookMeasurer":
        """With the networks of the reports.

        Raises:
            WeightsError: If ``perceptual`` has not been downloaded.
        """
        perception = load_perception()
        pictures = PictureReader(reader, perception, reader.models.mesh.oval, cache / "pictures")
        return cls(pictures, clips, photos, protocol)

    def score(self, row: str, task: Task, source: Footage, output: Footage) -> Belief:
        """All but the separation, which :meth:`rate_patches` adds when a row is complete."""
        known = self._know(task.source)
        before = self._see(task.source.path, source)
        after = before
        if output is not source:  # seen anew: the name of a row does not say what it was made by
            after = self._edited[row, task.name] = self._pictures.features(output)
        shown, unedited = (_mean_identity(one) for one in (output, source))
        nothing = float("nan")
        return Belief(
            separation=nothing,
            rim_step=self._pictures.rim_step(source, output),
            features=self._project(after),
            features_source=self._project(before),
            features_real=self._real,
            is_found_first=(
                None if known.own is None else belief.is_found_first(shown, known.own, known.others)
            ),
            other_picture=nothing if known.own is None else float(shown @ known.own),
            other_picture_source=nothing if known.own is None else float(unedited @ known.own),
        )

    def score_acted(self, acted: Clip, shown: Footage, source: Clip, before: Footage) -> ActedLook:
        """A real acted clip in place of an edit of a neutral clip of its person.

        Args:
            acted: The clip.
            shown: What is seen of it.
            source: A neutral clip of its person.
            before: What is seen of that.
        """
        own = self._know(source).own
        after, unedited = _mean_identity(shown), _mean_identity(before)
        nothing = float("nan")
        return ActedLook(
            identity=float(after @ unedited),
            other_picture=nothing if own is None else float(after @ own),
            other_picture_source=nothing if own is None else float(unedited @ own),
            features=self._project(self._see(acted.path, shown)),
            features_source=self._project(self._see(source.path, before)),
            features_real=self._real,
        )

    def rate_patches(self, scores: Sequence[Score]) -> list[Score]:
        """The scores of a row, with how well its patches are told from real ones.

        For each person and way of asking, the classifier learns from the edits, and the real acted
        clips, of the other people.
        """
        rated: dict[str, float] = {}
        for asking in dict.fromkeys(score.task.asking for score in scores):
            own = [score for score in scores if score.task.asking == asking]
            for person in dict.fromkeys(score.task.source.identity for score in own):
                mine = [score for score in own if score.task.source.identity == person]
                others = [score for score in own if score.task.source.identity != person]
                rated |= self._rate_person(mine, others)
        return [
            replace(score, belief=replace(score.belief, separation=rated[score.task.name]))
            for score in scores
        ]

    def score_photos(
        self, row: str, models: Models | None, asking: Asking, folder: Path, *, intensity: float
    ) -> list[PhotoScore]:
        """Edit photos of neutral faces, and hold each against the person's real acted photo.

        Args:
            row: Name of what is measured.
            models: Edit; None edits nothing.
            asking: By label, or by a photo of somebody else with that emotion.
            folder: Where edited photos go.
            intensity: Of every edit.
        """
        scores = []
        for place, (neutral, acted) in enumerate(photo_pairs(self._photos, self._protocol)):
            assert acted.emotion is not None
            before, real = (self._pictures.portrait(one.path) for one in (neutral, acted))
            unedited = edited = self._pictures.distance(before, real)
            if models is not None:
                options = EditOptions(emotion=acted.emotion.value, intensity=intensity)
                if asking == "reference":
                    pool = reference_pool([], self._photos, acted.emotion, self._protocol)
                    pool = [one for one in pool if one.identity != acted.identity]
                    if not pool:
                        continue
                    chosen = pool[place % len(pool)].path
                    options = EditOptions(reference=chosen, intensity=intensity)
                output = folder / f"{acted.path.stem}-by-{asking}.png"
                edit_photo(neutral.path, models, options, output)
                edited = self._pictures.distance(self._pictures.portrait(output), real)
            scores.append(PhotoScore(row, asking, acted.identity, acted.emotion, edited, unedited))
        return scores

    def _rate_person(self, mine: list[Score], others: list[Score]) -> dict[str, float]:
        nothing = dict.fromkeys((score.task.name for score in mine), float("nan"))
        real = self._know(mine[0].task.source).patches
        sources = {score.task.source.identity: score.task.source for score in others}
        learned_real = [self._know(source).patches for source in sources.values()]
        learned_edited = [self._of(score).patches for score in others]
        if not len(real) or not sum(map(len, learned_real)) or not sum(map(len, learned_edited)):
            return nothing
        features = np.concatenate([*learned_edited, *learned_real])
        is_edited = np.arange(len(features)) < sum(map(len, learned_edited))
        unknown = [self._of(score).patches for score in mine]
        ratings = belief.rate_patches(features, is_edited, np.concatenate([real, *unknown]))
        ends = np.cumsum([len(real), *map(len, unknown)])
        rated_real, *parts = np.split(ratings, ends[:-1])
        return {
            score.task.name: belief.separation(part, rated_real)
            for score, part in zip(mine, parts, strict=True)
        }

    def _of(self, score: Score) -> ClipFeatures:
        edited = self._edited.get((score.row, score.task.name))
        return edited or self._features[score.task.source.path]

    def _see(self, path: Path, footage: Footage) -> ClipFeatures:
        """Features of a real clip, looked at once."""
        if path not in self._features:
            self._features[path] = self._pictures.features(footage)
        return self._features[path]

    def _know(self, source: Clip) -> Known:
        if source.path not in self._known:
            acted = acted_by(source, self._clips, self._protocol)
            cache = self._pictures.cache.parent / "footage"
            seen = [self._pictures.reader.read_kept(clip, cache) for clip in acted]
            patches = [self._see(c.path, f).patches for c, f in
                       zip(acted, seen, strict=True)]  # fmt: skip
            other = other_picture(source, self._clips)
            people = other_people(source.identity, self._clips, self._photos)
            self._known[source.path] = Known(
                patches=np.concatenate(patches) if patches else np.zeros((0, 1), np.float32),
                own=None if other is None else self._pictures.portrait(other.path).identity,
                others=self._pictures.gallery(people),
            )
        return self._known[source.path]

    def _project(self, seen: ClipFeatures) -> Float[np.ndarray, "frames axes"]:
        if not self._axes.shape[1]:
            return np.zeros((len(seen.frames), 0), np.float32)
        return (seen.frames @ self._axes).astype(np.float32)


def _mean_identity(footage: Footage) -> Float[np.ndarray, " dim"]:
    mean = footage.identity.mean(axis=0)
    return np.asarray(mean / np.linalg.norm(mean))
