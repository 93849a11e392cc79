"""Slots of workers: each takes batches from the queue, and gets another process whenever its own dies."""

import asyncio
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

from seglight.commands.serve.messages import Failed, Item, Job, Progress
from seglight.commands.serve.models import Answered, ServedModel
from seglight.commands.serve.process import Finished, ModelProcess, WorkerDiedError
from seglight.commands.serve.refusals import Refused
from seglight.commands.serve.waiting import Queue, Waiting
from seglight.errors import UserError, one_line, say, traceback_of

SILENCE_S = 120.0
"""Longest time in seconds for which a process that predicts says nothing, and for which an image waits for one."""

PIXELS_PER_S = 250_000
"""Pixels for which a process may be silent for another second: few nets are so slow on a thread of a processor."""

MOST_ATTEMPTS = 3
"""Number of processes that may die before they have begun with an image; of those that have begun, one may."""

PAUSES_S = (0.5, 30.0)
"""First and longest pause in seconds before models that can't be loaded are loaded again."""

REASONS = {
    500: "the process that predicted the image has died of it: the image may be too large for the memory of the server",
    504: "the image took too long to predict",
}
"""What a client gets to read, by status."""


@dataclass
class Statistics:
    """What all slots of a server count, longer than each of them exists.

    Attributes:
        batches: How many batches of each size were passed to processes.
        seconds: Seconds for an image, a moving mean; 0 before the first one.
    """

    batches: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0

    def took(self, images: int, seconds: float) -> None:
        """Note for how many seconds a batch was predicted."""
        each = seconds / images
        self.seconds = each if not self.seconds else 0.9 * self.seconds + 0.1 * each


