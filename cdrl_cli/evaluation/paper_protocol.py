"""The paper's experiment on data that others have too: its pairs, measures and rows beside ours.

Neutral clips of actors who were held out are edited to each emotion, by a reference of the same
actor or of another, and compared with the actor's real take of the sentence. FAD and CSIM are what
their authors' networks make them: they bear these names only where the user supplies the network,
else they are ours, by SFace, and are named so. Lip sync (LSE-D, LSE-C) is not measured.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float32

from cdrl_cli.checkpoints.load import find_weights
from cdrl_cli.checkpoints.models import Models, load_models
from cdrl_cli.data.clips import Clip
from cdrl_cli.data.datasets.paper_split import EditPair, Identity, pair_edits
from cdrl_cli.data.index import read_index
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UsageError
from cdrl_cli.evaluation import measures
from cdrl_cli.evaluation.footage import Footage, Reader, in_common
from cdrl_cli.evaluation.judges import load_judge
from cdrl_cli.evaluation.plan import Task
from cdrl_cli.evaluation.rows import edit_options, make_edit, slug
from cdrl_cli.face.identity import IdentityEncoder
from cdrl_cli.metrics import mouth
from cdrl_cli.metrics.frechet import frechet_distance
from cdrl_cli.nn.networks import open_network

FLOOR, CEILING = "no edit", "real clips"
"""Rows of every table: the sources as they are, and the actor's other real takes of the emotion."""

NETWORKS = ("FAD", "CSIM")
"""Measures whose networks users may supply."""

PUBLISHED: Mapping[Identity, Mapping[str, tuple[float, float, float]]] = {
    "same": {
        "NED": (2.108, 9.454, 0.831),
        "NED + CERL": (1.161, 9.399, 0.911),
        "NED + CCRL": (1.025, 9.384, 0.896),
        "NED + CDRL": (1.025, 9.377, 0.914),
    },
    "cross": {
        "NED": (4.448, 9.906, 0.773),
        "NED + CERL": (4.401, 9.432, 0.776),
        "NED + CCRL": (4.374, 9.393, 0.774),
        "NED + CDRL": (4.344, 9.351, 0.792),
    },
}
"""FAD, LSE-D and CSIM on MEAD as the paper prints them (IJCV 133, 2025): mean over seven emotions,
one run, networks that are not to be had."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One clip of a row, and what it is compared with."""

    emotion: Emotion
    probabilities: Float32[np.ndarray, "judged 7"]
    features: dict[str, Float32[np.ndarray, "frames dim"]]
    """By measure: of the clip."""
    real: dict[str, Float32[np.ndarray, "frames dim"]]
    """By measure: of the actor's real take."""
    lips: float
    """Correlation of the lips' opening with the source's; NaN where there is none to compare."""


@dataclass(frozen=True, slots=True)
class ProtocolRow:
    """A line of the table."""

    name: str
    clips: int
    values: dict[str, float]
    """By measure; the mean over emotions."""


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

    Raises:
        WeightsError: If ``judge`` or ``identity`` have not been downloaded.
        UsageError: If a network takes no pictures.
    """

    def __init__(self, folder: Path, networks: Mapping[str, Path]) -> None:
        if unknown := set(networks) - set(NETWORKS):
            raise UsageError(
                f"no measure '{min(unknown)}' takes a network",
                hint=f"one of: {', '.join(NETWORKS)}",
            )
        self._folder = folder
        self._networks = {name: FaceNetwork(path) for name, path in networks.items()}
        self.names = tuple(name if name in networks else f"{name}-SFace" for name in NETWORKS)
        identity = IdentityEncoder(find_weights("identity"))
        self._reader = Reader(load_models(core=True), load_judge(), identity)

    def measure(self, name: str, models: Models | None, pairs: Sequence[EditPair]) -> ProtocolRow:
        """A row of edits; None edits nothing."""
        shown = []
        for pair in pairs:
            assert pair.target is not None
            assert pair.reference.emotion is not None
            source = self._look(pair.source)
            output = source
            if models is not None:
                task = Task(
                    pair.source, pair.reference.emotion, "reference", pair.reference, pair.target
                )
                options = edit_options(task, intensity=1.0)
                path = self._folder / slug(name) / f"{task.name}{task.source.path.suffix}"
                output = self._reader.read(make_edit(task, models, options, path).path)
            shown.append(self._compare(pair.reference.emotion, output, source, pair.target))
        return _row(name, shown, self.names)

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
                shown.append(self._compare(emotion, self._look(others[0]), None, pair.target))
        return _row(CEILING, shown, self.names)

    def _compare(
        self, emotion: Emotion, output: Footage, source: Footage | None, target: Clip
    ) -> Shown:
        real = self._look(target)
        lips = float("nan")
        if source is not None:
            both = in_common(source, output)
            lips = mouth.correlation(*(mouth.lip_aperture(x.landmarks_xyz) for x in both))
        return Shown(
            emotion, output.probabilities, self._features(output), self._features(real), lips
        )

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
    """Floor, every generator, ceiling.

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
    bench = ProtocolBench(folder, networks)
    measured = [bench.measure(FLOOR, None, pairs)]
    for done, (name, models) in enumerate(rows.items(), start=1):
        if progress:
            progress(done, len(rows) + 2)
        measured.append(bench.measure(name, models, pairs))
    measured.append(bench.measure_real(clips, pairs))
    return measured


