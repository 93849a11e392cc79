"""Groups of workers: model processes that have the same models loaded, and what they have loaded."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from seglight.commands.serve.messages import Described, Job
from seglight.commands.serve.models import Copy, ServedModel
from seglight.commands.serve.process import ModelProcess, WorkerDiedError
from seglight.commands.serve.waiting import Queue
from seglight.commands.serve.worker_slot import Statistics, WorkerSlot
from seglight.errors import UserError, one_line
from seglight.system.threads import threads_of_each


@dataclass(frozen=True)
class WorkerGroup:
    """Model processes that have the same models loaded.

    Attributes:
        copies: The files that they have loaded, by name of the model.
        models: The models, by name.
        slots: A slot for each process.
    """

    copies: Mapping[str, Copy]
    models: Mapping[str, ServedModel]
    slots: Sequence[WorkerSlot]


class WorkerStarter:
    """Starts groups of workers.

    Args:
        paths: Paths that the models were given by, for messages.
        workers: Number of processes.
        max_memory: Bytes that each of them may hold; None: no limit.
        device: Device of the nets.
        trust: Further packages whose classes a checkpoint may name.
        queue: Where the processes take images from.
        threads: Threads that wait for them.
    """

    def __init__(
        self,
        paths: Mapping[str, Path],
        workers: int,
        max_memory: int | None,
        device: str,
        trust: tuple[str, ...],
        queue: Queue,
        threads: ThreadPoolExecutor,
    ) -> None:
        self.statistics = Statistics()
        self._paths = paths
        self._workers = workers
        self._max_memory = max_memory
        self._device = device
        self._trust = trust
        self._queue = queue
        self._threads = threads

    async def start(self, copies: Mapping[str, Copy]) -> WorkerGroup:
        """Start processes, and wait until they have loaded their models.

        Raises:
            UserError: A model can't be loaded.
        """
        models = {name: copy.path for name, copy in copies.items()}
        job = Job(models, threads_of_each(self._workers), self._max_memory, self._device, self._trust)
        processes: list[ModelProcess] = []
        loop = asyncio.get_running_loop()
        try:
            for _ in range(self._workers):
                processes.append(ModelProcess(job))  # noqa: PERF401  # those before one that fails are ended, too
            waits = [loop.run_in_executor(self._threads, process.loaded) for process in processes]
            loaded = (await asyncio.gather(*waits))[0]
        except BaseException as error:
            for process in processes:
                process.kill()
            if isinstance(error, UserError | WorkerDiedError | OSError):
                raise UserError(self._with_own_paths(error, copies)) from error
            raise
        served = {name: self._served(name, loaded[name], copy) for name, copy in copies.items()}
        # with a memory limit, images are predicted one at a time
        together = {name: found.takes_batches and self._max_memory is None for name, found in loaded.items()}
        slots = [
            WorkerSlot(process, job, served, together, self._queue, self._threads, self.statistics)
            for process in processes
        ]
        return WorkerGroup(copies, served, slots)

    def _served(self, name: str, found: Described, copy: Copy) -> ServedModel:
        path = str(self._paths[name])
        return ServedModel(name, path, found.card, copy.version, found.size, found.has_probabilities, ready=True)

    def _with_own_paths(self, error: Exception, copies: Mapping[str, Copy]) -> str:
        """Message in which models have the paths that the user knows."""
        line = one_line(error)
        if isinstance(error, WorkerDiedError):
            line = f"{', '.join(map(str, self._paths.values()))}: the process that loaded it has ended ({line})"
        for name, copy in copies.items():
            line = line.replace(str(copy.path), str(self._paths[name]))
        return line
