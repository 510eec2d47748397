"""From a name in the manifest to a verified file."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from cdrl_cli.checkpoints import registry
from cdrl_cli.checkpoints.registry import Entry
from cdrl_cli.errors import WeightsError


@dataclass(frozen=True, slots=True)
class WeightState:
    """One weight file, and how it stands with it on this machine."""

    name: str
    group: str | None
    purpose: str
    licence: str
    binds: bool
    """The licence must be accepted before it is installed."""
    size: int | None
    """Bytes, by the manifest; by the file where the manifest does not know."""
    sha256: str | None
    """What the file must have; None where neither manifest nor import noted one."""
    embedded: bool
    """The distribution ``spfem`` carries the file."""
    distribution: str | None
    """Another distribution that carries the file, such as ``spfem-weights-research``."""
    recommended: bool
    can_be_fetched: bool
    present: bool
    verified: bool
    """The file is there, and is what its digest says."""
    path: Path
    """Where it lies, or would."""
    remedy: str
    """What to do if it is missing or damaged."""

    @property
    def damaged(self) -> bool:
        """The file is there and cannot be trusted."""
        return self.present and not self.verified


def find_weights(name: str) -> Path:
    """The verified file of a manifest entry: the embedded one, or one that was downloaded.

    Raises:
        WeightsError: If it is unknown or missing, or its digest is not the manifest's.
    """
    entry = registry.read_manifest().get(name)
    if entry is None:
        raise WeightsError(
            f"weights '{name}' are not part of this version",
            hint=f"it has: {', '.join(registry.read_manifest())}",
        )
    state = inspect_entry(entry)
    if state.verified:
        return state.path
    raise weights_error(state)


def inspect_entry(entry: Entry) -> WeightState:
    """How it stands with a weight file: the first sound one of its places, else the first there.

    Reads the whole file; a tenth of a second for 75 MB.
    """
    states = [_state_at(entry, path) for path in entry.places]
    return next(
        (state for state in states if state.verified),
        next((state for state in states if state.present), states[0]),
    )


def weights_error(state: WeightState) -> WeightsError:
    """What is wrong with a file that is not verified, and what to do."""
    name = state.name
    if state.present:
        message = f"weights '{name}' are damaged: {_explain_damage(state)}"
    else:
        message = f"weights '{name}' are missing: no {state.path.name} in {state.path.parent}"
    return WeightsError(message, hint=state.remedy)


def read_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_note(path: Path) -> Path:
    """Beside an imported file that the manifest has no digest of: the one it came with.

    In the format of ``sha256sum``.
    """
    return path.with_name(f"{path.name}.sha256")


def _state_at(entry: Entry, path: Path) -> WeightState:
    present = path.is_file()
    expected = entry.sha256 or _noted_digest(path)
    return WeightState(
        name=entry.name,
        group=entry.group,
        purpose=entry.purpose,
        licence=entry.licence,
        binds=entry.binds,
        size=path.stat().st_size if present and entry.size is None else entry.size,
        sha256=expected,
        embedded=entry.embedded,
        distribution=entry.distribution,
        recommended=entry.recommended,
        can_be_fetched=entry.can_be_fetched,
        present=present,
        verified=present and expected is not None and _has_digest(path, expected),
        path=path,
        remedy=entry.remedy,
    )


def _explain_damage(state: WeightState) -> str:
    if state.sha256 is None:
        return f"{state.path} was put there without its digest"
    try:
        found = read_digest(state.path)
    except OSError as error:
        return f"{state.path} cannot be read: {error.strerror}"
    return f"{state.path} has sha256 {found[:12]}…, it must be {state.sha256[:12]}…"


def _has_digest(path: Path, expected: str) -> bool:
    try:
        return read_digest(path) == expected
    except OSError:
        return False


def _noted_digest(path: Path) -> str | None:
    try:
        return digest_note(path).read_text("utf-8").split()[0]
    except (OSError, IndexError, UnicodeDecodeError):
        return None
