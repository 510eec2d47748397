"""The models of an edit, built from verified files."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from cdrl_cli.array_types import Float
from cdrl_cli.checkpoints.ahead import NetworksAhead, name_nets
from cdrl_cli.checkpoints.files import (
    open_appearance,
    open_cerl,
    open_evidence,
    open_landmark_networks,
    open_motion,
    open_nets,
)
from cdrl_cli.checkpoints.load import find_weights
from cdrl_cli.checkpoints.registry import read_manifest
from cdrl_cli.errors import WeightsError
from cdrl_cli.face.head import HeadModel
from cdrl_cli.face.identity import IdentityEncoder
from cdrl_cli.face.landmarks import Landmarker, LandmarkNetworks
from cdrl_cli.generator.eyes import lift_lids
from cdrl_cli.generator.fitting import ChangeFitter
from cdrl_cli.generator.folds import FoldMaps
from cdrl_cli.generator.motion import (
    DifferenceMotion,
    Motion,
    NeutralPrior,
)
from cdrl_cli.generator.renderer import (
    ExpressionBasis,
    LearnedRenderer,
    Renderer,
    WarpRenderer,
)
from cdrl_cli.generator.sides import hold_sides
from cdrl_cli.generator.skin import Skin, SkinMasks
from cdrl_cli.generator.unseen_movements import move_unseen
from cdrl_cli.geometry.mesh import FaceMesh
from cdrl_cli.nn.devices import CPU, Device
from cdrl_cli.nn.onnx import read_facts
from cdrl_cli.processors import multiplies_bytes, usable_cores
from cdrl_cli.representation.emotion_reader import EmotionNetwork, EmotionReader
from cdrl_cli.representation.evidence import EvidenceModel
from cdrl_cli.representation.expression_nets import ExpressionNets
from cdrl_cli.representation.text_prior import SentenceEncoder
from cdrl_cli.weight_set import WeightSet

MOST_RENDERERS = 4
"""Most frames that an edit renders at once: so many keep up with the one thread that follows
faces."""


@dataclass(frozen=True)
class Models:
    """All that an edit runs on; load once, edit many clips."""

    weight_set: WeightSet
    landmark_networks: LandmarkNetworks
    head: HeadModel
    mesh: FaceMesh
    basis: ExpressionBasis
    neutral: NeutralPrior
    motion: Motion
    renderer: Renderer
    differences: Float[np.ndarray, "7 52"]
    """Coefficients of each emotion minus neutral, in the order of
    :class:`~cdrl_cli.emotion.Emotion`."""
    cerl: EmotionNetwork
    """Faces and words in one space."""
    device: Device = CPU
    """Where the networks of every frame run."""
    ahead: NetworksAhead | None = field(default=None, repr=False, compare=False)
    """Has networks that are asked for later, where they were begun."""

    @property
    def renderers(self) -> int:
        """How many frames an edit renders at once: one by each core but one, where there are few.

        On two cores one thread keeps up with those that follow faces and encode; two wait for each
        other, and take 4 % more processor time at 360 lines, and 17 MiB.
        """
        return min(max(usable_cores() - 1, 1), MOST_RENDERERS)

    def open_landmarker(self, *, max_faces: int = 4) -> Landmarker:
        """A landmarker for one clip."""
        return Landmarker(self.landmark_networks, max_faces=max_faces)

    @cached_property
    def emotion_reader(self) -> EmotionReader:
        """What reads a face's emotion; loaded when it is first asked for."""
        appearance = open_appearance(find_weights("appearance"))
        return EmotionReader(self.cerl.embed_face, self.cerl.space, appearance)

    @cached_property
    def evidence(self) -> EvidenceModel:
        """What a face shows, and how it looks when neutral; loaded when it is first asked for."""
        return open_evidence(find_weights(self.weight_set.entry("evidence")))

    @cached_property
    def published_nets(self) -> ExpressionNets:
        """Two published nets that look at a face's pixels; loaded when they are first asked for."""
        return open_nets(find_weights("expression-nets"))

    @cached_property
    def nets(self) -> ExpressionNets:
        """The same as an edit asks them: those of the research set are tuned on acted faces."""
        name = name_nets(self.weight_set)
        if self.ahead is not None:
            return open_nets(self.ahead.find(name), self.ahead.open)
        return open_nets(find_weights(name))

    def open_readers(self) -> None:
        """Load what reads a reference, before it is asked for."""
        _ = self.nets, self.evidence

    @cached_property
    def fitter(self) -> ChangeFitter:
        """What fits a change to a face; loaded when it is first asked for."""
        return ChangeFitter(self.basis, self.landmark_networks.coefficients)

    @cached_property
    def identity(self) -> IdentityEncoder:
        """What tells people apart; loaded when it is first asked for.

        Raises:
            WeightsError: If it has not been downloaded.
        """
        try:
            return IdentityEncoder(find_weights("identity"))
        except WeightsError as error:
            raise WeightsError(
                f"telling people apart by a photo needs weights that are not here ({error})",
                hint=error.hint,
            ) from error

    @cached_property
    def sentence_encoder(self) -> SentenceEncoder:
        """The frozen sentence encoder; loaded when it is first asked for.

        Raises:
            WeightsError: If it has not been downloaded.
        """
        return open_sentence_encoder()

    def embed_words(self, words: str) -> Float[np.ndarray, " dimension"]:
        """CERL's embedding of a sentence, a unit vector.

        Raises:
            WeightsError: If the sentence encoder has not been downloaded.
        """
        return self.cerl.embed_sentence(self.sentence_encoder.encode([words])[0])


