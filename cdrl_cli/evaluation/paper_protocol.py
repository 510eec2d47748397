"""The paper's experiment on data that others have too: its pairs, its measures and ours.

Neutral clips of actors who were held out are edited to each emotion, by a reference of the same
actor or of another, and compared with the actor's real take of the sentence. FAD, CSIM and LSE are
what their authors' networks make them: they bear these names only where the user supplies the
network. For FAD and CSIM there are measures of our own, by SFace, which are named so; for LSE there
are none. What does not depend on a user's network is measured always.

CSIM in the paper is of expressions, not of identity; which it is, here, the user's network says.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from cdrl_cli.array_types import Float32
from cdrl_cli.checkpoints.load import find_weights
from cdrl_cli.checkpoints.models import Models, load_models
from cdrl_cli.data.clips import Clip
from cdrl_cli.data.datasets.paper_split import EditPair, Identity, pair_edits
from cdrl_cli.data.index import read_index
from cdrl_cli.editing import EditOptions
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UsageError
from cdrl_cli.evaluation import measures
from cdrl_cli.evaluation.footage import Footage, Reader
from cdrl_cli.evaluation.judges import load_judge
from cdrl_cli.evaluation.plan import Task
from cdrl_cli.evaluation.protocol_rows import (
    CEILING,
    ENCODED,
    FLOOR,
    LIP_SYNC,
    OWN,
    ProtocolRow,
    Shown,
    compare_clips,
    measure_theval,
    summarise_row,
)
from cdrl_cli.evaluation.rows import edit_options, make_edit, slug
from cdrl_cli.evaluation.speech_activity import SpeechActivity, hear_speech
from cdrl_cli.evaluation.syncnet import LipSync, SyncNet, measure_sync, read_syncnet
from cdrl_cli.face.identity import IdentityEncoder
from cdrl_cli.nn.networks import open_network

FACE_NETWORKS = ("FAD", "CSIM")
"""Measures of faces whose networks users may supply."""

NETWORKS = (*FACE_NETWORKS, "LSE")
"""All measures whose networks users may supply."""

NEUTRAL_CLIPS = 2
"""So many neutral clips of a reference's person, at most, say how that person looks at rest."""


class FaceNetwork:
    """A network that users supply: aligned faces to features.

    Args:
        model: ONNX; one input (batch, 3, side, side), RGB, -1..1, one output.
    """

    def __init__(self, model: Path) -> None:
        self._session = open_network(model)
        self._input = self._session.get_inputs()[0]
        shape = self._input.shape
        if len(shape) != 4 or not isinstance(shape[2], int):  # noqa: PLR2004 - batch, colour, y, x
            raise UsageError(f"{model}: takes {shape}, not pictures of one size")
        self._side = int(shape[2])

    def features(self, footage: Footage) -> Float32[np.ndarray, "frames dim"]:
        """Of the crops that were kept of a clip."""
        size = (self._side, self._side)
        rows = []
        for crop in footage.crops:
            small = cv2.resize(crop, size, interpolation=cv2.INTER_AREA)
            picture = (small.astype(np.float32) / 127.5 - 1).transpose(2, 0, 1)[None]
            (answer,) = self._session.run(None, {self._input.name: picture})[:1]
            rows.append(np.asarray(answer, np.float32).reshape(-1))
        return np.stack(rows)


