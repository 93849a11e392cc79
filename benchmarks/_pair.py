"""Comparison of seglight with a peer in two processes: checks for equal results, then alternating timed runs.

The result is the median time and the peak memory of each side. A side is a function at the top of a module,
`make(*args) -> step`; `step()` does the work once and returns the values to compare (tensors, numbers, tuples of
these). Each side is built in its own process, so that the two share neither memory nor threads; one waits while the
other works.
"""

import atexit
import ctypes
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

Make = Callable[..., Callable[[], Any]]


@dataclass(frozen=True)
class Figures:
    """Median seconds, peak bytes beyond those of the process before the step, and the ratios of the peer to ours."""

    ours_seconds: float
    peer_seconds: float
    speedup: float
    ours_bytes: int
    peer_bytes: int
    memory_ratio: float

    def line(self) -> str:
        """Return the figures as a line of text."""
        return (
            f"ours {1e3 * self.ours_seconds:9.2f} ms {self.ours_bytes / 1e6:8.1f} MB   "
            f"peer {1e3 * self.peer_seconds:9.2f} ms {self.peer_bytes / 1e6:8.1f} MB   "
            f"{self.speedup:6.2f}x faster, 1/{self.memory_ratio:.1f} of the memory"
        )

    def as_dict(self) -> dict[str, float]:
        """Return the figures as a dictionary for JSON."""
        return asdict(self)


def compare(
    ours: Make, peer: Make, args: Iterable[Any], check: Callable[[Any, Any], None], threads: int = 1, rounds: int = 7
) -> Figures:
    """Build both sides from `args`, compare their results by `check`, then measure.

    Args:
        ours: Function that makes our step.
        peer: Function that makes the peer's step.
        args: Arguments of both functions, which draw their data from a fixed seed, so that both use the same data.
        check: Function that raises an AssertionError if the results of the two sides differ.
        threads: Number of torch threads in each process.
        rounds: Number of alternating timed runs of each side. With 0, for runs that take many minutes, each side runs
            once, and this run is compared and timed.
    """
    pair = _pair()
    for side, make in zip(pair, (ours, peer), strict=True):
        side.ask("make", make, tuple(args), threads)
    if rounds:
        check(*(side.ask("result") for side in pair))
        peaks = [side.ask("peak") for side in pair]
        turns = [[side.ask("time") for side in pair] for _ in range(rounds)]
    else:
        once = [side.ask("once") for side in pair]
        check(*(result for result, _, _ in once))
        peaks = [peak for _, peak, _ in once]
        turns = [[seconds for _, _, seconds in once]]
    mine, theirs = (statistics.median(taken) for taken in zip(*turns, strict=True))
    return Figures(mine, theirs, theirs / mine, peaks[0], peaks[1], peaks[1] / max(1, peaks[0]))


class Side:
    """A process that makes steps and runs them on request.

    Args:
        environment: Environment variables that the process has in addition to those of this one.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        # not a daemon, because it may start loader workers
        self.process = context.Process(target=_work, args=(theirs,))
        before = dict(os.environ)
        os.environ.update(environment or {})
        try:
            self.process.start()
        finally:
            os.environ.clear()
            os.environ.update(before)
        theirs.close()

    def ask(self, what: str, *args: Any) -> Any:
        """Send a request and wait for its answer."""
        self.connection.send((what, args))
        answer = self.connection.recv()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def end(self) -> None:
        """End the process."""
        self.connection.close()
        self.process.join(10)
        self.process.kill()


@cache
def _pair() -> tuple[Side, Side]:
    """Return the two processes; they are shared by all comparisons, because the imports take seconds."""
    pair = Side(), Side()
    for side in pair:
        atexit.register(side.end)
    return pair


def _work(connection: Connection) -> None:
    multiprocessing.set_start_method("fork", force=True)  # for loader workers, as is usual on Linux
    step: Any = None
    answers = {"result": lambda step: _plain(step()), "peak": _peak, "time": _seconds, "once": _once}
    while True:
        try:
            what, args = connection.recv()
        except EOFError:
            return
        try:
            if what == "make":
                make, made_from, threads = args
                step = None  # frees its memory before the next step is made
                torch.set_num_threads(threads)
                torch.use_deterministic_algorithms(False)
                step = make(*made_from)
                connection.send(None)
            else:
                connection.send(answers[what](step))
        except Exception as error:  # the other process raises it
            connection.send(RuntimeError(f"{make.__name__}{made_from}: {error!r}"))


def _plain(result: Any) -> Any:
    """Convert tensors to arrays, which are sent without shared memory."""
    if isinstance(result, Tensor):
        return result.detach().cpu().numpy()
    if isinstance(result, tuple | list):
        return tuple(_plain(part) for part in result)
    return result


def _seconds(step: Callable[[], Any], least: float = 0.05) -> float:
    """Return the seconds per step, over enough steps that clock resolution and wake-ups do not matter."""
    steps, start = 0, time.perf_counter()
    while True:
        step()
        _synchronize()
        steps += 1
        taken = time.perf_counter() - start
        if taken > least:
            return taken / steps


def _peak(step: Callable[[], Any]) -> int:
    """Return the peak bytes of a step: CUDA memory if there is a device, otherwise resident memory."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        _synchronize()
        return torch.cuda.max_memory_allocated() - before
    trim: Any = ctypes.CDLL(None).malloc_trim
    trim(0)  # freed memory that the allocator keeps would hide the same number of bytes
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark
    step()
    return max(0, _status("VmHWM") - before)


def _once(step: Callable[[], Any]) -> tuple[Any, int, float]:
    """Return the result of a single run, its peak in bytes, and its seconds."""
    results: list[Any] = []
    start = time.perf_counter()
    peak = _peak(lambda: results.append(step()))
    return _plain(results[0]), peak, time.perf_counter() - start


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{key}:"))


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
