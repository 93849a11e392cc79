"""Progress of what takes long: a bar on terminals, and elsewhere, as in logs, a line now and then."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from rich.progress import Progress

from seglight.system.ranks import rank
from seglight.system.terminal import plain_console

FIRST = 10.0
"""Seconds before the first line."""

EVERY = 60.0
"""Seconds from a line to the next."""


class Work:
    """A part of the work, whose progress is shown.

    Args:
        name: What is done.
        total: Amount of the work, in any unit.
        bar: Bar on terminals.
        show: Shows a line where there is no bar.
        clock: Time in seconds.
    """

    def __init__(
        self,
        name: str,
        total: int,
        bar: Progress,
        show: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.total = total
        self.bar = bar
        self.show = show
        self.clock = clock
        self.task = bar.add_task(name, total=total)
        self.done = 0
        self.former = 0
        self.began = clock()
        self.next = self.began + FIRST

    def skip(self, amount: int) -> None:
        """An amount was done before, by a command that was interrupted: it tells nothing about the speed."""
        self.former += amount
        self.done += amount
        self.bar.update(self.task, completed=self.done)

    def advance(self, amount: int) -> None:
        """An amount is done."""
        self.reach(self.done + amount)

    def reach(self, done: int) -> None:
        """An amount is done in all, by all processes."""
        self.done = done
        self.bar.update(self.task, completed=done)
        now = self.clock()
        if now < self.next or not self.former < done < self.total:
            return
        self.next = now + EVERY
        left = (self.total - done) * (now - self.began) / (done - self.former)
        self.show(f"{self.name}: {100 * done // self.total} %, about {duration(left)} left")


def duration(seconds: float) -> str:
    """A time as it is said: "40 s", "12 min", "3.5 h"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


class PassLines(Callback):
    """Lines about the passes of a trainer, where there is no bar."""

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin a pass, of the batches of this process."""
        batches = trainer.num_test_batches if trainer.testing else trainer.num_val_batches
        self.work = Work("pass over the images", int(sum(batches)), Progress(disable=True), tell)

    on_test_start = on_validation_start

    def on_validation_batch_end(self, *args: Any, **options: Any) -> None:
        """A batch is done."""
        self.work.advance(1)

    on_test_batch_end = on_validation_batch_end


@contextmanager
def shown() -> Iterator[Callable[[str, int], Work]]:
    """Shows the progress of works, each of a name and an amount, in the first process."""
    console = plain_console(stderr=True)
    first = rank() == 0
    with Progress(console=console, disable=not (first and console.is_terminal)) as bar:
        yield lambda name, total: Work(name, total, bar, tell if not console.is_terminal else _silent)


def tell(line: str) -> None:
    """Show a line in the first process, at once, whether or not there is a terminal."""
    if rank() == 0:
        plain_console().print(line)


def _silent(line: str) -> None:
    """A bar shows the same."""
