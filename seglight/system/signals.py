"""Signals that end a training: noted when they arrive, acted on between two steps, forwarded to child processes."""

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

EXIT_CODE = 75
"""Exit code of a run that received a signal, saved a checkpoint and is to be resumed: EX_TEMPFAIL of sysexits.h."""

SCHEDULERS = (signal.SIGTERM, signal.SIGUSR1)
"""Signals that a machine and a scheduler (Slurm's `--signal`) send."""

SIGNALS = (*SCHEDULERS, signal.SIGINT)
"""Those signals and Ctrl-C."""


class StopSignals:
    """Handlers that note a signal and do nothing else; a second Ctrl-C ends the process at once.

    Attributes:
        received: The first signal that arrived, or None.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._earlier: dict[signal.Signals, Any] = {}

    def install(self, numbers: Sequence[signal.Signals] = SIGNALS) -> None:
        """Replace the handlers of some signals; only the main thread may."""
        for number in numbers:
            earlier = signal.signal(number, self._note)
            if earlier != self._note:
                self._earlier.setdefault(number, earlier)

    def restore(self) -> None:
        """Restore the earlier handlers, and forget which signal arrived."""
        for number, earlier in self._earlier.items():
            signal.signal(number, earlier)
        self._earlier = {}
        self.received = None

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT == self.received:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        self.received = self.received or signal.Signals(number)


STOP = StopSignals()
"""The handlers of this process: signals are handled by a process as a whole."""


class ForwardedSignals:
    """Context within which signals are forwarded to child processes, and do not end this process.

    Args:
        forwarded: Signals that are forwarded.
        ignored: Signals without an effect. Child processes do not inherit that, as they would inherit SIG_IGN.

    Attributes:
        received: Numbers of the forwarded signals that arrived, in order.
    """

    def __init__(self, forwarded: Sequence[int] = SIGNALS, ignored: Sequence[int] = ()) -> None:
        self.forwarded = forwarded
        self.ignored = ignored
        self.received: list[int] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        self._earlier: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._earlier = {number: signal.signal(number, self._handle) for number in (*self.forwarded, *self.ignored)}
        return self

    def __exit__(self, *error: object) -> None:
        for number, earlier in self._earlier.items():
            signal.signal(number, earlier)

    def add(self, process: subprocess.Popen[bytes]) -> None:
        """Forward to a process from now on; it gets the first signal that arrived before it was started."""
        with blocked_signals():  # otherwise one that arrives here might be sent twice, or not at all
            self._processes.append(process)
            if self.received:
                process.send_signal(self.received[0])

    def remove(self, process: subprocess.Popen[bytes]) -> None:
        """Forward no longer to a process that has ended."""
        self._processes.remove(process)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number in self.forwarded:
            self.received.append(number)
            for process in self._processes:
                process.send_signal(number)


@contextmanager
def blocked_signals() -> Iterator[None]:
    """Deliver signals that arrive within the block after it; processes that are started within never receive them.

    Loader processes therefore survive a signal to a whole process group: their parent needs samples to reach the end
    of its step. They end when the parent asks them to or has ended.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
