"""Images that wait for a model process, and how they are put together to batches."""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from seglight.commands.serve.messages import RGB_BYTES
from seglight.commands.serve.models import Answered
from seglight.commands.serve.process import Payload

CROWD_S = 1.0
"""Seconds for which it is remembered that two images were there at a time: one client alone never waits for others."""

MOST_PIXELS = 1 << 23
"""Largest number of pixels of a batch of several images in RGB: larger images fill a processor one by one."""


@dataclass(eq=False)
class Waiting:
    """An image that waits for its answer.

    Attributes:
        model: Name of the model.
        size: Size (H, W).
        payload: Bytes of its file, or its pixels.
        answer: Pickled `Answer`.
        outcome: Future of the answer.
        arrived: Time of the event loop at which it came.
        progress: Function that is called with the fraction that is done, or None.
        alone: Whether it is predicted alone, because its progress is reported, or a process died with others.
        due: Whether it has waited long enough for others.
        attempts: Number of processes that died before they were done with it.
        pixel: Bytes of a pixel.
    """

    model: str
    size: tuple[int, int]
    payload: Payload
    answer: bytes
    outcome: "asyncio.Future[Answered]"
    arrived: float
    progress: Callable[[float], None] | None = None
    alone: bool = False
    due: bool = False
    attempts: int = 0
    pixel: int = RGB_BYTES

    @property
    def kind(self) -> Hashable:
        """Images of one kind may form a batch."""
        return id(self) if self.alone else (self.model, self.size)


class Queue:
    """Images in the order of their arrival, taken in batches of one model and one size.

    Args:
        batch: Largest number of images of a batch.
        wait_s: Longest time in seconds that an image waits for others of its kind, if others were there lately.
    """

    def __init__(self, batch: int, wait_s: float) -> None:
        self._batch = batch
        self._wait_s = wait_s if batch > 1 else 0.0
        self._line: deque[Waiting] = deque()
        self._idle = 0
        self._present = 0
        self._crowded_at = -math.inf
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._line)

    def lengths(self, models: Sequence[str]) -> Mapping[str, int]:
        """Number of images that wait, by model."""
        return {model: sum(one.model == model for one in self._line) for model in models}

    def put(self, one: Waiting) -> None:
        """Append an image."""
        self._present += 1
        if self._present > 1:
            self._crowded_at = one.arrived
        one.outcome.add_done_callback(self._leave)
        self._line.append(one)
        self.wake()

    def _leave(self, outcome: "asyncio.Future[Answered]") -> None:
        self._present -= 1

    def put_back(self, several: Sequence[Waiting]) -> None:
        """Put images of a process that died before all others."""
        self._line.extendleft(reversed(several))
        self.wake()

    def discard(self, one: Waiting) -> bool:
        """Remove an image for which nobody waits any more; return whether it was still there."""
        with suppress(ValueError):
            self._line.remove(one)
            return True
        return False

    def wake(self) -> None:
        """Let those that take look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def take(self, takes_batches: Mapping[str, bool], is_done: Callable[[], bool]) -> Sequence[Waiting]:
        """Wait for a batch.

        Args:
            takes_batches: By model, whether images are passed through the net together.
            is_done: Function that returns whether no further batch is wanted; looked at after `wake`.

        Returns:
            Images of one model and one size; none if `is_done` is true.
        """
        self._idle += 1
        try:
            while not is_done():
                changed = self._changed
                batch, left = self._due(takes_batches)
                if batch:
                    return batch
                with suppress(TimeoutError):
                    async with asyncio.timeout(left):
                        await changed.wait()
            return ()
        finally:
            self._idle -= 1

    def _due(self, takes_batches: Mapping[str, bool]) -> tuple[Sequence[Waiting], float | None]:
        """The next batch, or the seconds until there is one: None if that takes another image."""
        now = asyncio.get_running_loop().time()
        wait_s = self._wait_s if now - self._crowded_at < CROWD_S else 0.0
        groups: dict[Hashable, list[Waiting]] = {}
        for one in self._line:
            groups.setdefault(one.kind, []).append(one)
        soonest: float | None = None
        for group in groups.values():
            most = self._most(group[0]) if takes_batches[group[0].model] and not group[0].alone else 1
            left = group[0].arrived + wait_s - now
            if group[0].due or len(group) >= most or left <= 0:
                return self._shared(group, most), None
            soonest = left if soonest is None else min(soonest, left)
        return (), soonest

    def _most(self, one: Waiting) -> int:
        """Largest number of images of a size in a batch."""
        size = one.size[0] * one.size[1] * max(RGB_BYTES, one.pixel)
        return max(1, min(self._batch, RGB_BYTES * MOST_PIXELS // size))

    def _shared(self, group: Sequence[Waiting], most: int) -> Sequence[Waiting]:
        """The first images of a group: no more than leaves as many for each process that has nothing to do."""
        count = min(most, math.ceil(len(group) / self._idle))
        for one in group[:count]:
            self._line.remove(one)
        for one in group[count:]:
            one.due = True
        return group[:count]
