"""Waiting of OpenMP threads, which has to be configured before torch is imported."""

import os

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