class WorkerSlot:
    """A place for a worker, a model process.

    Args:
        process: The first one, which has its models loaded.
        job: What it has loaded, and others after it.
        models: The same models for those who ask.
        takes_batches: By model, whether images are passed through the net together.
        queue: Where batches come from.
        threads: Threads that wait for processes.
        statistics: Where batches are counted.

    Attributes:
        process: The process; None while there is none.
        restarts: Number of processes that have died.
        busy: Whether a batch is under way.
    """

    def __init__(
        self,
        process: ModelProcess,
        job: Job,
        models: Mapping[str, ServedModel],
        takes_batches: Mapping[str, bool],
        queue: Queue,
        threads: ThreadPoolExecutor,
        statistics: Statistics,
    ) -> None:
        self.process: ModelProcess | None = process
        self.restarts = 0
        self.busy = False
        self._job = job
        self._models = models
        self._takes_batches = takes_batches
        self._queue = queue
        self._threads = threads
        self._statistics = statistics
        self._died = False
        self._retired = asyncio.Event()
        self._pause_s = 0.0
        self._task: asyncio.Task[None] | None = None

    @property
    def is_over(self) -> bool:
        """Whether a retired slot has answered its last batch."""
        return self._task is not None and self._task.done()

    def begin(self) -> None:
        """Take batches from now on."""
        self._task = asyncio.create_task(self._run())

    def retire(self) -> None:
        """Take no further batch; the one that is under way is still answered."""
        self._retired.set()
        self._queue.wake()

    async def ended(self) -> None:
        """Wait until a retired slot has answered its last batch."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def cancel(self) -> None:
        """End the process, whatever it does."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._end()

    async def _run(self) -> None:
        """Predict batches until the slot is retired."""
        try:
            while not self._retired.is_set():
                if self.process is None:
                    await self._load()
                else:
                    await self._serve(self.process)
        finally:
            self._end()

    def _end(self) -> None:
        if self.process is not None:
            self.process.kill()
        self.process = None

    async def _serve(self, process: ModelProcess) -> None:
        """Predict batches until the process dies or the slot is retired."""
        loop = asyncio.get_running_loop()
        loop.add_reader(process.sentinel, self._note_death, process.sentinel)
        try:
            while batch := await self._queue.take(self._takes_batches, self._is_done):
                self.busy = True
                self._statistics.batches[len(batch)] += 1
                start = loop.time()
                try:
                    await loop.run_in_executor(self._threads, self._exchange, loop, process, batch)
                    self._statistics.took(len(batch), loop.time() - start)
                except Exception as error:
                    self._died = True  # after any other error, what the process says next would be of this batch
                    self._blame(batch, _death_of(error))
                finally:
                    self.busy = False
        finally:
            loop.remove_reader(process.sentinel)
        if self._died and not self._retired.is_set():
            say(f"a model process has ended ({process.ending}): another one is started")
            self._died = False
            self.restarts += 1
            self._end()

    def _is_done(self) -> bool:
        return self._died or self._retired.is_set()

    def _note_death(self, sentinel: int) -> None:
        asyncio.get_running_loop().remove_reader(sentinel)
        self._died = True
        self._queue.wake()

    def _exchange(self, loop: asyncio.AbstractEventLoop, process: ModelProcess, batch: Sequence[Waiting]) -> None:
        """Let a process predict a batch; this waits, in a thread of its own."""
        items = [_item(one) for one in batch]
        patience_s = SILENCE_S + sum(height * width for height, width in (one.size for one in batch)) / PIXELS_PER_S
        payloads = [one.payload for one in batch]
        reported = batch[0].progress is not None
        messages = process.answers(batch[0].model, items, payloads, reported, patience_s, lambda: _is_wanted(batch))
        for message in messages:
            loop.call_soon_threadsafe(self._tell, batch, message)

    def _tell(self, batch: Sequence[Waiting], message: Progress | Failed | Finished) -> None:
        """Pass a message of the process to those who wait for it, unless they have left."""
        one = batch[0 if isinstance(message, Progress) else message.place]
        if one.outcome.done():
            return
        if isinstance(message, Finished):
            one.outcome.set_result(Answered(message.content, self._models[one.model], one.size))
        elif isinstance(message, Failed):
            one.outcome.set_exception(Refused(message.status, message.reason, message.retry_after))
        elif one.progress is not None:
            one.progress(message.fraction)

    def _blame(self, batch: Sequence[Waiting], death: WorkerDiedError) -> None:
        """Refuse an image whose process died of it, and let those of which that is not known be predicted again."""
        left = [one for one in batch if not one.outcome.done()]
        for one in left:
            one.attempts += 1
        guilty = [one for one in left if (death.at_work and len(batch) == 1) or one.attempts >= MOST_ATTEMPTS]
        for one in guilty:
            one.outcome.set_exception(Refused(death.status, REASONS[death.status]))
        again = [one for one in left if one not in guilty]
        for one in again:
            one.alone = True
        self._queue.put_back(again)

    async def _load(self) -> None:
        """Start another process; after failures, with longer and longer pauses."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._pause_s):
                await self._retired.wait()
                return
        process = None
        try:
            process = ModelProcess(self._job)
            await asyncio.get_running_loop().run_in_executor(self._threads, process.loaded)
            self.process, process = process, None
            self._pause_s = 0.0
        except (UserError, WorkerDiedError, OSError) as error:
            first, longest = PAUSES_S
            self._pause_s = min(longest, max(first, 2 * self._pause_s))
            say(f"a model process does not start ({one_line(error)}): tried again in {self._pause_s:.1f} s")
        finally:
            if process is not None:
                process.kill()


def _death_of(error: Exception) -> WorkerDiedError:
    if isinstance(error, WorkerDiedError):
        return error
    sys.stderr.write(traceback_of(error))
    return WorkerDiedError(one_line(error))


def _is_wanted(batch: Sequence[Waiting]) -> bool:
    return any(not one.outcome.done() for one in batch)


def _item(one: Waiting) -> Item:
    if isinstance(one.payload, bytes):
        return Item(one.size, True, one.answer)
    return Item(one.size, False, one.answer, one.payload.shape[2], one.payload.dtype.name)
