"""What the generator is worth: clips edited by the shipped path, read again, and compared.

DESIGN, section 4. Every row of the table is a generator, or none; every row edits the same clips.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

from cdrl_cli.array_types import Float, Float32, Int
from cdrl_cli.checkpoints.load import find_weights
from cdrl_cli.checkpoints.models import Models, load_models
from cdrl_cli.checkpoints.trained import ContentModels, load_content, open_prior
from cdrl_cli.data.index import Clip, read_index
from cdrl_cli.data.pairs import align
from cdrl_cli.data.prepared import PreparedClip
from cdrl_cli.data.takes import Take, Windows
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import NoFaceError
from cdrl_cli.evaluation import measures
from cdrl_cli.evaluation.footage import Footage, Reader, in_common
from cdrl_cli.evaluation.judges import load_judge
from cdrl_cli.evaluation.looks import LookMeasurer
from cdrl_cli.evaluation.plan import Asking, ReferenceChoice, Task, plan_edits
from cdrl_cli.evaluation.plausibility import RealExpressions, learn_region
from cdrl_cli.evaluation.protocol import Protocol, acted_clips, region_clips
from cdrl_cli.evaluation.references import ReferenceReader, other_changes, simple_photos
from cdrl_cli.evaluation.rows import count_changed_outside, edit_options, make_edit, slug
from cdrl_cli.evaluation.scores import Acted, Evaluation, Likeness, Score, TargetScore
from cdrl_cli.face.identity import IdentityEncoder
from cdrl_cli.metrics import mouth
from cdrl_cli.preparation import prepare_clip, prepare_clips, read_takes
from cdrl_cli.representation.audio_prior import SpeechPrior

SYNC_WINDOWS = 10
"""Of a clip, whose mouths are held against their own and the others' speech."""


@dataclass(frozen=True, slots=True)
class ClipReading:
    """Everything that is read of one clip."""

    footage: Footage
    prepared: PreparedClip
    """Smoothed, as an edit sees it: coefficients and mouth crops."""
    take: Take
    """On the grid of the speech."""


