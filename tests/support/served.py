"""A server in a thread of this process, and a service that predicts in it: images without waiting and processes."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from typing import Any

import numpy as np
from fastapi import FastAPI
from numpy.typing import NDArray
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from seglight.checkpoints.model_card import ModelCard
from seglight.commands.serve.models import Answered, ServedModel
from seglight.commands.serve.prediction import Answer
from seglight.commands.serve.refusals import Refused
from seglight.commands.serve.server import Server
from seglight.errors import UserError
from seglight.images.decode import decode_image
from seglight.images.types import LabelMap
from tests.support.stand_in import Reds


class Predicted:
    """A prediction of `Reds`."""

    def __init__(self, image: NDArray[np.uint8]) -> None:
        self.predictor = Reds()
        self.image = image

    @cached_property
    def labels(self) -> LabelMap:
        return self.predictor.predict(self.image)

    @property
    def picture(self) -> NDArray[np.uint8]:
        return self.image

    def probabilities(self) -> NDArray[np.float32]:
        return self.predictor.probabilities(self.image)


@dataclass(frozen=True)
class SeenWorker:
    """State of a process."""

    memory: int = 1_000
    restarts: int = 0
    busy: bool = False


@dataclass(frozen=True)
class SeenStatus:
    """State of a service."""

    ready: bool = True
    draining: bool = False
    queued: Mapping[str, int] = field(default_factory=dict)
    batches: Mapping[int, int] = field(default_factory=dict)
    workers: tuple[SeenWorker, ...] = (SeenWorker(),)


class StandIn:
    """A service without processes, with models that all are `Reds`.

    Args:
        names: Names of its models.
        progress: Fractions that are reported before an answer.

    Attributes:
        held: While it is set, no image is answered.
        asked: Sizes of the images that were asked for.
        waiting: Number of images that are held.
        cancelled: Number of requests whose client had left.
        events: What the server has asked for: "start", "drain", "close".
    """

    def __init__(self, *names: str, progress: tuple[float, ...] = ()) -> None:
        card = ModelCard({}, Reds.class_names, Reds.palette, 255)
        self.models = {
            name: ServedModel(name, f"/secret/{name}.onnx", card, f"{number:012}", None, True, True)
            for number, name in enumerate(names or ("reds",))
        }
        self.progress = progress
        self.held = False
        self.asked: list[Any] = []
        self.waiting = 0
        self.cancelled = 0
        self.events: list[str] = []
        self.seen = SeenStatus()
        self.fails: Exception | None = None

    async def answered(
        self,
        image: bytes | NDArray[np.uint8],
        answer: Answer,
        model: str | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Answered:
        if self.seen.draining:
            raise Refused(503, "the server is ending")
        self.waiting += 1
        try:
            while self.held:
                await asyncio.sleep(0.005)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.waiting -= 1
        if self.fails is not None:
            raise self.fails
        for fraction in self.progress if progress else ():
            progress(fraction)
            await asyncio.sleep(0)
        try:
            pixels = decode_image(image, "image") if isinstance(image, bytes) else image
            self.asked.append(pixels.shape)
            found = self.models[model or next(iter(self.models))]
            return Answered(answer(Predicted(pixels)), found, pixels.shape[:2])
        except UserError as error:
            raise Refused(422, str(error)) from error

    async def predict(self, *args: Any, **options: Any) -> bytes:
        return (await self.answered(*args, **options)).content

    def status(self) -> SeenStatus:
        return self.seen

    async def start(self) -> None:
        self.events.append("start")

    async def drain(self) -> None:
        self.events.append("drain")
        self.seen = SeenStatus(ready=False, draining=True)
        while self.held:
            await asyncio.sleep(0.005)

    async def close(self) -> None:
        self.events.append("close")


class Running:
    """A server that runs in a thread.

    Attributes:
        server: The server.
        port: Its port on 127.0.0.1.
        url: Its address, without a slash at the end.
    """

    def __init__(self, app: FastAPI, service: Any) -> None:
        self.server = Server(app, service, lambda: None)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            asyncio.run(self.server.run_service(self.listener))
        except Exception as error:
            self.error = error

    def connect(self) -> socket.socket:
        """A connection to it."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)


@contextmanager
def serving(app: FastAPI, service: Any) -> Iterator[Running]:
    """Run an application on a free port of 127.0.0.1 within the block."""
    running = Running(app, service)
    running.thread.start()
    until(lambda: running.server.started or not running.thread.is_alive())
    try:
        yield running
    finally:
        running.server.should_exit = True
        running.thread.join(20)
        assert not running.thread.is_alive()


def until(condition: Callable[[], bool]) -> None:
    """Wait until something holds, on a machine that is busy."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it does not become true"
        time.sleep(0.005)


def png(pixels: NDArray[np.uint8]) -> bytes:
    """The bytes of a PNG."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def picture(height: int = 5, width: int = 7, seed: int = 0) -> NDArray[np.uint8]:
    """Pixels (H, W, 3) that `Reds` takes."""
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


def decoded(data: bytes) -> NDArray[np.uint8]:
    """Pixels of an image as they are stored, of a palette PNG the indices."""
    with Image.open(BytesIO(data)) as image:
        return np.asarray(image)


def metric(text: str, name: str, **labels: str) -> float:
    """Value of a metric in the text that Prometheus reads, read by its own parser; 0 if it is not there."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )
