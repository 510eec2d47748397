"""Arrays and facts in one file: read by name, written whole or not at all.

Without torch, for what an edit reads; :mod:`cdrl_cli.checkpoints.trained` has what training reads
and writes.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from safetensors.numpy import load_file, save_file

from cdrl_cli.array_types import Float, Float32, Shaped
from cdrl_cli.errors import WeightsError
from cdrl_cli.face.coefficients import CoefficientReader
from cdrl_cli.face.detector import FaceDetector
from cdrl_cli.face.landmarks import LandmarkNetworks
from cdrl_cli.generator.motion import LearnedMotion
from cdrl_cli.nn.networks import OpenNetwork, open_network
from cdrl_cli.nn.onnx import read_facts
from cdrl_cli.representation.appearance import ORDER, AppearanceReader
from cdrl_cli.representation.emotion_reader import EmotionNetwork, EmotionSpace
from cdrl_cli.representation.evidence import EvidenceModel
from cdrl_cli.representation.expression_nets import ExpressionNets

Array = TypeVar("Array")


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Whatever goes wrong while a file is turned into networks: it is none of that kind.

    Raises:
        WeightsError: Says which file, and what it should have been.
    """
    try:
        yield
    except Exception as error:  # safetensors and torch raise a dozen kinds
        raise WeightsError(f"{path}: no {kind} ({error})") from error


def write_arrays(
    path: Path, arrays: Mapping[str, Shaped[np.ndarray, "..."]], facts: Mapping[str, str]
) -> None:
    """Write a file, and its folder if need be; it appears under its name when whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    save_file({name: np.ascontiguousarray(one) for name, one in arrays.items()}, part, dict(facts))
    part.replace(path)


def join_parts(parts: Mapping[str, Mapping[str, Array]]) -> dict[str, Array]:
    """States of several networks in one, as ``part.name``."""
    return {f"{part}.{name}": one for part, state in parts.items() for name, one in state.items()}


def part_of(arrays: Mapping[str, Array], part: str) -> dict[str, Array]:
    """One network's state, out of what :func:`join_parts` joined."""
    start = f"{part}."
    return {k.removeprefix(start): one for k, one in arrays.items() if k.startswith(start)}


def pack_array(array: Float[np.ndarray, "..."]) -> str:
    """An array as a text for a network's metadata; single precision."""
    data = base64.b64encode(np.ascontiguousarray(array, "<f4").tobytes()).decode("ascii")
    return json.dumps({"shape": array.shape, "float32": data})


def unpack_array(text: str) -> Float32[np.ndarray, "..."]:
    """The array that :func:`pack_array` made a text of."""
    stored = json.loads(text)
    data = np.frombuffer(base64.b64decode(stored["float32"]), "<f4")
    return data.reshape(stored["shape"]).astype(np.float32)


def open_motion(path: Path, open_network: OpenNetwork = open_network) -> LearnedMotion:
    """The motion editor in a file, as an edit runs it.

    Raises:
        WeightsError: If it is no such file.
    """
    with reading(path, "motion editor"):
        session = open_network(path, threads=1)
        _refuse_other(session, {"expression", "window", "embedding", "difference", "rest"})
        return LearnedMotion(session, unpack_array(read_facts(session)["neutral_high"]))


def open_cerl(path: Path, open_network: OpenNetwork = open_network) -> EmotionNetwork:
    """The emotion representation in a file, as an edit runs it.

    Raises:
        WeightsError: If it is no such file.
    """
    with reading(path, "emotion encoder"):
        session = open_network(path, threads=1)
        facts = read_facts(session)
        return EmotionNetwork(session, read_space(facts))


def read_space(facts: Mapping[str, str]) -> EmotionSpace:
    """What the metadata of an emotion representation says."""
    return EmotionSpace(
        labels=unpack_array(facts["labels"]),
        neutral=unpack_array(facts["neutral"]),
        temperature=float(facts["temperature"]),
        phrases=tuple(json.loads(facts["phrases"])),
        phrase_embeddings=unpack_array(facts["phrase_embeddings"]),
        identities=frozenset(json.loads(facts["identities"])),
    )


def open_nets(path: Path, open_network: OpenNetwork = open_network) -> ExpressionNets:
    """The published expression nets in a file.

    Raises:
        WeightsError: If it is no such file.
    """
    with reading(path, "pair of expression nets"):
        session = open_network(path, threads=1, keep_memory=False)
        _refuse_other(session, {"colour", "grey"})
        return ExpressionNets(session)


def open_coefficients(path: Path, open_network: OpenNetwork = open_network) -> CoefficientReader:
    """The network from landmarks to coefficients in a file.

    Raises:
        WeightsError: If it is no such file.
    """
    with reading(path, "network to coefficients"):
        session = open_network(path, threads=1)
        _refuse_other(session, {"points"})
        return CoefficientReader(session)


def open_landmark_networks(
    detector: Path,
    landmarks: Path,
    coefficients: Path,
    *,
    open_network: OpenNetwork = open_network,
) -> LandmarkNetworks:
    """The networks that find faces, in three files.

    Raises:
        WeightsError: If one is no such file.
    """
    sessions = []
    for path, kind in ((detector, "face detector"), (landmarks, "network of landmarks")):
        with reading(path, kind):
            session = open_network(path, threads=1)
            _refuse_other(session, {"pictures"})
            sessions.append(session)
    reader = open_coefficients(coefficients, open_network)
    return LandmarkNetworks(FaceDetector(sessions[0]), sessions[1], reader)


def open_evidence(path: Path) -> EvidenceModel:
    """The fitted conclusions from evidence in a file.

    Raises:
        WeightsError: If it is no such file.
    """
    with reading(path, "model of evidence"):
        return EvidenceModel.of(load_file(path))


def open_appearance(path: Path) -> AppearanceReader:
    """The reader of appearance in a file, as an edit runs it.

    Raises:
        WeightsError: If it is no such file.
    """
    with reading(path, "reader of appearance"):
        session = open_network(path, threads=1, keep_memory=False)
        usual = unpack_array(read_facts(session)["usual"])

    def run(pictures: Float32[np.ndarray, "looks 3 112 112"]) -> Float32[np.ndarray, "looks 7"]:
        # One at a time: its maps of many looks together would be the largest thing in memory.
        told = [session.run(None, {"pictures": one[None]})[0] for one in pictures]
        return np.concatenate(told) if told else np.zeros((0, len(ORDER)), np.float32)

    return AppearanceReader(run, usual)


def _refuse_other(session: Any, inputs: set[str]) -> None:
    found = {one.name for one in session.get_inputs()}
    if not inputs <= found:
        raise ValueError(f"it takes {', '.join(sorted(found))}")