def evaluate_edits(
    rows: Mapping[str, Models | None],
    data: Path,
    cache: Path,
    folder: Path,
    *,
    protocol: Protocol,
    edits: int,
    askings: Sequence[Asking],
    intensity: float = 1.0,
    references: ReferenceChoice = "protocol",
    given_neutral: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Edit the validation clips once a row, and measure.

    Args:
        rows: By name, in the order of the table; None edits nothing.
        data: Folder with ``index.csv``.
        cache: Of prepared clips; what is read of real clips is kept in its ``footage/``.
        folder: Where the edited clips go, a folder a row; those that are there are not made again.
        protocol: Names the people, clips and references.
        edits: Of each row and asking; a multiple of the number of emotions.
        askings: By reference, by label.
        intensity: Of every edit.
        references: Whose are shown.
        given_neutral: Edits by reference are given a neutral picture of its person, where there is
            one; else they estimate that face.
        progress: Called with (clips done, clips in all).

    Raises:
        WeightsError: If ``judge``, ``identity`` or ``speech`` have not been downloaded.
        UsageError: If the index lacks clips of the protocol, or LiteRT is not installed.
        SpfemError: If an edit fails.
    """
    clips, photos = read_index(data), simple_photos(data / protocol.photos)
    tasks = [
        task
        for asking in askings
        for task in plan_edits(
            clips, photos, protocol, edits=edits, asking=asking, references=references
        )
    ]
    acted = acted_clips(clips, protocol)
    instruments = Instruments.load(
        clips, cache, protocol, photos=photos, references=[task.reference for task in tasks]
    )
    if given_neutral:
        tasks = [_give_neutral(task, instruments.references) for task in tasks]
    total, done = len(acted) + len(tasks) * len(rows), 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(done, total)

    ceiling = []
    for clip in acted:
        sources = [task.source for task in tasks if task.source.identity == clip.identity]
        ceiling.append(instruments.score_acted(clip, clips, next(iter(sources), None)))
        step()
    scores, photographed = [], []
    for name, models in rows.items():
        counted: set[tuple[Asking, Path]] = set()
        found = []
        for task in tasks:
            is_first = (task.asking, task.source.path) not in counted
            counted.add((task.asking, task.source.path))
            found.append(
                instruments.score(
                    name, models, task, folder, intensity=intensity, count_outside=is_first
                )
            )
            step()
        scores += instruments.looks.rate_patches(found)
        for asking in askings:
            photographed += instruments.looks.score_photos(
                name, models, asking, folder / slug(name) / "photos", intensity=intensity
            )
    return Evaluation(tuple(rows), tuple(scores), tuple(ceiling), intensity, tuple(photographed))


@dataclass(frozen=True, slots=True)
class Instruments:
    """The instruments, and what they have seen of real clips."""

    reader: Reader
    content: ContentModels
    prior: SpeechPrior
    region: RealExpressions
    references: ReferenceReader
    pool: tuple[Clip, ...]
    """All references of the edits."""
    looks: LookMeasurer
    cache: Path
    _seen: dict[Path, ClipReading]

    @classmethod
    def load(
        cls,
        clips: Sequence[Clip],
        cache: Path,
        protocol: Protocol,
        *,
        photos: Sequence[Clip],
        references: Sequence[Clip],
    ) -> "Instruments":
        """The default weights measure, whichever generator is measured."""
        models, content = load_models(core=True), load_content()
        prior = open_prior(content.prior)  # what is missing is told before the long part
        reader = Reader(models, load_judge(), IdentityEncoder(find_weights("identity")))
        region = learn_region(list(prepare_clips(region_clips(clips, protocol), models, cache)))
        reading = ReferenceReader(models, [*clips, *photos], cache / "references")
        pool = tuple(dict.fromkeys(references))
        looks = LookMeasurer.load(reader, clips, photos, protocol, cache)
        return cls(reader, content, prior, region, reading, pool, looks, cache, {})

    def score(
        self,
        row: str,
        models: Models | None,
        task: Task,
        folder: Path,
        *,
        intensity: float,
        count_outside: bool,
    ) -> Score:
        """Make one edit and measure it."""
        source = self._look(task.source)
        target = None if task.target is None else self._look(task.target)
        options = edit_options(task, intensity=intensity)
        path, output, edit_s, outside = task.source.path, source, 0.0, None
        read_as = None
        if models is not None:
            name = f"{task.name}{task.source.path.suffix}"
            edited = make_edit(task, models, options, folder / slug(row) / name)
            path, edit_s, read_as = edited.path, edited.edit_s, edited.read_as
        began = perf_counter()
        if models is not None:
            output = self._read(replace(task.source, path=path), kept=False)
            if count_outside:
                outside = count_changed_outside(task, models, options)
        before, after = in_common(source.footage, output.footage)
        apertures = [mouth.lip_aperture(one.landmarks_xyz) for one in (before, after)]
        closed_below = mouth.closed_threshold(apertures[0])
        cosines = measures.cosines(before.identity, after.identity)
        both = _at_same_times(source.prepared, output.prepared)
        return Score(
            row=row,
            task=task,
            path=path,
            read_as=read_as,
            judged=measures.judged_emotion(after.probabilities),
            frame_hits=measures.frame_accuracy(after.probabilities, task.emotion),
            probability_rise=measures.probability_rise(
                before.probabilities, after.probabilities, task.emotion
            ),
            lip_correlation=mouth.correlation(*apertures),
            closure_f1=mouth.closure_f1(*(one < closed_below for one in apertures)),
            identity=float(cosines.mean()),
            identity_low=float(np.percentile(cosines, measures.LOW_PERCENTILE)),
            jerkiness=measures.jerkiness(after.landmarks_xyz),
            jerkiness_source=measures.jerkiness(before.landmarks_xyz),
            change=measures.expression_change(*both),
            inside=float(self.region.contains(output.prepared.expression).mean()),
            likeness=self._score_likeness(task.reference, before, after),
            belief=self.looks.score(row, task, source.footage, output.footage),
            target=None if target is None else self._score_target(source, output, target),
            sync=self._sync(output.take),
            sync_source=self._sync(source.take),
            faces=after.identity,
            faces_source=before.identity,
            changed_outside=outside,
            edit_s=edit_s,
            measure_s=perf_counter() - began,
            reference_judged=self._judge_reference(task),
        )

    def score_acted(self, clip: Clip, clips: Sequence[Clip], source: Clip | None) -> Acted:
        """Measure a real emotional clip.

        Args:
            clip: Of a known emotion.
            clips: The index.
            source: A neutral clip of the person that is edited, if there is one.
        """
        assert clip.emotion is not None
        look = None
        if source is not None:
            shown, before = (self._look(one).footage for one in (clip, source))
            look = self.looks.score_acted(clip, shown, source, before)
        sight = self._look(clip)
        neutral = [
            self._look(other).prepared.expression.mean(axis=0)
            for other in clips
            if other.emotion is Emotion.NEUTRAL
            and (other.identity, other.dataset) == (clip.identity, clip.dataset)
        ]
        change = sight.prepared.expression.mean(axis=0) - np.mean(neutral, axis=0)
        return Acted(
            clip=clip,
            judged=measures.judged_emotion(sight.footage.probabilities),
            frame_hits=measures.frame_accuracy(sight.footage.probabilities, clip.emotion),
            inside=float(self.region.contains(sight.prepared.expression).mean()),
            change=float(np.linalg.norm(change)),
            look=look,
        )

    def _judge_reference(self, task: Task) -> Emotion | None:
        """What a perfect edit by this reference would be judged to show."""
        if task.asking == "label":
            return None
        shown = self.reader.read_kept(task.reference, self.cache / "footage")
        return measures.judged_emotion(shown.probabilities)

    def _look(self, clip: Clip) -> ClipReading:
        """What is seen of a clip of the data, looked at once."""
        if clip.path not in self._seen:
            self._seen[clip.path] = self._read(clip, kept=True)
        return self._seen[clip.path]

    def _read(self, clip: Clip, *, kept: bool) -> ClipReading:
        if kept:
            footage = self.reader.read_kept(clip, self.cache / "footage")
            prepared = next(prepare_clips([clip], self.reader.models, self.cache), None)
        else:
            footage = self.reader.read(clip.path)
            prepared = prepare_clip(clip, self.reader.models)
        takes = (
            [] if prepared is None else read_takes([prepared], self.prior, self.cache / "speech")
        )
        take = next(iter(takes), None)
        if prepared is None or take is None:
            raise NoFaceError(f"{clip.path}: no face to measure")
        return ClipReading(footage, prepared, take)

    def _score_likeness(self, reference: Clip, before: Footage, after: Footage) -> Likeness | None:
        wanted = self.references.change(reference)
        if wanted is None:
            return None
        shown = measures.emotion_change(after.expression, before.expression.mean(axis=0))
        others = other_changes(reference, self.pool, self.references)
        return Likeness(
            manner=measures.manner(shown, wanted),
            own_manner=measures.own_manner(shown, wanted, others),
            length=float(np.linalg.norm(shown)),
            length_reference=float(np.linalg.norm(wanted)),
        )

    def _score_target(
        self, source: ClipReading, output: ClipReading, target: ClipReading
    ) -> TargetScore:
        # The words are the source's in both, so one alignment serves both.
        moment = align(source.take.speech, target.take.speech)
        said_s, acted_s = source.take.time_s, target.take.time_s[moment]
        real = self._in_head(target.footage, acted_s)
        return TargetScore(
            landmarks=measures.landmark_error(self._in_head(output.footage, said_s), real),
            landmarks_source=measures.landmark_error(self._in_head(source.footage, said_s), real),
            identity=target.footage.identity,
        )

    def _in_head(
        self, footage: Footage, time_s: Float[np.ndarray, " moments"]
    ) -> Float[np.ndarray, "moments 468 3"]:
        """The landmarks seen nearest to some moments, without the head's pose."""
        nearest = np.abs(footage.time_s - time_s[:, None]).argmin(axis=1)
        frames, where = np.unique(nearest, return_inverse=True)
        return measures.head_space(footage.landmarks_xyz[frames], self.reader.models.head)[where]

    def _sync(self, take: Take) -> float | None:
        """How much nearer a mouth is to its own speech than to other moments' of the clip."""
        frames = self.content.content.config.frames
        if not take.has_speech or len(take.starts(frames)) < SYNC_WINDOWS:
            return None
        windows = Windows.spread(take, frames, SYNC_WINDOWS)
        with torch.inference_mode():
            heard = self.content.speech(windows.speech)
            seen = self.content.content.encode_views(windows.crops, windows.coefficients)["both"]
            likeness = seen @ heard.T
        own = torch.eye(len(likeness), dtype=torch.bool)
        return float(likeness[own].mean() - likeness[~own].mean())


def _give_neutral(task: Task, references: ReferenceReader) -> Task:
    """The task with a neutral picture of its reference's person, if it is by reference."""
    if task.asking == "label":
        return task
    return replace(task, neutral=next(iter(references.neutral_clips(task.reference)), None))


def _at_same_times(
    one: PreparedClip, other: PreparedClip
) -> tuple[Float32[np.ndarray, "frames 52"], Float32[np.ndarray, "frames 52"]]:
    """Coefficients of the frames that show a face in both."""
    _, here, there = np.intersect1d(_microseconds(one), _microseconds(other), return_indices=True)
    return one.expression[here], other.expression[there]


def _microseconds(prepared: PreparedClip) -> Int[np.ndarray, " frames"]:
    return np.round(prepared.time_s * 1e6).astype(int)