def draw_protocol(
    rows: Sequence[ProtocolRow], *, identity: Identity, command: str
) -> Iterator[str]:
    """The page, which says how it can be made again.

    Args:
        rows: Of :func:`measure_protocol`.
        identity: Whose the references were.
        command: What was typed.
    """
    names = list(rows[0].values)
    yield f"# The paper's protocol, {identity} identity"
    yield ""
    yield f"Made by `{command}`."
    yield ""
    yield f"| row | clips | {' | '.join(names)} |"
    yield f"|---|---:|{'---:|' * len(names)}"
    for row in rows:
        yield f"| {row.name} | {row.clips} | {' | '.join(map(_number, row.values.values()))} |"
    yield ""
    yield "FAD: lower is nearer to real takes. CSIM, emotion, lips: higher is better. A name that"
    yield "ends in -SFace is a measure of our own, not the paper's."
    yield ""
    yield "Published (MEAD, seven emotions, single runs, other networks and clips: not comparable"
    yield "with the table above):"
    yield ""
    yield "| row | FAD | LSE-D | CSIM |"
    yield "|---|---:|---:|---:|"
    for name, values in PUBLISHED[identity].items():
        yield f"| {name} | {values[0]:.3f} | {values[1]:.3f} | {values[2]:.3f} |"


def _row(name: str, shown: Sequence[Shown], names: Sequence[str]) -> ProtocolRow:
    by_emotion: dict[Emotion, list[Shown]] = defaultdict(list)
    for one in shown:
        by_emotion[one.emotion].append(one)
    if not shown:
        return ProtocolRow(name, 0, dict.fromkeys([*names, "emotion", "lips"], float("nan")))
    fad, csim = names
    values = {
        fad: _mean(_frechet(ones, fad) for ones in by_emotion.values()),
        csim: _mean(np.mean([_alike(one, csim) for one in ones]) for ones in by_emotion.values()),
        "emotion": _mean(
            np.mean([measures.judged_emotion(one.probabilities) is one.emotion for one in ones])
            for ones in by_emotion.values()
        ),
        "lips": _mean(np.mean([one.lips for one in ones]) for ones in by_emotion.values()),
    }
    return ProtocolRow(name, len(shown), values)


def _frechet(shown: Sequence[Shown], name: str) -> float:
    """Between all frames of the clips and all frames of their real takes."""
    one = np.concatenate([each.features[name] for each in shown]).astype(float)
    other = np.concatenate([each.real[name] for each in shown]).astype(float)
    return frechet_distance(one, other)


def _alike(shown: Shown, name: str) -> float:
    """Cosine of the mean features of clip and real take."""
    one, other = (x[name].mean(axis=0) for x in (shown.features, shown.real))
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))


def _mean(values: Iterable[Any]) -> float:
    return float(np.mean([float(one) for one in values]))


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.3f}"
