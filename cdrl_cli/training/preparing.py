"""Clips prepared once, by one process, several, or a Ray cluster; a cut run goes on.

Each clip becomes a file of the cache that appears under its name when whole, so any number of
machines that share a disk may prepare any part of the clips, in any order.
"""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache as cache_once
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from cdrl_cli.checkpoints.models import Models, load_models
from cdrl_cli.data.clips import Clip
from cdrl_cli.errors import SpfemError, UnreadableInputError, UsageError
from cdrl_cli.preparation import prepare_clips
from cdrl_cli.ray_session import MAX_PENDING, MAX_RETRIES, RaySession
from cdrl_cli.training.pipelines import Made, Progress, Stages, no_stages
from cdrl_cli.training.split import find_clips


def prepare_all(
    data: Path,
    cache: Path,
    *,
    shard: tuple[int, int] = (1, 1),
    jobs: int = 1,
    ray: str | None = None,
    stages: Stages = no_stages,
) -> Made:
    """Prepare the clips and stills of a folder, to be kept in the cache.

    Args:
        data: Folder with ``index.csv``.
        cache: A clip that is there already is not prepared again.
        shard: Which part of the clips, from 1, and of how many: each machine takes one.
        jobs: Processes on this machine, each with networks of its own.
        ray: Address of a Ray cluster whose machines prepare the clips, one a task; they see data
            and cache under the same names.
        stages: Shows progress.

    Raises:
        UsageError: If there is no such shard, no process at all, or both processes and a cluster.
        UnreadableInputError: If a clip cannot be decoded.
        SpfemError: If there is no cluster at the address, or it lost a clip too often.
    """
    number, count = shard
    if not 1 <= number <= count or jobs < 1:
        raise UsageError(f"no shard {number} of {count} by {jobs} processes")
    if ray is not None and jobs > 1:
        raise UsageError(
            "--jobs is of this machine alone", hint="--ray takes the processors that Ray has"
        )
    clips = find_clips(data)[number - 1 :: count]
    with stages("preparing clips") as progress:
        if ray is not None:
            found = _prepare_on_ray(clips, cache.absolute(), ray, progress)
        elif jobs > 1:
            found = _prepare_side_by_side(clips, cache, jobs, progress)
        else:
            prepared = prepare_clips(clips, load_models(core=True), cache, progress=progress)
            found = sum(1 for _ in prepared)
    return Made(cache, f"{found} of {len(clips)} clips show a face")


def _prepare_side_by_side(
    clips: Sequence[Clip], cache: Path, jobs: int, progress: Progress | None
) -> int:
    """How many of some clips show a face, prepared by so many processes."""
    cache.mkdir(parents=True, exist_ok=True)
    found = 0
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as workers:
        shown = workers.map(partial(_prepare_one, cache=cache), clips, chunksize=4)
        for done, one in enumerate(shown, start=1):
            found += one
            if progress:
                progress(done, len(clips))
    return found


@dataclass(frozen=True, slots=True)
class _Told:
    """What a machine of the cluster says of a clip: an error travels as its words."""

    shows_face: bool
    error: str | None = None
    hint: str | None = None


def _prepare_on_ray(
    clips: Sequence[Clip], cache: Path, address: str, progress: Progress | None
) -> int:
    """How many of some clips show a face, prepared by the machines of a cluster."""
    cache.mkdir(parents=True, exist_ok=True)
    found = 0
    with RaySession(address) as ray:
        task = ray.remote(num_cpus=1, max_retries=MAX_RETRIES)(_prepare_for_ray)
        waiting = deque(clips)
        pending: list[object] = []
        done = 0
        while waiting or pending:
            while waiting and len(pending) < MAX_PENDING:
                pending.append(task.remote(_seen_from_anywhere(waiting.popleft()), cache))
            (ready,), pending = ray.wait(pending, num_returns=1)
            try:
                told: _Told = ray.get(ready)
            except ray.exceptions.RayError as error:
                reason = str(error).strip().splitlines()[0]
                raise SpfemError(
                    f"Ray lost a clip: {reason}", hint="start again: what is done is kept"
                ) from error
            if told.error is not None:
                raise UnreadableInputError(told.error, hint=told.hint)
            found += told.shows_face
            done += 1
            if progress:
                progress(done, len(clips))
    return found


def _seen_from_anywhere(clip: Clip) -> Clip:
    """The clip with its files named from the root: machines of a cluster work elsewhere."""
    audio = None if clip.audio is None else clip.audio.absolute()
    return replace(clip, path=clip.path.absolute(), audio=audio)


def _prepare_for_ray(clip: Clip, cache: Path) -> _Told:
    try:
        return _Told(_prepare_one(clip, cache=cache))
    except SpfemError as error:
        return _Told(False, str(error), error.hint)


def _prepare_one(clip: Clip, *, cache: Path) -> bool:
    return any(True for _ in prepare_clips([clip], _core_models(), cache))


@cache_once
def _core_models() -> Models:
    """Loaded once a process."""
    return load_models(core=True)
