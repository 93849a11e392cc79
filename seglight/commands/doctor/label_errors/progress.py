"""How far a judgement is: a bar on a terminal, and lines in a log."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import Progress

from seglight.errors import say
from seglight.system.terminal import plain_console

SECONDS = 30.0
"""Least time between two lines in a log."""

PASSES = 2
"""Times that each image is read."""


class Lines:
    """Lines that tell how far it is, at most one in `SECONDS`.

    Args:
        split: Name of the split.
        images: Number of its images that are judged.
        clock: Function that returns the time in seconds.
    """

    def __init__(self, split: str, images: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.split = split
        self.images = images
        self._clock = clock
        self._done = 0
        self._last = clock()

    def advance(self) -> None:
        """Count an image of a pass."""
        self._done += 1
        now = self._clock()
        if now - self._last >= SECONDS and self._done < PASSES * self.images:
            self._last = now
            before, image = divmod(self._done, self.images)
            say(f"{self.split}: pass {before + 1} of {PASSES}, {image} of {self.images} images")


@contextmanager
def progress(split: str, images: int) -> Iterator[Callable[[], None]]:
    """Tell how far a judgement is; yields the function that advances it by an image of a pass.

    Args:
        split: Name of the split.
        images: Number of its images that are judged.
    """
    say(f"{split}: {images} images are judged, in {PASSES} passes")
    console = plain_console(stderr=True)
    lines = Lines(split, images)
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("judging", total=PASSES * images)
        yield lambda: bar.advance(task) if console.is_terminal else lines.advance()
