"""Results in order, computed before they are needed, within bounds."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from seglight.system.lookahead import in_order


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def test_results_are_in_order(pool: ThreadPoolExecutor) -> None:
    def late(item: int) -> int:
        time.sleep(0.02 if item % 2 else 0.0)
        return item * item

    assert list(in_order(pool, late, range(10), 4)) == [item * item for item in range(10)]
    assert list(in_order(pool, late, [], 4)) == []


@pytest.mark.parametrize(("count", "most", "together"), [(4, 100, 4), (1, 100, 1), (4, 2, 2), (4, 0, 1)])
def test_no_more_than_allowed_are_in_work(pool: ThreadPoolExecutor, count: int, most: int, together: int) -> None:
    """Each item has the size 1; one that is larger than all that is allowed is in work alone."""
    lock, at_once, largest = threading.Lock(), 0, 0
    barrier = threading.Barrier(together, timeout=30)  # broken if fewer are in work at once

    def work(item: int) -> int:
        nonlocal at_once, largest
        with lock:
            at_once += 1
            largest = max(largest, at_once)
        barrier.wait()
        with lock:
            at_once -= 1
        return item

    assert list(in_order(pool, work, range(12), count, lambda item: 1, most)) == list(range(12))
    assert largest <= together


def test_an_error_comes_in_its_place(pool: ThreadPoolExecutor) -> None:
    def work(item: int) -> float:
        return 1 / (2 - item)

    results = in_order(pool, work, range(4), 4)
    assert [next(results), next(results)] == [0.5, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
