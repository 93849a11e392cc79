"""The service behind all protocols: takes images, passes them to model processes, and returns answers.

The event loop that calls it never computes: headers are read in threads, and images are decoded, predicted and encoded
in processes of their own.
"""

import asyncio
import itertools
import math
import pickle
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from seglight.commands.serve.image_errors import status_of
from seglight.commands.serve.messages import RGB_BYTES
from seglight.commands.serve.models import Answered, Copy, ServedModel, copied, served
from seglight.commands.serve.prediction import Answer
from seglight.commands.serve.process import Payload
from seglight.commands.serve.refusals import Refused
from seglight.commands.serve.settings import Settings
from seglight.commands.serve.status import Status, worker_status
from seglight.commands.serve.waiting import Queue, Waiting
from seglight.commands.serve.watch import AGAIN_S, watch
from seglight.commands.serve.worker import THE_IMAGE, name_of
from seglight.commands.serve.worker_group import WorkerGroup, WorkerStarter
from seglight.commands.serve.worker_slot import SILENCE_S, WorkerSlot
from seglight.errors import UserError, one_line, say
from seglight.images.bands import Bands
from seglight.images.jpeg import JPEG
from seglight.images.pixels import described, is_image, size_of_pixels
from seglight.images.png import SIGNATURE

QUICK = (SIGNATURE, JPEG)
"""Beginnings of files whose headers are read by a few steps, whatever follows."""

READERS = 2
"""Threads that read headers: one that takes long must not stop the processes."""

WEB_BYTES = 200_000_000
"""Memory of the web process beside the bodies of requests and the images that it fetches."""

BYTES_PER_PIXEL = 32
"""Bytes of a model process for each pixel of an image in RGB beside the net: 23 to decode it, as
`commands.predict.memory_budget` has measured, and the rest for its labels and its answer."""


