"""Processor cores that this process may use."""

import os


def usable_cores() -> int:
    """Number of cores that this process may use: where the system confines processes to some, only those."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
