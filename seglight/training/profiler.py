"""Times of the parts of a fit, measured at Lightning's own profiling points."""

import time
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any

from lightning.pytorch.profilers import Profiler

REST = "rest"
PARTS = {
    "train_dataloader_next": "data",
    "training_step": "forward",
    "backward": "backward",
    "optimizer_step": "optimizer",
    "val_next": "evaluation",
    "validation_step": "evaluation",
    "save_checkpoint": "saving",
}
"""Part of the time that an action counts for, by the end of its name; all others are the rest."""


class RunTimes(Profiler):
    """Measures seconds of waiting for data, forward, backward, optimizer, evaluation, saving, and the rest.

    A part that runs within another, as the backward pass does within the optimizer's step, is subtracted from it. Times
    are those of the host: with a GPU, work counts where the host waits for it. Other actions cost less than with
    Lightning's PassThroughProfiler, because no generator is created for them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.parts: dict[str, _Part | None] = {}
        self.seconds = dict.fromkeys([*dict.fromkeys(PARTS.values()), REST], 0.0)
        self.open = [REST]
        self.last = time.perf_counter()

    def setup(self, *args: Any, **kwargs: Any) -> None:
        """Called by Lightning when the fit begins."""
        super().setup(*args, **kwargs)
        self.last = time.perf_counter()

    def profile(self, action_name: str) -> AbstractContextManager[Any]:  # type: ignore[override]  # no generator
        """Called by Lightning around each action."""
        return self._part(action_name) or NOTHING

    def start(self, action_name: str) -> None:
        """Called by Lightning before it fetches a batch."""
        part = self._part(action_name)
        if part is not None:
            self.enter(part.name)

    def stop(self, action_name: str) -> None:
        """Called by Lightning after it has fetched a batch."""
        if self._part(action_name) is not None:
            self.leave()

    def enter(self, name: str) -> None:
        """Count the time from now on for this part."""
        self._count()
        self.open.append(name)

    def leave(self) -> None:
        """Count the time from now on for the enclosing part."""
        self._count()
        self.open.pop()

    def line(self) -> str:
        """Format the total and the shares."""
        self._count()
        total = sum(self.seconds.values())
        shares = ", ".join(f"{part} {seconds / total:.1%}" for part, seconds in self.seconds.items())
        return f"{total:.0f} s: {shares}"

    def _count(self) -> None:
        now = time.perf_counter()
        self.seconds[self.open[-1]] += now - self.last
        self.last = now

    def _part(self, action_name: str) -> "_Part | None":
        try:
            return self.parts[action_name]
        except KeyError:
            hook = action_name.rpartition(".")[2]
            name = "evaluation" if hook.startswith("on_validation") else PARTS.get(hook)
            self.parts[action_name] = part = None if name is None else _Part(self, name)
            return part


class _Part(AbstractContextManager[None]):
    """A part as a context manager; it is reused, because the profiler keeps the stack of open parts."""

    def __init__(self, times: RunTimes, name: str) -> None:
        self.times = times
        self.name = name

    def __enter__(self) -> None:
        self.times.enter(self.name)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.times.leave()


NOTHING: AbstractContextManager[None] = nullcontext()
