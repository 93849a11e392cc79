"""A model process as the web process sees it: started, given batches, watched, ended."""

import atexit
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import get_context, resource_tracker
from typing import Any, NamedTuple, TypeAlias

from numpy.typing import NDArray

from seglight.commands.serve import worker
from seglight.commands.serve.messages import (
    Abandon,
    Batch,
    Begun,
    Described,
    Done,
    Failed,
    Item,
    Job,
    NotLoaded,
    Progress,
)
from seglight.errors import UserError
from seglight.system.memory import resident_bytes_of
from seglight.system.signals import blocked_signals
from seglight.system.threads import THREADS

LOADING_S = 600.0
"""Longest time in seconds for which the models of a process are loaded."""

GLANCE_S = 0.25
"""Seconds after which a process that computes is looked at again: whether anybody still waits for its answers."""

ENDING_S = 5.0
"""Seconds after which a process that should end is killed."""

Payload: TypeAlias = bytes | NDArray[Any]
"""An image file, or pixels (H, W, bands)."""


class Finished(NamedTuple):
    """The answer for an image of a batch."""

    place: int
    content: bytes


class WorkerDiedError(Exception):
    """A model process has ended.

    Args:
        reason: What happened.
        status: HTTP status for the images of its batch.
        at_work: Whether it had begun with the batch: otherwise no image of it is to blame.
    """

    def __init__(self, reason: str, status: int = 500, at_work: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.at_work = at_work


class ModelProcess:
    """A process that has models loaded. All methods that wait are called from one thread at a time.

    Args:
        job: What it loads.

    Attributes:
        pid: Number of the process.
        sentinel: File descriptor that becomes readable when the process ends.
    """

    def __init__(self, job: Job) -> None:
        context = get_context("spawn")  # a fork of a process with threads may hang
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=worker.run, args=(theirs, job), name="seglight model", daemon=True)
        self._batches = 0
        resource_tracker.ensure_running()  # its first start would let signals through again
        # a signal to the whole process group is for the web process, which ends this one when all answers are sent
        with blocked_signals(), _threads_of_libraries(job.threads):
            self._process.start()
        theirs.close()
        atexit.register(self.kill)  # multiprocessing would wait for it after a SIGTERM, which is blocked
        self.pid = self._process.pid or 0
        self.sentinel = self._process.sentinel

    @property
    def memory(self) -> int:
        """Resident bytes of the process; 0 where the system does not list them."""
        return resident_bytes_of(self.pid)

    def loaded(self) -> Mapping[str, Described]:
        """Wait until all models are loaded.

        Raises:
            UserError: One can't be loaded.
            WorkerDiedError: The process has ended.
        """
        try:
            message = self._received(LOADING_S)
        except (EOFError, OSError) as error:
            raise WorkerDiedError(self.ending) from error
        if isinstance(message, NotLoaded):
            raise UserError(message.reason)
        models: Mapping[str, Described] = message.models
        return models

    def answers(
        self,
        model: str,
        items: Sequence[Item],
        payloads: Sequence[Payload],
        reported: bool,
        patience_s: float,
        is_wanted: Callable[[], bool],
    ) -> Iterator[Progress | Failed | Finished]:
        """Yield what the process says about a batch, until there is an answer or a failure for each image.

        Args:
            model: Name of the model.
            items: The images.
            payloads: Bytes of each image's file, or its pixels.
            reported: Whether the end of a single image is reported, too.
            patience_s: Longest time in seconds without a message.
            is_wanted: Function that returns whether anybody still waits for the answers.

        Raises:
            WorkerDiedError: The process has ended, or was killed because it was silent for too long.
        """
        self._batches += 1
        begun = False
        missing = len(items)
        try:
            self._connection.send(Batch(self._batches, model, items, reported))
            for payload in payloads:
                self._connection.send_bytes(payload if isinstance(payload, bytes) else payload.data.cast("B"))
            while missing:
                message = self._received(patience_s, is_wanted)
                if isinstance(message, Begun):
                    begun = True
                elif isinstance(message, Done):
                    missing -= 1
                    yield Finished(message.place, self._connection.recv_bytes())
                else:
                    missing -= isinstance(message, Failed)
                    yield message
        except (EOFError, OSError) as error:
            raise WorkerDiedError(self.ending, at_work=begun) from error

    def _received(self, patience_s: float, is_wanted: Callable[[], bool] | None = None) -> Any:
        deadline = time.monotonic() + patience_s
        while not self._connection.poll(GLANCE_S):
            if time.monotonic() > deadline:
                self.kill()
                raise WorkerDiedError(f"it was silent for {patience_s:.0f} s", 504)
            if is_wanted is not None and not is_wanted():
                self._connection.send(Abandon(self._batches))
                is_wanted = None
        return self._connection.recv()

    @property
    def ending(self) -> str:
        """How the process has ended, in words; waits for a process that is about to."""
        self._process.join(ENDING_S)
        code = self._process.exitcode
        if code is None or code >= 0:
            return f"exit code {code}"
        return f"signal {-code}" + (", as the system sends it where memory is short" if code == -signal.SIGKILL else "")

    def kill(self) -> None:
        """End the process at once, from any thread."""
        atexit.unregister(self.kill)
        self._process.kill()
        self._process.join()


@contextmanager
def _threads_of_libraries(threads: int) -> Iterator[None]:
    """Number of threads of the libraries that read it from the environment when they are imported."""
    before = os.environ.get(THREADS)
    os.environ[THREADS] = str(threads)
    try:
        yield
    finally:
        if before is None:
            del os.environ[THREADS]
        else:
            os.environ[THREADS] = before
