"""From a name in the manifest to a verified file, and from files to models.

The embedded default lies in ``weights/`` of a checkout and in ``cdrl_cli/weights/`` of a wheel.
"""

import hashlib
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from cdrl_cli.errors import UsageError, WeightsError

WEIGHT_SETS = ("permissive", "research")
"""By what the learned numbers were learned from; the first is the default."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One weight file as the manifest describes it."""

    name: str
    file: str
    """File name under the weights folder."""
    sha256: str
    size: int
    """Bytes."""
    licence: str
    source: str
    """Where it was had, or the command that makes it."""


@cache
def read_manifest() -> dict[str, Entry]:
    """Every weight file the project knows, by name."""
    text = resources.files("cdrl_cli.checkpoints").joinpath("manifest.toml").read_text("utf-8")
    return {name: Entry(name=name, **fields) for name, fields in tomllib.loads(text).items()}


@cache
def weights_folder() -> Path:
    """Where the embedded weights lie."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "weights"
    return installed if installed.is_dir() else package.parent / "weights"


def find_weights(name: str) -> Path:
    """The verified file of a manifest entry.

    Raises:
        WeightsError: If it is unknown or missing, or its digest is not the manifest's.
    """
    entry = read_manifest().get(name)
    if entry is None:
        raise WeightsError(
            f"weights '{name}' are not part of this version",
            hint=f"it has: {', '.join(read_manifest())}",
        )
    path = weights_folder() / entry.file
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(
            f"weights '{name}' are missing: {path}",
            hint="install the package again; it carries this file",
        ) from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != entry.sha256:
        raise WeightsError(
            f"weights '{name}' are damaged: {path} has sha256 {digest[:12]}…, "
            f"the manifest says {entry.sha256[:12]}…",
            hint="install the package again; it carries this file",
        )
    return path


def core_name(weight_set: str) -> str:
    """Manifest name of the core's numbers.

    Raises:
        UsageError: If there is no such set.
    """
    if weight_set not in WEIGHT_SETS:
        raise UsageError(f"no weight set '{weight_set}'", hint=f"one of: {', '.join(WEIGHT_SETS)}")
    return f"core-{weight_set}"
