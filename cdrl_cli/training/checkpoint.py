"""A training run, kept: all that the next step depends on, so that a resumed run is exact."""

import hashlib
import json
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

from cdrl_cli import __version__
from cdrl_cli.errors import UnreadableInputError, UsageError

Notes = dict[str, float | int]
"""What a loop remembers beside tensors: its best score, validations without a better one."""


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
            "licence_class": self.config["data"]["licence"],
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


def save_checkpoint(
    path: Path,
    facts: RunFacts,
    *,
    step: int,
    parts: Mapping[str, Stateful],
    generator: torch.Generator,
    notes: Notes | None = None,
) -> None:
    """Write a checkpoint; it appears under its name when whole.

    Args:
        path: Overwritten.
        facts: What run this is.
        step: Steps done.
        parts: Networks, optimiser, schedule, by name.
        generator: Source of the loop's randomness; torch's global one (dropout) is kept as well.
        notes: What else the loop remembers.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    torch.save(
        {
            "facts": asdict(facts),
            "step": step,
            "parts": {name: one.state_dict() for name, one in parts.items()},
            "generator": generator.get_state(),
            "global_generator": torch.get_rng_state(),
            "notes": notes or {},
        },
        part,
    )
    part.replace(path)


def resume(
    path: Path,
    facts: RunFacts,
    *,
    parts: Mapping[str, Stateful],
    generator: torch.Generator,
) -> tuple[int, Notes]:
    """Bring a run to where its checkpoint was written.

    Returns:
        Steps done, and the loop's notes.

    Raises:
        UnreadableInputError: If the file is no checkpoint.
        UsageError: If it belongs to another recipe or other data.
    """
    try:
        kept = torch.load(path, weights_only=True)
        was = RunFacts(**kept["facts"])
    except Exception as error:  # torch raises a dozen kinds for a damaged file
        raise UnreadableInputError(f"{path}: no checkpoint ({error})") from error
    if was.config != facts.config:
        raise UsageError(
            f"{path} was made with another recipe", hint="train anew, without --resume"
        )
    if was.data_digest != facts.data_digest:
        raise UsageError(f"{path} was made with other data", hint="train anew, without --resume")
    for name, one in parts.items():
        one.load_state_dict(kept["parts"][name])
    generator.set_state(kept["generator"])
    torch.set_rng_state(kept["global_generator"])
    return kept["step"], kept["notes"]


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
    """Tuples as lists, as TOML and a loaded file have them."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
