"""A training run, kept: all that the next step depends on, so that a resumed run is exact."""

import hashlib
import json
import os
import random
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

from cdrl_cli import __version__
from cdrl_cli.errors import OutputError, UnreadableInputError, UsageError


@runtime_checkable
class Stateful(Protocol):
    """A network, an optimiser, a schedule."""

    def state_dict(self) -> dict[str, Any]:
        """All that it remembers: tensors and plain numbers."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any:
        """Remember that instead."""
        ...


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a run is: the same facts, the same weights."""

    config: dict[str, Any]
    """The recipe, as a table."""
    data_digest: str
    """Of everything learned from (:func:`digest_data`)."""
    commit: str
    """Of the code; the version where there is no repository."""

    def describe(self, command: str) -> dict[str, str]:
        """What a weight file says of the run that made it: texts.

        Args:
            command: What was typed, without its options.
        """
        return {
            "recipe": command,
            "weight_set": self.config["data"]["weight_set"],
            "settings": json.dumps(self.config),
            "commit": self.commit,
            "data_digest": self.data_digest,
        }


def run_facts(config: Any, data_digest: str) -> RunFacts:
    """The facts of a run that starts now.

    Args:
        config: The recipe, a dataclass.
        data_digest: Of what it learns from.
    """
    return RunFacts(_plain(asdict(config)), data_digest, code_commit())


class RandomState:
    """Every source of randomness that a loop may draw from, to be kept and restored together.

    As a context manager it puts its state in place (torch's and Python's and numpy's global
    sources, those of the GPUs, the loop's own), and on the way out takes over where they stand and
    gives the global ones back to the caller as they were.

    Args:
        generator: The loop's own source.
        seed: Of the global ones, as long as no state is loaded.
    """

    def __init__(self, generator: torch.Generator, *, seed: int) -> None:
        self._generator = generator
        self._outer: dict[str, Any] = {}
        before = _global_state()
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - what libraries draw from cannot be chosen
        torch.manual_seed(seed)
        self._inner = _global_state()
        _set_global_state(before)

    def __enter__(self) -> "RandomState":
        self._outer = _global_state()
        _set_global_state(self._inner)
        return self

    def __exit__(self, *_: object) -> None:
        self._inner = _global_state()
        _set_global_state(self._outer)
        self._outer = {}

    def state_dict(self) -> dict[str, Any]:
        """Where each source stands now."""
        inner = _global_state() if self._outer else self._inner
        return {**inner, "loop": self._generator.get_state()}

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Continue from there; a GPU that is not there is left out."""
        self._generator.set_state(state_dict["loop"])
        self._inner = {name: one for name, one in state_dict.items() if name != "loop"}
        if self._outer:
            _set_global_state(self._inner)


def _global_state() -> dict[str, Any]:
    numbers = np.random.get_state(legacy=False)  # noqa: NPY002 - see RandomState
    assert isinstance(numbers, dict)
    numbers["state"]["key"] = numbers["state"]["key"].tolist()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "python": json.dumps(random.getstate()),
        "numpy": json.dumps(numbers),
    }


def _set_global_state(state: Mapping[str, Any]) -> None:
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
    version, words, spare = json.loads(state["python"])
    random.setstate((version, tuple(words), spare))
    numbers = json.loads(state["numpy"])
    numbers["state"]["key"] = np.array(numbers["state"]["key"], np.uint32)
    np.random.set_state(numbers)  # noqa: NPY002 - see RandomState


def step_rng(seed: int, step: int, part: int = 0) -> np.random.Generator:
    """Numpy's randomness of a part of a step, of these alone: a resumed run draws the same."""
    return np.random.default_rng((seed, step, part) if part else (seed, step))


def make_run_folder(run: Path) -> None:
    """Make the folder of a run, where there is none.

    Raises:
        OutputError: If it cannot be made.
    """
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(
            f"{run}: no folder for a run ({reason})", hint="name another with --run"
        ) from error


def save_checkpoint(
    path: Path, facts: RunFacts, parts: Mapping[str, Stateful], *, step: int
) -> None:
    """Write a checkpoint; it appears under its name when whole, and is then on the disk.

    Args:
        path: Overwritten.
        facts: What run this is.
        parts: All that the next step depends on, by name.
        step: Steps done.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    states = {name: one.state_dict() for name, one in parts.items()}
    with part.open("wb") as file:
        torch.save({"facts": asdict(facts), "step": step, "parts": states}, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def restore_checkpoint(path: Path, facts: RunFacts, parts: Mapping[str, Stateful]) -> int:
    """Bring a run to where its checkpoint was written, on whatever device its parts are.

    Returns:
        Steps done.

    Raises:
        UnreadableInputError: If the file is no checkpoint.
        UsageError: If it belongs to another recipe, other data or other code.
    """
    try:
        kept = torch.load(path, weights_only=True, map_location="cpu")
        was, states, step = RunFacts(**kept["facts"]), kept["parts"], int(kept["step"])
    except Exception as error:  # torch raises a dozen kinds for a damaged file
        reason = str(error).split(". ")[0]
        raise UnreadableInputError(f"{path}: no checkpoint ({reason})") from error
    hint = "train anew: without --resume, or in another folder"
    if was.config != facts.config:
        raise UsageError(f"{path} was made with another recipe", hint=hint)
    if was.data_digest != facts.data_digest:
        raise UsageError(f"{path} was made with other data", hint=hint)
    if set(states) != set(parts):
        raise UsageError(f"{path} was made by other code (commit {was.commit})", hint=hint)
    for name, one in parts.items():
        one.load_state_dict(states[name])
    return step


def digest_data(arrays: Iterable[np.ndarray]) -> str:
    """SHA-256 of what is learned from: shapes, types and bytes, in their order."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape} {array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def code_commit() -> str:
    """The commit of the code that runs, ``+`` where files differ from it; else the version."""
    folder = Path(__file__).parent
    try:
        commit = _git(folder, "rev-parse", "--short=12", "HEAD")
        return commit + ("+" if _git(folder, "status", "--porcelain", "--", folder.parent) else "")
    except (OSError, subprocess.CalledProcessError):
        return __version__


def _git(folder: Path, *words: str | Path) -> str:
    command = ["git", "-C", str(folder), *map(str, words)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _plain(value: Any) -> Any:
    """Tuples as lists and enumerated values as texts, as TOML and a loaded file have them."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, Enum):
        return value.value
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
