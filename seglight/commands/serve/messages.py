"""Messages between the web process and a model process. Imports nothing that is slow to import."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from seglight.checkpoints.model_card import ModelCard

RGB_BYTES = 3
"""Bytes of a pixel in RGB: limits in pixels are of these, and lower for pixels of more bytes."""


@dataclass(frozen=True)
class Job:
    """What a model process is started with.

    Attributes:
        models: Paths of the models, by name.
        threads: Number of threads that a net runs on.
        max_memory: Bytes that the process may hold; None: no limit.
        device: Device of the nets, as for `seglight.load`.
        trust: Further packages whose classes a checkpoint may name.
    """

    models: Mapping[str, Path]
    threads: int = 1
    max_memory: int | None = None
    device: str = "auto"
    trust: tuple[str, ...] = ()


class Described(NamedTuple):
    """A model that a process has loaded; the attributes are those of its predictor."""

    card: ModelCard
    size: tuple[int, int] | None
    has_probabilities: bool
    takes_batches: bool


class Loaded(NamedTuple):
    """All models are loaded: the first message of a process."""

    models: Mapping[str, Described]


class NotLoaded(NamedTuple):
    """A model can't be loaded: the first and last message of a process."""

    name: str
    reason: str


class Item(NamedTuple):
    """An image of a batch, whose bytes follow the message.

    Args:
        size: Size (H, W), by the header of a file.
        is_file: Whether the bytes are those of an image file; False: they are pixels.
        answer: Pickled `Answer`.
        bands: Number of bands of the pixels.
        type: Type of the pixels.
    """

    size: tuple[int, int]
    is_file: bool
    answer: bytes
    bands: int = 3
    type: str = "uint8"


class Batch(NamedTuple):
    """Images for one model; the bytes of each of them follow as a message of their own.

    Args:
        number: Number of the batch, counted by each process.
        model: Name of the model.
        items: The images.
        reported: Whether the end of a single image is reported, too, and not only what comes before it.
    """

    number: int
    model: str
    items: Sequence[Item]
    reported: bool = False


class Abandon(NamedTuple):
    """Nobody waits any more for the answers of a batch."""

    number: int


class Begun(NamedTuple):
    """A batch has arrived: what ends the process from here on is due to it."""

    number: int


class Progress(NamedTuple):
    """Fraction of an image's rows whose labels are computed."""

    fraction: float


class Done(NamedTuple):
    """The answer for an image, whose bytes follow the message."""

    place: int


class Failed(NamedTuple):
    """There is no answer for an image; the last three are those of `Refused`."""

    place: int
    status: int
    reason: str
    retry_after: float | None