def open_sentence_encoder() -> SentenceEncoder:
    """The frozen sentence encoder.

    Raises:
        WeightsError: If it has not been downloaded.
    """
    return SentenceEncoder(find_weights("text-encoder"), find_weights("text-tokenizer"))


def load_models(
    weight_set: WeightSet | str = WeightSet.PERMISSIVE,
    *,
    core: bool = False,
    generator: Path | None = None,
    device: str = "auto",
    ahead: NetworksAhead | None = None,
) -> Models:
    """Verify and load the embedded weights.

    Args:
        weight_set: ``permissive`` or ``research`` (see ``weights/README.md``).
        core: The geometric core alone: fixed rules instead of learned networks.
        generator: A folder that ``spfem train renderer`` wrote, instead of the embedded networks.
        device: What the networks of every frame run on (:mod:`cdrl_cli.nn.devices`): ``auto``,
            ``cpu``, ``cuda``, ``cuda:N``, ``mps`` or ``openvino``.
        ahead: Networks that are being opened for this set, core, generator and device; None opens
            them.

    Raises:
        DeviceError: If the device does not work here.
        WeightsError: If a file is missing or damaged.
        UsageError: If there is no such set, or no such device.
    """
    weight_set = WeightSet.parse(weight_set)
    if ahead is not None:
        return _build_models(weight_set, core, generator, ahead)
    with NetworksAhead(
        weight_set,
        device=device,
        core=core,
        own_generator=generator is not None,
        threads=usable_cores(),
    ) as opened:
        return _build_models(weight_set, core, generator, opened)


def _build_models(
    weight_set: WeightSet, core: bool, generator: Path | None, ahead: NetworksAhead
) -> Models:
    """All that an edit runs on; arguments as of :func:`load_models`."""
    found = ahead.device.result()
    numbers = load_file(find_weights(weight_set.entry("core")))
    mesh = FaceMesh(numbers["triangles"], numbers["oval"])
    neutral = NeutralPrior(numbers["neutral_mean"], numbers["neutral_high"])
    canonical = numbers["canonical_xyz"]
    basis = ExpressionBasis(hold_sides(move_unseen(numbers["basis"], canonical), canonical))
    lifted = ExpressionBasis(lift_lids(basis.displacement))
    warp = WarpRenderer(lifted, mesh, canonical)
    detector, landmarks, coefficients = (
        ahead.find(name) for name in ("face-detector", "face-landmarks", "coefficients")
    )
    motion: Motion = DifferenceMotion(neutral)
    renderer: Renderer = warp
    if not core:
        files = _find_generator(weight_set, generator, ahead)
        own = None if generator else weight_set
        network = _open_renderer(files[1], own, found, ahead)
        skin = _open_skin(weight_set, mesh, numbers["canonical_xyz"], found, ahead)
        motion = open_motion(files[0], ahead.open)
        renderer = LearnedRenderer(warp, network, skin)
    landmark_networks = open_landmark_networks(
        detector, landmarks, coefficients, open_network=ahead.open
    )
    cerl = open_cerl(ahead.find(weight_set.entry("cerl")), ahead.open)
    ahead.keep(name_nets(weight_set))  # what reads a reference is asked for later, if at all
    return Models(
        weight_set=weight_set,
        landmark_networks=landmark_networks,
        head=HeadModel(numbers["canonical_xyz"], numbers["rigidity"]),
        mesh=mesh,
        basis=basis,
        neutral=neutral,
        motion=motion,
        renderer=renderer,
        differences=numbers["differences"],
        cerl=cerl,
        device=found,
        ahead=ahead,
    )


GENERATOR_FILES = ("motion.onnx", "renderer.onnx")
"""Names of the files that ``spfem train renderer`` writes into a folder: the motion editor, the
renderer."""


def _find_generator(
    weight_set: WeightSet, generator: Path | None, ahead: NetworksAhead
) -> list[Path]:
    """Files of the motion editor and the renderer: a set's own, or those in a folder."""
    if generator is None:
        return [ahead.find(weight_set.entry(name)) for name in ("motion", "renderer")]
    files = [generator / name for name in GENERATOR_FILES]
    for file in files:
        if not file.exists():
            raise WeightsError(
                f"{file}: no such file", hint="spfem train renderer writes it: -o FOLDER"
            )
    return files


def _open_renderer(
    path: Path, weight_set: WeightSet | None, device: Device, ahead: NetworksAhead
) -> Any:
    """The renderer's network, or its int8 twin where the processor is quicker with that.

    Args:
        path: The network.
        weight_set: Whose it is; None for one of one's own, which has no twin.
        device: Where it runs.
        ahead: Has it open.
    """
    if weight_set is not None and device == CPU and multiplies_bytes():
        twin = ahead.open(ahead.find(weight_set.entry("renderer-int8")), threads=1)
        # Of a network that was learned anew since, it would be the wrong twin.
        network = read_manifest()[weight_set.entry("renderer")]
        if read_facts(twin).get("made_from") == network.sha256:
            return twin
    return ahead.open(path, device=device, threads=1)  # frames are rendered side by side


def _open_skin(
    weight_set: WeightSet,
    mesh: FaceMesh,
    canonical_xyz: Float[np.ndarray, "478 3"],
    device: Device,
    ahead: NetworksAhead,
) -> Skin | FoldMaps:
    """Learned light and creases; drawn folds for a set that has nothing to learn them from."""
    entry = weight_set.entry("skin")
    if entry not in read_manifest():
        return FoldMaps.draw(canonical_xyz)
    network = ahead.open(ahead.find(entry), device=device, threads=1)
    return Skin(SkinMasks.draw(canonical_xyz, mesh.oval), network)
