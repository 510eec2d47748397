"""Work a stream out ahead of its reader, on another core."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import TypeVar

Item = TypeVar("Item")

_PATIENCE_S = 0.05
"""How soon a waiting side notices that the other one has gone."""


@contextmanager
def prefetch(items: Iterable[Item], *, depth: int = 4) -> Iterator[Iterator[Item]]:
    """Let a thread draw items while the caller is busy with the last one.

    The order stays. An error of the source reaches the reader after the items before it. Leaving
    the context, early or not, ends the thread, so that what the source uses may be closed.

    Args:
        items: The source; drawn by one thread only.
        depth: Items that may wait, at most.

    Yields:
        The items.
    """
    waiting: Queue[tuple[bool, Item | BaseException | None]] = Queue(depth)
    stopped = Event()

    def put(more: bool, value: Item | BaseException | None) -> bool:
        while not stopped.is_set():
            try:
                waiting.put((more, value), timeout=_PATIENCE_S)
            except Full:
                continue
            return True
        return False

    def draw() -> None:
        try:
            for item in items:
                if not put(True, item):
                    return
            put(False, None)
        except BaseException as error:  # whatever it is, the reader must hear of it
            put(False, error)

    def read() -> Iterator[Item]:
        while True:
            more, value = waiting.get()
            if more:
                yield value  # type: ignore[misc]
            elif isinstance(value, BaseException):
                raise value
            else:
                return

    thread = Thread(target=draw, name="prefetch", daemon=True)
    thread.start()
    try:
        yield read()
    finally:
        stopped.set()
        while thread.is_alive():
            try:  # free a place for a source that is waiting for one
                waiting.get_nowait()
            except Empty:
                thread.join(_PATIENCE_S)


@contextmanager
def work_ahead(
    tasks: Iterable[Callable[[], Item]], *, workers: int, depth: int = 3
) -> Iterator[Iterator[Item]]:
    """Let several threads do what does not depend on each other; the results come in order.

    What a task raises reaches the reader in its place. Leaving the context waits for the tasks that
    have begun and drops the others.

    Args:
        tasks: Drawn by a thread of their own, one after another; each is called by one of the
            workers.
        workers: How many tasks are done at once.
        depth: Tasks that may wait, be worked on or be done and unread, at most, but for two.

    Yields:
        What the tasks return.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="work-ahead")
    try:
        with prefetch((pool.submit(task) for task in tasks), depth=depth) as begun:
            yield (one.result() for one in begun)
    finally:
        pool.shutdown(cancel_futures=True)
