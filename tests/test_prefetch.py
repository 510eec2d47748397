import itertools
import threading
import time

import pytest

from cdrl_cli.prefetch import prefetch


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
