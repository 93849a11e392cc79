"""A service in a thread, and answers that its model processes make."""

import asyncio
import io
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seglight.commands.serve.prediction import Prediction
from seglight.commands.serve.refusals import Refused
from seglight.commands.serve.service import Service
from seglight.commands.serve.settings import Settings

T = TypeVar("T")

POISON = (1, 2, 3)
"""Colour of the first pixel of an image that ends its process."""


class Serving:
    """A service whose event loop runs in a thread."""

    def __init__(self, models: Mapping[str, Path], **settings: Any) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.service = self.call(self._create(models, Settings(**settings)))
        try:
            self.call(self.service.start())
        except BaseException:
            self.close()
            raise

    async def _create(self, models: Mapping[str, Path], settings: Settings) -> Service:
        return Service(models, settings, device="cpu")

    def call(self, work: Coroutine[Any, Any, T], seconds: float = 60) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(seconds)

    def close(self) -> None:
        self.call(self.service.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


def drawn(seed: int, size: tuple[int, int] = (24, 40)) -> NDArray[np.uint8]:
    """An image of random colours."""
    return np.random.default_rng(seed).integers(4, 256, (*size, 3), np.uint8)


def png(image: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def poisoned(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    image = image.copy()
    image[0, 0] = POISON
    return image


def labels(prediction: Prediction) -> bytes:
    """The label map row by row."""
    return prediction.labels.astype(np.uint8).tobytes()


def labels_unless_poisoned(prediction: Prediction) -> bytes:
    if tuple(prediction.image[0, 0]) == POISON:
        os.kill(os.getpid(), signal.SIGKILL)
    return labels(prediction)


def slow_labels(prediction: Prediction) -> bytes:
    time.sleep(0.4)
    return labels(prediction)


def hanging(prediction: Prediction) -> bytes:
    time.sleep(3600)
    return b""


def probabilities(prediction: Prediction) -> bytes:
    return prediction.probabilities().tobytes()


def broken(prediction: Prediction) -> bytes:
    raise ValueError("a secret of the server")


def refused(prediction: Prediction) -> bytes:
    raise Refused(400, "there is no class of this name", 2.5)


def process_facts(prediction: Prediction) -> bytes:
    """What is true of the process: its number, heavy packages that it has imported, signals that it does not take."""
    heavy = [name for name in ("torch", "lightning", "fastapi", "uvicorn") if name in sys.modules]
    blocked = sorted(signal.pthread_sigmask(signal.SIG_BLOCK, []))
    return json.dumps({"pid": os.getpid(), "heavy": heavy, "blocked": blocked}).encode()
