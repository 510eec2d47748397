import itertools
import threading
import time
from functools import partial

import pytest

from cdrl_cli.prefetch import prefetch, work_ahead


def test_items_come_in_order_and_once():
    with prefetch(range(1000), depth=3) as items:
        assert list(items) == list(range(1000))


def test_an_error_of_the_source_comes_after_the_items_before_it():
    def source():
        yield 1
        yield 2
        raise OSError("gone")

    seen = []
    with pytest.raises(OSError, match="gone"), prefetch(source()) as items:
        seen.extend(items)
    # extend keeps what it drew before the error
    assert seen == [1, 2]


def test_leaving_early_ends_the_thread():
    def endless():
        while True:
            yield 0

    with prefetch(endless()) as items:
        next(items)
    assert not [t for t in threading.enumerate() if t.name == "prefetch"]


def test_no_more_than_depth_items_wait():
    drawn = []

    def source():
        for item in range(100):
            drawn.append(item)
            yield item

    with prefetch(source(), depth=2) as items:
        next(items)
        time.sleep(0.2)
        # one handed over, two waiting, one in the source's hand
        assert len(drawn) <= 4


def test_one_may_draw_from_another():
    with prefetch(range(1000)) as items, prefetch(map(str, items)) as words:
        assert list(words) == [str(item) for item in range(1000)]


def test_an_error_passes_through_a_second_one_and_ends_both_threads():
    def source():
        yield 1
        raise OSError("gone")

    seen = []
    with pytest.raises(OSError, match="gone"), prefetch(source()) as items:  # noqa: SIM117
        with prefetch(map(str, items)) as words:
            seen.extend(words)
    assert seen == ["1"]
    assert not [t for t in threading.enumerate() if t.name == "prefetch"]


def test_leaving_two_early_ends_both_threads():
    with prefetch(itertools.count()) as items, prefetch(map(str, items)) as words:
        next(words)
    assert not [t for t in threading.enumerate() if t.name == "prefetch"]


def test_tasks_are_done_side_by_side_and_their_results_come_in_order():
    together = threading.Barrier(2)

    def task(number):
        together.wait(5)  # ends when two are at it
        time.sleep(0.01 * (number % 3))
        return number

    with work_ahead((partial(task, number) for number in range(10)), workers=2) as done:
        assert list(done) == list(range(10))


def test_an_error_of_a_task_comes_in_its_place_and_the_rest_is_dropped():
    begun = []

    def task(number):
        begun.append(number)
        if number == 3:
            raise OSError("gone")
        return number

    seen = []
    endless = (partial(task, number) for number in itertools.count())
    with pytest.raises(OSError, match="gone"), work_ahead(endless, workers=2, depth=2) as done:
        seen.extend(done)
    assert seen == [0, 1, 2]
    assert len(begun) < 10
    assert not [t for t in threading.enumerate() if t.name.startswith(("prefetch", "work-ahead"))]
