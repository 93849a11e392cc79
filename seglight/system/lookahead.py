"""Results of a function for many items, in order, which threads compute before they are asked for."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_order(
    pool: Executor,
    function: Callable[[T], R],
    items: Iterable[T],
    count: int,
    size: Callable[[T], int] = lambda item: 0,
    most: int = 1,
) -> Iterator[R]:
    """Yield the results for all items in order; those of the next items are computed meanwhile.

    Args:
        pool: Threads that call the function.
        function: Function of an item.
        items: Items, which are taken from their iterator in the thread of the caller.
        count: Number of items that are in work at most.
        size: Function that returns the size of an item.
        most: Largest sum of sizes in work; one item may be larger.
    """
    coming: deque[tuple[Future[R], int]] = deque()
    held = 0
    for item in items:
        takes = size(item)
        while coming and (len(coming) >= count or held + takes > most):
            future, freed = coming.popleft()
            held -= freed
            yield future.result()
        coming.append((pool.submit(function, item), takes))
        held += takes
    while coming:
        yield coming.popleft()[0].result()