class Service:
    """Models that predict in processes of their own.

    Args:
        paths: Paths of the models by name; the first is the default.
        settings: Settings of the server.
        device: Device of the nets, as for `seglight.load`.
        trust: Further packages whose classes a checkpoint may name.
    """

    def __init__(
        self, paths: Mapping[str, Path], settings: Settings, device: str = "auto", trust: Sequence[str] = ()
    ) -> None:
        self._paths = dict(paths)
        self._settings = settings
        self._queue = Queue(settings.batch, settings.wait_s)
        self._readers = ThreadPoolExecutor(READERS)
        self._threads = ThreadPoolExecutor(3 * settings.workers + READERS)  # two groups during a swap, and files
        self._room: int | None = None
        self._memory = memory_of_each(settings)
        self._starter = WorkerStarter(
            self._paths, settings.workers, self._memory, device, tuple(trust), self._queue, self._threads
        )
        self._folder: Path | None = None
        self._group: WorkerGroup | None = None
        self._slots: list[WorkerSlot] = []
        self._waiting: set[Waiting] = set()
        self._watch: asyncio.Task[None] | None = None
        self._draining = False
        self._open = 0
        self._all_answered = asyncio.Event()
        self._copies = itertools.count()

    @property
    def models(self) -> Mapping[str, ServedModel]:
        """The models by name, in the order of the command line; empty until they are loaded."""
        if self._group is None:
            return {}
        ready = self._is_ready()
        return {name: replace(model, ready=ready) for name, model in self._group.models.items()}

    def status(self) -> Status:
        """State of the service."""
        slots = () if self._group is None else self._group.slots
        return Status(
            self._is_ready() and not self._draining,
            self._draining,
            self._queue.lengths([*self._paths]),
            dict(self._starter.statistics.batches),
            [worker_status(slot) for slot in slots],
        )

    def _is_ready(self) -> bool:
        return self._group is not None and any(slot.process is not None for slot in self._group.slots)

    async def predict(
        self,
        image: Payload,
        answer: Answer,
        model: str | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> bytes:
        """Answer for an image; see `answered`.

        Raises:
            Refused: There is none.
        """
        return (await self.answered(image, answer, model, progress)).content

    async def answered(
        self,
        image: Payload,
        answer: Answer,
        model: str | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Answered:
        """Answer for an image, and the model that it is of.

        A caller that is cancelled leaves the queue, and its image is not predicted further than to the next band.

        Args:
            image: Bytes of an image file, or pixels (H, W, bands) in the bands and type that the model reads.
            answer: Function that makes the answer, in a model process.
            model: Name of the model; None: the first one.
            progress: Function that is called with the fraction of the image that is done, several times if the image
                is predicted by windows.

        Raises:
            Refused: There is no answer; the status says why.
        """
        found = self._model_of(model)
        pickled = pickle.dumps(answer)
        self._check_room()
        self._open += 1
        try:
            bands = found.card.pixels
            payload, size = await self._checked(image, bands)
            self._check_room()  # others came while the header was read
            loop = asyncio.get_running_loop()
            alone = progress is not None
            pixel = len(bands.names) * bands.dtype.itemsize
            one = Waiting(
                found.name, size, payload, pickled, loop.create_future(), loop.time(), progress, alone, pixel=pixel
            )
            return await self._outcome(one)
        finally:
            self._open -= 1
            if not self._open:
                self._all_answered.set()

    async def _outcome(self, one: Waiting) -> Answered:
        self._waiting.add(one)
        self._queue.put(one)
        timer = asyncio.get_running_loop().call_later(SILENCE_S, self._expire, one)
        try:
            return await one.outcome
        finally:
            timer.cancel()
            self._queue.discard(one)
            self._waiting.discard(one)

    def _expire(self, one: Waiting) -> None:
        if self._queue.discard(one) and not one.outcome.done():
            one.outcome.set_exception(Refused(504, f"no process was free for the image for {SILENCE_S:.0f} s", 60.0))

    def _model_of(self, model: str | None) -> ServedModel:
        if self._draining:
            raise Refused(503, "the server is about to end")
        return served({} if self._group is None else self._group.models, model)

    def _check_room(self) -> None:
        if len(self._queue) >= self._settings.queue:
            seconds = self._starter.statistics.seconds * len(self._queue) / self._settings.workers
            shown = min(60.0, max(1.0, float(math.ceil(seconds))))
            raise Refused(429, f"{len(self._queue)} images are waiting already: try again in {shown:.0f} s", shown)

    async def _checked(self, image: Payload, bands: Bands) -> tuple[Payload, tuple[int, int]]:
        """An image and its size (H, W), by its header."""
        count = len(bands.names)
        if isinstance(image, bytes):
            try:
                size = await self._size_of(image, bands)
            except UserError as error:
                raise Refused(status_of(error), one_line(error)) from error
        elif is_image(image, count, bands.dtype) and image.size:
            image = np.ascontiguousarray(image)
            size = image.shape[0], image.shape[1]
        else:
            taken = "uint8 (H, W, 3) in RGB" if bands.is_rgb8 else f"{bands.type} (H, W, {count}), {bands.line()}"
            raise Refused(400, f"an image is {taken}, not {described(image)}")
        height, width = size
        most = self._most_of(count * bands.dtype.itemsize)
        if height * width > most:
            raise Refused(413, f"the image has {height} x {width} pixels, and this server takes {most} at most")
        return image, size

    async def _size_of(self, image: bytes, bands: Bands) -> tuple[int, int]:
        """Size by the header, which for the usual formats takes less time than another thread does to begin."""
        if image.startswith(QUICK):
            return size_of_pixels(image, THE_IMAGE, bands)
        return await asyncio.get_running_loop().run_in_executor(
            self._readers, size_of_pixels, image, name_of(image), bands
        )

    def _most_of(self, pixel: int) -> int:
        """Most pixels of an image that have so many bytes each."""
        most = self._settings.max_pixels
        if pixel > RGB_BYTES:
            most = most * RGB_BYTES // pixel
        if self._room is None:
            return most
        return min(most, self._room // (BYTES_PER_PIXEL + 3 * (pixel - RGB_BYTES)))

    async def start(self) -> None:
        """Start the model processes, and wait until they have loaded the models.

        Raises:
            UserError: A model can't be loaded.
        """
        self._folder = Path(tempfile.mkdtemp(prefix="seglight-serve-"))
        copies = {name: await self._copied(name, self._new_folder(name)) for name in self._paths}
        self._begin(await self._starter.start(copies))
        known = {name: copy.fingerprint for name, copy in copies.items()}
        self._watch = asyncio.create_task(watch(self._paths, known, self._swap))

    def _new_folder(self, name: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{name}-{next(self._copies)}"

    async def _copied(self, name: str, folder: Path) -> Copy:
        return await asyncio.get_running_loop().run_in_executor(self._threads, copied, self._paths[name], folder)

    def _begin(self, group: WorkerGroup) -> None:
        """Let a group of workers take images, in place of the former one."""
        if self._group is not None:
            for slot, former in zip(group.slots, self._group.slots, strict=True):
                slot.restarts = former.restarts
                former.retire()
        self._group = group
        self._room = self._room_beside(group)
        self._slots = [*(slot for slot in self._slots if not slot.is_over), *group.slots]
        for slot in group.slots:
            slot.begin()

    def _room_beside(self, group: WorkerGroup) -> int | None:
        """Bytes of each process beside the nets; None: no limit."""
        if self._memory is None:
            return None
        taken = max(slot.process.memory for slot in group.slots if slot.process is not None)
        return max(0, self._memory - taken)

    async def _swap(self, name: str) -> bool:
        """Load the new files of a model beside the old ones, and let others predict when they are ready.

        Returns:
            Whether the files could be copied.
        """
        assert self._group is not None
        former = self._group
        version = former.copies[name].version
        old = former.copies[name].folder
        new = self._new_folder(name)
        copy = None
        try:
            copy = await self._copied(name, new)
            if copy.version == version:  # touched, or written again
                old = new
            else:
                say(f"{name}: {self._paths[name]} was replaced: loading version {copy.version}")
                start = time.monotonic()
                self._begin(await self._starter.start({**former.copies, name: copy}))
                seconds = time.monotonic() - start
                say(f"{name}: version {copy.version} follows {version}, loaded within {seconds:.0f} s")
                await asyncio.gather(*(slot.ended() for slot in former.slots))
        except UserError as error:
            old = new
            again = f": tried again in {AGAIN_S:.0f} s" if copy is None else ""
            reason = f"version {version} stays: {one_line(error)}{again}"
            say(f"{name}: {self._paths[name]} was replaced and is refused, {reason}")
        await asyncio.to_thread(shutil.rmtree, old, ignore_errors=True)
        return copy is not None

    async def drain(self) -> None:
        """Refuse further images, and return when all others are answered."""
        self._draining = True
        await self._end_watch()
        while self._open:
            self._all_answered.clear()
            await self._all_answered.wait()

    async def _end_watch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)

    async def close(self) -> None:
        """End all processes, whatever they do, and remove the copies of the models."""
        self._draining = True
        await self._end_watch()
        for slot in self._slots:
            await slot.cancel()
        for one in self._waiting:
            if not one.outcome.done():
                one.outcome.set_exception(Refused(503, "the server has ended"))
        for pool in (self._readers, self._threads):
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)
        if self._folder is not None:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)


def memory_of_each(settings: Settings) -> int | None:
    """Bytes that each model process may hold, beside the web process with what it holds of images; None: no limit.

    Raises:
        UserError: Nothing is left for them.
    """
    if settings.max_memory is None:
        return None
    web = settings.held_bytes + WEB_BYTES
    left = (settings.max_memory - web) // settings.workers
    if left <= 0:
        raise UserError(
            f"--max_memory {settings.max_memory / 1e9:.2f} GB: the web process takes "
            f"{web / 1e9:.2f} GB of them: give more"
        )
    return left
