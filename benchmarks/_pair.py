"""Ours against a peer in a pair of processes: equal first, then in turn, medians of time, peak of memory.

A side is a function at the top of a module, `make(*args) -> step`; `step()` does the work once and returns what is to
be equal (tensors, numbers, tuples of these). Ours are built in one process and the peer's in another, so that one's
memory and threads are not the other's, and while one works the other waits.
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
    """Medians of seconds, peaks of bytes beyond what the process held before the step, and the peer's over ours."""

    ours_seconds: float
    peer_seconds: float
    speedup: float
    ours_bytes: int
    peer_bytes: int
    memory_ratio: float

    def line(self) -> str:
        """For people."""
        return (
            f"ours {1e3 * self.ours_seconds:9.2f} ms {self.ours_bytes / 1e6:8.1f} MB   "
            f"peer {1e3 * self.peer_seconds:9.2f} ms {self.peer_bytes / 1e6:8.1f} MB   "
            f"{self.speedup:6.2f}x faster, 1/{self.memory_ratio:.1f} of the memory"
        )

    def as_dict(self) -> dict[str, float]:
        """For JSON."""
        return asdict(self)


def compare(
    ours: Make, peer: Make, args: Iterable[Any], check: Callable[[Any, Any], None], threads: int = 1, rounds: int = 7
) -> Figures:
    """Build both sides from `args`, let `check(ours, peer)` raise where their results differ, then measure.

    Args:
        ours: Makes our step.
        peer: Makes the peer's step.
        args: What both are made from; drawn from a seed inside, so that both see the same.
        check: Asserts equality.
        threads: Threads of torch in each process.
        rounds: Timed runs of each side, in turn. 0, where one takes many minutes: each side runs once for all of it.
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
    """A process that makes steps and runs them when asked.

    Args:
        environment: Variables that the process has beside those of this one.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        # no daemon: it may have loaders' workers of its own
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
        """Let the process end."""
        self.connection.close()
        self.process.join(10)
        self.process.kill()


@cache
def _pair() -> tuple[Side, Side]:
    """The two processes: the same ones for all comparisons, since it takes seconds to import what is compared."""
    pair = Side(), Side()
    for side in pair:
        atexit.register(side.end)
    return pair


def _work(connection: Connection) -> None:
    multiprocessing.set_start_method("fork", force=True)  # of loaders' workers, as everywhere on Linux
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
                step = None  # its memory goes before the next one's comes
                torch.set_num_threads(threads)
                torch.use_deterministic_algorithms(False)
                step = make(*made_from)
                connection.send(None)
            else:
                connection.send(answers[what](step))
        except Exception as error:  # the other process is to raise it
            connection.send(RuntimeError(f"{make.__name__}{made_from}: {error!r}"))


def _plain(result: Any) -> Any:
    """Tensors as arrays: these need no shared memory to travel."""
    if isinstance(result, Tensor):
        return result.detach().cpu().numpy()
    if isinstance(result, tuple | list):
        return tuple(_plain(part) for part in result)
    return result


def _seconds(step: Callable[[], Any], least: float = 0.05) -> float:
    """Seconds a step: of so many that the clock's grain and a stray wake-up don't show."""
    steps, start = 0, time.perf_counter()
    while True:
        step()
        _synchronize()
        steps += 1
        taken = time.perf_counter() - start
        if taken > least:
            return taken / steps


def _peak(step: Callable[[], Any]) -> int:
    """Bytes that a step takes at its worst: of CUDA memory, or resident ones."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        _synchronize()
        return torch.cuda.max_memory_allocated() - before
    trim: Any = ctypes.CDLL(None).malloc_trim
    trim(0)  # what was freed and kept would hide as much
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
    step()
    return max(0, _status("VmHWM") - before)


def _once(step: Callable[[], Any]) -> tuple[Any, int, float]:
    """What a single run gives, its peak in bytes, and its seconds."""
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
