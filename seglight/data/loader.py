"""A loader of samples whose processes end with the process that reads from it, and only then."""

import atexit
import os
import signal
import sys
from multiprocessing import active_children
from multiprocessing.process import BaseProcess
from typing import Any
from weakref import WeakSet

from torch.utils.data import DataLoader

from seglight.interfaces import Sample
from seglight.system.signals import blocked_signals

WORKERS: WeakSet[BaseProcess] = WeakSet()
"""The processes of all loaders of this process."""

os.register_at_fork(after_in_child=WORKERS.clear)


class Loader(DataLoader[Sample]):
    """A loader whose processes do not receive signals that end a training."""

    def __iter__(self) -> Any:
        with blocked_signals():
            before = active_children()
            iterator = super().__iter__()
            WORKERS.update(process for process in active_children() if process not in before)
        atexit.unregister(end_workers)
        atexit.register(end_workers)  # anew: before torch's functions, which wait five seconds for each process
        return iterator


def end_workers() -> None:
    """End the processes of all loaders: at the end of Python, multiprocessing sends the signals that they block."""
    if sys.platform != "win32":
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # instead of torch's handler, which raises at the death of one
    for process in WORKERS:
        process.kill()
