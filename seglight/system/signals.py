"""Signals that end a training: noted when they come, acted on between two steps."""

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

EXIT_CODE = 75
"""Of a run that was told to stop, saved and is to be started again: EX_TEMPFAIL of sysexits.h."""

SCHEDULERS = (signal.SIGTERM, signal.SIGUSR1)
"""What a machine and a scheduler (Slurm's `--signal`) send."""

SIGNALS = (*SCHEDULERS, signal.SIGINT)
"""Theirs and Ctrl-C."""


class StopSignals:
    """Handlers that note the signal and do nothing else; a second Ctrl-C ends the process at once.

    Attributes:
        received: The first signal that came, or None.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._earlier: dict[signal.Signals, Any] = {}

    def install(self, numbers: Sequence[signal.Signals] = SIGNALS) -> None:
        """Take signals over, from whoever has them; only the main thread may."""
        for number in numbers:
            earlier = signal.signal(number, self._note)
            if earlier != self._note:
                self._earlier.setdefault(number, earlier)

    def restore(self) -> None:
        """Give the signals back, and forget what came."""
        for number, earlier in self._earlier.items():
            signal.signal(number, earlier)
        self._earlier, self.received = {}, None

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT == self.received:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        self.received = self.received or signal.Signals(number)


STOP = StopSignals()
"""Those of this process: handlers belong to a process as a whole."""


@contextmanager
def held() -> Iterator[None]:
    """Signals that come within are delivered after it; processes that are started within never get them.

    So loader processes outlive what is sent to a whole process group: their parent needs samples to reach the end of
    its step. They end when it tells them to, or is gone.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
