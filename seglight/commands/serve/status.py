"""State of a service, for its metrics and its health."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from seglight.commands.serve.worker_slot import WorkerSlot


@dataclass(frozen=True)
class WorkerStatus:
    """A model process.

    Attributes:
        pid: Its number; 0 while there is none.
        memory: Resident bytes.
        restarts: How many processes have died in its place.
        busy: Whether it predicts now.
        ready: Whether its models are loaded.
    """

    pid: int
    memory: int
    restarts: int
    busy: bool
    ready: bool


@dataclass(frozen=True)
class Status:
    """State of a service.

    Attributes:
        ready: Whether an image that comes now is predicted.
        draining: Whether it takes no more images because it is about to end.
        queued: Number of images that wait, by model.
        batches: How many batches of each size were passed to processes since the start.
        workers: The model processes.
    """

    ready: bool
    draining: bool
    queued: Mapping[str, int]
    batches: Mapping[int, int]
    workers: Sequence[WorkerStatus]


def worker_status(slot: WorkerSlot) -> WorkerStatus:
    """State of the process in a slot."""
    process = slot.process
    if process is None:
        return WorkerStatus(0, 0, slot.restarts, slot.busy, ready=False)
    return WorkerStatus(process.pid, process.memory, slot.restarts, slot.busy, ready=True)
