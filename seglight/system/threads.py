"""How the threads of OpenMP wait for each other, which is settled before torch is imported."""

import os

SPINS = "1000"
"""Turns of the loop in which a thread waits at a barrier before it sleeps; see `python -m benchmarks contention`."""


def sleep_at_barriers() -> None:
    """Let the threads of OpenMP sleep soon at a barrier, where the environment does not say how they wait.

    GNU OpenMP, which torch computes with on a CPU, lets a thread that waits spin for some milliseconds. That is faster
    as long as every thread has a core of its own. Beside one other busy process, the thread that spins takes the core
    from the one that it waits for, at each of the thousands of barriers of a training step. The library reads its
    environment once, when it is loaded: the call has to come before torch is imported.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = SPINS