class ProtocolBench:
    """Makes and measures the protocol's edits.

    Args:
        folder: For edited clips, and what is read of real ones.
        networks: Of users, by the measure that they are for.
        clips: Of the index: their neutral ones say how people look at rest.

    Raises:
        WeightsError: If ``judge`` or ``identity`` have not been downloaded, or a user's SyncNet is
            none.
        UsageError: If a network takes no pictures.
    """

    def __init__(
        self, folder: Path, networks: Mapping[str, Path], clips: Sequence[Clip] = ()
    ) -> None:
        if unknown := set(networks) - set(NETWORKS):
            raise UsageError(
                f"no measure '{min(unknown)}' takes a network",
                hint=f"one of: {', '.join(NETWORKS)}",
            )
        self._folder = folder
        faces = [name for name in FACE_NETWORKS if name in networks]
        self._networks = {name: FaceNetwork(networks[name]) for name in faces}
        self.names = tuple(name if name in faces else f"{name}-SFace" for name in FACE_NETWORKS)
        self._syncnet: SyncNet | None = None
        if "LSE" in networks:
            self._syncnet = read_syncnet(networks["LSE"])
        identity = IdentityEncoder(find_weights("identity"))
        self._models = load_models(core=True)
        self._reader = Reader(self._models, load_judge(), identity)
        self._calm: dict[str, list[Clip]] = defaultdict(list)
        for clip in clips:
            if clip.emotion is Emotion.NEUTRAL:
                self._calm[clip.identity].append(clip)
        self._heard: dict[Path, LipSync | None] = {}
        self._activity: dict[Path, SpeechActivity | None] = {}

    def measure(self, name: str, models: Models | None, pairs: Sequence[EditPair]) -> ProtocolRow:
        """A row of edits; None edits nothing."""
        return self._measure(name, pairs, partial(self._edit, name, models))

    def measure_encoded(self, pairs: Sequence[EditPair]) -> ProtocolRow:
        """The sources, encoded as edits are, with no edit: what a codec alone does to measures."""
        return self._measure(ENCODED, pairs, self._encode)

    def measure_real(self, clips: Sequence[Clip], pairs: Sequence[EditPair]) -> ProtocolRow:
        """The ceiling: in place of an edit, another real take of the actor with the emotion."""
        shown = []
        for pair in pairs:
            emotion = pair.reference.emotion
            assert pair.target is not None
            assert emotion is not None
            others = [
                clip
                for clip in clips
                if (clip.identity, clip.emotion) == (pair.target.identity, emotion)
                and clip != pair.target
            ]
            if others:
                look = self._look(others[0])
                shown.append(self._compare(pair, others[0].path, look, None, others[0].audio))
        return summarise_row(CEILING, shown, self.names, self._lip_sync)

    @property
    def _lip_sync(self) -> tuple[str, ...]:
        return LIP_SYNC if self._syncnet is not None else ()

    def _measure(
        self, name: str, pairs: Sequence[EditPair], make: Callable[[EditPair], Path]
    ) -> ProtocolRow:
        shown = []
        read: dict[Path, Footage] = {}
        for pair in pairs:
            source = self._look(pair.source)
            path = make(pair)
            if path == pair.source.path:
                read[path] = source
            elif path not in read:
                read[path] = self._reader.read(path)
            shown.append(self._compare(pair, path, read[path], source, pair.source.audio))
        return summarise_row(name, shown, self.names, self._lip_sync)

    def _edit(self, name: str, models: Models | None, pair: EditPair) -> Path:
        if models is None:
            return pair.source.path
        assert pair.reference.emotion is not None
        task = Task(pair.source, pair.reference.emotion, "reference", pair.reference, pair.target)
        return self._make(name, task, models, edit_options(task, intensity=1.0))

    def _encode(self, pair: EditPair) -> Path:
        task = Task(pair.source, Emotion.NEUTRAL, "label", pair.source, None)
        options = EditOptions(emotion=Emotion.NEUTRAL.value, intensity=0.0)
        return self._make(ENCODED, task, self._models, options)

    def _make(self, name: str, task: Task, models: Models, options: EditOptions) -> Path:
        path = self._folder / slug(name) / f"{task.name}{task.source.path.suffix}"
        return make_edit(task, models, options, path).path

    def _compare(
        self,
        pair: EditPair,
        path: Path,
        output: Footage,
        source: Footage | None,
        sound: Path | None,
    ) -> Shown:
        emotion = pair.reference.emotion
        assert pair.target is not None
        assert emotion is not None
        real = self._look(pair.target)
        judged = measures.judged_emotion(output.probabilities) is emotion
        values = dict.fromkeys(OWN, float("nan"))
        values["emotion"] = float(judged)
        values["frames"] = measures.frame_accuracy(output.probabilities, emotion)
        if source is not None:
            values |= compare_clips(source, output, real, emotion, self._models.head)
            values["manner"] = self._manner(pair.reference, source, output)
        values |= measure_theval(output, self._listen(sound or path))
        if self._syncnet is not None:
            heard = self._hear(path, sound or path, output)
            distance, confidence = (
                (float("nan"),) * 2 if heard is None else (heard.distance, heard.confidence)
            )
            values |= dict(zip(LIP_SYNC, (distance, confidence), strict=True))
        return Shown(
            emotion,
            values,
            self._features(output),
            self._features(real),
            measure_theval(real, self._listen(pair.target.audio or pair.target.path)),
        )

    def _manner(self, reference: Clip, source: Footage, output: Footage) -> float:
        calm = self._calm[reference.identity][:NEUTRAL_CLIPS]
        if not calm:
            return float("nan")
        neutral = np.mean([self._look(clip).expression.mean(axis=0) for clip in calm], axis=0)
        wanted = measures.reference_change(self._look(reference).expression, neutral)
        shown = measures.emotion_change(output.expression, source.expression.mean(axis=0))
        return measures.manner(shown, wanted)

    def _listen(self, path: Path) -> SpeechActivity | None:
        if path not in self._activity:
            self._activity[path] = hear_speech(path)
        return self._activity[path]

    def _hear(self, path: Path, sound: Path, footage: Footage) -> LipSync | None:
        if path not in self._heard:
            assert self._syncnet is not None
            self._heard[path] = measure_sync(self._syncnet, path, sound, footage)
        return self._heard[path]

    def _features(self, footage: Footage) -> dict[str, Float32[np.ndarray, "frames dim"]]:
        return {
            name: (
                self._networks[name].features(footage)
                if name in self._networks
                else footage.identity
            )
            for name in self.names
        }

    def _look(self, clip: Clip) -> Footage:
        return self._reader.read_kept(clip, self._folder / "footage")


def measure_protocol(
    rows: Mapping[str, Models],
    data: Path,
    folder: Path,
    *,
    identity: Identity,
    edits: int,
    networks: Mapping[str, Path],
    progress: Callable[[int, int], None] | None = None,
) -> list[ProtocolRow]:
    """Floor, the codec alone, every generator, ceiling.

    Args:
        rows: Generators by name.
        data: Folder with ``index.csv``, of which people are held out.
        folder: For edited clips.
        identity: Whose the references are.
        edits: At most so many a row, evenly over the protocol.
        networks: Of users, by measure.
        progress: Called with (rows done, rows in all).

    Raises:
        UsageError: If the index has no edit with a real take to compare it with.
    """
    clips = read_index(data)
    every = [pair for pair in pair_edits(clips, identity) if pair.target is not None]
    if not every:
        raise UsageError("no edit of the protocol has a real take of the same sentence")
    chosen = np.unique(np.linspace(0, len(every) - 1, min(edits, len(every))).round().astype(int))
    pairs = [every[i] for i in chosen]
    bench = ProtocolBench(folder, networks, clips)
    steps = [
        partial(bench.measure, FLOOR, None, pairs),
        partial(bench.measure_encoded, pairs),
        *(partial(bench.measure, name, models, pairs) for name, models in rows.items()),
        partial(bench.measure_real, clips, pairs),
    ]
    measured = []
    for done, step in enumerate(steps, start=1):
        measured.append(step())
        if progress:
            progress(done, len(steps))
    return measured
