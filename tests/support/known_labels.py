"""Stands in for the models of a server: predictions whose label maps are known."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglight.commands.serve.prediction import Answer


class Predicted:
    """A prediction whose label map is given."""

    predictor: Any = None

    def __init__(self, labels: NDArray[Any]) -> None:
        self.labels = labels
        self.image = np.zeros((*labels.shape, 3), np.uint8)

    def probabilities(self) -> NDArray[np.float32]:
        raise NotImplementedError


class OneModel:
    """What the web process sees of a model."""

    def __init__(self, name: str, version: str, classes: tuple[str, ...]) -> None:
        self.name = name
        self.version = version
        self.classes = classes


class Answered:
    """An answer, and the model that made it."""

    def __init__(self, content: bytes, model: OneModel) -> None:
        self.content = content
        self.model = model


class StandInService:
    """A service whose label maps come from a function of an image's bytes, which may raise Refused."""

    def __init__(self, models: Mapping[str, OneModel], labels: Callable[[bytes], NDArray[Any]]) -> None:
        self.models = models
        self.labels = labels
        self.asked: list[tuple[bytes, str | None]] = []

    async def answered(self, image: bytes, answer: Answer, model: str | None = None) -> Answered:
        self.asked.append((image, model))
        await asyncio.sleep(0)
        served = self.models[model] if model else next(iter(self.models.values()))
        return Answered(answer(Predicted(self.labels(image))), served)
