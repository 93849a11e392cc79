"""The best of many items, in memory that does not grow with their number."""

import heapq
from typing import Generic, TypeVar

T = TypeVar("T")


class Best(Generic[T]):
    """Keeps the items with the highest scores; of equal ones those that were added first.

    Args:
        most: Number of items to keep.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._heap: list[tuple[float, int, T]] = []
        self._added = 0

    def admits(self, score: float) -> bool:
        """Whether an item of this score would be kept."""
        return len(self._heap) < self.most or (self.most > 0 and score > self._heap[0][0])

    def add(self, score: float, item: T) -> None:
        """Add an item."""
        self._added += 1
        if not self.admits(score):
            return
        entry = (score, -self._added, item)
        if len(self._heap) < self.most:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heapreplace(self._heap, entry)

    def ranked(self) -> list[T]:
        """The items, best first."""
        return [item for _, _, item in sorted(self._heap, key=lambda entry: entry[:2], reverse=True)]
