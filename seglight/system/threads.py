"""Number of OpenMP threads, and their waiting, which has to be configured before torch is imported."""

import os

from seglight.system.cores import usable_cores

THREADS = "OMP_NUM_THREADS"
"""Environment variable with the number of threads of OpenMP, and of libraries that follow it."""

SPINS = "1000"
"""Iterations that a thread spins at a barrier before it sleeps; measured by `python -m benchmarks contention`."""


def sleep_at_barriers() -> None:
    """Let OpenMP threads sleep soon at a barrier, unless the environment configures how they wait.

    GNU OpenMP, which torch uses on a CPU, lets a waiting thread spin for some milliseconds. That is faster as long as
    every thread has its own core. Beside another busy process, the spinning thread occupies the core that the thread it
    waits for needs, at each of the thousands of barriers of a training step. The library reads its environment once,
    when it is loaded: this function has to be called before torch is imported.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = SPINS


def granted_threads() -> int | None:
    """Number of threads that the environment grants this process, for runtimes that do not read it; None: no number.

    Of a list, which is for nested regions, the first is that of the outermost one.
    """
    granted = os.environ.get(THREADS, "").split(",")[0].strip()
    return int(granted) if granted.isdecimal() and int(granted) else None


def threads_of_each(processes: int) -> int:
    """Number of threads of each of some processes that share the cores, unless the environment grants a number.

    Args:
        processes: Number of the processes.
    """
    return granted_threads() or max(1, usable_cores() // processes)
